/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/cgroup-dropin.h"
#include "enforce/cgroup-text.h"

#include <criterion/criterion.h>
#include <string.h>

#define KIB 1024ULL
#define PAGE ((uint64_t) sysconf(_SC_PAGESIZE))

Test(cgroup_text, table_is_complete) {
        for (int i = 0; i < SETTING_MAX; i++) {
                const SettingInfo *info = setting_info((Setting) i);

                cr_assert_not_null(info->file, "setting %d", i);
                cr_assert_not_null(info->feature, "%s", info->file);
                cr_assert_not_null(info->effect, "%s", info->file);
                cr_assert_eq(strncmp(info->file, controller_to_string(info->controller),
                                             strlen(controller_to_string(info->controller))),
                                0, "%s", info->file);
        }
}

Test(cgroup_text, what_has_no_property_is_written_beside) {
        Settings settings = {};

        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                settings_put(&settings, setting, 1);
        cr_expect_eq(settings_beside(&settings),
                        (1U << SETTING_CPU_BURST) | (1U << SETTING_OOM_GROUP) | (1U << SETTING_HUGETLB_2M) |
                                        (1U << SETTING_HUGETLB_1G),
                        "the idle class is a weight, to systemd");
}

Test(cgroup_text, a_default_stands_before_devices) {
        uint64_t value;

        cr_assert_eq(setting_parse(SETTING_IO_WEIGHT, "default 250\n8:0 100\n", &value), 0);
        cr_expect_eq(value, 250);
        cr_assert_eq(setting_parse(SETTING_HUGETLB_2M, "9223372036854771712\n", &value), 0);
        cr_expect_eq(value, UNLIMITED, "as a new group shows it");
        cr_expect_eq(setting_parse(SETTING_IO_WEIGHT, "250\n", &value), -EBADMSG);
        cr_expect_eq(setting_parse(SETTING_IO_WEIGHT, "default 250 8:0\n", &value), -EBADMSG);
}

Test(cgroup_text, order_has_each_once) {
        uint32_t seen = 0;

        for (size_t i = 0; i < SETTING_MAX; i++)
                seen |= 1U << settings_order[i];
        cr_assert_eq(seen, (1U << SETTING_MAX) - 1);
}

/* Value, what is written, what is read back. */
Test(cgroup_text, format_and_round) {
        const struct {
                const char *name;
                Setting setting;
                uint64_t value;
                const char *text;
                uint64_t rounded;
        } cases[] = {
                { "idle", SETTING_CPU_IDLE, 1, "1", 1 },
                { "idle beyond", SETTING_CPU_IDLE, 7, "1", 1 },
                { "weight", SETTING_CPU_WEIGHT, 250, "250", 250 },
                { "weight 0", SETTING_CPU_WEIGHT, 0, "1", 1 },
                { "weight beyond", SETTING_CPU_WEIGHT, 10001, "10000", 10000 },
                { "one CPU", SETTING_CPU_MAX, 1000000, "100000 100000", 1000000 },
                { "half a CPU", SETTING_CPU_MAX, 500000, "50000 100000", 500000 },
                { "64 CPUs", SETTING_CPU_MAX, 64000000, "6400000 100000", 64000000 },
                { "below a quota's µs", SETTING_CPU_MAX, 500009, "50000 100000", 500000 },
                { "10 millicores", SETTING_CPU_MAX, 10000, "1000 100000", 10000 },
                { "5 millicores: a longer period", SETTING_CPU_MAX, 5000, "1000 200000", 5000 },
                { "3 millicores: an odd period", SETTING_CPU_MAX, 3000, "1000 333333", 3000 },
                { "1 millicore", SETTING_CPU_MAX, 1000, "1000 1000000", 1000 },
                { "less than the kernel holds", SETTING_CPU_MAX, 1, "1000 1000000", 1000 },
                { "no quota", SETTING_CPU_MAX, UNLIMITED, "max 100000", UNLIMITED },
                { "more than the kernel holds", SETTING_CPU_MAX, UNLIMITED - 1, "max 100000", UNLIMITED },
                { "memory", SETTING_MEMORY_MAX, 64 * KIB, "65536", 64 * KIB },
                { "burst", SETTING_CPU_BURST, 20000, "20000", 20000 },
                { "a weight of IO", SETTING_IO_WEIGHT, 20000, "default 10000", 10000 },
                { "huge pages", SETTING_HUGETLB_2M, (5 << 20) + 1, "4194304", 4 << 20 },
                { "huge pages none", SETTING_HUGETLB_1G, 1 << 20, "0", 0 },
                { "huge pages without limit", SETTING_HUGETLB_2M, UNLIMITED, "max", UNLIMITED },
                { "memory none", SETTING_MEMORY_MIN, 0, "0", 0 },
                { "memory unlimited", SETTING_MEMORY_HIGH, UNLIMITED, "max", UNLIMITED },
                { "memory beyond", SETTING_MEMORY_MAX, 1ULL << 63, "max", UNLIMITED },
                { "swap none", SETTING_SWAP_MAX, 0, "0", 0 },
                { "tasks", SETTING_TASKS_MAX, 77, "77", 77 },
                { "tasks none", SETTING_TASKS_MAX, 0, "1", 1 },
                { "tasks the kernel's most", SETTING_TASKS_MAX, 4194304, "4194304", 4194304 },
                { "tasks beyond", SETTING_TASKS_MAX, 4194305, "max", UNLIMITED },
                { "tasks unlimited", SETTING_TASKS_MAX, UNLIMITED, "max", UNLIMITED },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[SETTING_TEXT_SIZE];
                uint64_t back;

                setting_format(cases[i].setting, cases[i].value, text);
                cr_assert_str_eq(text, cases[i].text, "%s: %s", cases[i].name, text);
                cr_assert_eq(setting_round(cases[i].setting, cases[i].value), cases[i].rounded, "%s",
                                cases[i].name);
                cr_assert_eq(setting_parse(cases[i].setting, text, &back), 0, "%s", cases[i].name);
                cr_assert_eq(back, cases[i].rounded, "%s: %ju", cases[i].name, (uintmax_t) back);
        }
}

Test(cgroup_text, memory_is_rounded_down_to_pages) {
        cr_assert_eq(setting_round(SETTING_MEMORY_LOW, 3 * PAGE + 1), 3 * PAGE);
        cr_assert_eq(setting_round(SETTING_MEMORY_LOW, PAGE - 1), 0);
        cr_assert_eq(setting_round(SETTING_MEMORY_MAX, PAGE - 1), PAGE,
                        "a limit of nothing is none that holds");
}

/* The file is written once; what is read back must be what rounding said, or every look would find a
 * difference. */
Test(cgroup_text, rounding_holds_still) {
        for (uint64_t v = 1; v < 3000000; v += v < 20000 ? 1 : 997)
                for (int i = 0; i < SETTING_MAX; i++) {
                        uint64_t once = setting_round((Setting) i, v), back;
                        char text[SETTING_TEXT_SIZE];

                        setting_format((Setting) i, v, text);
                        cr_assert_eq(setting_parse((Setting) i, text, &back), 0);
                        cr_assert_eq(once, back, "setting %d value %ju", i, (uintmax_t) v);
                        cr_assert_eq(setting_round((Setting) i, once), once, "setting %d value %ju: %ju", i,
                                        (uintmax_t) v, (uintmax_t) once);
                }
}

Test(cgroup_text, parse) {
        const struct {
                const char *name;
                Setting setting;
                const char *text;
                int r;
                uint64_t value;
        } cases[] = {
                { "newline", SETTING_CPU_WEIGHT, "100\n", 0, 100 },
                { "max", SETTING_MEMORY_MAX, "max\n", 0, UNLIMITED },
                { "quota", SETTING_CPU_MAX, "25000 50000\n", 0, 500000 },
                { "no quota", SETTING_CPU_MAX, "max 100000\n", 0, UNLIMITED },
                { "empty", SETTING_TASKS_MAX, "", -EBADMSG, 0 },
                { "a word", SETTING_TASKS_MAX, "many\n", -EBADMSG, 0 },
                { "negative", SETTING_TASKS_MAX, "-1\n", -EBADMSG, 0 },
                { "max where none is", SETTING_CPU_WEIGHT, "max\n", -EBADMSG, 0 },
                { "trailing", SETTING_MEMORY_MIN, "1 2\n", -EBADMSG, 0 },
                { "quota alone", SETTING_CPU_MAX, "1000\n", -EBADMSG, 0 },
                { "period 0", SETTING_CPU_MAX, "1000 0\n", -EBADMSG, 0 },
                { "too large", SETTING_MEMORY_MAX, "99999999999999999999999\n", -EBADMSG, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t value = 4711;

                cr_assert_eq(setting_parse(cases[i].setting, cases[i].text, &value), cases[i].r, "%s",
                                cases[i].name);
                cr_assert_eq(value, cases[i].r < 0 ? 4711 : cases[i].value, "%s", cases[i].name);
        }
}

#define NONE UINT64_MAX /* for cpu.idle and cpu.weight below: not present */

Test(cgroup_text, idle_and_weight) {
        const struct {
                const char *name;
                bool idle_now;
                uint64_t idle, weight; /* wanted */
                uint64_t settled_idle, settled_weight;
                uint64_t property; /* CPUWeight for systemd */
        } cases[] = {
                { "a weight", false, NONE, 200, NONE, 200, 200 },
                { "a weight, and not idle", false, 0, 200, NONE, 200, 200 },
                { "becomes idle", false, 1, NONE, 1, NONE, 0 },
                { "becomes idle: its weight cannot be written", false, 1, 200, 1, NONE, 0 },
                { "stays idle", true, 1, 200, NONE, NONE, NONE },
                { "a weight for an idle one", true, NONE, 200, NONE, NONE, NONE },
                { "ends idleness with a weight", true, 0, 200, 0, 200, 200 },
                { "ends idleness", true, 0, NONE, 0, NONE, 100 },
                { "nothing", false, NONE, NONE, NONE, NONE, NONE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Settings changes = { 0 }, settled;
                SettingProperty properties[SETTING_MAX];
                size_t n;

                if (cases[i].idle != NONE)
                        settings_put(&changes, SETTING_CPU_IDLE, cases[i].idle);
                if (cases[i].weight != NONE)
                        settings_put(&changes, SETTING_CPU_WEIGHT, cases[i].weight);
                settled = settings_settle(&changes, cases[i].idle_now);

                cr_assert_eq(settings_has(&settled, SETTING_CPU_IDLE) ? settled.value[SETTING_CPU_IDLE]
                                                                      : NONE,
                                cases[i].settled_idle, "%s", cases[i].name);
                cr_assert_eq(settings_has(&settled, SETTING_CPU_WEIGHT) ? settled.value[SETTING_CPU_WEIGHT]
                                                                        : NONE,
                                cases[i].settled_weight, "%s", cases[i].name);

                n = settings_properties(&settled, properties);
                cr_assert_eq(n, cases[i].property == NONE ? 0 : 1, "%s: %zu", cases[i].name, n);
                if (n > 0) {
                        cr_assert_str_eq(properties[0].name, "CPUWeight", "%s", cases[i].name);
                        cr_assert_eq(properties[0].value, cases[i].property, "%s", cases[i].name);
                }
        }
}

Test(cgroup_text, properties) {
        Settings changes = { 0 }, settled;
        SettingProperty properties[SETTING_MAX];

        settings_put(&changes, SETTING_CPU_MAX, 500009);
        settings_put(&changes, SETTING_SWAP_MAX, UNLIMITED);
        settings_put(&changes, SETTING_TASKS_MAX, 5000000);
        settled = settings_settle(&changes, /* idle_now= */ false);
        cr_assert_eq(settings_properties(&settled, properties), 3);
        cr_assert_str_eq(properties[0].name, "CPUQuotaPerSecUSec");
        cr_assert_eq(properties[0].value, 500000);
        cr_assert_str_eq(properties[1].name, "MemorySwapMax");
        cr_assert_eq(properties[1].value, UNLIMITED);
        cr_assert_str_eq(properties[2].name, "TasksMax");
        cr_assert_eq(properties[2].value, UNLIMITED, "systemd would write it, and the kernel refuse it");
}

Test(cgroup_text, controllers) {
        char text[CONTROLLERS_TEXT_SIZE];

        cr_assert_eq(controllers_parse("cpuset cpu io memory hugetlb pids rdma misc\n"),
                        1U << CONTROLLER_CPU | 1U << CONTROLLER_MEMORY | 1U << CONTROLLER_PIDS |
                                        1U << CONTROLLER_IO | 1U << CONTROLLER_HUGETLB |
                                        1U << CONTROLLER_RDMA | 1U << CONTROLLER_MISC);
        cr_assert_eq(controllers_parse("cpuset perf_event\n"), 0);
        cr_assert_eq(controllers_parse("\n"), 0);
        controllers_format(1U << CONTROLLER_CPU | 1U << CONTROLLER_PIDS, text);
        cr_assert_str_eq(text, "+cpu +pids");
        controllers_format((1U << CONTROLLER_MAX) - 1, text);
        cr_assert_str_eq(text, "+cpu +memory +pids +io +hugetlb +rdma +misc");
}

Test(cgroup_text, mounts) {
        const struct {
                const char *name, *text, *unified;
                uint32_t controllers_v1;
        } cases[] = {
                { "unified",
                                "25 30 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "
                                "rw,nsdelegate\n",
                                "/sys/fs/cgroup", 0 },
                { "mixed",
                                "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                "37 31 0:34 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"
                                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
                                "/sys/fs/cgroup/unified",
                                1U << CONTROLLER_CPU | 1U << CONTROLLER_MEMORY | 1U << CONTROLLER_IO },
                { "a bind mount of a part comes first",
                                "40 31 0:38 /part /mnt rw - cgroup2 cgroup2 rw\n"
                                "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
                                "/sys/fs/cgroup", 0 },
                { "a space in its path", "41 31 0:38 / /mnt/a\\040b rw - cgroup2 none rw\n", "/mnt/a b", 0 },
                { "none", "23 1 8:1 / / rw - ext4 /dev/root rw\n", NULL, 0 },
                { "a path that looks like one", "23 1 8:1 / /cgroup2 rw - ext4 cgroup2 rw\n", NULL, 0 },
                { "cut short", "41 31 0:38\n - cgroup2\n", NULL, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_cgroup_mounts_ CgroupMounts mounts = { 0 };

                cr_assert_eq(cgroup_mounts_parse(cases[i].text, &mounts), 0, "%s", cases[i].name);
                if (cases[i].unified)
                        cr_assert_str_eq(mounts.unified, cases[i].unified, "%s", cases[i].name);
                else
                        cr_assert_null(mounts.unified, "%s", cases[i].name);
                cr_assert_eq(mounts.controllers_v1, cases[i].controllers_v1, "%s", cases[i].name);
        }
}

Test(cgroup_text, process_path) {
        const struct {
                const char *name, *text, *path;
        } cases[] = {
                { "unified", "0::/headgate.slice/headgate-a.slice\n", "/headgate.slice/headgate-a.slice" },
                { "mixed", "9:pids:/x\n1:name=systemd:/\n0::/y\n", "/y" },
                { "removed", "0::/y/z (deleted)\n", "/y/z" },
                { "cgroup v1 alone", "9:pids:/0::/x\n", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *path = NULL;

                cr_assert_eq(cgroup_path_parse(cases[i].text, &path), cases[i].path ? 0 : -ENODATA, "%s",
                                cases[i].name);
                if (cases[i].path)
                        cr_assert_str_eq(path, cases[i].path, "%s", cases[i].name);
        }
}

Test(cgroup_text, events) {
        uint64_t value = 4711;

        cr_assert_eq(cgroup_events_parse("populated 1\nfrozen 0\n", "populated", &value), 0);
        cr_assert_eq(value, 1);
        cr_assert_eq(cgroup_events_parse("populated 1\nfrozen 0\n", "frozen", &value), 0);
        cr_assert_eq(value, 0);
        cr_assert_eq(cgroup_events_parse("populated 1\n", "pop", &value), -ENODATA);
        cr_assert_eq(cgroup_events_parse("", "populated", &value), -ENODATA);
}

Test(cgroup_text, units_that_can_be_tied) {
        const struct {
                const char *unit, *section;
        } cases[] = {
                { "nginx.service", "Service" },
                { "foo@bar\\x2dbaz.service", "Service" },
                { "x.socket", "Socket" },
                { "x.mount", "Mount" },
                { "x.swap", "Swap" },
                { "x.slice", NULL },
                { "x.scope", NULL },
                { ".service", NULL },
                { "service", NULL },
                { "", NULL },
                { "../x.service", NULL },
                { "a/b.service", NULL },
                { "a\nb.service", NULL },
                { "a b.service", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *section = dropin_section(cases[i].unit);

                if (cases[i].section)
                        cr_assert_str_eq(section, cases[i].section, "%s", cases[i].unit);
                else
                        cr_assert_null(section, "%s", cases[i].unit);
        }
}

Test(cgroup_text, dropin) {
        _cleanup_free_ char *early = dropin_format("nginx.service", "headgate-a\\x2db.slice", false),
                            *ordered = dropin_format("nginx.service", "headgate-a\\x2db.slice", true);

        cr_assert_str_eq(early, "# Written by headgated: this unit belongs to a "
                                "tenant.\n[Service]\nSlice=headgate-a\\x2db.slice\n");
        cr_assert_str_eq(ordered, "# Written by headgated: this unit belongs to a "
                                  "tenant.\n[Unit]\nAfter=headgated.service\n[Service]\n"
                                  "Slice=headgate-a\\x2db.slice\n");
}

Test(cgroup_text, files_that_are_set) {
        static const struct {
                const char *file;
                bool set;
        } cases[] = {
                { "cpu.max", true },
                { "memory.low", true },
                { "pids.max", true },
                { "cgroup.freeze", true },
                { "cpuset.cpus", true },
                { "cpuset.mems", true },
                { "cpuset.cpus.exclusive", true },
                { "cpuset.cpus.partition", true },
                { "cpuset.cpus.effective", false },
                { "cgroup.events", false },
                { "cgroup.procs", false },
                { "memory.events", false },
                { "cpu.max.", false },
                { "", false },
        };

        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                cr_expect_eq(cgroup_file_is_set(cases[i].file), cases[i].set, "%s", cases[i].file);
}

Test(cgroup_text, a_setting_is_found_by_its_file) {
        for (Setting setting = 0; setting < SETTING_MAX; setting++)
                cr_expect_eq(setting_from_file(setting_info(setting)->file), setting, "%s",
                                setting_info(setting)->file);
        cr_expect_eq(setting_from_file("cgroup.freeze"), SETTING_INVALID);
}
