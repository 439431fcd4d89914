/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names to rules, on a node that is made up. */

#include "enforce/device-rule.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/device-guard.h"

#define CHARACTER BPF_DEVCG_DEV_CHAR
#define BLOCK BPF_DEVCG_DEV_BLOCK
#define ANY DEVICE_RULE_ANY
#define ALL_ACCESS (DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD)

static int find_node(const char *path, DeviceNumber *ret) {
        if (strcmp(path, "/dev/nvidia0") == 0)
                *ret = (DeviceNumber){ DEVICE_KIND_CHARACTER, 195, 0 };
        else if (strcmp(path, "/dev/sda") == 0)
                *ret = (DeviceNumber){ DEVICE_KIND_BLOCK, 8, 0 };
        else
                return strcmp(path, "/dev/shm") == 0    ? -ENODEV
                       : strcmp(path, "/dev/kmsg") == 0 ? -EACCES
                                                        : -ENOENT;
        return 0;
}

static bool has_number(const DeviceNumber *number) {
        return number->major == 7 &&
               (number->minor == 1 || (number->minor == 0 && number->kind == DEVICE_KIND_BLOCK));
}

static char drivers[] = "Character devices:\n  1 mem\n  4 tty\n  4 ttyS\n  7 vcs\n195 nvidia\n226 drm\n510 "
                        "nvidia-uvm\n"
                        "511 nvidia-caps\n\nBlock devices:\n  7 loop\n  8 sd\n259 blkext\n";

static const DeviceLookup lookup = { drivers, find_node, has_number };

/* What every guard lets through. */
static __u32 standard(void) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        _cleanup_strv_ char **problems = NULL;

        cr_assert_eq(device_rules_make(&lookup, &(DeviceSet) DEVICE_SET_NULL, &rules, &problems), 0);
        cr_expect_null(problems);
        cr_expect_eq(rules->closed, 1);
        return rules->n;
}

static const struct {
        const char *name;
        struct device_rule rules[4]; /* beyond the standard ones */
        const char *problem;
} cases[] = {
        { "/dev/nvidia0", { { 195, 0, CHARACTER, 0 } }, NULL },
        { "/dev/sda", { { 8, 0, BLOCK, 0 } }, NULL },
        { "/dev/nvidia9", {}, "/dev/nvidia9: there is no such device node now" },
        { "/dev/shm", {}, "/dev/shm: it is no device node" },
        { "/dev/kmsg", {}, "/dev/kmsg: this service cannot see it; name it by its number" },
        { "char-drm", { { 226, ANY, CHARACTER, 0 } }, NULL },
        { "block-drm", {}, "block-drm: there is no such driver now" },
        { "char-tty", { { 4, ANY, CHARACTER, 0 } }, NULL },
        { "char-tty*", { { 4, ANY, CHARACTER, 0 } }, NULL }, /* two drivers of one major */
        { "char-nvidia*",
                        { { 195, ANY, CHARACTER, 0 }, { 510, ANY, CHARACTER, 0 },
                                        { 511, ANY, CHARACTER, 0 } },
                        NULL },
        { "char-*", { { ANY, ANY, CHARACTER, 0 } }, NULL },
        { "block-*", { { ANY, ANY, BLOCK, 0 } }, NULL },
        { "char-9", { { 9, ANY, CHARACTER, 0 } }, NULL }, /* a number needs no driver */
        { "c 9:*", { { 9, ANY, CHARACTER, 0 } }, NULL },
        { "b 9:1", { { 9, 1, BLOCK, 0 } }, NULL },
        { "195:0", { { 195, 0, CHARACTER, 0 } }, NULL },
        { "8:16", { { 8, 16, BLOCK, 0 } }, NULL },
        { "9:0", {}, "9:0: there is no such driver now" },
        { "7:0", { { 7, 0, BLOCK, 0 } }, NULL }, /* both have the major, one the device */
        { "7:1", {}, "7:1: there is a character and a block device of that number" },
        { "7:9", {}, "7:9: there is no such driver now" },
        { "7:*", {}, "7:*: there is a character and a block device of that number" },
};

Test(device_rule, names_become_rules) {
        const __u32 first = standard();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_device_rules_ struct device_rules *rules = NULL;
                _cleanup_device_set_ DeviceSet devices = DEVICE_SET_NULL;
                _cleanup_strv_ char **problems = NULL;
                __u32 n = first;

                cr_assert_eq(device_set_put(&devices, cases[i].name, DEVICE_READ | DEVICE_MKNOD), 0);
                cr_assert_eq(device_rules_make(&lookup, &devices, &rules, &problems), 0);
                for (const struct device_rule *want = cases[i].rules; want->kind; want++, n++) {
                        const struct device_rule *have = &rules->rules[n];

                        cr_assert_lt(n, rules->n, "%s: too few rules", cases[i].name);
                        cr_expect(have->major == want->major && have->minor == want->minor &&
                                                        have->kind == want->kind &&
                                                        have->access == (BPF_DEVCG_ACC_READ |
                                                                                        BPF_DEVCG_ACC_MKNOD),
                                        "%s: %u %u:%u %u", cases[i].name, have->kind, have->major,
                                        have->minor, have->access);
                }
                cr_expect_eq(rules->n, n, "%s: too many rules", cases[i].name);
                cr_assert_eq(strv_length(problems), cases[i].problem ? 1 : 0, "%s", cases[i].name);
                if (cases[i].problem)
                        cr_expect_not_null(strstr(problems[0], cases[i].problem), "%s", problems[0]);
        }
}

Test(device_rule, what_is_always_open) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        _cleanup_device_set_ DeviceSet devices = DEVICE_SET_NULL;
        _cleanup_strv_ char **problems = NULL;

        cr_assert_eq(device_set_put(&devices, "c 1:3", DEVICE_READ), 0);
        cr_assert_eq(device_rules_make(&lookup, &devices, &rules, &problems), 0);
        cr_expect_eq(rules->n, standard(), "null is there already");
        cr_expect(rules->rules[0].major == 1 && rules->rules[0].minor == 3 && rules->rules[0].access == 7,
                        "and no less than it was");
}

Test(device_rule, words_for_people) {
        static const struct {
                const char *name;
                uint32_t access;
                const char *words;
        } lines[] = {
                { "c 1:3", DEVICE_READ, "none" },
                { "/dev/sda", DEVICE_READ | DEVICE_WRITE, "b 8:0 rw" },
                { "char-*", DEVICE_READ, "c *:* r" },
                { "char-nvidia*", ALL_ACCESS, "c 195:* rwm, c 510:* rwm, c 511:* rwm" },
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_device_rules_ struct device_rules *rules = NULL;
                _cleanup_device_set_ DeviceSet devices = DEVICE_SET_NULL;
                _cleanup_strv_ char **problems = NULL;
                _cleanup_free_ char *words = NULL;

                cr_assert_eq(device_set_put(&devices, lines[i].name, lines[i].access), 0);
                cr_assert_eq(device_rules_make(&lookup, &devices, &rules, &problems), 0);
                cr_assert_eq(device_rules_format(rules, &words), 0);
                cr_expect_str_eq(words, lines[i].words);
        }
}

Test(device_rule, there_is_an_end_of_room) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        _cleanup_device_set_ DeviceSet devices = DEVICE_SET_NULL;
        _cleanup_strv_ char **problems = NULL;
        char name[32];

        for (unsigned i = 0; i < DEVICE_RULES_MAX; i++) {
                snprintf(name, sizeof name, "b 300:%03u", i);
                cr_assert_eq(device_set_put(&devices, name, DEVICE_READ), 0);
        }
        cr_assert_eq(device_rules_make(&lookup, &devices, &rules, &problems), 1);
        cr_expect_eq(rules->n, DEVICE_RULES_MAX);
        cr_expect_eq(strv_length(problems), standard());
        cr_expect_not_null(strstr(problems[0], "no room for more rules"));
}

Test(device_rule, this_node_has_a_null) {
        _cleanup_device_lookup_ DeviceLookup here = {};
        DeviceNumber number;

        cr_assert_eq(device_lookup_open(&here), 0);
        cr_expect_not_null(strstr(here.drivers, "Block devices:"));
        cr_assert_eq(here.find_node("/dev/null", &number), 0);
        cr_expect(number.kind == DEVICE_KIND_CHARACTER && number.major == 1 && number.minor == 3);
        cr_expect(here.has_number(&number));
        cr_expect_eq(here.find_node("/dev/no such device", &number), -ENOENT);
        cr_expect_eq(here.find_node("/dev", &number), -ENODEV);
}
