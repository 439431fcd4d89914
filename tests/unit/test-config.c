/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

static char directory[] = "/tmp/headgate-config-XXXXXX";
static char path[64];

static void write_file(const char *name, const char *text) {
        FILE *file = fopen(name, "w");

        cr_assert_not_null(file);
        cr_assert_geq(fputs(text, file), 0);
        cr_assert_eq(fclose(file), 0);
}

static void make_directory(void) {
        cr_assert_not_null(mkdtemp(directory));
        snprintf(path, sizeof path, "%s/headgated.conf", directory);
}

static void remove_directory(void) {
        char command[96];

        snprintf(command, sizeof command, "rm -r %s", directory);
        cr_expect_eq(system(command), 0);
}

TestSuite(config, .init = make_directory, .fini = remove_directory);

Test(config, values_and_their_units) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        write_file(path, "[node]\nid = node-7\nmode = observe\ntenants-max = 12\nsample-interval = 500ms\n"
                         "[capacity]\nmemory-reserve = 1G ; as much as that\n"
                         "[residual]\nnet-egress = 2M\nnet-ingress = 4M\nio = 3M\n[tenant]\ncpu-burst = "
                         "25\noom-group = yes\n"
                         "[device sda]\nread = 500M\nweighted = yes\nlatency = 20ms\n[device 8:16]\nwrite = "
                         "1M\n"
                         "[uplink eth0]\ncapacity = 10G\ningress-capacity = 9G\ntake-over = yes\noverhead = "
                         "18\ndiscipline = edt\n"
                         "[uplink eth1]\ncapacity = 1G\ndefault = yes\n"
                         "[devices]\nclosed = yes\n[network]\nnamespaces = yes\n[control]\ngroups = "
                         "/a.service b.slice//b.service/\n");
        config_init(&config);
        cr_assert_eq(config_read(&config, path, true, &failure), 0, "%s", failure.message);
        cr_expect_str_eq(config.node_id, "node-7");
        cr_expect(config.observe);
        cr_expect_eq(config.tenants_max, 12);
        cr_expect_eq(config.sample_interval_usec, 500000);
        cr_expect_eq(config.memory_reserve_bytes, 1ULL << 30);
        cr_expect_eq(config.residual.net_egress_bps, 2000000, "bit/s go by 1000");
        cr_expect_eq(config.residual.net_ingress_bps, 4000000);
        cr_expect(config.devices_closed);
        cr_expect(config.namespaces);
        cr_expect_eq(config.residual.io_bytes, 3 << 20);
        cr_expect_eq(config.cpu_burst_percent, 25);
        cr_expect(config.oom_group);
        cr_assert_eq(config.n_devices, 2);
        cr_expect_str_eq(config.devices[0].name, "sda");
        cr_expect_eq(config.devices[0].read_bytes, 500 << 20, "bytes go by 1024");
        cr_expect_eq(config.devices[0].latency_usec, 20000);
        cr_expect(config.devices[0].weighted);
        cr_expect_str_eq(config.devices[1].name, "8:16");
        cr_expect_eq(config.devices[1].read_bytes, 0, "not known");
        cr_expect_eq(config.n_uplinks, 2);
        cr_expect_eq(config.uplinks[0].capacity_bps, 10000000000);
        cr_expect_eq(config.uplinks[0].ingress_bps, 9000000000);
        cr_expect_eq(config.uplinks[1].ingress_bps, 0, "not shaped");
        cr_expect_eq(config.uplinks[0].discipline, NET_DISCIPLINE_EDT);
        cr_expect_eq(config.uplinks[1].discipline, NET_DISCIPLINE_HTB);
        cr_expect_not(config.uplinks[0].is_default);
        cr_expect(config.uplinks[0].take_over && !config.uplinks[1].take_over);
        cr_expect_eq(config.uplinks[0].overhead_bytes, 18);
        cr_expect_eq(config.uplinks[1].overhead_bytes, UINT64_MAX);
        cr_expect(config.uplinks[1].is_default);
        cr_assert_eq(strv_length(config.control_groups), 2);
        cr_expect_str_eq(config.control_groups[0], "/a.service");
        cr_expect_str_eq(config.control_groups[1], "/b.slice/b.service");
}

Test(config, a_drop_in_has_the_last_word) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        char drop_in[96];

        write_file(path, "[node]\ntenants-max = 12\nid = a\n[uplink eth0]\ncapacity = 1M\n");
        snprintf(drop_in, sizeof drop_in, "%s.d", path);
        cr_assert_eq(mkdir(drop_in, 0755), 0);
        snprintf(drop_in, sizeof drop_in, "%s.d/10-a.conf", path);
        write_file(drop_in, "[node]\ntenants-max = 13\n[uplink eth0]\ncapacity = 2M\n");
        snprintf(drop_in, sizeof drop_in, "%s.d/20-b.conf", path);
        write_file(drop_in, "[node]\ntenants-max = 14\n");
        config_init(&config);
        cr_assert_eq(config_read(&config, path, true, &failure), 0, "%s", failure.message);
        cr_expect_eq(config.tenants_max, 14);
        cr_expect_str_eq(config.node_id, "a");
        cr_expect_eq(config.n_uplinks, 1);
        cr_expect_eq(config.uplinks[0].capacity_bps, 2000000);
        cr_expect(config.uplinks[0].is_default, "the one uplink is the default");
}

Test(config, a_section_without_keys_is_one_of_defaults) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        write_file(path, "[uplink eth0]\n#capacity = 1M\n[device sda]\n[uplink eth1] ; as it is\n[node]\n");
        config_init(&config);
        cr_assert_eq(config_read(&config, path, true, &failure), 0, "%s", failure.message);
        cr_assert_eq(config.n_uplinks, 2);
        cr_expect_str_eq(config.uplinks[0].name, "eth0");
        cr_expect(config.uplinks[0].is_default);
        cr_expect_eq(config.uplinks[0].capacity_bps, 0, "the link's speed");
        cr_expect_eq(config.uplinks[0].control_floor_bps, UINT64_MAX, "a hundredth");
        cr_expect_str_eq(config.uplinks[1].name, "eth1");
        cr_assert_eq(config.n_devices, 1);
        cr_expect_str_eq(config.devices[0].name, "sda");
}

Test(config, a_section_may_be_indented) {
        static const char *const texts[] = { "  [uplink eth0]\n\t[uplink eth1]\n",
                "[uplink eth0]\noverhead = 4\n  [uplink eth1]\n",
                "\t[uplink eth0]\n  overhead = 4\n\t[uplink eth1]\n  overhead = 4\n" };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                _cleanup_(config_deinit) Config config;
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                write_file(path, texts[i]);
                config_init(&config);
                cr_assert_eq(config_read(&config, path, true, &failure), 0, "%zu: %s", i, failure.message);
                cr_assert_eq(config.n_uplinks, 2, "%zu", i);
                cr_expect_str_eq(config.uplinks[1].name, "eth1");
        }
}

/* Key and value may be indented, too: libinih would take them for more of the value above. */
Test(config, a_key_may_be_indented) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        write_file(path, "[node]\n  id=n1\n  mode=observe\n\ttenants-max=5\n");
        config_init(&config);
        cr_assert_eq(config_read(&config, path, true, &failure), 0, "%s", failure.message);
        cr_expect_str_eq(config.node_id, "n1");
        cr_expect(config.observe);
        cr_expect_eq(config.tenants_max, 5);
}

/* As many names and paths as are permitted, of any length that they have; and a long comment is a comment. */
Test(config, a_line_is_as_long_as_its_list) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        FILE *file = fopen(path, "w");

        cr_assert_not_null(file);
        fputs("[access]\nschedulers =", file);
        for (int i = 0; i < 64; i++)
                fprintf(file, " scheduler-of-a-name-that-is-long-%d", i);
        fputs("\n[control]\ngroups =", file);
        for (int i = 0; i < 16; i++)
                fprintf(file, " /%04000d", i);
        fprintf(file, "\n[node]\ntenants-max = 7\n# %0196d 5\n", 0);
        cr_assert_eq(fclose(file), 0);
        config_init(&config);
        cr_assert_eq(config_read(&config, path, true, &failure), 0, "%s", failure.message);
        cr_expect_eq(strv_length(config.schedulers), 64);
        cr_expect_str_eq(config.schedulers[63], "scheduler-of-a-name-that-is-long-63");
        cr_assert_eq(strv_length(config.control_groups), 16);
        cr_expect_eq(strlen(config.control_groups[15]), 4001);
        cr_expect_eq(config.tenants_max, 7);
}

static const struct {
        const char *name, *text, *says;
} refused[] = {
        { "unknown key, indented", "[access]\nschedulers=slurm\n  nosuchkey=x\n",
                        "headgated.conf:3: [access] has no key 'nosuchkey'" },
        { "a value, indented", "[node]\n  id=n1\n  tenants-max=notanumber\n",
                        "headgated.conf:3: [node] tenants-max = 'notanumber' must be" },
        { "more of a value", "[access]\nschedulers=slurm\n  mallory\n",
                        "headgated.conf:3: neither a [section] nor a 'key = value'" },
        { "unknown key", "[node]\nidd = a\n", "headgated.conf:2: [node] has no key 'idd'" },
        { "unknown section", "[nod]\nid = a\n", "headgated.conf:1: [nod]: there is no such section" },
        { "unknown section without keys", "[node]\nid = a\n[upling eth0]\n",
                        "headgated.conf:3: [upling eth0]: there is no such section" },
        { "unknown section, indented", "[node]\nid = a\n  [upling eth0]\n",
                        "headgated.conf:3: [upling eth0]: there is no such section" },
        { "the first of two errors", "[node]\nidd = a\nmode = off\n",
                        "headgated.conf:2: [node] has no key 'idd'" },
        { "an interface that is none, without keys", "[uplink a/b]\n",
                        "headgated.conf:1: [uplink a/b]: an interface name of 1 to 15 characters" },
        { "no number", "[node]\ntenants-max = many\n",
                        "[node] tenants-max = 'many' must be a whole number from 1 to 10000" },
        { "negative", "[node]\ntenants-max = -1\n", "tenants-max = '-1' must be" },
        { "over its bound", "[node]\n\ntenants-max = 10001\n",
                        "headgated.conf:3: [node] tenants-max = '10001' must be" },
        { "unknown unit", "[node]\nsample-interval = 1w\n", "a time in ms, s, min, h or d" },
        { "unknown suffix", "[capacity]\nmemory-reserve = 1X\n", "must be bytes, with K, M, G or T" },
        { "too large for 64 bits", "[capacity]\nmemory-reserve = 99999999999T\n", "must be bytes" },
        { "neither yes nor no", "[uplink eth0]\ndefault = true\n",
                        "[uplink] default = 'true' must be yes or no" },
        { "no mode", "[node]\nmode = off\n", "[node] mode = 'off' must be enforce or observe" },
        { "two defaults", "[uplink a]\ndefault = yes\n[uplink b]\ndefault = yes\n",
                        "2 uplinks say default = yes" },
        { "a ceiling below its floor", "[uplink eth0]\ncontrol-ceil = 2M\ncontrol-floor = 3M\n",
                        "[uplink eth0] control-floor = 3000000 is over control-ceil, 2000000 bit/s" },
        { "a floor over all", "[uplink eth0]\ncapacity = 20M\ncontrol-floor = 20001000\n",
                        "[uplink eth0] control-floor and default-floor, 20001000 bit/s in all, are over "
                        "capacity, 20000000 bit/s" },
        { "floors over all",
                        "[uplink eth0]\n[uplink eth1]\ncapacity = 20M\ncontrol-floor = 11M\n"
                        "default-floor = 10M\n",
                        "[uplink eth1] control-floor and default-floor, 21000000 bit/s in all, are over "
                        "capacity, 20000000 bit/s" },
        { "no discipline", "[uplink eth0]\ndiscipline = fast\n", "must be auto, htb or edt" },
        { "an interface that is none", "[uplink a/b]\ncapacity = 1M\n",
                        "an interface name of 1 to 15 characters" },
        { "a device that is none", "[device /dev/sda]\nread = 1M\n",
                        "a block device's name (sda) or numbers (8:0)" },
        { "weighted by nothing", "[device sda]\nweighted = yes\n",
                        "[device sda] weighted = yes needs read or write" },
        { "all groups", "[control]\ngroups = a /\n", "[control] groups = '/' is the root" },
        { "more than the quota", "[tenant]\ncpu-burst = 101\n", "a whole number from 0 to 100" },
        { "no ini at all", "garbage\n", "headgated.conf:1: neither a [section] nor a 'key = value'" },
};

Test(config, what_is_wrong_is_said_with_its_line) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
                _cleanup_(config_deinit) Config config;
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                write_file(path, refused[i].text);
                config_init(&config);
                cr_assert_gt(config_read(&config, path, true, &failure), 0, "%s", refused[i].name);
                cr_expect_not_null(strstr(failure.message, refused[i].says), "%s: '%s'", refused[i].name,
                                failure.message);
        }
}

Test(config, a_missing_file_is_an_empty_one_unless_it_was_named) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        config_init(&config);
        cr_expect_eq(config_read(&config, path, false, &failure), 0);
        cr_expect_gt(config_read(&config, path, true, &failure), 0);
        cr_expect_not_null(strstr(failure.message, "cannot be read"));
}
