/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pacer on an interface of the test's own, without a qdisc that keeps the times that it gives: what it
 * lets in, what it drops, what it counts; and that it is found again, and leaves others alone. That the times
 * are kept is a test in a virtual machine, as few kernels without one lack fq.
 */

#include "enforce/edt-pacer.h"
#include "enforce/uplink-internal.h"
#include "host.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bpf/edt-pacer.h"

TestSuite(edt_pacer, .init = host_init, .fini = host_deinit, .timeout = 60);

#define CLASSID(slot) (0x48470010 + (slot))
#define CAPACITY_BPS 100000000U
#define PACKETS 100U
#define DATA_BYTES 1000U
#define FRAME_BYTES 1014U

#define SLOT_SLOW 2U
#define SLOT_OPEN 3U
#define SLOT_NONE 9U

static NetClass classes[] = {
        { SLOT_DEFAULT, 1, 1000000, CAPACITY_BPS },
        { SLOT_CONTROL, 0, 1000000, 10000000 },
        { SLOT_SLOW, 1, 8000000, 8000000 },
        { SLOT_OPEN, 1, 80000000, CAPACITY_BPS },
};
static const NetPlan plan = { "hg0", CAPACITY_BPS, classes, ELEMENTSOF(classes) };

static void run(const char *command) {
        cr_assert(system(command) == 0, "%s", command);
}

static void make_link(void) {
        (void) host_bpffs();
        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        run("ip link add hg0 numtxqueues 2 type veth peer name hg1 && sysctl -qw "
            "net.ipv6.conf.all.disable_ipv6=1 && "
            "ip link set hg1 up && ip link set hg0 up");
}

static EdtPacer *make_program(void) {
        EdtPacer *program = NULL;
        int r = edt_pacer_new(host_bpffs(), if_nametoindex("hg0"), &program);

        cr_assert(r == 0, "%s", strerror(-r));
        return program;
}

static int attach(EdtPacer *program) {
        const char *words = NULL;

        return edt_pacer_attach(program, &words);
}

static unsigned set_plan(EdtPacer *program, const NetPlan *wanted) {
        _cleanup_free_ EdtEntry *entries = NULL;
        unsigned changes = 0;
        size_t n;

        cr_assert_eq(edt_entries_from_plan(wanted, &entries, &n), 0);
        cr_assert_eq(edt_pacer_set(program, wanted->capacity_bps / 8, 0, entries, n, &changes), 0);
        return changes;
}

static void send_frames(uint32_t priority, unsigned n) {
        struct sockaddr_ll name;
        _cleanup_close_ int fd = packet_socket(priority, &name);
        char data[DATA_BYTES] = "";

        /* A packet that is dropped is an error to a packet socket. */
        for (unsigned i = 0; i < n; i++)
                cr_assert(sendto(fd, data, sizeof(data), 0, (struct sockaddr *) &name, sizeof(name)) > 0 ||
                                                errno == ENOBUFS,
                                "%m");
}

/* Which is to depart then. */
static void send_frame_at(uint32_t priority, uint64_t nsec) {
        struct sockaddr_ll name;
        _cleanup_close_ int fd = packet_socket(priority, &name);
        char data[DATA_BYTES] = "", control[CMSG_SPACE(sizeof(nsec))] = "";
        struct iovec piece = { data, sizeof(data) };
        struct msghdr message = { .msg_name = &name,
                .msg_namelen = sizeof(name),
                .msg_iov = &piece,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control) };
        struct sock_txtime clock = { .clockid = CLOCK_MONOTONIC };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        *header = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(sizeof(nsec)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_TXTIME
        };
        memcpy(CMSG_DATA(header), &nsec, sizeof(nsec));
        cr_assert(setsockopt(fd, SOL_SOCKET, SO_TXTIME, &clock, sizeof(clock)) == 0 &&
                                        sendmsg(fd, &message, 0) > 0,
                        "%m");
}

static NetClassStats stats_of(EdtPacer *program, uint32_t slot) {
        _cleanup_free_ NetClassStats *stats = NULL;
        size_t n;

        cr_assert_eq(edt_pacer_read_stats(program, &stats, &n), 0);
        for (size_t i = 0; i < n; i++)
                if (stats[i].slot == slot)
                        return stats[i];
        cr_assert_fail("slot %u has no class", slot);
        return (NetClassStats){};
}

static uint64_t let_in(EdtPacer *program, uint32_t slot) {
        NetClassStats stats = stats_of(program, slot);

        return stats.packets + stats.backlog_packets;
}

static uint64_t now_nsec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000000U + (uint64_t) now.tv_nsec;
}

/* Of what comes at once the horizon is let in, 50 ms, and what the time takes away that the sending took. */
Test(edt_pacer, lets_in_what_the_horizon_takes) {
        static const struct {
                const char *name;
                uint32_t slot, counted;
                uint64_t rate_bps; /* that holds it back */
                uint64_t least;    /* packets let in */
        } cases[] = {
                { "a low ceiling", SLOT_SLOW, SLOT_SLOW, 8000000, 49 },
                { "an open one", SLOT_OPEN, SLOT_OPEN, CAPACITY_BPS, PACKETS },
                { "the control class, by its ceiling", SLOT_CONTROL, SLOT_CONTROL, 10000000, 61 },
                { "no class", SLOT_NONE, SLOT_DEFAULT, CAPACITY_BPS, 8 },
        };
        EdtPacer *program;

        make_link();
        program = make_program();
        cr_expect_eq(set_plan(program, &plan), ELEMENTSOF(classes) + 1);
        cr_expect_eq(attach(program), 1);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t begin = now_nsec(), most, in;
                NetClassStats stats;

                send_frames(CLASSID(cases[i].slot), PACKETS);
                most = (now_nsec() - begin + 55000000) * cases[i].rate_bps / 8 / FRAME_BYTES / 1000000000 + 2;
                stats = stats_of(program, cases[i].counted);
                in = stats.packets + stats.backlog_packets;
                cr_expect_eq(in + stats.drops, PACKETS, "%s", cases[i].name);
                cr_expect(in >= cases[i].least && in <= most, "%s: %" PRIu64 " let in", cases[i].name, in);
                cr_expect_eq(stats.bytes, stats.packets * FRAME_BYTES, "%s", cases[i].name);
                cr_expect_eq(stats.backlog_bytes, stats.backlog_packets * FRAME_BYTES, "%s", cases[i].name);
        }
        edt_pacer_free(program);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), if_nametoindex("hg0")), 0);
}

/* Until then it waits, and is not sent. A machine that is slow to look sees it gone: it is asked again. */
Test(edt_pacer, what_asks_for_later_waits) {
        bool seen = false;
        EdtPacer *program;

        make_link();
        program = make_program();
        (void) set_plan(program, &plan);
        cr_assert_eq(attach(program), 1);
        for (unsigned i = 0; i < 50 && !seen; i++) {
                const uint64_t asked = now_nsec() + 45000000;
                NetClassStats stats;

                send_frame_at(CLASSID(SLOT_OPEN), asked);
                stats = stats_of(program, SLOT_OPEN);
                seen = now_nsec() + (1U << EDT_PART_SHIFT) < asked;
                cr_expect(!seen || stats.backlog_packets >= 1);
        }
        cr_expect(seen);
        edt_pacer_free(program);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), if_nametoindex("hg0")), 0);
}

Test(edt_pacer, is_found_again) {
        _cleanup_free_ EdtEntry *entries = NULL;
        NetPlan less = plan;
        EdtPacer *program;
        uint64_t capacity;
        unsigned ifindex;
        size_t n;

        make_link();
        ifindex = if_nametoindex("hg0");
        program = make_program();
        (void) set_plan(program, &plan);
        cr_expect_eq(attach(program), 1);
        cr_expect(stats_of(program, SLOT_OPEN).anew);
        cr_expect_not(stats_of(program, SLOT_OPEN).anew);
        edt_pacer_free(program);
        send_frames(CLASSID(SLOT_OPEN), 5);

        program = make_program();
        cr_expect(edt_pacer_is_attached(program));
        cr_expect_eq(attach(program), 0);
        cr_expect_eq(set_plan(program, &plan), 0);
        cr_expect_eq(let_in(program, SLOT_OPEN), 5);
        cr_expect_not(stats_of(program, SLOT_OPEN).anew);
        cr_expect_eq(edt_pacer_get(program, &capacity, &entries, &n), 0);
        cr_expect(capacity == CAPACITY_BPS / 8 && n == ELEMENTSOF(classes));
        for (size_t i = 0; i < n; i++) {
                NetClass class;

                edt_entry_to_model(&entries[i], &class);
                cr_expect(class.slot == classes[i].slot && class.priority == classes[i].priority &&
                                class.floor_bps == classes[i].floor_bps &&
                                class.ceil_bps == classes[i].ceil_bps);
        }

        /* One that goes is one change, and its packets are of the default class. */
        less.n_classes--;
        cr_expect_eq(set_plan(program, &less), 1);
        send_frames(CLASSID(SLOT_OPEN), 5);
        cr_expect_eq(let_in(program, SLOT_DEFAULT), 5);

        edt_pacer_free(program);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), ifindex), 0);
        program = make_program();
        cr_expect_not(edt_pacer_is_attached(program));
        edt_pacer_free(program);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), ifindex), 0);
}

/* What differs is put and read back. What another has done to the rest meanwhile stays: that is not looked
 * at. */
Test(edt_pacer, a_change_is_of_what_differs) {
        NetClass changed[] = {
                classes[0],
                { SLOT_CONTROL, 0, 2000000, 10000000 },
                classes[3],
                { SLOT_NONE, 2, 0, CAPACITY_BPS },
        };
        const NetPlan to = { "hg0", CAPACITY_BPS, changed, ELEMENTSOF(changed) };
        _cleanup_free_ EdtEntry *have = NULL, *want = NULL, *entries = NULL;
        size_t n_have, n_want, n;
        _cleanup_close_ int map = -EBADF;
        unsigned changes = 0;
        EdtPacer *program;
        uint64_t capacity;
        char name[64];

        make_link();
        program = make_program();
        (void) set_plan(program, &plan);
        cr_assert_eq(edt_entries_from_plan(&plan, &have, &n_have), 0);
        cr_assert_eq(edt_entries_from_plan(&to, &want, &n_want), 0);
        snprintf(name, sizeof(name), "edt_classes_%u_2", if_nametoindex("hg0"));
        map = pin_open(host_bpffs(), name);
        want[2].class.floor_bytes--;
        cr_assert_eq(bpf_map_update_elem(map, &want[2].slot, &want[2].class, BPF_EXIST), 0, "%m");
        want[2].class.floor_bytes++;

        cr_expect_eq(edt_pacer_change(program, have, n_have, want, n_want, &changes), 0);
        cr_expect_eq(changes, 3, "one that goes, one with more, one that comes: %u", changes);
        cr_expect_eq(edt_pacer_get(program, &capacity, &entries, &n), 0);
        cr_assert_eq(n, n_want);
        want[2].class.floor_bytes--;
        for (size_t i = 0; i < n; i++)
                cr_expect(entries[i].slot == want[i].slot &&
                                                edt_class_equal(&entries[i].class, &want[i].class),
                                "slot %u", want[i].slot);
        edt_pacer_free(program);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), if_nametoindex("hg0")), 0);
}

/* Another who writes to the map of classes whenever we have: into this slot's place. */
static struct {
        int map;
        uint32_t slot;
} meddler = { .map = -EBADF };

/* Libbpf's, of which each call in this program is one of these. */
int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags) {
        int (*real)(int, const void *, const void *, __u64) = dlsym(RTLD_NEXT, "bpf_map_update_elem");
        int r = real(fd, key, value, flags);

        if (meddler.map >= 0 && flags == BPF_ANY && *(const uint32_t *) key == meddler.slot) {
                struct edt_class class = *(const struct edt_class *) value;

                class.floor_bytes++;
                cr_assert_eq(real(meddler.map, key, &class, BPF_EXIST), 0, "%m");
        }
        return r;
}

int bpf_map_delete_elem(int fd, const void *key) {
        int (*real)(int, const void *) = dlsym(RTLD_NEXT, "bpf_map_delete_elem");
        static const struct edt_class class = { .floor_bytes = 1 };
        int r = real(fd, key);

        if (meddler.map >= 0 && *(const uint32_t *) key == meddler.slot)
                (void) bpf_map_update_elem(meddler.map, key, &class, BPF_NOEXIST);
        return r;
}

/* What differs is read back: whoever wrote there in between is found. */
Test(edt_pacer, a_change_that_does_not_hold_is_stale) {
        NetClass changed[] = {
                classes[0],
                { SLOT_CONTROL, 0, 2000000, 10000000 },
                classes[3],
                { SLOT_NONE, 2, 0, CAPACITY_BPS },
        };
        static const struct {
                const char *name;
                uint32_t slot;
                int r;
        } cases[] = {
                { "nowhere", SLOT_NONE + 1, 0 },
                { "where nothing differs", SLOT_OPEN, 0 },
                { "one that goes", SLOT_SLOW, -ESTALE },
                { "one with more", SLOT_CONTROL, -ESTALE },
                { "one that comes", SLOT_NONE, -ESTALE },
        };
        const NetPlan to = { "hg0", CAPACITY_BPS, changed, ELEMENTSOF(changed) };
        _cleanup_free_ EdtEntry *have = NULL, *want = NULL;
        size_t n_have, n_want;
        EdtPacer *program;
        char name[64];

        make_link();
        program = make_program();
        snprintf(name, sizeof(name), "edt_classes_%u_2", if_nametoindex("hg0"));
        cr_assert_eq(edt_entries_from_plan(&plan, &have, &n_have), 0);
        cr_assert_eq(edt_entries_from_plan(&to, &want, &n_want), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_close_ int map = pin_open(host_bpffs(), name);

                cr_assert_geq(map, 0);
                (void) set_plan(program, &plan);
                meddler.map = map;
                meddler.slot = cases[i].slot;
                cr_expect_eq(edt_pacer_change(program, have, n_have, want, n_want, &(unsigned){ 0 }),
                                cases[i].r, "%s", cases[i].name);
                meddler.map = -EBADF;
        }
        edt_pacer_free(program);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), if_nametoindex("hg0")), 0);
}

/* As an uplink that was put in force and read back has it; without the fq, of which neither knows. */
Test(edt_pacer, an_uplink_changes_what_differs) {
        static Uplink uplink = { .name = "hg0", .edt = true };
        NetClass changed[] = { classes[0], classes[1], { SLOT_SLOW, 2, 9000007, 10000000 }, classes[3] };
        const NetPlan to = { "hg0", CAPACITY_BPS, changed, ELEMENTSOF(changed) },
                      other = { "hg0", 2 * CAPACITY_BPS, changed, ELEMENTSOF(changed) };
        _cleanup_free_ EdtEntry *entries = NULL;
        unsigned changes = 0;
        uint64_t capacity;
        NetPlan expected;
        size_t n;

        make_link();
        uplink.pacer = make_program();
        uplink.pacer_ifindex = (int) if_nametoindex("hg0");
        (void) set_plan(uplink.pacer, &plan);
        cr_expect_eq(uplink_change(&uplink, &plan, &to, &changes), -ESTALE, "not put in force yet");
        uplink.paced = true;
        cr_expect_eq(uplink_change(&uplink, &plan, &other, &changes), -ESTALE, "another capacity");
        cr_expect_eq(uplink_change(&uplink, &plan, &to, &changes), 1);
        cr_expect_eq(changes, 1);

        cr_assert_eq(uplink_expect(&uplink, &to, &expected), 0);
        cr_expect_eq(edt_pacer_get(uplink.pacer, &capacity, &entries, &n), 0);
        cr_expect_eq(expected.capacity_bps, capacity * 8);
        cr_assert_eq(expected.n_classes, n);
        for (size_t i = 0; i < n; i++) {
                NetClass class;

                edt_entry_to_model(&entries[i], &class);
                cr_expect(net_class_equal(&class, &expected.classes[i]), "slot %u", class.slot);
        }
        free(expected.classes);

        run("ip link del hg0 && ip link add hg0 type veth peer name hg1");
        cr_expect_eq(uplink_change(&uplink, &to, &plan, &changes), -ESTALE, "another interface of that name");
        edt_pacer_free(uplink.pacer);
        cr_expect_eq(edt_pacer_remove(host_bpffs(), (unsigned) uplink.pacer_ifindex), 0);
}

static void clear(void) {
        run("tc qdisc del dev hg0 clsact 2>/dev/null || tc qdisc del dev hg0 ingress");
}

Test(edt_pacer, others_are_left_alone) {
        static const struct {
                const char *name, *command;
        } cases[] = {
                { "filters of theirs, one at our place", "tc qdisc add dev hg0 clsact && "
                                                         "tc filter add dev hg0 egress pref 73 handle "
                                                         "800::847 protocol all u32 match u32 0 0 "
                                                         "flowid 1:1 && "
                                                         "tc filter add dev hg0 egress pref 1 protocol all "
                                                         "u32 match u32 0 0 flowid 1:1" },
                { "an ingress, in which filters of egress would be of what comes in",
                                "tc qdisc add dev hg0 ingress && tc filter add dev hg0 ingress pref 1 "
                                "protocol all "
                                "u32 match u32 0 0 flowid 1:1" },
        };
        const char *show = "(tc qdisc show dev hg0; tc filter show dev hg0 egress; tc filter show dev hg0 "
                           "ingress)";
        char file[64], command[256];
        EdtPacer *program;
        unsigned ifindex;

        make_link();
        ifindex = if_nametoindex("hg0");
        snprintf(file, sizeof(file), "/tmp/edt-pacer.%d", (int) getpid());
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                run(cases[i].command);
                snprintf(command, sizeof(command), "%s >%s", show, file);
                run(command);
                program = make_program();
                (void) set_plan(program, &plan);
                cr_expect_lt(attach(program), 0, "%s", cases[i].name);
                cr_expect_not(edt_pacer_is_attached(program), "%s", cases[i].name);
                edt_pacer_free(program);
                cr_expect_eq(edt_pacer_remove(host_bpffs(), ifindex), 0, "%s", cases[i].name);
                snprintf(command, sizeof(command), "%s | cmp - %s", show, file);
                cr_expect(system(command) == 0, "%s: they changed", cases[i].name);
                clear();
        }
        unlink(file);
}

/* Whoever takes our pins away makes it no stranger: it is replaced, and taken away. */
Test(edt_pacer, is_known_by_its_name) {
        EdtPacer *program;
        unsigned ifindex;

        make_link();
        ifindex = if_nametoindex("hg0");
        program = make_program();
        (void) set_plan(program, &plan);
        cr_expect_eq(attach(program), 1);
        edt_pacer_free(program);
        pin_remove_all(host_bpffs(), "edt_");

        program = make_program();
        cr_expect(edt_pacer_is_attached(program));
        cr_expect_eq(set_plan(program, &plan), ELEMENTSOF(classes) + 1);
        cr_expect_eq(attach(program), 1, "it went on by other maps");
        send_frames(CLASSID(SLOT_OPEN), 5);
        cr_expect_eq(let_in(program, SLOT_OPEN), 5);

        pin_remove_all(host_bpffs(), "edt_");
        cr_expect_eq(edt_pacer_remove(host_bpffs(), ifindex), 0);
        cr_expect_not(edt_pacer_is_attached(program));
        edt_pacer_free(program);
}

/* What it counted up to then is in the next reading, before what the classes of HTB count from then on. */
Test(edt_pacer, gives_way_to_htb_without_a_lost_count) {
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        _cleanup_(uplink_free_p) Uplink *uplink = NULL;
        NetStats stats = {};
        EdtPacer *program;
        uint64_t counted[2] = {};

        make_link();
        run("tc qdisc add dev hg0 root handle 4847: mq");
        program = make_program();
        (void) set_plan(program, &plan);
        cr_expect_eq(attach(program), 1);
        send_frames(CLASSID(SLOT_SLOW), PACKETS);
        edt_pacer_free(program);

        cr_assert_eq(uplink_new(&(UplinkOptions){ .ifname = "hg0", .pin_dir = host_bpffs() }, &features,
                                     &uplink),
                        0);
        cr_assert_eq(uplink_apply(uplink, &plan, NULL), 0, "%s", uplink_words(uplink));
        send_frames(CLASSID(SLOT_SLOW), 3);
        cr_assert_eq(uplink_read_stats(uplink, &stats), 0);
        cr_assert_eq(stats.n, 2 * ELEMENTSOF(classes));
        for (size_t i = 0; i < stats.n; i++) {
                const NetClassStats *class = &stats.classes[i];
                bool of_htb = i >= ELEMENTSOF(classes);

                cr_expect_eq(class->anew, of_htb);
                cr_expect_eq(class->slot, classes[i % ELEMENTSOF(classes)].slot);
                if (class->slot == SLOT_SLOW)
                        counted[of_htb] = class->packets + class->drops + class->backlog_packets;
        }
        cr_expect(counted[0] == PACKETS && counted[1] == 3, "%" PRIu64 " and %" PRIu64, counted[0],
                        counted[1]);
        net_stats_deinit(&stats);
        cr_assert_eq(uplink_read_stats(uplink, &stats), 0);
        cr_expect_eq(stats.n, ELEMENTSOF(classes), "they were told twice");
        net_stats_deinit(&stats);
        run("! tc filter show dev hg0 egress | grep -q headgate_pace");
        cr_expect_eq(uplink_release(uplink), 0);
}
