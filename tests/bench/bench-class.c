/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a change of a class costs, by the uplink's own batches (where it was read back before), by
 * libnl-route's rtnl_class_add() and by "tc -batch": all classes of a tree are given another floor, turn by
 * turn, and a figure is the median over the rounds, divided by the classes. And how long a tree of 1,000
 * takes to make, and what one change is when there are many more. In a network namespace of its own.
 *
 * Usage: bench-class ROUNDS
 */

#include "bench.h"

#include "enforce/tc-message.h"
#include "enforce/netlink.h"
#include "enforce/uplink.h"

#include <linux/if_ether.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
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

static const HtbPackets packets = { 1518, 65536 };

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

                htb_class_from_plan(plan, &plan->classes[i], &packets, HTB_LEAF_FIFO, &numbers);
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

/* From what was read back to this, as uplinks.c does it: the classes that differ, sent and acknowledged. */
static uint64_t change(Uplink *uplink, const NetPlan *from, const NetPlan *to) {
        uint64_t begin = cpu_nsec();
        unsigned messages = 0;

        bench_check(uplink_change(uplink, from, to, &messages), NULL, "uplink_change");
        return cpu_nsec() - begin;
}

static uint64_t read_back(Uplink *uplink, const NetPlan *plan) {
        uint64_t begin = cpu_nsec();
        NetPlan observed;

        bench_check(uplink_observe(uplink, plan, &observed), NULL, "uplink_observe");
        free(observed.classes);
        return cpu_nsec() - begin;
}

/* Of one class in the middle of so many, each the median: its message alone, sent and acknowledged; with the
 * plans compared, and read back; and with a look at all before. */
typedef struct OneOf {
        double message_nsec, changed_nsec, looked_nsec;
} OneOf;

static uint64_t send_one(Netlink *netlink, int ifindex, const NetPlan *plan, size_t i) {
        HtbChange change = { .kind = HTB_CHANGE_SET };
        struct nl_msg *message = NULL;
        uint64_t begin = cpu_nsec();

        htb_class_from_plan(plan, &plan->classes[i], &packets, HTB_LEAF_FIFO, &change.class);
        bench_check(tc_message_change(ifindex, &change, &message), NULL, "a message");
        bench_check(netlink_request(netlink, message, NULL, NULL), NULL, "a change");
        nlmsg_free(message);
        return cpu_nsec() - begin;
}

static OneOf one_of(size_t n, unsigned rounds) {
        NetClass *classes = bench_new(NetClass, n), *others = bench_new(NetClass, n);
        uint64_t *sent = bench_new(uint64_t, 40 * rounds), *changed = bench_new(uint64_t, 40 * rounds),
                 *looked = bench_new(uint64_t, rounds);
        NetPlan plan = plan_of(classes, n, MBPS), other = plan_of(others, n, MBPS);
        Uplink *uplink = open_uplink();
        int ifindex = (int) if_nametoindex(LINK);
        Netlink *netlink;
        OneOf one;

        others[n / 2].floor_bps = 2 * MBPS;
        (void) apply(uplink, &plan);
        (void) read_back(uplink, &plan);
        bench_check(netlink_new(&netlink), NULL, "netlink");
        for (unsigned i = 0; i < 40 * rounds; i++) {
                const NetPlan *from = i % 2 ? &other : &plan, *to = i % 2 ? &plan : &other;

                changed[i] = change(uplink, from, to);
                sent[i] = send_one(netlink, ifindex, to, n / 2);
        }
        for (unsigned i = 0; i < rounds; i++)
                looked[i] = apply(uplink, i % 2 ? &plan : &other);
        one.message_nsec = (double) bench_percentile(sent, 40 * rounds, 50);
        one.changed_nsec = (double) bench_percentile(changed, 40 * rounds, 50);
        one.looked_nsec = (double) bench_percentile(looked, rounds, 50);
        bench_check(uplink_release(uplink), NULL, "release");
        netlink_free(netlink);
        uplink_free(uplink);
        free(looked);
        free(changed);
        free(sent);
        free(others);
        free(classes);
        return one;
}

/* As the daemon has one. The kernel asks whether there is any on the whole machine, and if so tells of each
 * change, which it makes the message for: most of what a change then costs, whoever makes it. */
static int listen_to_changes(void) {
        const struct sockaddr_nl name = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_TC };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        if (fd < 0 || bind(fd, (const struct sockaddr *) &name, sizeof(name)) < 0)
                bench_fail("no listener: %s", strerror(errno));
        return fd;
}

/* What is told is read between the rounds, as the daemon reads it later. */
static void drain(int listener) {
        char buffer[16384];

        while (listener >= 0 && (recv(listener, buffer, sizeof(buffer), 0) > 0 || errno == ENOBUFS))
                ;
}

static double median_usec(uint64_t *nsec, unsigned rounds) {
        return (double) bench_percentile(nsec, rounds, 50) / CLASSES / 1e3;
}

/* All classes of a tree of 1,000, by each way in turn. */
static void change_all(struct nl_sock *socket, Uplink *uplink, int listener, unsigned rounds) {
        const char *name = listener < 0 ? "class change" : "class change, told to a listener";
        uint64_t *looked = bench_new(uint64_t, rounds), *ours = bench_new(uint64_t, rounds),
                 *again = bench_new(uint64_t, rounds), *back = bench_new(uint64_t, rounds),
                 *libnl = bench_new(uint64_t, rounds), *tc = bench_new(uint64_t, rounds);
        NetClass *before = bench_new(NetClass, CLASSES), *classes = bench_new(NetClass, CLASSES);
        char path[] = "/tmp/headgate-bench-XXXXXX", note[128];
        double a, b, per_libnl;

        if (mkstemp(path) < 0)
                bench_fail("%s: %s", path, strerror(errno));
        for (unsigned i = 0; i < rounds; i++) {
                NetPlan from = plan_of(before, CLASSES, 2 * MBPS), plan = plan_of(classes, CLASSES, 3 * MBPS);

                looked[i] = apply(uplink, &from);
                back[i] = read_back(uplink, &from);
                drain(listener);
                ours[i] = change(uplink, &from, &plan);
                drain(listener);
                again[i] = change(uplink, &plan, &from);
                drain(listener);
                plan = plan_of(classes, CLASSES, 4 * MBPS);
                libnl[i] = change_by_libnl(socket, (int) if_nametoindex(LINK), &plan);
                drain(listener);
                plan = plan_of(classes, CLASSES, 5 * MBPS);
                tc[i] = change_by_tc(&plan, path);
                drain(listener);
        }
        (void) unlink(path);

        a = median_usec(ours, rounds);
        b = median_usec(again, rounds);
        per_libnl = median_usec(libnl, rounds);
        snprintf(note, sizeof(note), "compared, sent and acknowledged; the same back: %+.1f %%",
                        100 * (b / a - 1));
        bench_report(&(BenchFigure){
                        name, "us a class", a, "rtnl_class_add", per_libnl, 1.0 / 8, true, note });
        bench_report(&(BenchFigure){
                        name, "us a class", a, "tc -batch", median_usec(tc, rounds), 1.0 / 15, true, note });
        if (listener >= 0) {
                bench_report(&(BenchFigure){ "class read back", "us a class", median_usec(back, rounds), NULL,
                                0, 0, false, "by a dump of all, where more than 64 changed" });
                bench_report(&(BenchFigure){ "class change, looked at before", "us a class",
                                median_usec(looked, rounds), "rtnl_class_add", per_libnl, 0, false,
                                "at a start, and where others changed something" });
        }
        free(looked);
        free(ours);
        free(again);
        free(back);
        free(libnl);
        free(tc);
        free(before);
        free(classes);
}

int main(int argc, char **argv) {
        unsigned rounds = argc == 2 ? (unsigned) atoi(argv[1]) : 0;
        NetClass *classes = bench_new(NetClass, CLASSES);
        NetPlan plan = plan_of(classes, CLASSES, MBPS);
        struct nl_sock *socket;
        uint64_t created;
        OneOf few, many;
        Uplink *uplink;

        if (rounds == 0)
                bench_fail("usage: bench-class ROUNDS");
        if (unshare(CLONE_NEWNET) < 0)
                bench_fail("no network namespace: %s", strerror(errno));
        run("ip link add " LINK " type veth peer name hgb1 && ip link set " LINK
            " up && ip link set hgb1 up");
        socket = nl_socket_alloc();
        if (!socket || nl_connect(socket, NETLINK_ROUTE) < 0)
                bench_fail("libnl's socket");

        uplink = open_uplink();
        created = apply(uplink, &plan);
        change_all(socket, uplink, -EBADF, rounds);
        change_all(socket, uplink, listen_to_changes(), rounds);
        bench_check(uplink_release(uplink), NULL, "release");
        uplink_free(uplink);
        bench_report(&(BenchFigure){ "tree of 1,000 made", "ms", (double) created / 1e6, NULL, 0, 500, false,
                        "one batch" });

        few = one_of(FEW, rounds);
        many = one_of(MANY, rounds);
        bench_report(&(BenchFigure){ "one class's message of 10,000", "us", many.message_nsec / 1e3, "of 100",
                        few.message_nsec / 1e3, 1.5, true, "the message and its acknowledgement" });
        bench_report(&(BenchFigure){ "one class changed of 10,000", "us", many.changed_nsec / 1e3, "of 100",
                        few.changed_nsec / 1e3, 0, false, "the plans compared, the message, read back" });
        bench_report(&(BenchFigure){ "one class changed of 10,000", "us", many.looked_nsec / 1e3, "of 100",
                        few.looked_nsec / 1e3, 0, false, "with a look at all before" });
        return 0;
}
