/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/block-device.h"
#include "enforce/io-cost.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

static char root[] = "/tmp/headgate-block-XXXXXX";

/* A file below the root, with the directories that hold it; no text: a directory. */
static void make(const char *path, const char *text) {
        char command[256], full[128];
        FILE *f;

        snprintf(full, sizeof full, "%s/%s", root, path);
        snprintf(command, sizeof command, text ? "mkdir -p $(dirname %s)" : "mkdir -p %s", full);
        cr_assert_eq(system(command), 0);
        if (!text)
                return;
        f = fopen(full, "w");
        cr_assert_not_null(f);
        cr_assert_geq(fputs(text, f), 0);
        cr_assert_eq(fclose(f), 0);
}

static void make_tree(void) {
        cr_assert_not_null(mkdtemp(root));
        make("proc/partitions", "major minor  #blocks  name\n\n   8        0   20971520 sda\n"
                                "   8        1   20970496 sda1\n 253        0   10485760 dm-0\n"
                                "   7        0       4096 loop0\n   7        1       4096 loop1\n"
                                " 252        0    1048576 zram0\n 259        0    1048576 gone0\n");
        make("sys/dev/block/8:0/queue/scheduler", "none mq-deadline [bfq] kyber\n");
        make("sys/dev/block/8:0/slaves", NULL);
        make("sys/dev/block/8:1/partition", "1\n");
        make("sys/dev/block/253:0/slaves/sda1", NULL);
        make("sys/dev/block/7:0/loop/backing_file", "/image\n");
        make("sys/dev/block/7:1/queue/scheduler", "[none] mq-deadline bfq\n");
        make("sys/dev/block/252:0/slaves", NULL);
}

static void remove_tree(void) {
        char command[64];

        snprintf(command, sizeof command, "rm -r %s", root);
        cr_expect_eq(system(command), 0);
}

TestSuite(block_device, .init = make_tree, .fini = remove_tree);

Test(block_device, whole_ones_and_the_lowest_of_them) {
        static const struct {
                const char *number, *name;
                bool leaf;
                IoPolicy policy;
        } expected[] = {
                { "8:0", "sda", true, IO_POLICY_BFQ },
                { "253:0", "dm-0", false, IO_POLICY_NONE },
                { "7:0", "loop0", false, IO_POLICY_NONE },
                { "7:1", "loop1", true, IO_POLICY_NONE },
                { "252:0", "zram0", false, IO_POLICY_NONE },
        };
        _cleanup_free_ BlockDevice *devices = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n;

        cr_assert_eq(block_devices_text(root, &text), 0);
        cr_assert_eq(block_devices_read(root, text, &devices, &n), 0);
        cr_assert_eq(n, ELEMENTSOF(expected), "no partition, and none that is gone: %zu", n);
        for (size_t i = 0; i < n; i++) {
                cr_expect_str_eq(devices[i].number, expected[i].number);
                cr_expect_str_eq(devices[i].name, expected[i].name);
                cr_expect_eq(devices[i].leaf, expected[i].leaf, "%s", expected[i].name);
                cr_expect_eq(devices[i].policy, expected[i].policy, "%s", expected[i].name);
        }
}

Test(block_device, none_at_all) {
        const char *text = "major minor  #blocks  name\n\n";
        BlockDevice device;

        cr_expect_not(block_devices_next(&text, &device));
        cr_expect_eq(*text, '\0');
}

Test(io_cost, is_ours_by_its_marks) {
        const IoCostModel model = { "8:0", 50 << 20, 0 };
        char qos[IO_COST_TEXT_SIZE], text[IO_COST_TEXT_SIZE], shown[1024], models[1024];

        io_cost_format_qos(&model, true, qos);
        io_cost_format_model(&model, text);
        cr_expect_str_eq(text, "8:0 ctrl=user model=linear rbps=52428800 rseqiops=12800 rrandiops=12800 "
                               "wbps=52428800 wseqiops=12800 wrandiops=12800");
        snprintf(shown, sizeof shown, "8:16 enable=1 ctrl=auto\n%s\n", qos);
        snprintf(models, sizeof models, "%s\n8:16 ctrl=auto\n", text);
        cr_expect(io_cost_is_on(shown, "8:0"));
        cr_expect(io_cost_is_on(shown, "8:16"));
        cr_expect_not(io_cost_is_on(shown, "8:1"));
        cr_expect(io_cost_is_ours(shown, models, &model));
        cr_expect_not(io_cost_is_ours(shown, models, &(IoCostModel){ "8:0", 51 << 20, 0 }), "another model");
        cr_expect_not(io_cost_is_ours(shown, models, &(IoCostModel){ "8:16", 50 << 20, 0 }), "somebody's");
        io_cost_format_qos(&model, false, qos);
        cr_expect_str_eq(qos, "8:0 enable=0");
        cr_expect_not(io_cost_is_on(qos, "8:0"));
}
