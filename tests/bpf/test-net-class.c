/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The uplink's classifier on an interface of the test's own: what a shaper's classes get, and that what
 * others hung on the same hook is as it was.
 */

#include "enforce/net-class.h"
#include "host.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(net_class, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define FOREIGN "protocol all u32 match u32 0 0 flowid 1:1"
#define PACKETS 20U

#define DEFAULT_CLASS 1U
#define TENANT_CLASS 0x12U

static void run(const char *command) {
        cr_assert(system(command) == 0, "%s", command);
}

static char *output_of(const char *command) {
        _cleanup_free_ char *text = NULL;
        FILE *f = popen(command, "re");
        size_t size = 0;

        cr_assert(f);
        if (getdelim(&text, &size, '\0', f) < 0)
                text = strdup("");
        pclose(f);
        return TAKE_PTR(text);
}

/* In a network namespace of its own, with a shaper whose classes tell the packets apart. */
static void make_uplink(void) {
        (void) host_bpffs();
        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        run("ip link add hg0 address 02:00:00:00:00:01 type veth peer name hg1 && "
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && ip link set hg1 up && ip link set hg0 up && "
            "tc qdisc add dev hg0 root handle 4847: htb default 1 && "
            "tc class add dev hg0 parent 4847: classid 4847:1 htb rate 10gbit quantum 60000 && "
            "tc class add dev hg0 parent 4847: classid 4847:12 htb rate 10gbit quantum 60000 && "
            "tc class add dev hg0 parent 4847: classid 4847:13 htb rate 10gbit quantum 60000");
}

static uint64_t class_packets(unsigned minor) {
        _cleanup_free_ char *text = NULL;
        uint64_t packets = 0;
        char command[128];

        snprintf(command, sizeof(command), "tc -s class show dev hg0 classid 4847:%x", minor);
        text = output_of(command);
        cr_assert(strstr(text, "Sent ") &&
                        sscanf(strstr(text, "Sent "), "Sent %*u bytes %" SCNu64, &packets) == 1);
        return packets;
}

/* By a packet socket, which no hook at the group sees. */
static void send_frames(void *userdata) {
        struct sockaddr_ll name;
        _cleanup_close_ int fd = packet_socket(*(uint32_t *) userdata, &name);
        char data[64] = "";

        for (unsigned i = 0; i < PACKETS; i++)
                if (sendto(fd, data, sizeof(data), 0, (struct sockaddr *) &name, sizeof(name)) < 0)
                        abort();
}

static void send_in(const TestGroup *group, uint32_t priority) {
        Worker worker = worker_start(group, send_frames, &priority);

        worker_run(&worker);
        worker_stop(&worker);
}

static int make_map(const TestGroup *group) {
        int map = bpf_map_create(BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), 16, NULL);
        uint32_t slot = SLOT;

        cr_assert(map >= 0 && bpf_map_update_elem(map, &group->id, &slot, 0) == 0, "%m");
        return map;
}

static NetClassifier *make_classifier(int map, const char *pin_dir) {
        FeatureSet features = FEATURE_SET_NULL;
        NetClassifier *classifier = NULL;
        const Feature *feature;
        int r;

        r = net_classifier_new("hg0", map, pin_dir, &features, &classifier);
        feature = feature_set_get(&features, "net.classify@hg0");
        cr_assert(r == 0 && feature && feature->available, "%s", feature ? feature->words : strerror(-r));
        feature_set_deinit(&features);
        return classifier;
}

Test(net_class, classes_by_group) {
        TestGroup group = group_make("a"), below = group_make("a/b"), beside = group_make("c");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        send_in(&group, 0);
        cr_expect(class_packets(DEFAULT_CLASS) == PACKETS && class_packets(TENANT_CLASS) == 0);

        classifier = make_classifier(map, NULL);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS);
        send_in(&below, 0);
        cr_expect(class_packets(TENANT_CLASS) == 2 * PACKETS);
        send_in(&beside, 0);
        cr_expect(class_packets(TENANT_CLASS) == 2 * PACKETS && class_packets(DEFAULT_CLASS) == 2 * PACKETS);
        /* One that has a class of ours keeps it. */
        send_in(&group, 0x48470013);
        cr_expect(class_packets(0x13) == PACKETS && class_packets(TENANT_CLASS) == 2 * PACKETS);

        /* It stays when we go, and is one when we come back. */
        net_classifier_free(classifier);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 3 * PACKETS);
        classifier = make_classifier(map, NULL);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 4 * PACKETS);
        cr_expect(net_classifier_release(classifier) == 0);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == 4 * PACKETS);
        net_classifier_free(classifier);
}

/* Filters of others before, behind and beside ours, and a clsact of others', are as they were. */
Test(net_class, others_are_left_alone) {
        static const char show[] = "tc qdisc show dev hg0; tc filter show dev hg0 egress; tc filter show dev "
                                   "hg0 ingress";
        _cleanup_free_ char *before = NULL, *after = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        run("tc qdisc add dev hg0 clsact && "
            "tc filter add dev hg0 egress pref 1 " FOREIGN " && "
            "tc filter add dev hg0 egress pref 500 " FOREIGN);
        before = output_of(show);
        classifier = make_classifier(map, host_bpffs());
        net_classifier_free(classifier);
        classifier = make_classifier(map, host_bpffs());
        cr_expect(net_classifier_release(classifier) == 0);
        after = output_of(show);
        cr_expect(strcmp(before, after) == 0, "before:\n%s\nafter:\n%s", before, after);
        net_classifier_free(classifier);
}

/* A start that finds what it would make leaves it; over another map it is another program. */
Test(net_class, what_is_in_place_is_left) {
        static const char show[] = "tc filter show dev hg0 egress"; /* with the program's id */
        _cleanup_free_ char *before = NULL, *same = NULL, *other = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group), other_map = make_map(&group);

        make_uplink();
        net_classifier_free(make_classifier(map, host_bpffs()));
        before = output_of(show);
        cr_assert(strstr(before, " id "), "%s", before);
        net_classifier_free(make_classifier(map, host_bpffs()));
        same = output_of(show);
        cr_expect_str_eq(same, before);
        net_classifier_free(make_classifier(other_map, host_bpffs()));
        other = output_of(show);
        cr_expect_str_neq(other, before);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS);
}

/* A clsact of our making goes with us, also after a restart; not while a filter of another is on it. */
Test(net_class, own_clsact_goes) {
        static const struct {
                const char *name, *foreign;
                bool restart, stays;
        } cases[] = {
                { "alone", NULL, false, false },
                { "alone, restarted", NULL, true, false },
                { "another on egress", "tc filter add dev hg0 egress pref 9 " FOREIGN, true, true },
                { "another on ingress", "tc filter add dev hg0 ingress pref 9 " FOREIGN, false, true },
        };
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);

        make_uplink();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetClassifier *classifier = make_classifier(map, host_bpffs());
                _cleanup_free_ char *text = NULL;

                if (cases[i].foreign)
                        run(cases[i].foreign);
                if (cases[i].restart) {
                        net_classifier_free(classifier);
                        classifier = make_classifier(map, host_bpffs());
                }
                cr_expect(net_classifier_release(classifier) == 0, "%s", cases[i].name);
                text = output_of("tc qdisc show dev hg0; tc filter show dev hg0 egress");
                cr_expect(!strstr(text, "headgate"), "%s:\n%s", cases[i].name, text);
                cr_expect(!strstr(text, "clsact") == !cases[i].stays, "%s:\n%s", cases[i].name, text);
                if (cases[i].stays)
                        run("tc qdisc del dev hg0 clsact");
                net_classifier_free(classifier);
        }
}

/* The hook of another interface is not this one's. */
Test(net_class, a_clsact_next_door) {
        _cleanup_free_ char *text = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        run("tc qdisc add dev hg1 clsact");
        classifier = make_classifier(map, NULL);
        send_in(&group, 0);
        cr_expect(class_packets(TENANT_CLASS) == PACKETS);
        cr_expect(net_classifier_release(classifier) == 0);
        text = output_of("tc qdisc show dev hg0");
        cr_expect(!strstr(text, "clsact"), "%s", text);
        run("tc qdisc del dev hg1 clsact");
        net_classifier_free(classifier);
}

/* What says of an interface's clsact that we made it says nothing of one that comes after it. */
Test(net_class, marks_go_with_their_interface) {
        _cleanup_free_ char *gone = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);
        NetClassifier *classifier;

        make_uplink();
        cr_assert(asprintf(&gone, "%s/net-class-made-clsact-%u", host_bpffs(), if_nametoindex("hg0")) > 0);
        classifier = make_classifier(map, host_bpffs());
        cr_expect(access(gone, F_OK) == 0, "%s: %m", gone);
        run("ip link del hg0 && ip link add hg0 type veth peer name hg1 && ip link set hg0 up");
        cr_expect_not(net_classifier_alive(classifier));
        net_classifier_free(classifier);
        classifier = make_classifier(map, host_bpffs());
        cr_expect(access(gone, F_OK) < 0, "%s is there", gone);
        cr_expect(net_classifier_release(classifier) == 0);
        net_classifier_free(classifier);
}

Test(net_class, refusals) {
        FeatureSet features = FEATURE_SET_NULL;
        NetClassifier *classifier = NULL;
        TestGroup group = group_make("a");
        _cleanup_close_ int map = make_map(&group);

        make_uplink();
        cr_expect(net_classifier_new("hg9", map, NULL, &features, &classifier) == -ENODEV);
        cr_expect(!feature_set_get(&features, "net.classify@hg9")->available);
        cr_expect(net_classifier_new("hg0", -EBADF, NULL, &features, &classifier) == -EOPNOTSUPP);

        /* Our place, taken. */
        run("tc qdisc add dev hg0 clsact && "
            "tc filter add dev hg0 egress pref 72 handle 800::847 " FOREIGN);
        cr_expect(net_classifier_new("hg0", map, NULL, &features, &classifier) < 0);
        cr_expect(!feature_set_get(&features, "net.classify@hg0")->available);
        feature_set_deinit(&features);
}
