/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The keys by one table. It checks each value; whether the node has the uplink is not asked. */

#include "config.h"

#include "util/ini.h"
#include "util/path.h"
#include "util/strv.h"

#include <glob.h>
#include <inttypes.h>
#include <string.h>

typedef enum ValueType {
        VALUE_LEVEL, /* basic or full: of the meter */
        VALUE_TEXT,
        VALUE_COUNT,
        VALUE_BYTES, /* suffixes K, M, G, T of 1024 */
        VALUE_BPS,   /* suffixes K, M, G, T of 1000 */
        VALUE_USEC,  /* ms, s, min, h, d; a bare number is seconds */
        VALUE_BOOL,
        VALUE_MODE, /* of a tenant: true is observe */
        VALUE_DISCIPLINE,
        VALUE_WORDS, /* separated by spaces */
} ValueType;

typedef struct ConfigKey {
        const char *section, *key;
        ValueType type;
        size_t offset; /* in Config, or in ConfigUplink */
        uint64_t min, max;
} ConfigKey;

#define GLOBAL(section, key, type, field, min, max) \
        { section, key, type, offsetof(Config, field), min, max }
static const ConfigKey global_keys[] = {
        GLOBAL("node", "id", VALUE_TEXT, node_id, 1, 255),
        GLOBAL("node", "mode", VALUE_MODE, observe, 0, 1),
        GLOBAL("node", "tenants-max", VALUE_COUNT, tenants_max, 1, 10000),
        GLOBAL("node", "allocations-max", VALUE_COUNT, allocations_max, 1, 100000),
        GLOBAL("node", "sample-interval", VALUE_USEC, sample_interval_usec, 100000, 3600000000),
        GLOBAL("calendar", "horizon", VALUE_USEC, horizon_usec, 3600000000, 31622400000000),
        GLOBAL("clock", "require-sync", VALUE_BOOL, sync_required, 0, 1),
        GLOBAL("capacity", "cpu-reserve", VALUE_COUNT, cpu_reserve_millicores, 1, 1000000),
        GLOBAL("capacity", "memory-reserve", VALUE_BYTES, memory_reserve_bytes, 0, UINT64_MAX),
        GLOBAL("residual", "cpu", VALUE_COUNT, residual.cpu_millicores, 10, 1000000),
        GLOBAL("residual", "memory", VALUE_BYTES, residual.memory_bytes, 1 << 20, UINT64_MAX / 2),
        GLOBAL("residual", "tasks", VALUE_COUNT, residual.tasks, 1, 4194304),
        GLOBAL("residual", "net-egress", VALUE_BPS, residual.net_egress_bps, 8000, UINT64_MAX / 2),
        GLOBAL("residual", "net-ingress", VALUE_BPS, residual.net_ingress_bps, 8000, UINT64_MAX / 2),
        GLOBAL("meter", "level", VALUE_LEVEL, meter_full, 0, 1),
        GLOBAL("devices", "closed", VALUE_BOOL, devices_closed, 0, 1),
        GLOBAL("residual", "io", VALUE_BYTES, residual.io_bytes, 4096, UINT64_MAX / 2),
        GLOBAL("tenant", "cpu-burst", VALUE_COUNT, cpu_burst_percent, 0, 100),
        GLOBAL("tenant", "oom-group", VALUE_BOOL, oom_group, 0, 1),
        GLOBAL("network", "namespaces", VALUE_BOOL, namespaces, 0, 1),
        GLOBAL("control", "groups", VALUE_WORDS, control_groups, 0, 16),
        GLOBAL("access", "schedulers", VALUE_WORDS, schedulers, 0, 64),
};
#define UPLINK(key, type, field, min, max) \
        { "uplink", key, type, offsetof(ConfigUplink, field), min, max }
static const ConfigKey uplink_keys[] = {
        UPLINK("capacity", VALUE_BPS, capacity_bps, 64000, 1000000000000000),
        UPLINK("overhead", VALUE_COUNT, overhead_bytes, 0, 256),
        UPLINK("ingress-capacity", VALUE_BPS, ingress_bps, 64000, 1000000000000000),
        UPLINK("control-floor", VALUE_BPS, control_floor_bps, 8000, 1000000000000000),
        UPLINK("control-ceil", VALUE_BPS, control_ceil_bps, 8000, 1000000000000000),
        UPLINK("default-floor", VALUE_BPS, default_floor_bps, 8000, 1000000000000000),
        UPLINK("default", VALUE_BOOL, is_default, 0, 1),
        UPLINK("take-over", VALUE_BOOL, take_over, 0, 1),
        UPLINK("discipline", VALUE_DISCIPLINE, discipline, 0, 0),
};

#define DEVICE(key, type, field, min, max) \
        { "device", key, type, offsetof(ConfigDevice, field), min, max }
static const ConfigKey device_keys[] = {
        DEVICE("read", VALUE_BYTES, read_bytes, 4096, RESERVED_MAX),
        DEVICE("write", VALUE_BYTES, write_bytes, 4096, RESERVED_MAX),
        DEVICE("latency", VALUE_USEC, latency_usec, 1000, 60000000),
        DEVICE("weighted", VALUE_BOOL, weighted, 0, 1),
};

void config_init(Config *config) {
        *config = (Config){
                .tenants_max = 256,
                .allocations_max = 10000,
                .sample_interval_usec = 1000000,
                .horizon_usec = 14ULL * 24 * 3600 * 1000000,
                .sync_required = true,
                .meter_full = true,
                .cpu_reserve_millicores = 100,
                .memory_reserve_bytes = 256 << 20,
                .residual = { .cpu_millicores = 50,
                                .memory_bytes = 64 << 20,
                                .tasks = 256,
                                .net_egress_bps = 1000000,
                                .net_ingress_bps = 1000000,
                                .io_bytes = 16 << 20 },
        };
}

void config_deinit(Config *config) {
        free(config->node_id);
        strv_free(config->control_groups);
        strv_free(config->schedulers);
        *config = (Config){};
}

static int parse_scaled(const char *text, uint64_t factor, uint64_t *ret) {
        static const char suffixes[] = "KMGT";
        unsigned long long number;
        uint64_t value;
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        number = strtoull(text, &end, 10);
        if (errno != 0)
                return -ERANGE;
        value = number;
        if (*end) {
                const char *suffix = factor ? strchr(suffixes, *end) : NULL;

                if (!suffix || end[1])
                        return -EINVAL;
                for (const char *s = suffixes; s <= suffix; s++)
                        if (__builtin_mul_overflow(value, factor, &value))
                                return -ERANGE;
        }
        *ret = value;
        return 0;
}

static int parse_usec(const char *text, uint64_t *ret) {
        static const struct {
                const char *unit;
                uint64_t usec;
        } units[] = { { "", 1000000 }, { "s", 1000000 }, { "ms", 1000 }, { "min", 60000000 },
                { "h", 3600000000 }, { "d", 86400000000 } };
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        if (errno != 0)
                return -ERANGE;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strcmp(units[i].unit, end) == 0)
                        return __builtin_mul_overflow(*ret, units[i].usec, ret) ? -ERANGE : 0;
        return -EINVAL;
}

static int parse_bool(const char *text, bool *ret) {
        if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
                return -EINVAL;
        *ret = text[0] == 'y';
        return 0;
}

static int parse_words(const char *text, size_t max, char ***ret) {
        _cleanup_free_ char *copy = strdup(text);
        _cleanup_strv_ char **words = NULL;
        char *rest = NULL;

        for (char *word = copy ? strtok_r(copy, " \t", &rest) : NULL; word;
                        word = strtok_r(NULL, " \t", &rest)) {
                int r = strv_push(&words, word);
                if (r < 0)
                        return r;
        }
        if (!copy)
                return -ENOMEM;
        if (strv_length(words) > max)
                return -ERANGE;
        strv_free(*ret);
        *ret = TAKE_PTR(words);
        return 0;
}

static int parse_level(const char *text, bool *ret_full) {
        if (strcmp(text, "basic") != 0 && strcmp(text, "full") != 0)
                return -EINVAL;
        *ret_full = strcmp(text, "full") == 0;
        return 0;
}

static int parse_discipline(const char *text, uint64_t *ret) {
        static const char *const words[] = {
                [NET_DISCIPLINE_HTB] = "htb", [NET_DISCIPLINE_EDT] = "edt", [NET_DISCIPLINE_AUTO] = "auto"
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(words[i], text) == 0) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

static int store(const ConfigKey *key, void *base, const char *text) {
        void *field = (char *) base + key->offset;
        uint64_t number = 0;
        char *copy;
        int r;

        switch (key->type) {
        case VALUE_TEXT:
                if (strlen(text) < key->min || strlen(text) > key->max)
                        return -ERANGE;
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
                free(*(char **) field);
                *(char **) field = copy;
                return 0;
        case VALUE_BOOL:
                return parse_bool(text, field);
        case VALUE_MODE:
                return tenant_mode_from_string(text, field);
        case VALUE_LEVEL:
                return parse_level(text, field);
        case VALUE_DISCIPLINE:
                return parse_discipline(text, field);
        case VALUE_WORDS:
                return parse_words(text, key->max, field);
        case VALUE_USEC:
                r = parse_usec(text, &number);
                break;
        case VALUE_COUNT:
        case VALUE_BYTES:
        case VALUE_BPS:
        default:
                r = parse_scaled(text,
                                key->type == VALUE_BYTES ? 1024
                                : key->type == VALUE_BPS ? 1000
                                                         : 0,
                                &number);
                break;
        }
        if (r < 0)
                return r;
        if (number < key->min || number > key->max)
                return -ERANGE;
        *(uint64_t *) field = number;
        return 0;
}

typedef struct Reader {
        Config *config;
        Failure *failure;
} Reader;

static int refuse(Reader *reader, const ConfigKey *key, const char *value, int error) {
        static const char *const forms[] = {
                [VALUE_TEXT] = "a text of %" PRIu64 " to %" PRIu64 " bytes",
                [VALUE_COUNT] = "a whole number from %" PRIu64 " to %" PRIu64,
                [VALUE_BYTES] = "bytes, with K, M, G or T (of 1024), from %" PRIu64 " to %" PRIu64,
                [VALUE_BPS] = "bit/s, with K, M, G or T (of 1000), from %" PRIu64 " to %" PRIu64,
                [VALUE_USEC] = "a time in ms, s, min, h or d, from %" PRIu64 " to %" PRIu64 " microseconds",
                [VALUE_BOOL] = "yes or no",
                [VALUE_MODE] = "enforce or observe",
                [VALUE_LEVEL] = "basic or full",
                [VALUE_DISCIPLINE] = "auto, htb or edt",
                [VALUE_WORDS] = "words with spaces between, %" PRIu64 " to %" PRIu64 " of them",
        };
        char bound[160];

        if (error == -ENOMEM)
                return error;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(bound, sizeof bound, forms[key->type], key->min, key->max);
#pragma GCC diagnostic pop
        return failure_set(reader->failure, FAILURE_INVALID_ALLOCATION, "[%s] %s = '%s' must be %s",
                        key->section, key->key, value, bound);
}

static int read_uplink(Reader *reader, const char *name, ConfigUplink **ret) {
        Config *config = reader->config;
        ConfigUplink *uplink;

        for (size_t i = 0; i < config->n_uplinks; i++)
                if (strcmp(config->uplinks[i].name, name) == 0) {
                        *ret = &config->uplinks[i];
                        return 0;
                }
        if (*name == '\0' || strlen(name) >= 16 || strpbrk(name, "/ ") ||
                        config->n_uplinks == CONFIG_UPLINKS_MAX)
                return failure_set(reader->failure, FAILURE_INVALID_ALLOCATION,
                                "[uplink %s]: an interface name of 1 to 15 characters, at most %d uplinks",
                                name, CONFIG_UPLINKS_MAX);
        uplink = &config->uplinks[config->n_uplinks++];
        *uplink = (ConfigUplink){
                .overhead_bytes = UINT64_MAX,
                .control_floor_bps = UINT64_MAX,
                .control_ceil_bps = UINT64_MAX,
                .default_floor_bps = UINT64_MAX,
        };
        strcpy(uplink->name, name);
        *ret = uplink;
        return 0;
}

static int read_device(Reader *reader, const char *name, ConfigDevice **ret) {
        Config *config = reader->config;
        ConfigDevice *device;

        for (size_t i = 0; i < config->n_devices; i++)
                if (strcmp(config->devices[i].name, name) == 0) {
                        *ret = &config->devices[i];
                        return 0;
                }
        if (*name == '\0' || strlen(name) >= BLOCK_NAME_SIZE || strpbrk(name, "/ ") ||
                        config->n_devices == CONFIG_DEVICES_MAX)
                return failure_set(reader->failure, FAILURE_INVALID_ALLOCATION,
                                "[device %s]: a block device's name (sda) or numbers (8:0), at most %d "
                                "devices",
                                name, CONFIG_DEVICES_MAX);
        device = &config->devices[config->n_devices++];
        *device = (ConfigDevice){};
        strcpy(device->name, name);
        *ret = device;
        return 0;
}

static bool is_section(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(global_keys); i++)
                if (strcmp(global_keys[i].section, name) == 0)
                        return true;
        return false;
}

/* Also for a section without keys (`name` is NULL): an uplink of which nothing is said is one of defaults. */
static int on_line(void *userdata, const char *section, const char *name, const char *value) {
        const ConfigKey *keys = global_keys;
        size_t n = ELEMENTSOF(global_keys);
        Reader *reader = userdata;
        void *base = reader->config;
        int r;

        if (strncmp(section, "uplink ", 7) == 0) {
                ConfigUplink *uplink = NULL;

                r = read_uplink(reader, section + 7, &uplink);
                if (r != 0)
                        return r;
                keys = uplink_keys;
                n = ELEMENTSOF(uplink_keys);
                base = uplink;
                section = "uplink";
        } else if (strncmp(section, "device ", 7) == 0) {
                ConfigDevice *device = NULL;

                r = read_device(reader, section + 7, &device);
                if (r != 0)
                        return r;
                keys = device_keys;
                n = ELEMENTSOF(device_keys);
                base = device;
                section = "device";
        } else if (!name && !is_section(section))
                return failure_set(reader->failure, FAILURE_UNKNOWN_KEY, "[%s]: there is no such section",
                                section);
        if (!name)
                return 0;
        for (size_t i = 0; i < n; i++)
                if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].key, name) == 0) {
                        r = store(&keys[i], base, value);
                        return r < 0 ? refuse(reader, &keys[i], value, r) : 0;
                }
        return failure_set(reader->failure, FAILURE_UNKNOWN_KEY, "[%s] has no key '%s'", section, name);
}

static int read_file(Config *config, const char *path, bool required, Failure *failure) {
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        _cleanup_failure_ Failure inner = FAILURE_NULL;
        Reader reader = { .config = config, .failure = &inner };
        const char *why = NULL;
        unsigned line;
        int r;

        if (!file)
                return errno == ENOENT && !required
                                       ? 0
                                       : failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                                         "%s cannot be read: %s", path, strerror(errno));
        r = ini_read(file, on_line, &reader, &line, &why);
        if (r == 0 || (r < 0 && !why))
                return r;
        return failure_set(
                        failure, FAILURE_INVALID_ALLOCATION, "%s:%u: %s", path, line, why ?: inner.message);
}

/* A ceiling below the floor would be none, and floors that are more than the link leave tenants nothing. The
 * link's own speed, where no capacity is given, is not known here; what of the floors is not is a hundredth.
 */
static int check_floors(const ConfigUplink *uplink, Failure *failure) {
        const uint64_t control = uplink->control_floor_bps == UINT64_MAX ? 0 : uplink->control_floor_bps;
        const uint64_t others = uplink->default_floor_bps == UINT64_MAX ? 0 : uplink->default_floor_bps;

        if (control > uplink->control_ceil_bps)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "[uplink %s] control-floor = %" PRIu64 " is over control-ceil, %" PRIu64
                                " bit/s",
                                uplink->name, control, uplink->control_ceil_bps);
        if (uplink->capacity_bps > 0 && control + others > uplink->capacity_bps)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "[uplink %s] control-floor and default-floor, %" PRIu64
                                " bit/s in all, are over capacity, %" PRIu64 " bit/s",
                                uplink->name, control + others, uplink->capacity_bps);
        return 0;
}

/* The one uplink is the default where none says that it is. */
static int check_uplinks(Config *config, Failure *failure) {
        size_t defaults = 0;

        for (size_t i = 0; i < config->n_uplinks; i++)
                defaults += config->uplinks[i].is_default;
        if (config->n_uplinks > 0 && defaults == 0)
                config->uplinks[0].is_default = true;
        if (defaults > 1)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "%zu uplinks say default = yes; one may", defaults);
        for (size_t i = 0; i < config->n_uplinks; i++) {
                int r = check_floors(&config->uplinks[i], failure);

                if (r != 0)
                        return r;
        }
        return 0;
}

/* io.cost needs to be told what the device can do. */
static int check_devices(const Config *config, Failure *failure) {
        for (size_t i = 0; i < config->n_devices; i++) {
                const ConfigDevice *device = &config->devices[i];

                if (device->weighted && device->read_bytes == 0 && device->write_bytes == 0)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "[device %s] weighted = yes needs read or write, what it can do",
                                        device->name);
        }
        return 0;
}

/* As the kernel and who adopts a group write it. */
static int check_groups(Config *config, Failure *failure) {
        for (char **group = config->control_groups; group && *group; group++) {
                char *path = path_canonical(*group);

                if (!path)
                        return -ENOMEM;
                free(*group);
                *group = path;
                if (*path == '\0')
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "[control] groups = '/' is the root of all groups, tenants' "
                                        "included");
        }
        return 0;
}

int config_read(Config *config, const char *path, bool required, Failure *ret_failure) {
        _cleanup_free_ char *pattern = NULL;
        glob_t drop_ins = {};
        int r;

        r = read_file(config, path, required, ret_failure);
        if (r != 0)
                return r;
        if (asprintf(&pattern, "%s.d/*.conf", path) < 0) {
                pattern = NULL;
                return -ENOMEM;
        }
        if (glob(pattern, 0, NULL, &drop_ins) == 0)
                for (size_t i = 0; r == 0 && i < drop_ins.gl_pathc; i++)
                        r = read_file(config, drop_ins.gl_pathv[i], true, ret_failure);
        globfree(&drop_ins);
        if (r == 0)
                r = check_uplinks(config, ret_failure);
        if (r == 0)
                r = check_devices(config, ret_failure);
        return r == 0 ? check_groups(config, ret_failure) : r;
}

bool config_shapes_ingress(const Config *config) {
        for (size_t i = 0; i < config->n_uplinks; i++)
                if (config->uplinks[i].ingress_bps > 0)
                        return true;
        return false;
}
