/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One table carries all that differs between settings. Nothing here opens a file or knows which value is
 * wanted.
 */

#include "enforce/cgroup-text.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define USEC_PER_SEC 1000000ULL
#define PERIOD_USEC 100000ULL /* the kernel's and systemd's default */
#define PERIOD_MAX_USEC USEC_PER_SEC
#define QUOTA_MIN_USEC 1000ULL            /* min_cfs_quota_period, kernel/sched/core.c */
#define QUOTA_MAX_USEC ((1ULL << 44) - 1) /* MAX_BW, there too */
#define TASKS_LIMIT \
        (4ULL * 1024 * 1024) /* PID_MAX_LIMIT: pids.max refuses more (EINVAL), and no more can be */
#define PAGES_LIMIT ((uint64_t) LONG_MAX) /* PAGE_COUNTER_MAX pages: from there on the kernel shows "max" */
#define CPU_WEIGHT_DEFAULT 100ULL

/* A limit of nothing would refuse even the first process or page, and systemd takes none: least is 1. */
static const SettingInfo settings[SETTING_MAX] = {
        [SETTING_CPU_IDLE] = { "cpu.idle", CONTROLLER_CPU, SHAPE_NUMBER, 0, 0, 1, NULL, "cpu.idle",
                        "best-effort tenants keep a small weight instead of the idle class" },
        [SETTING_CPU_WEIGHT] = { "cpu.weight", CONTROLLER_CPU, SHAPE_NUMBER, 0, 1, 10000, "CPUWeight",
                        "cpu.weight", "reserved CPU is not guaranteed" },
        [SETTING_CPU_MAX] = { "cpu.max", CONTROLLER_CPU, SHAPE_QUOTA, 0, 0, 0, "CPUQuotaPerSecUSec",
                        "cpu.limit", "CPU limits are not enforced" },
        [SETTING_MEMORY_MIN] = { "memory.min", CONTROLLER_MEMORY, SHAPE_NUMBER_OR_MAX, 1, 0, PAGES_LIMIT,
                        "MemoryMin", "memory.floor", "reserved memory is not guaranteed" },
        [SETTING_MEMORY_LOW] = { "memory.low", CONTROLLER_MEMORY, SHAPE_NUMBER_OR_MAX, 1, 0, PAGES_LIMIT,
                        "MemoryLow", "memory.floor", "reserved memory is not guaranteed" },
        [SETTING_MEMORY_HIGH] = { "memory.high", CONTROLLER_MEMORY, SHAPE_NUMBER_OR_MAX, 1, 1, PAGES_LIMIT,
                        "MemoryHigh", "memory.limit", "memory limits are not enforced" },
        [SETTING_MEMORY_MAX] = { "memory.max", CONTROLLER_MEMORY, SHAPE_NUMBER_OR_MAX, 1, 1, PAGES_LIMIT,
                        "MemoryMax", "memory.limit", "memory limits are not enforced" },
        [SETTING_SWAP_MAX] = { "memory.swap.max", CONTROLLER_MEMORY, SHAPE_NUMBER_OR_MAX, 1, 0, PAGES_LIMIT,
                        "MemorySwapMax", "swap.limit", "swap limits are not enforced" },
        [SETTING_TASKS_MAX] = { "pids.max", CONTROLLER_PIDS, SHAPE_NUMBER_OR_MAX, 0, 1, TASKS_LIMIT,
                        "TasksMax", "tasks.limit", "limits on tasks are not enforced" },
        [SETTING_CPU_BURST] = { "cpu.max.burst", CONTROLLER_CPU, SHAPE_NUMBER, 0, 0, QUOTA_MAX_USEC, NULL,
                        "cpu.burst", "what a tenant left of its quota is lost to it" },
        [SETTING_OOM_GROUP] = { "memory.oom.group", CONTROLLER_MEMORY, SHAPE_NUMBER, 0, 0, 1, NULL,
                        "memory.oom.group", "of a tenant out of memory one process is killed alone" },
        [SETTING_IO_WEIGHT] = { "io.weight", CONTROLLER_IO, SHAPE_DEFAULT, 0, 1, 10000, "IOWeight",
                        "io.weight", "reserved IO is not guaranteed" },
        [SETTING_HUGETLB_2M] = { "hugetlb.2MB.max", CONTROLLER_HUGETLB, SHAPE_NUMBER_OR_MAX, 2ULL << 20, 0,
                        PAGES_LIMIT, NULL, "hugetlb.2M", "limits on pages of 2 MiB are not enforced" },
        [SETTING_HUGETLB_1G] = { "hugetlb.1GB.max", CONTROLLER_HUGETLB, SHAPE_NUMBER_OR_MAX, 1ULL << 30, 0,
                        PAGES_LIMIT, NULL, "hugetlb.1G", "limits on pages of 1 GiB are not enforced" },
};

/* Swap before memory.high, so that what is squeezed has where to go; floors when their ceilings hold. */
const Setting settings_order[SETTING_MAX] = {
        SETTING_CPU_IDLE,
        SETTING_CPU_WEIGHT,
        SETTING_CPU_MAX,
        SETTING_CPU_BURST,
        SETTING_SWAP_MAX,
        SETTING_MEMORY_HIGH,
        SETTING_MEMORY_MAX,
        SETTING_MEMORY_LOW,
        SETTING_MEMORY_MIN,
        SETTING_OOM_GROUP,
        SETTING_TASKS_MAX,
        SETTING_IO_WEIGHT,
        SETTING_HUGETLB_2M,
        SETTING_HUGETLB_1G,
};

static const char default_prefix[] = "default ";

static const char *const controllers[CONTROLLER_MAX] = {
        [CONTROLLER_CPU] = "cpu",
        [CONTROLLER_MEMORY] = "memory",
        [CONTROLLER_PIDS] = "pids",
        [CONTROLLER_IO] = "io",
        [CONTROLLER_HUGETLB] = "hugetlb",
        [CONTROLLER_RDMA] = "rdma",
        [CONTROLLER_MISC] = "misc",
};

const char *controller_to_string(CgroupController controller) {
        assert(controller >= 0 && controller < CONTROLLER_MAX);
        return controllers[controller];
}

static uint32_t controller_bit(const char *name, size_t length) {
        for (int i = 0; i < CONTROLLER_MAX; i++)
                if (strlen(controllers[i]) == length && memcmp(controllers[i], name, length) == 0)
                        return 1U << i;
        return 0;
}

uint32_t controllers_parse(const char *text) {
        uint32_t found = 0;

        for (const char *p = text + strspn(text, " \n"); *p; p += strspn(p, " \n")) {
                size_t length = strcspn(p, " \n");

                found |= controller_bit(p, length);
                p += length;
        }
        return found;
}

void controllers_format(uint32_t bits, char *ret) {
        size_t at = 0;

        ret[0] = '\0';
        for (int i = 0; i < CONTROLLER_MAX; i++)
                if (bits & (1U << i))
                        at += (size_t) snprintf(ret + at, CONTROLLERS_TEXT_SIZE - at, "%s+%s", at ? " " : "",
                                        controllers[i]);
}

const SettingInfo *setting_info(Setting setting) {
        assert(setting >= 0 && setting < SETTING_MAX);
        return settings + setting;
}

/*
 * Quota and period for µs a second. As systemd does (cgroup_cpu_adjust_period), the period grows where 100 ms
 * would ask for a quota below the kernel's 1 ms: both drivers then hold the same.
 */
static bool quota_of(uint64_t usec_per_sec, uint64_t *ret_quota_usec, uint64_t *ret_period_usec) {
        uint64_t period = PERIOD_USEC, quota;

        if (usec_per_sec < QUOTA_MIN_USEC)
                usec_per_sec = QUOTA_MIN_USEC;
        if (usec_per_sec < QUOTA_MIN_USEC * USEC_PER_SEC / PERIOD_USEC)
                period = QUOTA_MIN_USEC * USEC_PER_SEC / usec_per_sec;
        if (period > PERIOD_MAX_USEC)
                period = PERIOD_MAX_USEC;

        quota = usec_per_sec / USEC_PER_SEC * period + usec_per_sec % USEC_PER_SEC * period / USEC_PER_SEC;
        if (quota < QUOTA_MIN_USEC)
                quota = QUOTA_MIN_USEC;
        if (quota > QUOTA_MAX_USEC)
                return false;
        *ret_quota_usec = quota;
        *ret_period_usec = period;
        return true;
}

static uint64_t quota_to_usec_per_sec(uint64_t quota_usec, uint64_t period_usec) {
        return quota_usec / period_usec * USEC_PER_SEC +
               quota_usec % period_usec * USEC_PER_SEC / period_usec;
}

static bool has_max(const SettingInfo *info) {
        return info->shape == SHAPE_NUMBER_OR_MAX || info->shape == SHAPE_QUOTA;
}

uint64_t setting_round(Setting setting, uint64_t value) {
        const SettingInfo *info = setting_info(setting);
        uint64_t quota_usec, period_usec;

        if (value == UNLIMITED && has_max(info))
                return UNLIMITED;
        if (info->shape == SHAPE_QUOTA)
                return quota_of(value, &quota_usec, &period_usec)
                                       ? quota_to_usec_per_sec(quota_usec, period_usec)
                                       : UNLIMITED;
        if (info->page) {
                uint64_t page = info->page > 1 ? info->page : (uint64_t) sysconf(_SC_PAGESIZE);
                uint64_t pages = value / page;

                if (pages >= info->max / page)
                        return UNLIMITED;
                return (pages < info->min ? info->min : pages) * page;
        }
        if (value < info->min)
                return info->min;
        if (value > info->max)
                return has_max(info) ? UNLIMITED : info->max;
        return value;
}

void setting_format(Setting setting, uint64_t value, char *ret) {
        const SettingInfo *info = setting_info(setting);
        uint64_t quota_usec, period_usec;

        if (info->shape == SHAPE_QUOTA) {
                if (value != UNLIMITED && quota_of(value, &quota_usec, &period_usec))
                        (void) snprintf(ret, SETTING_TEXT_SIZE, "%" PRIu64 " %" PRIu64, quota_usec,
                                        period_usec);
                else
                        (void) snprintf(ret, SETTING_TEXT_SIZE, "max %llu", PERIOD_USEC);
                return;
        }
        value = setting_round(setting, value);
        if (info->shape == SHAPE_NUMBER_OR_MAX && value == UNLIMITED)
                (void) snprintf(ret, SETTING_TEXT_SIZE, "max");
        else
                (void) snprintf(ret, SETTING_TEXT_SIZE, "%s%" PRIu64,
                                info->shape == SHAPE_DEFAULT ? default_prefix : "", value);
}

Setting setting_from_file(const char *file) {
        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                if (strcmp(file, setting_info(setting)->file) == 0)
                        return setting;
        return SETTING_INVALID;
}

bool cgroup_file_is_set(const char *file) {
        static const char *const others[] = { "cgroup.freeze", "cpuset.cpus", "cpuset.mems",
                "cpuset.cpus.exclusive", "cpuset.cpus.partition" };

        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (strcmp(file, others[i]) == 0)
                        return true;
        return setting_from_file(file) >= 0;
}

/* Reads a number, or "max" where that is allowed, and moves past it. */
static int parse_number(const char **text, bool or_max, uint64_t *ret) {
        const char *p = *text;
        char *end;
        uint64_t value;

        if (or_max && strncmp(p, "max", 3) == 0) {
                *text = p + 3;
                *ret = UNLIMITED;
                return 0;
        }
        if (*p < '0' || *p > '9')
                return -EBADMSG;
        errno = 0;
        value = strtoull(p, &end, 10);
        if (errno != 0)
                return -EBADMSG;
        *text = end;
        *ret = value;
        return 0;
}

int setting_parse(Setting setting, const char *text, uint64_t *ret) {
        const SettingInfo *info = setting_info(setting);
        uint64_t value, period_usec;
        int r;

        if (info->shape == SHAPE_DEFAULT) {
                if (strncmp(text, default_prefix, strlen(default_prefix)) != 0)
                        return -EBADMSG;
                text += strlen(default_prefix);
        }
        r = parse_number(&text, has_max(info), &value);
        if (r < 0)
                return r;
        if (info->shape == SHAPE_DEFAULT && *text == '\n')
                text = "";
        if (info->shape == SHAPE_QUOTA) {
                if (*text++ != ' ')
                        return -EBADMSG;
                r = parse_number(&text, /* or_max= */ false, &period_usec);
                if (r < 0)
                        return r;
                if (period_usec == 0)
                        return -EBADMSG;
                if (value != UNLIMITED)
                        value = quota_to_usec_per_sec(value, period_usec);
        }
        if (strcmp(text, "") != 0 && strcmp(text, "\n") != 0)
                return -EBADMSG;
        /* A new group shows huge pages without limit as the number that stands for it (mm/hugetlb_cgroup.c).
         */
        *ret = info->page > 1 ? setting_round(setting, value) : value;
        return 0;
}

Settings settings_settle(const Settings *changes, bool idle_now) {
        Settings settled = { 0 };
        bool idle_then;

        for (int i = 0; i < SETTING_MAX; i++)
                if (settings_has(changes, (Setting) i))
                        settings_put(&settled, (Setting) i, setting_round((Setting) i, changes->value[i]));

        idle_then = settings_has(&settled, SETTING_CPU_IDLE) ? settled.value[SETTING_CPU_IDLE] != 0
                                                             : idle_now;
        if (idle_then)
                settled.present &= ~(1U << SETTING_CPU_WEIGHT);
        if (idle_then == idle_now)
                settled.present &= ~(1U << SETTING_CPU_IDLE);
        return settled;
}

size_t settings_properties(const Settings *settled, SettingProperty *ret) {
        size_t n = 0;

        /* systemd clears cpu.idle itself when it is given a weight. */
        if (settings_has(settled, SETTING_CPU_IDLE) && !settings_has(settled, SETTING_CPU_WEIGHT))
                ret[n++] = (SettingProperty){ settings[SETTING_CPU_WEIGHT].property,
                        settled->value[SETTING_CPU_IDLE] ? 0 : CPU_WEIGHT_DEFAULT };

        for (int i = 0; i < SETTING_MAX; i++)
                if (settings_has(settled, (Setting) i) && settings[i].property)
                        ret[n++] = (SettingProperty){ settings[i].property, settled->value[i] };
        return n;
}

uint32_t settings_beside(const Settings *settled) {
        uint32_t beside = 0;

        /* The idle class is a weight, to systemd. */
        for (int i = 0; i < SETTING_MAX; i++)
                if (settings_has(settled, (Setting) i) && !settings[i].property && i != SETTING_CPU_IDLE)
                        beside |= 1U << i;
        return beside;
}

/* A field of mountinfo to a string: "\040" and the like become what they stand for (proc(5)). */
static char *unescape_field(const char *field, size_t length) {
        char *s = malloc(length + 1);
        size_t n = 0;

        if (!s)
                return NULL;
        for (size_t i = 0; i < length; i++) {
                if (field[i] == '\\' && length - i >= 4 && strspn(field + i + 1, "01234567") >= 3) {
                        s[n++] = (char) ((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 +
                                         (field[i + 3] - '0'));
                        i += 3;
                } else
                        s[n++] = field[i];
        }
        s[n] = '\0';
        return s;
}

/* Field `n`, counted from 0, of a line of fields with single spaces; NULL past the end. */
static const char *line_field(const char *line, const char *end, size_t n, size_t *ret_length) {
        for (; n > 0; n--) {
                line = memchr(line, ' ', (size_t) (end - line));
                if (!line)
                        return NULL;
                line++;
        }
        const char *stop = memchr(line, ' ', (size_t) (end - line));
        *ret_length = (size_t) ((stop ? stop : end) - line);
        return line;
}

static uint32_t options_controllers(const char *options, size_t length) {
        uint32_t found = 0;

        for (const char *p = options, *end = options + length; p < end;) {
                const char *comma = memchr(p, ',', (size_t) (end - p));
                size_t n = (size_t) ((comma ? comma : end) - p);

                found |= controller_bit(p, n);
                /* blkio is what cgroup v1 calls io. */
                if (n == strlen("blkio") && memcmp(p, "blkio", n) == 0)
                        found |= 1U << CONTROLLER_IO;
                p += n + 1;
        }
        return found;
}

/* One line: "31 23 0:28 ROOT MOUNTPOINT rw - cgroup2 cgroup2 OPTIONS", optional fields before the dash. */
static int parse_mount(const char *line, const char *end, CgroupMounts *mounts) {
        const char *dash = memmem(line, (size_t) (end - line), " - ", 3), *type, *root, *point, *options;
        size_t type_length = 0, root_length = 0, point_length = 0, options_length = 0;

        if (!dash)
                return 0;
        type = line_field(dash + 3, end, 0, &type_length);
        options = line_field(dash + 3, end, 2, &options_length);
        root = line_field(line, dash, 3, &root_length);
        point = line_field(line, dash, 4, &point_length);
        if (!type || !options || !root || !point)
                return 0;

        if (type_length == strlen("cgroup") && memcmp(type, "cgroup", type_length) == 0)
                mounts->controllers_v1 |= options_controllers(options, options_length);
        else if (type_length == strlen("cgroup2") && memcmp(type, "cgroup2", type_length) == 0 &&
                        !mounts->unified && root_length == 1 && *root == '/') {
                mounts->unified = unescape_field(point, point_length);
                if (!mounts->unified)
                        return -ENOMEM;
        }
        return 0;
}

int cgroup_mounts_parse(const char *mountinfo, CgroupMounts *ret) {
        _cleanup_cgroup_mounts_ CgroupMounts mounts = { 0 };

        for (const char *line = mountinfo; *line;) {
                const char *end = line + strcspn(line, "\n");
                int r = parse_mount(line, end, &mounts);

                if (r < 0)
                        return r;
                line = *end ? end + 1 : end;
        }
        *ret = mounts;
        mounts.unified = NULL;
        return 0;
}

void cgroup_mounts_deinit(CgroupMounts *mounts) {
        free(mounts->unified);
        *mounts = (CgroupMounts){ 0 };
}

int cgroup_path_parse(const char *text, char **ret) {
        static const char deleted[] = " (deleted)";
        const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
        size_t length;
        char *path;

        if (!line)
                return -ENODATA;
        line += *line == '\n' ? 4 : 3;
        length = strcspn(line, "\n");
        if (length >= sizeof(deleted) - 1 &&
                        memcmp(line + length - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1) == 0)
                length -= sizeof(deleted) - 1;
        path = strndup(line, length);
        if (!path)
                return -ENOMEM;
        *ret = path;
        return 0;
}

int cgroup_events_parse(const char *text, const char *key, uint64_t *ret) {
        size_t length = strlen(key);

        for (const char *line = text; *line;) {
                if (strncmp(line, key, length) == 0 && line[length] == ' ') {
                        const char *p = line + length + 1;

                        return parse_number(&p, /* or_max= */ false, ret);
                }
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return -ENODATA;
}
