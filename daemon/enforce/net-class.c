/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Loads the classifier for one uplink and keeps it on the uplink's clsact egress hook (tc-filter.h). */

#include "enforce/net-class.h"
#include "enforce/tc-filter.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>

#include "bpf/net-class.h"
#include "bpf/net-class.skel.h"

#define PROGRAM_PIN "net-class-program-"

struct NetClassifier {
        Netlink *netlink;
        char ifname[IF_NAMESIZE];
        TcFilter filter;
        char *pin_dir;    /* NULL: nothing is pinned */
        int program_fd;   /* of what hangs there */
        int floods_fd;    /* of the table that it was made for; negative: none */
        bool guards;      /* by that table */
        bool made_clsact; /* by us, now or in an earlier run */
};

static void skeleton_destroy(struct net_class_bpf **skeleton) {
        net_class_bpf__destroy(*skeleton);
}

static int reuse_floods(struct net_class_bpf *skeleton, int floods_fd) {
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);
        int r = bpf_obj_get_info_by_fd(floods_fd, &info, &size);

        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.floods, floods_fd);
        if (r == 0)
                r = bpf_map__set_max_entries(skeleton->maps.flood_flows, info.max_entries);
        return r;
}

/* `floods_fd` negative: it guards nothing. */
static int load(int groups_fd, int floods_fd, struct net_class_bpf **ret) {
        _cleanup_(skeleton_destroy) struct net_class_bpf *skeleton = NULL;
        int r;

        skeleton = net_class_bpf__open();
        if (!skeleton)
                return -errno;
        skeleton->rodata->major = UPLINK_HTB_MAJOR;
        skeleton->rodata->minor_base = UPLINK_MINOR_SLOT_BASE;
        skeleton->rodata->slot_default = SLOT_DEFAULT;
        skeleton->rodata->guards = floods_fd >= 0;
        r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0 && skeleton->rodata->guards)
                r = reuse_floods(skeleton, floods_fd);
        if (r == 0)
                r = net_class_bpf__load(skeleton);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(skeleton);
        return 0;
}

static int attach(NetClassifier *classifier, int program_fd, const TcSight *sight) {
        const unsigned ifindex = classifier->filter.ifindex;
        int r;

        r = tc_filter_attach(&classifier->filter, sight, program_fd);
        if (r < 0)
                return r;
        if (r > 0) {
                classifier->made_clsact = true;
                tc_pin_put(classifier->pin_dir, TC_MADE, ifindex, program_fd);
        }
        tc_pin_put(classifier->pin_dir, PROGRAM_PIN, ifindex, program_fd);
        classifier->program_fd = fcntl(program_fd, F_DUPFD_CLOEXEC, 0);
        return classifier->program_fd < 0 ? -errno : 0;
}

/* What hangs there already and does the same is left as it is. */
static bool runs_already(NetClassifier *classifier, const TcSight *sight, int program_fd, int groups_fd,
                int floods_fd) {
        _cleanup_close_ int fd = tc_pin_get(classifier->pin_dir, PROGRAM_PIN, classifier->filter.ifindex);

        if (!sight->has_ours || !tc_program_runs(sight->program_id, fd, program_fd, groups_fd) ||
                        (floods_fd >= 0 && !tc_program_runs(sight->program_id, fd, program_fd, floods_fd)))
                return false;
        classifier->program_fd = TAKE_FD(fd);
        return true;
}

static int set_up(NetClassifier *classifier, int groups_fd, int floods_fd, const char **ret_words) {
        _cleanup_(skeleton_destroy) struct net_class_bpf *skeleton = NULL;
        int r, program_fd;
        TcSight sight;

        *ret_words = "its filters can't be read";
        r = tc_filter_look(classifier->netlink, &classifier->filter, &sight);
        if (r < 0)
                return r;
        if (sight.has_foreign) {
                *ret_words = "a filter of another owner has our place";
                return -EBUSY;
        }
        *ret_words = "there are no tenants' groups to look for, since the meter did not load";
        if (groups_fd < 0)
                return -EOPNOTSUPP;
        if (floods_fd >= 0)
                classifier->floods_fd = fcntl(floods_fd, F_DUPFD_CLOEXEC, 0);
        *ret_words = "the program does not load";
        r = load(groups_fd, floods_fd, &skeleton);
        if (r < 0 && floods_fd >= 0) {
                floods_fd = -EBADF;
                r = load(groups_fd, floods_fd, &skeleton);
        }
        if (r < 0)
                return r == -ENOMEM ? r : -EOPNOTSUPP;
        classifier->guards = floods_fd >= 0;
        program_fd = bpf_program__fd(skeleton->progs.NET_CLASS_PROGRAM);
        if (runs_already(classifier, &sight, program_fd, groups_fd, floods_fd))
                return 0;
        *ret_words = "the program can't be attached";
        return attach(classifier, program_fd, &sight);
}

/* -ENODEV: there is no such interface. */
static int open_classifier(const char *ifname, const char *pin_dir, NetClassifier **ret) {
        _cleanup_(net_classifier_free_p) NetClassifier *classifier = calloc(1, sizeof(*classifier));
        int r;

        if (!classifier)
                return -ENOMEM;
        classifier->program_fd = classifier->floods_fd = -EBADF;
        r = netlink_new(&classifier->netlink);
        if (r < 0)
                return r;
        snprintf(classifier->ifname, sizeof(classifier->ifname), "%s", ifname);
        classifier->filter =
                        (TcFilter){ .ifindex = if_nametoindex(ifname), .program = NET_CLASS_PROGRAM_NAME };
        r = classifier->filter.ifindex ? tc_pins_open(pin_dir, &classifier->pin_dir) : -ENODEV;
        if (r < 0)
                return r;
        classifier->made_clsact = tc_pin_is_there(classifier->pin_dir, TC_MADE, classifier->filter.ifindex);
        *ret = TAKE_PTR(classifier);
        return 0;
}

int net_classifier_new(const char *ifname, int groups_fd, int floods_fd, const char *pin_dir,
                FeatureSet *features, NetClassifier **ret) {
        _cleanup_(net_classifier_free_p) NetClassifier *classifier = NULL;
        _libbpf_silent_;
        char feature[sizeof("net.classify@") + IF_NAMESIZE];
        const char *words = "there is no such interface";
        int r, k;

        r = open_classifier(ifname, pin_dir, &classifier);
        if (r < 0 && r != -ENODEV)
                return r;
        if (r >= 0) {
                tc_pins_drop_stale(classifier->pin_dir, TC_MADE);
                tc_pins_drop_stale(classifier->pin_dir, PROGRAM_PIN);
                r = set_up(classifier, groups_fd, floods_fd, &words);
        }

        snprintf(feature, sizeof(feature), "net.classify@%s", ifname);
        if (r < 0)
                k = feature_set_put(features, feature, false,
                                "%s (%s): packets of packet sockets, and of sockets from before their "
                                "process was attached, "
                                "go to the default class",
                                words, strerror(-r));
        else
                k = feature_set_put(features, feature, true,
                                "a BPF program at clsact egress, for packets that come without a class%s",
                                classifier->guards ? ", and to drop floods before HTB's lock" : "");
        if (r < 0 || k < 0)
                return r < 0 ? r : k;

        *ret = TAKE_PTR(classifier);
        return 0;
}

bool net_classifier_alive(NetClassifier *classifier, int floods_fd) {
        TcSight sight;

        return (floods_fd < 0 || pin_same_object(classifier->floods_fd, floods_fd)) &&
               if_nametoindex(classifier->ifname) == classifier->filter.ifindex &&
               tc_filter_look(classifier->netlink, &classifier->filter, &sight) >= 0 && sight.has_ours;
}

void net_classifier_keep_pins(const NetClassifier *classifier, PinTell tell, void *userdata) {
        const unsigned ifindex = classifier->filter.ifindex;
        char name[PIN_NAME_SIZE];

        pin_keep(classifier->pin_dir, tc_pin_name(PROGRAM_PIN, ifindex, name), classifier->program_fd, tell,
                        userdata);
        if (classifier->made_clsact)
                pin_keep(classifier->pin_dir, tc_pin_name(TC_MADE, ifindex, name), classifier->program_fd,
                                tell, userdata);
}

NetClassifier *net_classifier_free(NetClassifier *classifier) {
        if (!classifier)
                return NULL;

        netlink_free(classifier->netlink);
        cleanup_close(&classifier->program_fd);
        cleanup_close(&classifier->floods_fd);
        free(classifier->pin_dir);
        free(classifier);
        return NULL;
}

int net_classifier_release(NetClassifier *classifier) {
        int r;

        r = tc_filter_detach(classifier->netlink, &classifier->filter, classifier->made_clsact);
        if (r < 0)
                return r;
        (void) tc_pin_remove(classifier->pin_dir, TC_MADE, classifier->filter.ifindex);
        (void) tc_pin_remove(classifier->pin_dir, PROGRAM_PIN, classifier->filter.ifindex);
        classifier->made_clsact = false;

        return 0;
}

int net_classifier_remove(const char *ifname, const char *pin_dir) {
        _cleanup_(net_classifier_free_p) NetClassifier *classifier = NULL;
        int r = open_classifier(ifname, pin_dir, &classifier);

        if (r < 0)
                return r == -ENODEV ? 0 : r;
        return net_classifier_release(classifier);
}
