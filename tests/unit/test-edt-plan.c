/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the pacer is told of a plan, and the messages of the qdiscs below it, made and read back. */

#include "enforce/edt-message.h"
#include "enforce/edt-plan.h"
#include "enforce/tc-message.h"
#include "enforce/uplink.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <linux/pkt_sched.h>
#include <netlink/msg.h>
#include <string.h>

#define MBIT 1000000ULL

/* A bond of two legs of 10 Gbit/s each that loses one for a while stays as it is. */
Test(edt_plan, suits_fast_links_and_stays_on_them) {
        static const struct {
                uint64_t mbps;
                bool suits, is_paced;
        } steps[] = {
                { 10000, false, false },
                { 19999, false, false },
                { 20000, true, false },
                { 10000, true, true },
                { 20000, true, true },
                { 9999, false, true },
                { 19999, false, false },
                { 400000, true, false },
                { 0, false, true },
        };
        bool is_paced = false;

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                cr_assert_eq(is_paced, steps[i].is_paced);
                is_paced = edt_suits(is_paced, steps[i].mbps * MBIT);
                cr_expect_eq(is_paced, steps[i].suits, "%" PRIu64 " Mbit/s", steps[i].mbps);
        }
}

Test(edt_plan, only_an_error_that_lasts_is_reason_for_htb) {
        static const struct {
                const char *name;
                int error;
                bool lasts;
        } cases[] = {
                { "another's filter", -EBUSY, true },
                { "another's filter, on Linux 6.1", -EINVAL, true },
                { "another's pin or link", -EEXIST, true },
                { "no such qdisc", -ENOENT, true },
                { "not allowed", -EPERM, true },
                { "not allowed to load", -EACCES, true },
                { "no answer in time", -ETIMEDOUT, false },
                { "more answers than can be read", -ENOBUFS, false },
                { "changed while it was read", -EAGAIN, false },
                { "the interface went", -ENODEV, false },
                { "no memory", -ENOMEM, false },
                { "no descriptor left", -EMFILE, false },
                { "interrupted", -EINTR, false },
                { "none", 0, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                cr_expect_eq(edt_error_lasts(cases[i].error), cases[i].lasts, "%s", cases[i].name);
}

Test(edt_plan, classes) {
        static const struct {
                const char *name;
                NetClass class;
                struct edt_class want;
        } cases[] = {
                { "as it stands", { 7, 1, 30 * MBIT, 60 * MBIT },
                                { 3750000, 7500000, 3750000, EDT_LEVEL_TENANT } },
                { "no floor has a small weight", { 7, 2, 0, 60 * MBIT },
                                { 0, 7500000, 12207, EDT_LEVEL_BEST_EFFORT } },
                { "more than the link", { 7, 0, 300 * MBIT, UINT64_MAX },
                                { 12500000, 12500000, 12500000, EDT_LEVEL_CONTROL } },
                { "a ceiling below the floor", { 7, 1, 30 * MBIT, 10 * MBIT },
                                { 3750000, 3750000, 3750000, EDT_LEVEL_TENANT } },
                { "nothing", { 7, 1, 0, 0 }, { 0, 1, 12207, EDT_LEVEL_TENANT } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetClass classes[] = { { SLOT_DEFAULT, 1, MBIT, 100 * MBIT }, cases[i].class }, back;
                const NetPlan plan = { "eth0", 100 * MBIT, classes, 2 };
                _cleanup_free_ EdtEntry *entries = NULL;
                size_t n = 0;

                cr_assert_eq(edt_entries_from_plan(&plan, &entries, &n), 0, "%s", cases[i].name);
                cr_assert(n == 2 && entries[1].slot == 7, "%s", cases[i].name);
                cr_expect(edt_class_equal(&entries[1].class, &cases[i].want), "%s", cases[i].name);
                edt_entry_to_model(&entries[1], &back);
                cr_expect(back.slot == 7 && back.priority == cases[i].class.priority &&
                                                back.floor_bps == cases[i].want.floor_bytes * 8,
                                "%s", cases[i].name);
        }
}

Test(edt_plan, refusals) {
        static NetClass good[] = { { SLOT_DEFAULT, 1, MBIT, MBIT }, { 2, 1, MBIT, MBIT } },
                        headless[] = { { 2, 1, MBIT, MBIT } },
                        twice[] = { { SLOT_DEFAULT, 1, MBIT, MBIT }, { 2, 1, MBIT, MBIT },
                                { 2, 1, MBIT, MBIT } },
                        beyond[] = { { SLOT_DEFAULT, 1, MBIT, MBIT }, { EDT_CLASSES_MAX, 1, MBIT, MBIT } };
        static const struct {
                const char *name;
                NetPlan plan;
        } cases[] = {
                { "no capacity", { "eth0", 0, good, 2 } },
                { "no classes", { "eth0", MBIT, good, 0 } },
                { "no default class", { "eth0", MBIT, headless, 1 } },
                { "a slot twice", { "eth0", MBIT, twice, 3 } },
                { "a slot too far", { "eth0", MBIT, beyond, 2 } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                EdtEntry *entries = NULL;
                size_t n;

                cr_expect_eq(edt_entries_from_plan(&cases[i].plan, &entries, &n), -EINVAL, "%s",
                                cases[i].name);
        }
}

Test(edt_plan, words) {
        const struct edt_class class = { 3750000, 7500000, 3750000, EDT_LEVEL_TENANT };
        char text[EDT_CLASS_TEXT_SIZE];

        edt_class_format(&class, text);
        cr_expect_str_eq(text, "prio 1 rate 30000000bit ceil 60000000bit");
        edt_class_format(NULL, text);
        cr_expect_str_eq(text, "none");
}

Test(edt_plan, messages) {
        struct nl_msg *message = NULL;
        TcQdisc qdisc;

        cr_assert_eq(edt_message_root_add(3, "fq", &message), 0);
        cr_expect_eq(tc_message_parse_qdisc(nlmsg_hdr(message), &qdisc), 1);
        cr_expect(qdisc.ifindex == 3 && qdisc.parent == TC_H_ROOT && qdisc.handle == UPLINK_HTB_MAJOR << 16 &&
                        strcmp(qdisc.kind, "fq") == 0);
        nlmsg_free(message);

        cr_assert_eq(edt_message_queue_add(3, 5, &message), 0);
        cr_expect_eq(tc_message_parse_qdisc(nlmsg_hdr(message), &qdisc), 1);
        cr_expect(qdisc.parent == (UPLINK_HTB_MAJOR << 16 | 5) && qdisc.handle == 0 &&
                        strcmp(qdisc.kind, "fq") == 0);
        nlmsg_free(message);
}
