/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is a tenant's in network namespaces: at the host's end of each veth that leads into one, two tc
 * filters (bpf/net-local.bpf.c) note whose a packet is that comes out, for the classifier at the uplink
 * (net-class.h), and count what goes in from this node as traffic that stayed there. Namespaces are not
 * looked for: a veth says by itself that its peer is in one. Beside other filters, never in their place.
 */

#include "bpf/pin.h"
#include "model/feature.h"

#include <stdint.h>

typedef struct NetLocal NetLocal;

typedef struct NetLocalOptions {
        int groups_fd;       /* the meter's map of cgroup id to slot */
        int rows_fd;         /* the meter's table of what each slot sent and received */
        uint32_t slots;      /* of that table */
        int addresses_fd;    /* net_addresses_open() */
        const char *pin_dir; /* our directory on bpffs, or NULL for nothing pinned; as long as the object */
} NetLocalOptions;

/* Whose addresses in namespaces are, as the programs learn it, for what comes in (net-ingress.h): with the
 * directory as above. */
int net_addresses_open(const char *pin_dir, Table *ret);
/* Unpins it. */
void net_addresses_remove(const char *pin_dir);

/* Loads; attaches nothing yet. Adds "net.namespaces" to `features` either way. */
int net_local_new(const NetLocalOptions *options, FeatureSet *features, NetLocal **ret);
/* Leaves what is attached. */
NetLocal *net_local_free(NetLocal *local);
DEFINE_CLEANUP(NetLocal *, net_local_free);

/* Somebody changed a filter on this interface: whether it is one of those, to be looked at again. */
bool net_local_look_again_at(NetLocal *local, unsigned ifindex);
/* The next call of net_local_follow() believes of none of them that it is attached to. */
void net_local_look_again(NetLocal *local);
/*
 * Attaches to each veth into a namespace that has come since, except for those named. What is there already
 * is left. One that fails is tried again with the next call; an error that may have passed by then, of any
 * of them, is returned once all have been tried.
 */
int net_local_follow(NetLocal *local, const char *const *except, size_t n_except);

/* Ours off every veth, those of an earlier run too, and unpinned; nothing where nothing of it is pinned. */
int net_local_remove(const char *pin_dir);
