/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Two programs for all veths: those of an earlier run, where they do what ours would, so that nothing that
 * hangs somewhere is changed.
 */

#include "enforce/net-local.h"
#include "bpf/pin.h"
#include "enforce/tc-filter.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/types.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "bpf/net-local.h"
#include "bpf/net-local.skel.h"

typedef enum Way {
        WAY_FROM, /* out of the namespace: into the host's end */
        WAY_TO,
        WAY_MAX,
} Way;

static const struct {
        const char *program;
        const char *pin; /* with 0, which is no interface's */
} ways[WAY_MAX] = {
        [WAY_FROM] = { NET_LOCAL_FROM_PROGRAM_NAME, "net-local-from-" },
        [WAY_TO] = { NET_LOCAL_TO_PROGRAM_NAME, "net-local-to-" },
};

typedef struct Veth {
        unsigned ifindex;
        bool attached, seen;
        bool has_hook; /* when hooks were last listed */
} Veth;

struct NetLocal {
        Netlink *netlink;
        char *pin_dir;    /* owned; NULL: nothing is pinned */
        int addresses_fd; /* not owned; negative: none */
        Table stations;
        int fd[WAY_MAX];
        uint32_t id[WAY_MAX];
        Veth *veths; /* owned, in no order */
        size_t n_veths;
};

#define ADDRESSES_PIN_STEM "net_addresses_"
#define ADDRESSES_PIN ADDRESSES_PIN_STEM STRINGIFY(NET_ADDRESS_LAYOUT)

int net_addresses_open(const char *pin_dir, Table *ret) {
        _cleanup_free_ char *dir = NULL;
        int r;

        r = tc_pins_open(pin_dir, &dir);
        if (r < 0)
                return r;
        return table_open(dir,
                        &(TableShape){ ADDRESSES_PIN, BPF_MAP_TYPE_LRU_HASH, 16, sizeof(struct net_address),
                                        NET_ADDRESSES },
                        ret);
}

#define STATIONS_PIN_STEM "net_stations_"

static const TableShape stations_shape = { STATIONS_PIN_STEM STRINGIFY(NET_STATION_LAYOUT),
        BPF_MAP_TYPE_LRU_HASH, sizeof(struct net_station), sizeof(uint32_t), NET_STATIONS };

void net_addresses_remove(const char *pin_dir) {
        _cleanup_free_ char *dir = NULL;

        if (tc_pins_open(pin_dir, &dir) >= 0)
                (void) tc_pin_remove(dir, ADDRESSES_PIN_STEM, NET_ADDRESS_LAYOUT);
}

static void skeleton_destroy(struct net_local_bpf **skeleton) {
        net_local_bpf__destroy(*skeleton);
}

static int load(const NetLocalOptions *options, int stations_fd, struct net_local_bpf **ret) {
        _cleanup_(skeleton_destroy) struct net_local_bpf *skeleton = net_local_bpf__open();
        _libbpf_silent_;
        int r;

        if (!skeleton)
                return -errno;
        skeleton->rodata->major = UPLINK_HTB_MAJOR;
        skeleton->rodata->minor_base = UPLINK_MINOR_SLOT_BASE;
        skeleton->rodata->slots = options->slots;
        r = bpf_map__reuse_fd(skeleton->maps.groups, options->groups_fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.net_rows, options->rows_fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.addresses, options->addresses_fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.stations, stations_fd);
        if (r == 0)
                r = net_local_bpf__load(skeleton);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(skeleton);
        return 0;
}

/* The one that is pinned, where it would do. */
static int choose_program(NetLocal *local, Way way, const NetLocalOptions *options, int loaded_fd) {
        _cleanup_close_ int pinned_fd = tc_pin_get(local->pin_dir, ways[way].pin, 0);
        const uint32_t id = pinned_fd >= 0 ? tc_program_id(pinned_fd) : 0;
        const int maps[][3] = {
                [WAY_FROM] = { options->groups_fd, options->addresses_fd, local->stations.fd },
                [WAY_TO] = { options->rows_fd, local->stations.fd, local->stations.fd },
        };
        bool runs = true;

        for (size_t i = 0; i < ELEMENTSOF(maps[way]); i++)
                runs = runs && tc_program_runs(id, pinned_fd, loaded_fd, maps[way][i]);
        if (runs)
                local->fd[way] = TAKE_FD(pinned_fd);
        else {
                local->fd[way] = fcntl(loaded_fd, F_DUPFD_CLOEXEC, 0);
                if (local->fd[way] < 0)
                        return -errno;
                tc_pin_put(local->pin_dir, ways[way].pin, 0, loaded_fd);
        }
        local->id[way] = tc_program_id(local->fd[way]);
        return 0;
}

static int open_local(const char *pin_dir, NetLocal **ret) {
        _cleanup_(net_local_free_p) NetLocal *local = calloc(1, sizeof(*local));
        int r;

        if (!local)
                return -ENOMEM;
        local->addresses_fd = local->fd[WAY_FROM] = local->fd[WAY_TO] = -EBADF;
        local->stations = (Table) TABLE_NULL;
        r = tc_pins_open(pin_dir, &local->pin_dir);
        if (r >= 0)
                r = netlink_new(&local->netlink);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(local);
        return 0;
}

static int set_up(const NetLocalOptions *options, NetLocal **ret) {
        _cleanup_(skeleton_destroy) struct net_local_bpf *skeleton = NULL;
        _cleanup_(net_local_free_p) NetLocal *local = NULL;
        int r;

        if (options->groups_fd < 0 || options->rows_fd < 0 || options->addresses_fd < 0)
                return -EOPNOTSUPP;
        r = open_local(options->pin_dir, &local);
        if (r >= 0)
                r = table_open(local->pin_dir, &stations_shape, &local->stations);
        if (r >= 0)
                r = load(options, local->stations.fd, &skeleton);
        if (r >= 0)
                r = choose_program(local, WAY_FROM, options,
                                bpf_program__fd(skeleton->progs.NET_LOCAL_FROM_PROGRAM));
        if (r >= 0)
                r = choose_program(local, WAY_TO, options,
                                bpf_program__fd(skeleton->progs.NET_LOCAL_TO_PROGRAM));
        if (r < 0)
                return r;
        local->addresses_fd = options->addresses_fd;
        tc_pins_drop_stale(local->pin_dir, TC_MADE);
        *ret = TAKE_PTR(local);
        return 0;
}

int net_local_new(const NetLocalOptions *options, FeatureSet *features, NetLocal **ret) {
        int r = set_up(options, ret), k;

        if (r < 0)
                k = feature_set_put(features, "net.namespaces", false,
                                "the programs for veths do not load (%s): what comes from network "
                                "namespaces by routing goes to the default class, and what stays on this "
                                "node counts as sent",
                                strerror(-r));
        else
                k = feature_set_put(features, "net.namespaces", true,
                                "BPF programs at the host's ends of veths tell whose packets come out");
        return r < 0 ? r : k;
}

NetLocal *net_local_free(NetLocal *local) {
        if (!local)
                return NULL;
        for (Way way = 0; way < WAY_MAX; way++)
                cleanup_close(&local->fd[way]);
        table_deinit(&local->stations);
        netlink_free(local->netlink);
        free(local->pin_dir);
        free(local->veths);
        free(local);
        return NULL;
}

/* --- which veths there are --- */

typedef struct Links {
        NetLocal *local;
        const char *const *except;
        size_t n_except;
} Links;

static Veth *find_veth(NetLocal *local, unsigned ifindex) {
        for (size_t i = 0; i < local->n_veths; i++)
                if (local->veths[i].ifindex == ifindex)
                        return &local->veths[i];
        return NULL;
}

static bool is_excepted(const Links *links, const char *name) {
        for (size_t i = 0; i < links->n_except; i++)
                if (strcmp(links->except[i], name) == 0)
                        return true;
        return false;
}

/* A veth whose peer is in another namespace. */
static bool leads_inside(struct nlattr **attributes) {
        struct nlattr *info[IFLA_INFO_MAX + 1];

        return attributes[IFLA_LINK_NETNSID] && attributes[IFLA_LINKINFO] &&
               nla_parse_nested(info, IFLA_INFO_MAX, attributes[IFLA_LINKINFO], NULL) >= 0 &&
               info[IFLA_INFO_KIND] && strcmp(nla_get_string(info[IFLA_INFO_KIND]), "veth") == 0;
}

static int take_link(const struct nlmsghdr *header, void *userdata) {
        struct nlattr *attributes[IFLA_MAX + 1];
        const struct ifinfomsg *link = nlmsg_data(header);
        Links *links = userdata;
        Veth *veth, *veths;

        if (header->nlmsg_type != RTM_NEWLINK ||
                        nlmsg_parse((struct nlmsghdr *) header, sizeof(*link), attributes, IFLA_MAX, NULL) <
                                        0 ||
                        !attributes[IFLA_IFNAME] || !leads_inside(attributes) ||
                        is_excepted(links, nla_get_string(attributes[IFLA_IFNAME])))
                return 0;
        veth = find_veth(links->local, (unsigned) link->ifi_index);
        if (!veth) {
                veths = reallocarray(links->local->veths, links->local->n_veths + 1, sizeof(Veth));
                if (!veths)
                        return -ENOMEM;
                links->local->veths = veths;
                veth = &veths[links->local->n_veths++];
                *veth = (Veth){ .ifindex = (unsigned) link->ifi_index };
        }
        veth->seen = true;
        return 0;
}

/* What was learned behind veths that went: the next who has the address may. A walk begins anew where the
 * entry that it is at goes under it, and programs learn all the while: it ends at as many as there can be. */
static void forget_addresses(NetLocal *local) {
        unsigned char key[16], next[16];
        bool more = bpf_map_get_next_key(local->addresses_fd, NULL, next) == 0;

        for (unsigned i = 0; more && i < NET_ADDRESSES; i++) {
                struct net_address address;

                memcpy(key, next, sizeof(key));
                more = bpf_map_get_next_key(local->addresses_fd, key, next) == 0;
                if (bpf_map_lookup_elem(local->addresses_fd, key, &address) == 0 &&
                                !find_veth(local, address.ifindex))
                        (void) bpf_map_delete_elem(local->addresses_fd, key);
        }
}

/* Those that went are forgotten. */
static int list_veths(NetLocal *local, const char *const *except, size_t n_except) {
        Links links = { local, except, n_except };
        struct nl_msg *message = nlmsg_alloc_simple(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP);
        bool gone = false;
        int r;

        for (size_t i = 0; i < local->n_veths; i++)
                local->veths[i].seen = false;
        if (!message)
                return -ENOMEM;
        r = nlmsg_append(message, &(struct ifinfomsg){}, sizeof(struct ifinfomsg), NLMSG_ALIGNTO) < 0
                            ? -ENOMEM
                            : netlink_request(local->netlink, message, take_link, &links);
        nlmsg_free(message);
        for (size_t i = local->n_veths; r >= 0 && i-- > 0;)
                if (!local->veths[i].seen) {
                        (void) tc_pin_remove(local->pin_dir, TC_MADE, local->veths[i].ifindex);
                        local->veths[i] = local->veths[--local->n_veths];
                        gone = true;
                }
        if (gone && local->addresses_fd >= 0)
                forget_addresses(local);
        return r;
}

/* --- what hangs on them --- */

static TcFilter filter_of(const Veth *veth, Way way) {
        return (TcFilter){
                .ifindex = veth->ifindex, .ingress = way == WAY_FROM, .program = ways[way].program
        };
}

static int attach(NetLocal *local, Veth *veth) {
        for (Way way = 0; way < WAY_MAX; way++) {
                TcFilter filter = filter_of(veth, way);
                TcSight sight;
                int r;

                r = tc_filter_look_behind(local->netlink, &filter, veth->has_hook, &sight);
                if (r >= 0 && sight.has_foreign)
                        r = -EBUSY;
                if (r >= 0 && (!sight.has_ours || sight.program_id != local->id[way])) {
                        r = tc_filter_attach(&filter, &sight, local->fd[way]);
                        if (r > 0)
                                tc_pin_put(local->pin_dir, TC_MADE, veth->ifindex, local->fd[way]);
                }
                if (r < 0)
                        return r;
                veth->has_hook = true;
        }
        veth->attached = true;
        return 0;
}

static void note_hook(unsigned ifindex, void *userdata) {
        Veth *veth = find_veth(userdata, ifindex);

        if (veth)
                veth->has_hook = true;
}

/* One dump for all that are to be attached to. */
static int list_hooks(NetLocal *local) {
        bool any = false;

        for (size_t i = 0; i < local->n_veths; i++) {
                any = any || !local->veths[i].attached;
                local->veths[i].has_hook = false;
        }
        return any ? tc_hooks_list(local->netlink, note_hook, local) : 0;
}

/* What lasts, as another's filter in our place, is tried again with news of the veth, or when all are. */
static bool may_have_passed(int error) {
        return error == -EAGAIN || error == -ENOBUFS || error == -ENOMEM || error == -ETIMEDOUT;
}

int net_local_follow(NetLocal *local, const char *const *except, size_t n_except) {
        int due = 0, r;

        r = list_veths(local, except, n_except);
        if (r >= 0)
                r = list_hooks(local);
        for (size_t i = 0; r >= 0 && i < local->n_veths; i++) {
                int k = local->veths[i].attached ? 0 : attach(local, &local->veths[i]);

                due = due < 0 || !may_have_passed(k) ? due : k;
        }
        return r < 0 ? r : due;
}

void net_local_look_again(NetLocal *local) {
        for (size_t i = 0; i < local->n_veths; i++)
                local->veths[i].attached = false;
}

bool net_local_look_again_at(NetLocal *local, unsigned ifindex) {
        Veth *veth = find_veth(local, ifindex);

        if (veth)
                veth->attached = false;
        return veth;
}

int net_local_remove(const char *pin_dir) {
        _cleanup_(net_local_free_p) NetLocal *local = NULL;
        bool pinned = false;
        int r;

        r = open_local(pin_dir, &local);
        for (Way way = 0; r >= 0 && way < WAY_MAX; way++)
                pinned = tc_pin_remove(local->pin_dir, ways[way].pin, 0) || pinned;
        if (r < 0 || !pinned)
                return r;
        (void) tc_pin_remove(local->pin_dir, STATIONS_PIN_STEM, NET_STATION_LAYOUT);
        net_addresses_remove(pin_dir); /* nobody learns any more, and what was learned grows old */
        r = list_veths(local, NULL, 0);
        for (size_t i = 0; r >= 0 && i < local->n_veths; i++) {
                const Veth *veth = &local->veths[i];
                bool made = tc_pin_remove(local->pin_dir, TC_MADE, veth->ifindex);

                for (Way way = 0; way < WAY_MAX; way++) {
                        TcFilter filter = filter_of(veth, way);

                        (void) tc_filter_detach(local->netlink, &filter, made);
                }
        }
        return r;
}
