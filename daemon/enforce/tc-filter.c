/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/tc-filter.h"
#include "enforce/tc-redirect.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <limits.h>
#include <linux/if_ether.h>
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

/* "HG" and, from "H" on: ours. Early or late is no matter to the others, since every packet goes on to them.
 */
#define FILTER_HANDLE UPLINK_HTB_MAJOR
#define FILTER_PRIORITY 0x48U
#define FILTER_PRIORITY_LAST 0xff48U

int tc_print_nothing(enum libbpf_print_level level, const char *format, va_list arguments) {
        return 0;
}

void tc_restore_print(libbpf_print_fn_t *print) {
        libbpf_set_print(*print);
}

typedef struct Look {
        const TcFilter *filter;
        TcSight sight;
} Look;

static uint32_t priority_of(const TcFilter *filter) {
        return filter->last ? FILTER_PRIORITY_LAST : FILTER_PRIORITY + filter->rank;
}

static uint32_t hook_parent(bool ingress) {
        return TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

struct tcmsg tc_filter_place(const TcFilter *filter) {
        return (struct tcmsg){
                .tcm_family = AF_UNSPEC,
                .tcm_ifindex = (int) filter->ifindex,
                .tcm_parent = hook_parent(filter->ingress),
                .tcm_handle = FILTER_HANDLE,
                .tcm_info = TC_H_MAKE(priority_of(filter) << 16, htons(ETH_P_ALL)),
        };
}

/* libbpf names a filter "<program>:[<id>]". */
static bool runs_program(
                const char *program, struct nlattr *options, struct nlattr *ret_attributes[TCA_BPF_MAX + 1]) {
        size_t n = strlen(program);

        return options && nla_parse_nested(ret_attributes, TCA_BPF_MAX, options, NULL) >= 0 &&
               ret_attributes[TCA_BPF_NAME] &&
               strncmp(nla_get_string(ret_attributes[TCA_BPF_NAME]), program, n) == 0 &&
               strncmp(nla_get_string(ret_attributes[TCA_BPF_NAME]) + n, ":[", 2) == 0;
}

static void note_ours(struct nlattr *attributes[TCA_BPF_MAX + 1], TcSight *sight) {
        sight->has_ours = true;
        sight->program_id = attributes[TCA_BPF_ID] ? nla_get_u32(attributes[TCA_BPF_ID]) : 0;
        sight->to_ifindex = tc_redirect_target(attributes[TCA_BPF_ACT]);
}

static int note_filter(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[TCA_MAX + 1], *options[TCA_BPF_MAX + 1];
        const struct tcmsg *tc = nlmsg_data(header);
        Look *look = userdata;
        TcSight *sight = &look->sight;

        /* What has no handle is the list of a priority's filters. */
        if (header->nlmsg_type != RTM_NEWTFILTER || tc->tcm_handle == 0 ||
                        nlmsg_parse((struct nlmsghdr *) header, sizeof(*tc), attributes, TCA_MAX, NULL) < 0 ||
                        tc->tcm_ifindex != (int) look->filter->ifindex)
                return 0;
        sight->n++;
        if (tc->tcm_handle == FILTER_HANDLE && TC_H_MAJ(tc->tcm_info) >> 16 == priority_of(look->filter) &&
                        tc->tcm_parent == hook_parent(look->filter->ingress)) {
                if (runs_program(look->filter->program, attributes[TCA_OPTIONS], options))
                        note_ours(options, sight);
                sight->has_foreign = !sight->has_ours;
        }
        return 0;
}

static int dump(Netlink *netlink, int type, int ifindex, uint32_t parent, NetlinkHandler handler,
                void *userdata) {
        struct tcmsg tc = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent };
        struct nl_msg *message;
        int r;

        message = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_DUMP);
        if (!message)
                return -ENOMEM;
        r = nlmsg_append(message, &tc, sizeof(tc), NLMSG_ALIGNTO) < 0
                            ? -ENOMEM
                            : netlink_request(netlink, message, handler, userdata);
        nlmsg_free(message);
        return r;
}

typedef struct Hooks {
        void (*tell)(unsigned ifindex, void *userdata);
        void *userdata;
} Hooks;

static int note_hook(const struct nlmsghdr *header, void *userdata) {
        const struct tcmsg *tc = nlmsg_data(header);
        struct nlattr *attributes[TCA_MAX + 1];
        const Hooks *hooks = userdata;

        if (header->nlmsg_type == RTM_NEWQDISC &&
                        nlmsg_parse((struct nlmsghdr *) header, sizeof(*tc), attributes, TCA_MAX, NULL) >=
                                        0 &&
                        attributes[TCA_KIND] && strcmp(nla_get_string(attributes[TCA_KIND]), "clsact") == 0)
                hooks->tell((unsigned) tc->tcm_ifindex, hooks->userdata);
        return 0;
}

/* The kernel has no filter for a dump of qdiscs: it tells of every interface's. */
int tc_hooks_list(Netlink *netlink, void (*tell)(unsigned ifindex, void *userdata), void *userdata) {
        Hooks hooks = { tell, userdata };
        int r = -EAGAIN;

        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = dump(netlink, RTM_GETQDISC, 0, 0, note_hook, &hooks);
        return r;
}

static int look_behind(Netlink *netlink, const TcFilter *filter, bool has_hook, Look *look) {
        int r = 0;

        *look = (Look){ .filter = filter, .sight.has_hook = has_hook };
        for (int ingress = 0; r >= 0 && has_hook && ingress < 2; ingress++)
                r = dump(netlink, RTM_GETTFILTER, (int) filter->ifindex, hook_parent(ingress), note_filter,
                                look);
        return r;
}

int tc_filter_look_behind(Netlink *netlink, const TcFilter *filter, bool has_hook, TcSight *ret) {
        int r = -EAGAIN;
        Look look;

        for (unsigned n = 0; netlink_try_again(r, &n);)
                r = look_behind(netlink, filter, has_hook, &look);
        if (r < 0)
                return r;
        *ret = look.sight;
        return 0;
}

typedef struct Bearing {
        unsigned ifindex;
        const char *const *programs;
        size_t n;
        bool found;
} Bearing;

static int note_bearing(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[TCA_MAX + 1], *options[TCA_BPF_MAX + 1];
        const struct tcmsg *tc = nlmsg_data(header);
        Bearing *bearing = userdata;

        if (header->nlmsg_type != RTM_NEWTFILTER || tc->tcm_handle != FILTER_HANDLE ||
                        nlmsg_parse((struct nlmsghdr *) header, sizeof(*tc), attributes, TCA_MAX, NULL) < 0 ||
                        tc->tcm_ifindex != (int) bearing->ifindex)
                return 0;
        for (size_t i = 0; i < bearing->n && !bearing->found; i++)
                bearing->found = runs_program(bearing->programs[i], attributes[TCA_OPTIONS], options);
        return 0;
}

int tc_hook_bears(Netlink *netlink, unsigned ifindex, const char *const *programs, size_t n) {
        Bearing bearing = { ifindex, programs, n, false };
        int r = 0;

        for (int ingress = 0; r >= 0 && ingress < 2; ingress++)
                r = dump(netlink, RTM_GETTFILTER, (int) ifindex, hook_parent(ingress), note_bearing,
                                &bearing);
        return r < 0 ? r : bearing.found;
}

typedef struct HookOf {
        unsigned ifindex;
        bool there;
} HookOf;

static void note_hook_of(unsigned ifindex, void *userdata) {
        HookOf *hook = userdata;

        hook->there = hook->there || ifindex == hook->ifindex;
}

int tc_filter_look(Netlink *netlink, const TcFilter *filter, TcSight *ret) {
        HookOf hook = { filter->ifindex, false };
        int r;

        r = tc_hooks_list(netlink, note_hook_of, &hook);
        return r < 0 ? r : tc_filter_look_behind(netlink, filter, hook.there, ret);
}

int tc_filter_attach(const TcFilter *filter, const TcSight *sight, int program_fd) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) filter->ifindex,
                        .attach_point = filter->ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = priority_of(filter),
                        .prog_fd = program_fd, .flags = sight->has_ours ? BPF_TC_F_REPLACE : 0);
        _libbpf_silent_;
        bool made = false;
        int r;

        if (!sight->has_hook) {
                /* There is another's "ingress" in its place, which would take what goes out for what comes
                 * in. */
                r = bpf_tc_hook_create(&hook);
                if (r < 0)
                        return r == -ENOENT ? -EOPNOTSUPP : r == -EEXIST ? -EBUSY : r;
                made = true;
        }
        r = bpf_tc_attach(&hook, &options);
        return r < 0 ? r : made;
}

int tc_filter_detach(Netlink *netlink, const TcFilter *filter, bool made) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) filter->ifindex,
                        .attach_point = filter->ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = priority_of(filter));
        _libbpf_silent_;
        TcSight sight;
        int r;

        r = tc_filter_look(netlink, filter, &sight);
        if (r < 0)
                return r;
        if (sight.has_ours) {
                r = bpf_tc_detach(&hook, &options);
                if (r < 0 && r != -ENOENT)
                        return r;
                r = tc_filter_look(netlink, filter, &sight);
                if (r < 0)
                        return r;
        }
        /* Destroying the hook takes every filter with it, in both directions: only where there is none. */
        if (sight.has_hook && sight.n == 0 && made) {
                hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
                r = bpf_tc_hook_destroy(&hook);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return 0;
}

static bool program_info(int fd, struct bpf_prog_info *ret, uint32_t *map_ids, uint32_t n) {
        uint32_t size = sizeof(*ret);

        *ret = (struct bpf_prog_info){ .nr_map_ids = n, .map_ids = (uintptr_t) map_ids };
        return bpf_obj_get_info_by_fd(fd, ret, &size) == 0 && (!map_ids || ret->nr_map_ids <= n);
}

uint32_t tc_program_id(int program_fd) {
        struct bpf_prog_info info;

        return program_info(program_fd, &info, NULL, 0) ? info.id : 0;
}

static bool map_is(uint32_t id, int fd) {
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);

        return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.id == id;
}

/* Its constants are our mark's. */
bool tc_program_runs(uint32_t id, int pinned_fd, int program_fd, int map_fd) {
        struct bpf_prog_info have, want;
        uint32_t map_ids[8];

        if (pinned_fd < 0 || !program_info(program_fd, &want, NULL, 0) ||
                        !program_info(pinned_fd, &have, map_ids, ELEMENTSOF(map_ids)) || have.id != id ||
                        memcmp(have.tag, want.tag, sizeof(have.tag)) != 0)
                return false;
        for (uint32_t i = 0; i < have.nr_map_ids; i++)
                if (map_is(map_ids[i], map_fd))
                        return true;
        return false;
}

int tc_pins_open(const char *pin_dir, char **ret_dir) {
        struct statfs fs;

        *ret_dir = NULL;
        if (!pin_dir || (mkdir(pin_dir, 0700) < 0 && errno != EEXIST) || statfs(pin_dir, &fs) < 0 ||
                        fs.f_type != BPF_FS_MAGIC)
                return 0;
        *ret_dir = strdup(pin_dir);
        return *ret_dir ? 0 : -ENOMEM;
}

static void drop_stale(const char *name, void *userdata) {
        char ifname[IF_NAMESIZE];

        if (!if_indextoname((unsigned) strtoul(strrchr(name, '-') + 1, NULL, 10), ifname))
                pin_remove(userdata, name);
}

void tc_pins_drop_stale(const char *dir, const char *name) {
        if (dir)
                pin_list(dir, name, drop_stale, (void *) dir);
}

const char *tc_pin_name(const char *name, unsigned ifindex, char buffer[static PIN_NAME_SIZE]) {
        snprintf(buffer, PIN_NAME_SIZE, "%s%u", name, ifindex);
        return buffer;
}

/* Where that cannot be, what hangs there is replaced once more. */
void tc_pin_put(const char *dir, const char *name, unsigned ifindex, int program_fd) {
        char buffer[PIN_NAME_SIZE];

        (void) pin_put(dir, tc_pin_name(name, ifindex, buffer), program_fd);
}

int tc_pin_get(const char *dir, const char *name, unsigned ifindex) {
        char buffer[PIN_NAME_SIZE];

        return pin_open(dir, tc_pin_name(name, ifindex, buffer));
}

bool tc_pin_is_there(const char *dir, const char *name, unsigned ifindex) {
        char path[PATH_MAX];

        if (!dir)
                return false;
        snprintf(path, sizeof(path), "%s/%s%u", dir, name, ifindex);
        return access(path, F_OK) == 0;
}

bool tc_pin_remove(const char *dir, const char *name, unsigned ifindex) {
        char buffer[PIN_NAME_SIZE];

        if (!tc_pin_is_there(dir, name, ifindex))
                return false;
        pin_remove(dir, tc_pin_name(name, ifindex, buffer));
        return true;
}
