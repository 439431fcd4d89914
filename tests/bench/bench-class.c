/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a change of a class costs, by the uplink's own batches, by libnl-route's rtnl_class_add() and by
 * "tc -batch": all classes of a tree are given another floor, turn by turn, and a figure is the median over
 * the rounds, divided by the classes. And how long a tree of 1,000 takes to make, and what one change is when
 * there are many more. In a network namespace of its own.
 *
 * Usage: bench-class ROUNDS
 */

#include "bench.h"

#include "enforce/htb-message.h"
#include "enforce/netlink.h"
#include "enforce/uplink.h"

#include <linux/if_ether.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/class.h>
#include <netlink/route/qdisc/htb.h>
#include <netlink/route/tc.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define LINK "hgb0"
#define MBPS 1000000ULL
#define CAPACITY (400000 * MBPS)
#define CLASSES 1000U
#define MANY 10000U
#define FEW 100U

/* Of this thread and of what it ran: others on this machine do not count. */
static uint64_t cpu_nsec(void) {
        struct rusage children;
        struct timespec own;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
        getrusage(RUSAGE_CHILDREN, &children);
        return (uint64_t) own.tv_sec * 1000000000U + (uint64_t) own.tv_nsec +
               (uint64_t) (children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1000000000U +
               (uint64_t) (children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1000U;
}

static void run(const char *command) {
        if (system(command) != 0)
                bench_fail("'%s' failed", command);
}

static Uplink *open_uplink(void) {
        FeatureSet features = FEATURE_SET_NULL;
        Uplink *uplink;

        bench_check(uplink_new(&(UplinkOptions){ LINK }, &features, &uplink), NULL, "the uplink");
        feature_set_deinit(&features);
        return uplink;
}

static NetPlan plan_of(NetClass *classes, size_t n, uint64_t floor_bps) {
        for (uint32_t i = 0; i < n; i++)
                classes[i] = (NetClass){ i, 1, floor_bps, UNLIMITED };
        return (NetPlan){ LINK, CAPACITY, classes, n };
}

/* Nanoseconds for all classes of the plan. */
static uint64_t apply(Uplink *uplink, const NetPlan *plan) {
        uint64_t begin = cpu_nsec();

        bench_check(uplink_apply(uplink, plan, NULL), NULL, "uplink_apply");
        return cpu_nsec() - begin;
}

/* The same by who asks for an answer to each message, and builds it with libnl's objects. */
static uint64_t change_by_libnl(struct nl_sock *socket, int ifindex, const NetPlan *plan) {
        uint64_t begin = cpu_nsec();

        for (size_t i = 0; i < plan->n_classes; i++) {
                struct rtnl_class *class = rtnl_class_alloc();
                struct rtnl_tc *tc = TC_CAST(class);
                HtbClass numbers;

                htb_class_from_plan(plan, &plan->classes[i], 1500, &numbers);
                rtnl_tc_set_ifindex(tc, ifindex);
                rtnl_tc_set_mtu(tc, 1500);
                rtnl_tc_set_parent(tc, UPLINK_HTB_MAJOR << 16 | UPLINK_MINOR_ROOT);
                rtnl_tc_set_handle(tc, UPLINK_CLASSID(plan->classes[i].slot));
                rtnl_tc_set_kind(tc, "htb");
                rtnl_htb_set_rate64(class, numbers.rate_bytes);
                rtnl_htb_set_ceil64(class, numbers.ceil_bytes);
                rtnl_htb_set_prio(class, 1);
                rtnl_htb_set_quantum(class, numbers.quantum_bytes);
                if (rtnl_class_add(socket, class, 0) < 0)
                        bench_fail("rtnl_class_add failed");
                rtnl_class_put(class);
        }
        return cpu_nsec() - begin;
}

static uint64_t change_by_tc(const NetPlan *plan, const char *path) {
        FILE *file = fopen(path, "we");
        char command[256];
        uint64_t begin;

        if (!file)
                bench_fail("%s: %s", path, strerror(errno));
        for (size_t i = 0; i < plan->n_classes; i++)
                fprintf(file,
                                "class change dev " LINK
                                " parent 4847:1 classid 4847:%x htb rate %lubit ceil 400gbit "
                                "prio 1 quantum 60000\n",
                                UPLINK_MINOR_SLOT_BASE + plan->classes[i].slot,
                                (unsigned long) plan->classes[i].floor_bps);
        fclose(file);
        snprintf(command, sizeof(command), "tc -batch %s", path);
        begin = cpu_nsec();
        run(command);
        return cpu_nsec() - begin;
}

/* Messages of so many classes, sent and acknowledged. */
static uint64_t change_some(Netlink *netlink, int ifindex, const NetPlan *plan, size_t first, size_t n) {
        NetlinkBatch batch = NETLINK_BATCH_NULL;
        uint64_t begin = cpu_nsec();

        for (size_t i = first; i < first + n; i++) {
                HtbChange change = { .kind = HTB_CHANGE_SET };
                struct nl_msg *message = NULL;

                htb_class_from_plan(plan, &plan->classes[i], 1500, &change.class);
                bench_check(htb_message_change(ifindex, &change, &message), NULL, "a message");
                bench_check(netlink_batch_put(&batch, message), NULL, "a batch");
        }
        bench_check(netlink_send_batch(netlink, &batch), NULL, "a change");
        netlink_batch_deinit(&batch);
        return cpu_nsec() - begin;
}

/* Of one class in the middle of so many: the median, in ns. */
static double one_of(size_t n, unsigned rounds, uint64_t *ret_apply) {
        NetClass *classes = bench_new(NetClass, n);
        uint64_t *single = bench_new(uint64_t, 40 * rounds), *applied = bench_new(uint64_t, rounds);
        NetPlan plan = plan_of(classes, n, MBPS);
        Uplink *uplink = open_uplink();
        int ifindex = (int) if_nametoindex(LINK);
        Netlink *netlink;
        double median;

        bench_check(netlink_new(&netlink), NULL, "netlink");
        (void) apply(uplink, &plan);
        for (unsigned i = 0; i < 40 * rounds; i++) {
                classes[n / 2].floor_bps = (1 + i % 2) * MBPS;
                single[i] = change_some(netlink, ifindex, &plan, n / 2, 1);
        }
        for (unsigned i = 0; i < rounds; i++) {
                classes[n / 2].floor_bps = (3 + i % 2) * MBPS;
                applied[i] = apply(uplink, &plan);
        }
        median = (double) bench_percentile(single, 40 * rounds, 50);
        *ret_apply = bench_percentile(applied, rounds, 50);
        bench_check(uplink_release(uplink), NULL, "release");
        netlink_free(netlink);
        uplink_free(uplink);
        free(applied);
        free(single);
        free(classes);
        return median;
}

int main(int argc, char **argv) {
        unsigned rounds = argc == 2 ? (unsigned) atoi(argv[1]) : 0;
        uint64_t *ours, *again, *messages, *libnl, *tc, created, one_apply, few_apply;
        NetClass *classes = bench_new(NetClass, CLASSES);
        char path[] = "/tmp/headgate-bench-XXXXXX", note[128];
        double a, b, sent, per_libnl, few, many;
        Netlink *netlink;
        int ifindex;
        struct nl_sock *socket;
        Uplink *uplink;
        NetPlan plan;

        if (rounds == 0)
                bench_fail("usage: bench-class ROUNDS");
        if (unshare(CLONE_NEWNET) < 0)
                bench_fail("no network namespace: %s", strerror(errno));
        run("ip link add " LINK " type veth peer name hgb1 && ip link set " LINK
            " up && ip link set hgb1 up");
        if (mkstemp(path) < 0)
                bench_fail("%s: %s", path, strerror(errno));
        socket = nl_socket_alloc();
        if (!socket || nl_connect(socket, NETLINK_ROUTE) < 0)
                bench_fail("libnl's socket");
        ours = bench_new(uint64_t, rounds);
        again = bench_new(uint64_t, rounds);
        messages = bench_new(uint64_t, rounds);
        libnl = bench_new(uint64_t, rounds);
        tc = bench_new(uint64_t, rounds);

        bench_check(netlink_new(&netlink), NULL, "netlink");
        ifindex = (int) if_nametoindex(LINK);
        uplink = open_uplink();
        plan = plan_of(classes, CLASSES, MBPS);
        created = apply(uplink, &plan);
        for (unsigned i = 0; i < rounds; i++) {
                plan = plan_of(classes, CLASSES, 2 * MBPS);
                ours[i] = apply(uplink, &plan);
                plan = plan_of(classes, CLASSES, 3 * MBPS);
                libnl[i] = change_by_libnl(socket, ifindex, &plan);
                plan = plan_of(classes, CLASSES, 4 * MBPS);
                tc[i] = change_by_tc(&plan, path);
                plan = plan_of(classes, CLASSES, 5 * MBPS);
                again[i] = apply(uplink, &plan);
                plan = plan_of(classes, CLASSES, 6 * MBPS);
                messages[i] = change_some(netlink, ifindex, &plan, 0, CLASSES);
        }
        (void) unlink(path);
        bench_check(uplink_release(uplink), NULL, "release");
        uplink_free(uplink);

        a = (double) bench_percentile(ours, rounds, 50) / CLASSES / 1e3;
        b = (double) bench_percentile(again, rounds, 50) / CLASSES / 1e3;
        sent = (double) bench_percentile(messages, rounds, 50) / CLASSES / 1e3;
        per_libnl = (double) bench_percentile(libnl, rounds, 50) / CLASSES / 1e3;
        snprintf(note, sizeof(note), "dump, difference and messages; the same again: %+.1f %%",
                        100 * (b / a - 1));
        bench_report(&(BenchFigure){ "class change, looked up and compared", "us a class", a,
                        "rtnl_class_add", per_libnl, 0, false, note });
        bench_report(&(BenchFigure){ "class change", "us a class", sent, "rtnl_class_add", per_libnl, 1.0 / 8,
                        true, "messages made, sent and acknowledged" });
        bench_report(&(BenchFigure){ "class change", "us a class", sent, "tc -batch",
                        (double) bench_percentile(tc, rounds, 50) / CLASSES / 1e3, 1.0 / 15, true,
                        "messages made, sent and acknowledged" });
        bench_report(&(BenchFigure){ "tree of 1,000 made", "ms", (double) created / 1e6, NULL, 0, 500, false,
                        "one batch" });

        few = one_of(FEW, rounds, &few_apply);
        many = one_of(MANY, rounds, &one_apply);
        bench_report(&(BenchFigure){ "one class's message of 10,000", "us", many / 1e3, "of 100", few / 1e3,
                        1.5, true, "the message and its acknowledgement" });
        bench_report(&(BenchFigure){ "one class changed of 10,000", "us", (double) one_apply / 1e3, "of 100",
                        (double) few_apply / 1e3, 0, false, "with the dump that tells what is there" });
        return 0;
}
