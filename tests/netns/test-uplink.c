/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An uplink's tree against this machine's kernel, in network namespaces of its own. What is in the kernel is
 * read from tc's text and from the kernel's notifications, not by our own parsers.
 */

#include "four.h"

#include "enforce/edt-plan.h"
#include "enforce/ifb.h"

#include <criterion/criterion.h>
#include <net/if.h>
#include <string.h>

/* That of a class with 10 and 20 Mbit/s; what somebody may do to it; and another's own in its place. */
static const struct {
        const char *kind, *parts[5], *change, *another;
} queues[] = {
        { "bfifo", { "qdisc bfifo ", " limit 256Kb" }, "bfifo limit 50000", NULL },
        { "fq", { "qdisc fq ", " limit 256p ", " flow_limit 32p ", " nopacing" }, "fq limit 50", "fq" },
        { "fq_codel", { "qdisc fq_codel ", " flows 128 ", " memory_limit 512Kb " },
                        "fq_codel memory_limit 32Mb", "fq_codel" },
};

Test(uplink, makes_the_tree) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_free_ char *root = NULL, *nothing = NULL;
        _cleanup_free_ char *leaf = NULL;
        _cleanup_uplink_ Uplink *uplink = NULL;
        const char *queue;

        uplink = open_uplink(&queue);
        cr_expect_str_eq(uplink_name(uplink), UPLINK);
        nothing = run("tc class show dev " UPLINK);
        cr_expect_str_eq(nothing, "", "opening changed something");

        apply_expecting(uplink, &plan_of_four, 2 + 8);
        root = run("tc qdisc show dev " UPLINK " | grep ' root '");
        cr_expect(strstr(root, "qdisc htb 4847: root "), "%s", root);
        cr_expect(strstr(root, " default 0x10 "), "%s", root);

        EXPECT_CLASS(0x1, " root ", " rate 30Mbit ", " ceil 30Mbit ", " burst 150000b", " cburst 150000b");
        EXPECT_CLASS(0x10, " parent 4847:1 ", " prio 1 ", " quantum 5000 ", " rate 1Mbit ", " ceil 30Mbit ",
                        " burst 6072b", " cburst 37500b");
        EXPECT_CLASS(0x11, " parent 4847:1 ", " prio 0 ", " rate 1Mbit ", " ceil 5Mbit ");
        EXPECT_CLASS(0x12, " parent 4847:1 ", " prio 1 ", " quantum 50000 ", " rate 10Mbit ", " ceil 20Mbit ",
                        " burst 50000b", " cburst 25000b");
        EXPECT_CLASS(0x13, " parent 4847:1 ", " prio 2 ", " quantum 1518 ", " rate 1496bit ", " ceil 30Mbit ");
        fprintf(stderr, "a queue of its own in each class: %s\n", queue);
        EXPECT_CLASS(0x12, " leaf ");
        leaf = run("tc qdisc show dev " UPLINK " parent 4847:12");
        for (size_t i = 0; i < ELEMENTSOF(queues); i++)
                for (size_t k = 0; strcmp(queue, queues[i].kind) == 0 && queues[i].parts[k]; k++)
                        cr_expect(strstr(leaf, queues[i].parts[k]), "no '%s' in %s", queues[i].parts[k],
                                        leaf);
}

Test(uplink, observes_what_it_made) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetPlan observed;

        cr_assert_eq(uplink_observe(uplink, NULL, &observed), 0);
        cr_expect_eq(observed.capacity_bps, 0);
        cr_expect_eq(observed.n_classes, 0);
        free(observed.classes);

        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        cr_assert_eq(uplink_observe(uplink, NULL, &observed), 0);
        cr_expect_eq(observed.capacity_bps, CAPACITY);
        cr_assert_eq(observed.n_classes, 4);
        for (size_t i = 0; i < 4; i++) {
                cr_expect_eq(observed.classes[i].slot, four[i].slot);
                cr_expect_eq(observed.classes[i].priority, four[i].priority);
                cr_expect_eq(observed.classes[i].floor_bps, four[i].floor_bps ? four[i].floor_bps : 1496);
                cr_expect_eq(observed.classes[i].ceil_bps,
                                four[i].ceil_bps == UNLIMITED ? CAPACITY : four[i].ceil_bps);
        }
        free(observed.classes);
}

Test(uplink, rates_above_32_bits) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetClass classes[] = { { 0, 1, 8, UNLIMITED }, { 2, 1, 40000 * MBPS, 100000 * MBPS } };
        NetPlan plan = { UPLINK, 400000 * MBPS, classes, 2 };

        cr_assert_eq(uplink_apply(uplink, &plan, NULL), 0);
        EXPECT_CLASS(0x1, " rate 400Gbit ", " ceil 400Gbit ");
        EXPECT_CLASS(0x12, " rate 40Gbit ", " ceil 100Gbit ");
        apply_expecting(uplink, &plan, 0);
}

/* The least of any kind of queue: by what tc shows first of it that we set. */
static const struct {
        const char *kind, *by_default, *of_big_tcp;
} least_queues[] = {
        { "bfifo", " limit 128Kb", " limit 1Mb" },
        { "fq", " limit 256p ", " limit 690p " },
        { "fq_codel", " memory_limit 256Kb ", " memory_limit 2Mb " },
};

static void expect_least_queue(const char *queue, const char *device, bool of_big_tcp) {
        _cleanup_free_ char *leaf = run("tc qdisc show dev %s parent 4847:10", device);

        for (size_t i = 0; i < ELEMENTSOF(least_queues); i++) {
                const char *part = of_big_tcp ? least_queues[i].of_big_tcp : least_queues[i].by_default;

                if (strcmp(queue, least_queues[i].kind) == 0)
                        cr_expect(strstr(leaf, part), "no '%s' in %s", part, leaf);
        }
}

/* Packets of up to 512 KiB, cut behind the queue; and put together so before that of what comes in. */
Test(uplink, queues_take_the_largest_packets_of_the_link) {
        const NetClass least[] = { { 0, 1, MBPS, MBPS } };
        NetPlan plan = { UPLINK, CAPACITY, (NetClass *) least, 1 };
        _cleanup_pair_ Pair pair = pair_new();
        char ifb[IF_NAMESIZE];
        const char *queue;

        uplink_free(open_uplink(&queue));
        ifb_name(if_nametoindex(UPLINK), ifb);
        free(run("ip link add %s type ifb && ip link set %s up", ifb, ifb));
        for (size_t way = 0; way < 2; way++) {
                const char *device = way == 0 ? UPLINK : ifb,
                           *size = way == 0 ? "gso_max_size" : "gro_max_size";
                _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
                _cleanup_uplink_ Uplink *uplink = NULL;

                plan.uplink = device;
                cr_assert_eq(uplink_new(&(UplinkOptions){ device }, &features, &uplink), 0);
                cr_assert_eq(uplink_apply(uplink, &plan, NULL), 0, "%s", uplink_words(uplink));
                expect_least_queue(queue, device, /* of_big_tcp= */ false);
                free(run("ip link set " UPLINK " %s 524280", size));
                apply_expecting(uplink, &plan, 1);
                expect_least_queue(queue, device, /* of_big_tcp= */ true);
                apply_expecting(uplink, &plan, 0);
                free(run("ip link set " UPLINK " %s 65536", size));
        }
}

Test(uplink, adopts_and_changes_one) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_free_ char *before = NULL, *adopted = NULL, *back = NULL;
        _cleanup_uplink_ Uplink *first = open_uplink(NULL), *second = NULL;
        NetClass classes[4];
        NetPlan plan = { UPLINK, CAPACITY, classes, 4 };

        memcpy(classes, four, sizeof(four));
        cr_assert_eq(uplink_apply(first, &plan_of_four, NULL), 0);
        before = show_all();
        apply_expecting(first, &plan_of_four, 0);

        /* Another process takes over what it finds. */
        first = uplink_free(first);
        second = open_uplink(NULL);
        apply_expecting(second, &plan_of_four, 0);
        adopted = show_all();
        cr_expect_str_eq(adopted, before);

        /* Its queue is to be longer, too, and of before again. */
        classes[2].floor_bps = 15 * MBPS;
        apply_expecting(second, &plan, 2);
        EXPECT_CLASS(0x12, " rate 15Mbit ", " ceil 20Mbit ", " quantum 75000 ");
        classes[2].floor_bps = 10 * MBPS + 7; /* not a byte more */
        apply_expecting(second, &plan, 2);
        back = show_all();
        cr_expect_str_eq(back, before);
}

/* The root and its classes; leaves have other handles each time. */
static char *show_tree(void) {
        return run_sorted("tc qdisc show dev " UPLINK " | grep ' root ';"
                          " tc -d class show dev " UPLINK " | sed 's/leaf [0-9a-f]*: //'");
}

Test(uplink, restores_what_others_changed) {
        static const struct {
                const char *name, *command;
        } cases[] = {
                { "a rate", "tc class change dev " UPLINK
                            " parent 4847:1 classid 4847:12 htb rate 1mbit ceil 2mbit" },
                { "a priority alone",
                                "tc class change dev " UPLINK " parent 4847:1 classid 4847:12 htb rate 10mbit"
                                " ceil 20mbit burst 50000 cburst 25000 quantum 50000 prio 5" },
                { "the root's rate", "tc class change dev " UPLINK " classid 4847:1 htb rate 1mbit" },
                { "a class gone", "tc class del dev " UPLINK " classid 4847:11" },
                { "a class more",
                                "tc class add dev " UPLINK " parent 4847:1 classid 4847:99 htb rate 1mbit" },
                { "a class beside the root class",
                                "tc class add dev " UPLINK " parent 4847: classid 4847:99 htb rate 1mbit" },
                { "a class below a leaf",
                                "tc class add dev " UPLINK " parent 4847:12 classid 4847:99 htb rate 1mbit" },
                { "two below a leaf",
                                "tc class add dev " UPLINK " parent 4847:12 classid 4847:98 htb rate 1mbit;"
                                " tc class add dev " UPLINK
                                " parent 4847:98 classid 4847:99 htb rate 1mbit" },
                { "a class of ours elsewhere",
                                "tc class del dev " UPLINK " classid 4847:13;"
                                " tc class add dev " UPLINK " parent 4847: classid 4847:13 htb rate 1mbit" },
                { "the tree gone", "tc qdisc del dev " UPLINK " root" },
                { "the tree made anew, empty",
                                "tc qdisc del dev " UPLINK " root;"
                                " tc qdisc add dev " UPLINK " root handle 4847: htb default 10" },
                { "the tree with another default class",
                                "tc qdisc del dev " UPLINK " root;"
                                " tc qdisc add dev " UPLINK " root handle 4847: htb default 12" },
        };
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        _cleanup_free_ char *wanted = NULL;

        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        wanted = show_tree();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *drifted = NULL, *repaired = NULL;
                unsigned changes = 0;
                int r;

                free(run("%s", cases[i].command));
                drifted = show_all();
                r = uplink_apply(uplink, &plan_of_four, &changes);
                cr_expect_eq(r, 0, "%s: %s: %s", cases[i].name, strerror(-r), uplink_words(uplink));
                cr_expect_gt(changes, 0, "%s", cases[i].name);
                repaired = show_tree();
                cr_expect_str_eq(repaired, wanted, "%s: had been\n%s", cases[i].name, drifted);
                apply_expecting(uplink, &plan_of_four, 0);
        }
}

static void expect_shown(const char *line, const char *name) {
        _cleanup_free_ char *shown = show_all();

        cr_expect(strstr(shown, line), "%s: no '%s' in %s", name, line, shown);
}

/* The best in each class that this kernel has. */
static void expect_queues(const char *name) {
        char line[32];
        const char *queue;
        _cleanup_uplink_ _unused_ Uplink *uplink = open_uplink(&queue);

        snprintf(line, sizeof(line), "qdisc %s ", queue);
        expect_shown(line, name);
}

Test(uplink, leaves_foreign_roots) {
        static const char *const commands[] = {
                "tc qdisc add dev " UPLINK " root pfifo limit 77",
                "tc qdisc add dev " UPLINK " root tbf rate 1mbit burst 10k latency 50ms",
                "tc qdisc add dev " UPLINK " root handle 4847: tbf rate 1mbit burst 10k latency 50ms",
                "tc qdisc add dev " UPLINK " root handle 1: htb default 2 &&"
                " tc class add dev " UPLINK " parent 1: classid 1:2 htb rate 1mbit",
        };
        _cleanup_pair_ Pair pair = pair_new();

        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
                _cleanup_free_ char *before = NULL, *after = NULL;
                _cleanup_close_ int listener = -EBADF;
                _cleanup_uplink_ Uplink *uplink = NULL;
                const Feature *feature;
                unsigned changes = 999;
                NetPlan observed;

                free(run("%s", commands[i]));
                before = show_all();
                listener = tc_listener();

                cr_assert_eq(uplink_new(&(UplinkOptions){ UPLINK }, &features, &uplink), 0);
                feature = feature_set_get(&features, "net.egress@" UPLINK);
                cr_assert_not_null(feature);
                cr_expect(!feature->available);
                cr_expect(strstr(feature->words, "not ours"), "%s", feature->words);
                cr_expect_eq(uplink_apply(uplink, &plan_of_four, &changes), -EBUSY);
                cr_expect_eq(changes, 999);
                cr_expect(strstr(uplink_words(uplink), "not ours"), "%s", uplink_words(uplink));
                cr_expect_eq(uplink_observe(uplink, NULL, &observed), -EBUSY);
                cr_expect_eq(uplink_release(uplink), 0);

                cr_expect_eq(tc_listener_count(listener), 0, "%s", commands[i]);
                after = show_all();
                cr_expect_str_eq(after, before);

                /* And once it is gone, the way is free. */
                free(run("tc qdisc del dev " UPLINK " root"));
                cr_expect_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
                expect_queues(commands[i]);
                cr_expect_eq(uplink_release(uplink), 0);
        }
}

/* In our place until release, and then byte for byte as it was; what could not come back is not taken. */
Test(uplink, takes_over_when_asked) {
        static const struct {
                const char *name, *command;
                bool kept;
        } cases[] = {
                { "pfifo", "tc qdisc add dev " UPLINK " root handle 7: pfifo limit 77", true },
                { "bfifo", "tc qdisc add dev " UPLINK " root bfifo limit 77777", true },
                { "pfifo_fast, asked for", "tc qdisc add dev " UPLINK " root handle 5: pfifo_fast", true },
                { "sfq", "tc qdisc add dev " UPLINK " root handle 6: sfq perturb 10 quantum 3000 depth 100",
                                true },
                { "tbf", "tc qdisc add dev " UPLINK " root tbf rate 1mbit burst 10k latency 50ms", true },
                { "tbf of our handle",
                                "tc qdisc add dev " UPLINK
                                " root handle 4847: tbf rate 3mbit burst 10k limit 30000",
                                true },
                { "tbf with a qdisc in it",
                                "tc qdisc add dev " UPLINK
                                " root handle 1: tbf rate 1mbit burst 10k latency 50ms &&"
                                " tc qdisc add dev " UPLINK " parent 1:1 handle 2: pfifo limit 5",
                                false },
                { "sfq with a filter",
                                "tc qdisc add dev " UPLINK " root handle 6: sfq && tc filter add dev " UPLINK
                                " parent 6: prio 7 protocol ip u32 match ip dst 192.0.2.99/32 flowid 6:1",
                                false },
                { "htb",
                                "tc qdisc add dev " UPLINK
                                " root handle 1: htb default 2 && tc class add dev " UPLINK
                                " parent 1: classid 1:2 htb rate 1mbit",
                                false },
                { "prio", "tc qdisc add dev " UPLINK " root handle 1: prio", false },
        };
        char dir[] = "/tmp/headgate-test-XXXXXX";
        _cleanup_pair_ Pair pair = pair_new();

        cr_assert_not_null(mkdtemp(dir));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_uplink_ Uplink *uplink = NULL, *next = NULL;
                _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
                _cleanup_free_ char *before = NULL, *after = NULL, *made = NULL;

                made = run("(%s) 2>&1 || true", cases[i].command);
                if (strstr(made, "kind is unknown")) {
                        fprintf(stderr, "%s: left out, this kernel has none\n", cases[i].name);
                        continue;
                }
                before = show_all();
                cr_assert_eq(uplink_new(&(UplinkOptions){ UPLINK, dir, true }, &features, &uplink), 0);
                cr_expect_eq(uplink_apply(uplink, &plan_of_four, NULL), cases[i].kept ? 0 : -EBUSY, "%s: %s",
                                cases[i].name, uplink_words(uplink));
                if (cases[i].kept)
                        EXPECT_CLASS(0x12, " rate 10Mbit ");
                else
                        cr_expect(strstr(uplink_words(uplink), "could not be put back"), "%s: %s",
                                        cases[i].name, uplink_words(uplink));

                /* Another process gives it back, whether or not it would take it. */
                uplink = uplink_free(uplink);
                cr_assert_eq(uplink_new(&(UplinkOptions){ UPLINK, dir, false }, &features, &next), 0);
                cr_expect_eq(uplink_release(next), 0, "%s: %s", cases[i].name, uplink_words(next));
                after = show_all();
                cr_expect_str_eq(after, before, "%s", cases[i].name);
                free(run("tc qdisc del dev " UPLINK " root"));
        }
        /* Nothing is kept of what was given back. */
        cr_expect_eq(rmdir(dir), 0, "%s", strerror(errno));
}

/* What is kept of an interface that has gone is not given to the next of its name. */
Test(uplink, gives_back_to_the_interface_alone) {
        char dir[] = "/tmp/headgate-test-XXXXXX";
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
        _cleanup_uplink_ Uplink *uplink = NULL;
        _cleanup_free_ char *before = NULL, *after = NULL;

        cr_assert_not_null(mkdtemp(dir));
        free(run("tc qdisc add dev " UPLINK " root handle 7: pfifo limit 77"));
        cr_assert_eq(uplink_new(&(UplinkOptions){ UPLINK, dir, true }, &features, &uplink), 0);
        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        free(run("ip link del " UPLINK));
        pair_plug(&pair);
        before = show_all();
        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        cr_assert_eq(uplink_release(uplink), 0);
        after = show_all();
        cr_expect_str_eq(after, before);
        cr_expect_eq(rmdir(dir), 0, "%s", strerror(errno));
}

Test(uplink, leaves_what_is_foreign_beside_it) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        _cleanup_free_ char *before = NULL, *after = NULL, *default_root = NULL;

        free(run("tc qdisc add dev " UPLINK " clsact && tc filter add dev " UPLINK
                 " egress prio 7 protocol ip u32 match ip dst 192.0.2.99/32 flowid 1:1"));
        before = show_all();
        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        default_root = show_all();
        cr_expect(strstr(default_root, "clsact") && strstr(default_root, "c0000263"), "%s", default_root);
        cr_assert_eq(uplink_release(uplink), 0);
        after = show_all();
        cr_expect_str_eq(after, before);

        /* Nothing of ours is no error. */
        cr_expect_eq(uplink_release(uplink), 0);
}

/* A class that somebody's filter points to stays until the filter goes, without its rate, which others may
 * have by now; all else is done. */
Test(uplink, says_what_it_could_not_remove) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetPlan fewer = { UPLINK, CAPACITY, four, 2 };

        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        free(run("tc filter add dev " UPLINK " parent 4847: prio 7 protocol ip u32 match ip dst 192.0.2.99/32"
                 " flowid 4847:12"));
        cr_expect_eq(uplink_apply(uplink, &fewer, NULL), -EBUSY);
        EXPECT_CLASS(0x12, " rate 8bit ");
        free(run("tc filter del dev " UPLINK " parent 4847: prio 7"));
        cr_expect_eq(uplink_apply(uplink, &fewer, NULL), 0);
}

Test(uplink, finds_a_replugged_interface) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_uplink_ Uplink *uplink = open_uplink(NULL);
        NetStats stats = {};

        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        free(run("ip link del " UPLINK));
        cr_expect_eq(uplink_apply(uplink, &plan_of_four, NULL), -ENODEV);
        cr_expect_eq(uplink_read_stats(uplink, &stats), -ENODEV);
        cr_expect_eq(uplink_release(uplink), 0);

        pair_plug(&pair);
        cr_expect_eq(uplink_read_stats(uplink, &stats), -ENOENT);
        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        EXPECT_CLASS(0x12, " rate 10Mbit ");
}

Test(uplink, refuses) {
        _cleanup_pair_ Pair pair = pair_new();
        _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
        _cleanup_uplink_ Uplink *uplink = NULL, *loopback = NULL;
        NetPlan no_default = { UPLINK, CAPACITY, four + 1, 3 };
        uint64_t speed = 5;

        cr_expect_eq(uplink_new(&(UplinkOptions){ "absent0" }, &features, &uplink), -ENODEV);
        cr_expect_eq(uplink_new(&(UplinkOptions){ "../up0" }, &features, &uplink), -EINVAL);
        cr_expect_eq(uplink_new(&(UplinkOptions){ "" }, &features, &uplink), -EINVAL);
        cr_expect_eq(uplink_new(&(UplinkOptions){ "a-name-too-long-" }, &features, &uplink), -EINVAL);
        cr_expect_eq(features.n, 0);
        cr_expect_null(uplink);

        uplink = open_uplink(NULL);
        cr_expect_eq(uplink_apply(uplink, &no_default, NULL), -EINVAL);

        cr_assert_eq(uplink_new(&(UplinkOptions){ "lo" }, &features, &loopback), 0);
        cr_expect_eq(uplink_speed("lo", &speed), -EOPNOTSUPP);
        cr_expect_eq(speed, 5);
}

/* How long this thread has been ready to run while others had the CPUs, in all. A kernel that does not count
 * it: 0. */
static uint64_t waited_for_cpu_usec(void) {
        _cleanup_fclose_ FILE *file = fopen("/proc/thread-self/schedstat", "re");
        unsigned long long nsec = 0;

        if (file && fscanf(file, "%*u %llu", &nsec) != 1)
                nsec = 0;
        return nsec / 1000;
}

/* What a setup takes is the time that passes, work of ours and the kernel's and whatever they sleep for, but
 * for what other processes of the machine take of it: nothing of that is of the setup. */
Test(uplink, many_classes) {
        static const unsigned counts[] = { 100, 1000 };
        _cleanup_pair_ Pair pair = pair_new();

        for (size_t k = 0; k < ELEMENTSOF(counts); k++) {
                _cleanup_free_ NetClass *classes = calloc(counts[k], sizeof(NetClass));
                NetPlan plan = { UPLINK, 10000 * MBPS, classes, counts[k] };
                _cleanup_free_ char *shown = NULL;
                _cleanup_uplink_ Uplink *uplink = NULL;
                uint64_t start, waited, created, changed, one, same;
                unsigned changes = 0;

                cr_assert_not_null(classes);
                uplink = open_uplink(NULL);
                for (unsigned i = 0; i < counts[k]; i++)
                        classes[i] = (NetClass){ i, 1, MBPS, UNLIMITED };

                waited = waited_for_cpu_usec();
                start = now_usec();
                cr_assert_eq(uplink_apply(uplink, &plan, &changes), 0);
                created = now_usec() - start;
                waited = waited_for_cpu_usec() - waited;
                created -= waited;
                cr_expect_lt(created, 500000, "%u classes took %lu us", counts[k], (unsigned long) created);
                cr_expect_eq(changes, 2 + counts[k] * 2);
                shown = run("tc class show dev " UPLINK
                            " | grep -c ' parent 4847:1 .*rate 1Mbit ceil 10Gbit '");
                cr_expect_eq((unsigned) atoi(shown), counts[k]);

                for (unsigned i = 0; i < counts[k]; i++)
                        classes[i].floor_bps = 2 * MBPS;
                start = now_usec();
                cr_assert_eq(uplink_apply(uplink, &plan, &changes), 0);
                changed = now_usec() - start;
                cr_expect_eq(changes, counts[k]);

                classes[counts[k] / 2].floor_bps = 3 * MBPS;
                start = now_usec();
                cr_assert_eq(uplink_apply(uplink, &plan, &changes), 0);
                one = now_usec() - start;
                cr_expect_eq(changes, 1);

                start = now_usec();
                cr_assert_eq(uplink_apply(uplink, &plan, &changes), 0);
                same = now_usec() - start;
                cr_expect_eq(changes, 0);

                fprintf(stderr,
                                "%u classes, looked up, compared and sent: created %.2f (and waited %.2f for "
                                "a "
                                "CPU), changed %.2f us a class; one changed %lu us, none %lu us\n",
                                counts[k], (double) created / counts[k], (double) waited / counts[k],
                                (double) changed / counts[k], (unsigned long) one, (unsigned long) same);
                cr_assert_eq(uplink_release(uplink), 0);
        }
}

/* By the link's speed where it is asked for; and where there is no fq, what asks for it says so, and nothing
 * is changed. */
Test(uplink, discipline) {
        static const struct {
                const char *name;
                NetDiscipline discipline;
                uint64_t capacity_bps;
                const char *pin_dir;
                bool htb;
        } cases[] = {
                { "auto, slow", NET_DISCIPLINE_AUTO, EDT_FROM_BPS - 1, "/sys/fs/bpf", true },
                { "htb, fast", NET_DISCIPLINE_HTB, EDT_FROM_BPS, "/sys/fs/bpf", true },
                { "auto, fast, with no pins", NET_DISCIPLINE_AUTO, EDT_FROM_BPS, NULL, true },
                { "edt with no pins", NET_DISCIPLINE_EDT, CAPACITY, NULL, false },
        };
        _cleanup_pair_ Pair pair = pair_new();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
                const UplinkOptions options = { .ifname = UPLINK,
                        .discipline = cases[i].discipline,
                        .capacity_bps = cases[i].capacity_bps,
                        .pin_dir = cases[i].pin_dir };
                _cleanup_uplink_ Uplink *uplink = NULL;
                _cleanup_free_ char *qdiscs = NULL;
                int r;

                cr_assert_eq(uplink_new(&options, &features, &uplink), 0, "%s", cases[i].name);
                cr_expect_eq(feature_set_get(&features, "net.egress@" UPLINK)->available, cases[i].htb, "%s",
                                cases[i].name);
                r = uplink_apply(uplink, &plan_of_four, NULL);
                qdiscs = run("tc qdisc show dev " UPLINK);
                cr_expect_eq(!!strstr(qdiscs, "htb 4847: root"), cases[i].htb, "%s: %s", cases[i].name,
                                qdiscs);
                if (!cases[i].htb) {
                        cr_expect_eq(r, -EOPNOTSUPP, "%s", cases[i].name);
                        cr_expect_str_eq(uplink_words(uplink), "nothing can be pinned");
                }
                cr_expect_eq(uplink_release(uplink), 0, "%s", cases[i].name);
        }
}

static void put_fifo(const char *limit) {
        free(run("tc qdisc replace dev " UPLINK " parent 4847:12 handle 7: bfifo limit %s", limit));
}

/* One of a length that we make was made where the kernel had no better; any other is somebody's, where it
 * has. Where it has none, a FIFO in a class of ours is ours. */
Test(uplink, leaves_a_fifo_of_anothers_length_where_there_is_better) {
        _cleanup_pair_ Pair pair = pair_new();
        const char *queue;
        _cleanup_uplink_ Uplink *uplink = open_uplink(&queue), *other = NULL;
        const bool better = strcmp(queue, "bfifo") != 0;
        _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
        const UplinkOptions edt = {
                .ifname = UPLINK, .pin_dir = "/sys/fs/bpf", .discipline = NET_DISCIPLINE_EDT
        };
        unsigned changes = 999;

        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        put_fifo("131072"); /* of one that goes and the one that comes the kernel tells apart */
        cr_assert_eq(uplink_apply(uplink, &plan_of_four, &changes), 0, "%s", uplink_words(uplink));
        cr_expect_eq(changes, 1);
        expect_shown(strcmp(queue, "fq_codel") == 0 ? " parent 4847:12 limit 10240p flows 128 "
                        : better                    ? " parent 4847:12 limit 256p flow_limit 32p "
                                                    : "qdisc bfifo 7: parent 4847:12 limit 256Kb",
                        "of our length");

        put_fifo("50000");
        apply_expecting(uplink, &plan_of_four, better ? 0 : 1);
        expect_shown(better ? "qdisc bfifo 7: parent 4847:12 limit 50000b"
                            : "qdisc bfifo 7: parent 4847:12 limit 256Kb",
                        "of another");
        cr_assert_eq(uplink_new(&edt, &features, &other), 0);
        if (!better || !feature_set_get(&features, "net.egress@" UPLINK)->available)
                return;
        cr_expect_eq(uplink_apply(other, &plan_of_four, NULL), -EBUSY);
        cr_expect(strstr(uplink_words(other), "holds a bfifo "), "%s", uplink_words(other));
        expect_shown("qdisc bfifo 7: parent 4847:12 limit 50000b", "under another discipline");
}

/* Ours is as it should be, from whatever somebody or an earlier headgated made it; another's of the same kind
 * stays as it is. */
Test(uplink, restores_its_queue_and_leaves_anothers) {
        _cleanup_pair_ Pair pair = pair_new();
        const char *queue;
        _cleanup_uplink_ Uplink *uplink = open_uplink(&queue);
        _cleanup_free_ char *before = NULL, *restored = NULL;

        cr_assert_eq(uplink_apply(uplink, &plan_of_four, NULL), 0);
        before = show_all();
        for (size_t i = 0; i < ELEMENTSOF(queues); i++) {
                if (strcmp(queue, queues[i].kind) != 0)
                        continue;
                free(run("tc qdisc change dev " UPLINK " parent 4847:12 %s", queues[i].change));
                apply_expecting(uplink, &plan_of_four, 1);
                restored = show_all();
                cr_expect_str_eq(restored, before);
                if (queues[i].another) {
                        _cleanup_free_ char *anothers = NULL, *left = NULL;

                        free(run("tc qdisc del dev " UPLINK " parent 4847:12"));
                        free(run("tc qdisc add dev " UPLINK " parent 4847:12 handle 7: %s",
                                        queues[i].another));
                        anothers = show_all();
                        apply_expecting(uplink, &plan_of_four, 0);
                        left = show_all();
                        cr_expect_str_eq(left, anothers);
                }
        }
}

/* What somebody put on one queue of the other discipline's root would go with it, and could not be put back.
 */
Test(uplink, leaves_a_root_of_ours_with_what_another_put_into_it) {
        static const struct {
                const char *name, *make;
                bool take_over, refused;
        } cases[] = {
                { "another's on a queue", "tc qdisc add dev " UPLINK " parent 4847:2 handle 7: pfifo limit 7",
                                false, true },
                { "the same, to be taken over",
                                "tc qdisc add dev " UPLINK " parent 4847:2 handle 7: pfifo limit 7", true,
                                true },
                { "the kernel's own alone", "true", false, false },
        };
        _cleanup_pair_ Pair pair = pair_new();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const UplinkOptions options = { .ifname = UPLINK,
                        .pin_dir = "/sys/fs/bpf",
                        .keep_dir = "/tmp",
                        .take_over = cases[i].take_over };
                _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
                _cleanup_uplink_ Uplink *uplink = NULL;
                _cleanup_free_ char *before = NULL, *after = NULL;

                free(run("tc qdisc add dev " UPLINK " root handle 4847: mq"));
                free(run("%s", cases[i].make));
                before = show_all();
                cr_assert_eq(uplink_new(&options, &features, &uplink), 0, "%s", cases[i].name);
                cr_expect_eq(uplink_apply(uplink, &plan_of_four, NULL), cases[i].refused ? -EBUSY : 0,
                                "%s: %s", cases[i].name, uplink_words(uplink));
                after = show_all();
                if (cases[i].refused) {
                        cr_expect_str_eq(after, before, "%s", cases[i].name);
                        cr_expect(strstr(uplink_words(uplink), "a queue of our mq 4847: holds a pfifo "),
                                        "%s: %s", cases[i].name, uplink_words(uplink));
                } else
                        cr_expect(strstr(after, "qdisc htb 4847: root"), "%s: %s", cases[i].name, after);
                free(run("tc qdisc del dev " UPLINK " root"));
        }
}
