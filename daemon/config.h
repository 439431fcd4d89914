/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The configuration: an ini file, then drop-ins in the order of their names, from <file>.d/. Each later value
 * replaces an earlier one. headgated.conf(5) documents every key.
 */

#include "decide/plan.h"

#define CONFIG_UPLINKS_MAX 16

typedef struct ConfigUplink {
        char name[RESOURCE_TARGET_SIZE];
        uint64_t capacity_bps;   /* 0: the link's speed */
        uint64_t overhead_bytes; /* a packet; UINT64_MAX: Ethernet's where the link's speed is the capacity,
                                    else none */
        uint64_t ingress_bps;    /* 0: what comes in is not shaped */
        uint64_t control_floor_bps; /* UINT64_MAX: a hundredth of the capacity */
        uint64_t control_ceil_bps;  /* UINT64_MAX: a tenth of the capacity */
        uint64_t default_floor_bps; /* UINT64_MAX: a hundredth of the capacity */
        uint64_t discipline;        /* a NetDiscipline */
        bool is_default;
        bool take_over; /* of a root qdisc that is not ours */
} ConfigUplink;

#define CONFIG_DEVICES_MAX 64

/* A block device, by its name ("sda") or its numbers ("8:0"). */
typedef struct ConfigDevice {
        char name[BLOCK_NAME_SIZE];
        uint64_t read_bytes,
                        write_bytes; /* a second, that it can do; 0: not known, and nothing is promised */
        uint64_t latency_usec;       /* 0: none */
        bool weighted;               /* io.cost is to divide it */
} ConfigDevice;

typedef struct Config {
        char *node_id; /* owned; NULL: the host's name */
        bool observe;  /* the Mode of tenants that are new */
        uint64_t tenants_max;
        uint64_t allocations_max;
        uint64_t sample_interval_usec;
        uint64_t horizon_usec; /* how far ahead windows that recur are admitted */
        bool sync_required; /* a clock that is not synchronised is not trusted with what cannot be undone */
        bool meter_full;    /* histograms of waits, and whose fault they were */
        uint64_t cpu_reserve_millicores;
        uint64_t memory_reserve_bytes;
        ResidualShare residual;
        bool devices_closed; /* every tenant is held to the devices that it is allotted */
        ConfigUplink uplinks[CONFIG_UPLINKS_MAX];
        size_t n_uplinks;
        ConfigDevice devices[CONFIG_DEVICES_MAX];
        size_t n_devices;
        uint64_t cpu_burst_percent; /* of a period's quota, that a tenant may save up */
        bool oom_group;             /* a tenant out of memory is killed whole */
        bool namespaces;            /* tenants' packets are told apart at veths into network namespaces */
        char **control_groups;      /* owned; below the cgroup mount, "/a/b"; of the control class */
        char **schedulers;          /* owned; users who may push allocations beside root */
} Config;

void config_init(Config *config);
void config_deinit(Config *config);

/*
 * Reads `path` and its drop-ins. A missing file is an empty one where `required` is false. On failure returns
 * a negative errno, or FAILURE_INVALID_ALLOCATION with "file:line: key 'value': bound" in `ret_failure`.
 */
int config_read(Config *config, const char *path, bool required, Failure *ret_failure);

/* Whether what comes in is to be shaped at any uplink. */
bool config_shapes_ingress(const Config *config);
