/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One filter of ours on an uplink's clsact egress hook, at a handle and priority of our own. clsact, not TCX:
 * it is there on every kernel that we support, outlives us without a pin, and is replaced in one message.
 * What else hangs on the hook is never looked into, changed or removed; the hook itself goes only where we
 * made it and nothing is on it.
 */

#include "enforce/net-class.h"
#include "enforce/netlink.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "bpf/net-class.h"
#include "bpf/net-class.skel.h"

/* "HG" and "H": ours. Early or late is no matter to the others, since every packet goes on to them. */
#define FILTER_HANDLE UPLINK_HTB_MAJOR
#define FILTER_PRIORITY 0x48U

/* And the interface's index. */
#define MARK_PREFIX "net-class-made-clsact-"
#define PROGRAM_PREFIX "net-class-program-"

struct NetClassifier {
        Netlink *netlink;
        char ifname[IF_NAMESIZE];
        unsigned ifindex;
        char *pin_dir;    /* NULL: nothing is pinned */
        int program_fd;   /* of what hangs there */
        bool made_clsact; /* by us, now or in an earlier run */
};

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments) {
        return 0;
}

static void restore_print(libbpf_print_fn_t *print) {
        libbpf_set_print(*print);
}

/* What libbpf would print is in its return values. */
#define _libbpf_silent_ \
        _cleanup_(restore_print) _unused_ libbpf_print_fn_t saved = libbpf_set_print(print_nothing)

static void skeleton_destroy(struct net_class_bpf **skeleton) {
        net_class_bpf__destroy(*skeleton);
}

/* What hangs on the interface's clsact. */
typedef struct Hook {
        int ifindex;
        bool exists;
        bool has_ours;       /* a filter at our handle and priority, of our program's name */
        bool has_foreign;    /* a filter there of another name */
        uint32_t program_id; /* what ours runs; 0: the kernel does not say */
        unsigned n;          /* filters in both directions, ours among them */
} Hook;

/* libbpf names a filter "<program>:[<id>]". */
static bool filter_is_ours(struct nlattr *options, uint32_t *ret_program_id) {
        static const char prefix[] = NET_CLASS_PROGRAM_NAME ":[";
        struct nlattr *attributes[TCA_BPF_MAX + 1];

        if (!options || nla_parse_nested(attributes, TCA_BPF_MAX, options, NULL) < 0 ||
                        !attributes[TCA_BPF_NAME] ||
                        strncmp(nla_get_string(attributes[TCA_BPF_NAME]), prefix, strlen(prefix)) != 0)
                return false;
        *ret_program_id = attributes[TCA_BPF_ID] ? nla_get_u32(attributes[TCA_BPF_ID]) : 0;
        return true;
}

static int note_object(const struct nlmsghdr *header, void *userdata) {
        const struct tcmsg *tc = nlmsg_data(header);
        struct nlattr *attributes[TCA_MAX + 1];
        Hook *hook = userdata;

        /* The kernel has no filter for a dump of qdiscs: it tells of every interface's. */
        if (nlmsg_parse((struct nlmsghdr *) header, sizeof(*tc), attributes, TCA_MAX, NULL) < 0 ||
                        tc->tcm_ifindex != hook->ifindex)
                return 0;

        if (header->nlmsg_type == RTM_NEWQDISC)
                hook->exists = hook->exists ||
                               (attributes[TCA_KIND] &&
                                               strcmp(nla_get_string(attributes[TCA_KIND]), "clsact") == 0);

        /* What has no handle is the list of a priority's filters. */
        if (header->nlmsg_type == RTM_NEWTFILTER && tc->tcm_handle != 0) {
                hook->n++;
                if (tc->tcm_handle == FILTER_HANDLE && TC_H_MAJ(tc->tcm_info) >> 16 == FILTER_PRIORITY &&
                                tc->tcm_parent == TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)) {
                        hook->has_ours = filter_is_ours(attributes[TCA_OPTIONS], &hook->program_id);
                        hook->has_foreign = !hook->has_ours;
                }
        }

        return 0;
}

static int dump(NetClassifier *classifier, int type, uint32_t parent, Hook *hook) {
        struct tcmsg tc = {
                .tcm_family = AF_UNSPEC, .tcm_ifindex = classifier->ifindex, .tcm_parent = parent
        };
        struct nl_msg *message;
        int r;

        message = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_DUMP);
        if (!message)
                return -ENOMEM;
        r = nlmsg_append(message, &tc, sizeof(tc), NLMSG_ALIGNTO) < 0
                            ? -ENOMEM
                            : netlink_request(classifier->netlink, message, note_object, hook);
        nlmsg_free(message);
        return r;
}

static int look_at_hook(NetClassifier *classifier, Hook *ret) {
        static const uint32_t directions[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
        Hook hook = { .ifindex = (int) classifier->ifindex };
        int r;

        r = dump(classifier, RTM_GETQDISC, 0, &hook);
        for (size_t i = 0; r >= 0 && hook.exists && i < ELEMENTSOF(directions); i++)
                r = dump(classifier, RTM_GETTFILTER, TC_H_MAKE(TC_H_CLSACT, directions[i]), &hook);
        if (r < 0)
                return r;

        *ret = hook;
        return 0;
}

static int load(int groups_fd, struct net_class_bpf **ret) {
        _cleanup_(skeleton_destroy) struct net_class_bpf *skeleton = NULL;
        int r;

        skeleton = net_class_bpf__open();
        if (!skeleton)
                return -errno;
        skeleton->rodata->major = UPLINK_HTB_MAJOR;
        skeleton->rodata->minor_base = UPLINK_MINOR_SLOT_BASE;
        r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0)
                r = net_class_bpf__load(skeleton);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(skeleton);
        return 0;
}

static void drop_stale(const char *name, void *userdata) {
        char ifname[IF_NAMESIZE];

        if (!if_indextoname((unsigned) strtoul(strrchr(name, '-') + 1, NULL, 10), ifname))
                pin_remove(userdata, name);
}

/* A clsact goes with its interface, and what says of it that we made it goes here. */
static int open_pins(NetClassifier *classifier, const char *pin_dir) {
        struct statfs fs;

        if (!pin_dir || (mkdir(pin_dir, 0700) < 0 && errno != EEXIST) || statfs(pin_dir, &fs) < 0 ||
                        fs.f_type != BPF_FS_MAGIC)
                return 0;
        pin_list(pin_dir, MARK_PREFIX, drop_stale, (void *) pin_dir);
        pin_list(pin_dir, PROGRAM_PREFIX, drop_stale, (void *) pin_dir);
        classifier->pin_dir = strdup(pin_dir);
        return classifier->pin_dir ? 0 : -ENOMEM;
}

/* The mark is the program pinned once more: bpffs keeps nothing but such objects. No dots: so no interface's
 * name. */
static const char *pin_name(
                const NetClassifier *classifier, const char *prefix, char buffer[static PIN_NAME_SIZE]) {
        snprintf(buffer, PIN_NAME_SIZE, "%s%u", prefix, classifier->ifindex);
        return buffer;
}

static int open_pin(const NetClassifier *classifier, const char *prefix) {
        char name[PIN_NAME_SIZE];

        return pin_open(classifier->pin_dir, pin_name(classifier, prefix, name));
}

/* Ours in its place, an earlier one of ours replaced in one step. */
static int attach(NetClassifier *classifier, int program_fd, const Hook *hook) {
        LIBBPF_OPTS(bpf_tc_hook, egress, .ifindex = classifier->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
                        .prog_fd = program_fd, .flags = hook->has_ours ? BPF_TC_F_REPLACE : 0);
        char name[PIN_NAME_SIZE];
        int r;

        if (!hook->exists) {
                r = bpf_tc_hook_create(&egress);
                if (r < 0 && r != -EEXIST)
                        return r == -ENOENT ? -EOPNOTSUPP : r;
                if (r == 0) {
                        classifier->made_clsact = true;
                        (void) pin_put(classifier->pin_dir, pin_name(classifier, MARK_PREFIX, name),
                                        program_fd);
                }
        }

        r = bpf_tc_attach(&egress, &options);
        if (r < 0)
                return r;
        /* Where that cannot be, it is replaced once more. */
        (void) pin_put(classifier->pin_dir, pin_name(classifier, PROGRAM_PREFIX, name), program_fd);
        classifier->program_fd = fcntl(program_fd, F_DUPFD_CLOEXEC, 0);
        return classifier->program_fd < 0 ? -errno : 0;
}

static bool program_info(int fd, struct bpf_prog_info *ret, uint32_t *map_ids, uint32_t n) {
        uint32_t size = sizeof(*ret);

        *ret = (struct bpf_prog_info){ .nr_map_ids = n, .map_ids = (uintptr_t) map_ids };
        return bpf_obj_get_info_by_fd(fd, ret, &size) == 0 && (!map_ids || ret->nr_map_ids <= n);
}

static bool map_is(uint32_t id, int fd) {
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);

        return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.id == id;
}

/* Whether what hangs there already does what the program just loaded would: then it is left as it is. It is
 * known by its pin, as only CAP_SYS_ADMIN opens a program by its id. Its constants are our mark's. */
static bool runs_already(NetClassifier *classifier, const Hook *hook, int program_fd, int groups_fd) {
        _cleanup_close_ int fd = open_pin(classifier, PROGRAM_PREFIX);
        struct bpf_prog_info have, want;
        uint32_t map_ids[4];

        if (fd < 0 || !program_info(program_fd, &want, NULL, 0) ||
                        !program_info(fd, &have, map_ids, ELEMENTSOF(map_ids)) ||
                        have.id != hook->program_id || memcmp(have.tag, want.tag, sizeof(have.tag)) != 0)
                return false;
        for (uint32_t i = 0; i < have.nr_map_ids; i++)
                if (map_is(map_ids[i], groups_fd)) {
                        classifier->program_fd = TAKE_FD(fd);
                        return true;
                }
        return false;
}

static int set_up(NetClassifier *classifier, int groups_fd, const char **ret_words) {
        _cleanup_(skeleton_destroy) struct net_class_bpf *skeleton = NULL;
        _cleanup_close_ int mark = open_pin(classifier, MARK_PREFIX);
        Hook hook;
        int r;

        classifier->made_clsact = mark >= 0;
        *ret_words = "its filters can't be read";
        r = look_at_hook(classifier, &hook);
        if (r < 0)
                return r;
        if (hook.has_foreign) {
                *ret_words = "a filter of another owner has our place";
                return -EBUSY;
        }
        *ret_words = "there are no tenants' groups to look for, since the meter did not load";
        if (groups_fd < 0)
                return -EOPNOTSUPP;
        *ret_words = "the program does not load";
        r = load(groups_fd, &skeleton);
        if (r < 0)
                return r == -ENOMEM ? r : -EOPNOTSUPP;
        if (hook.has_ours && runs_already(classifier, &hook,
                                             bpf_program__fd(skeleton->progs.NET_CLASS_PROGRAM), groups_fd))
                return 0;
        *ret_words = "the program can't be attached";
        return attach(classifier, bpf_program__fd(skeleton->progs.NET_CLASS_PROGRAM), &hook);
}

int net_classifier_new(const char *ifname, int groups_fd, const char *pin_dir, FeatureSet *features,
                NetClassifier **ret) {
        _cleanup_(net_classifier_free_p) NetClassifier *classifier = NULL;
        _libbpf_silent_;
        char feature[sizeof("net.classify@") + IF_NAMESIZE];
        const char *words = "there is no such interface";
        int r, k;

        classifier = calloc(1, sizeof(*classifier));
        if (!classifier)
                return -ENOMEM;
        classifier->program_fd = -EBADF;
        r = netlink_new(&classifier->netlink);
        if (r < 0)
                return r;
        snprintf(classifier->ifname, sizeof(classifier->ifname), "%s", ifname);
        classifier->ifindex = if_nametoindex(ifname);
        r = classifier->ifindex ? open_pins(classifier, pin_dir) : -ENODEV;
        if (r >= 0)
                r = set_up(classifier, groups_fd, &words);

        snprintf(feature, sizeof(feature), "net.classify@%s", ifname);
        if (r < 0)
                k = feature_set_put(features, feature, false,
                                "%s (%s): packets of packet sockets, and of sockets from before their "
                                "process was attached, "
                                "go to the default class",
                                words, strerror(-r));
        else
                k = feature_set_put(features, feature, true,
                                "a BPF program at clsact egress, for packets that come without a class");
        if (r < 0 || k < 0)
                return r < 0 ? r : k;

        *ret = TAKE_PTR(classifier);
        return 0;
}

bool net_classifier_alive(NetClassifier *classifier) {
        Hook hook;

        return if_nametoindex(classifier->ifname) == classifier->ifindex &&
               look_at_hook(classifier, &hook) >= 0 && hook.has_ours;
}

void net_classifier_keep_pins(const NetClassifier *classifier, PinTell tell, void *userdata) {
        char name[PIN_NAME_SIZE];

        pin_keep(classifier->pin_dir, pin_name(classifier, PROGRAM_PREFIX, name), classifier->program_fd,
                        tell, userdata);
        if (classifier->made_clsact)
                pin_keep(classifier->pin_dir, pin_name(classifier, MARK_PREFIX, name), classifier->program_fd,
                                tell, userdata);
}

NetClassifier *net_classifier_free(NetClassifier *classifier) {
        if (!classifier)
                return NULL;

        netlink_free(classifier->netlink);
        cleanup_close(&classifier->program_fd);
        free(classifier->pin_dir);
        free(classifier);
        return NULL;
}

int net_classifier_release(NetClassifier *classifier) {
        LIBBPF_OPTS(bpf_tc_hook, egress, .ifindex = classifier->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
        _libbpf_silent_;
        char name[PIN_NAME_SIZE];
        Hook hook;
        int r;

        r = look_at_hook(classifier, &hook);
        if (r < 0)
                return r;
        if (hook.has_ours) {
                r = bpf_tc_detach(&egress, &options);
                if (r < 0 && r != -ENOENT)
                        return r;
                r = look_at_hook(classifier, &hook);
                if (r < 0)
                        return r;
        }
        /* Destroying the hook takes every filter with it, in both directions: only where there is none. */
        if (hook.exists && hook.n == 0 && classifier->made_clsact) {
                egress.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
                r = bpf_tc_hook_destroy(&egress);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        pin_remove(classifier->pin_dir, pin_name(classifier, MARK_PREFIX, name));
        pin_remove(classifier->pin_dir, pin_name(classifier, PROGRAM_PREFIX, name));
        classifier->made_clsact = false;

        return 0;
}
