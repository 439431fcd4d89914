/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What this node has to promise: its CPUs, memory, block devices and uplinks, less the system's reserve,
 * within an operator's bounds. */

#include "reconcile-internal.h"

#include "enforce/topology-read.h"
#include "util/log.h"

#include <unistd.h>

static uint64_t total_memory(void) {
        return (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE);
}

static uint64_t less(uint64_t total, uint64_t reserve) {
        return total > reserve ? total - reserve : 0;
}

/* No more than an operator lets be promised, nor than there is. */
static int bound_capacity(
                const ResourceSet *hardware, const ResourceSet *operator_capacity, ResourceSet *ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < hardware->n; i++) {
                const Resource *entry = &hardware->entries[i];
                const Amount *bound = resource_set_get(operator_capacity, entry->kind, entry->target);
                Amount amount = entry->amount;

                if (bound && bound->limit < amount.limit)
                        amount.limit = bound->limit;
                r = resource_set_put(ret, entry->kind, entry->target, amount);
        }
        return r;
}

static void tell_link(uint32_t index, const char *have, const char *want, void *userdata) {
        const Reconciler *reconciler = userdata;

        if (reconciler->tell_drift)
                reconciler->tell_drift(&(DriftPlace){ DRIFT_PLACE_UPLINK, index }, DRIFT_LINK, "interface",
                                have, want, reconciler->tell_userdata);
}

#define SYSFS "/sys"

/* 1 where it changed. Memory and cores are looked at only when CPUs come and go. */
static int refresh_topology(Reconciler *reconciler, int error, const CpuSet *online) {
        Topology *topology = &reconciler->capacity.topology, found = TOPOLOGY_NULL;
        const bool same = error >= 0 && topology->n_cpus > 0 && cpu_set_equal(online, &topology->online);
        int r = error < 0 || same ? error : topology_read(SYSFS, &found);

        if (r < 0 && r != reconciler->topology_error)
                (void) log_warning_errno(r, "The node's CPUs cannot be read: none of them can be named");
        reconciler->topology_error = r;
        if (r < 0 || same)
                return r;
        topology_deinit(topology);
        *topology = found;
        return 1;
}

/* libc reads the same file. */
static uint64_t count_cpus(int error, const CpuSet *online) {
        return error < 0 || cpu_set_is_empty(online) ? (uint64_t) sysconf(_SC_NPROCESSORS_ONLN)
                                                     : cpu_set_count(online);
}

int reconciler_refresh_capacity(
                Reconciler *reconciler, FeatureSet *features, const ResourceSet *operator_capacity) {
        _cleanup_resource_set_ ResourceSet bounded = RESOURCE_SET_NULL;
        const Config *config = reconciler->options.config;
        _cleanup_resource_set_ ResourceSet total = RESOURCE_SET_NULL;
        CpuSet online;
        const int error = topology_read_online(SYSFS, &online);
        const uint64_t cpu_millicores = count_cpus(error, &online) * 1000;
        const UplinkCapacity *uplinks;
        size_t n_uplinks;
        CapacityNews news = CAPACITY_NEWS_NONE;
        bool hardware_changed;
        int r, devices = 0;

        r = resource_set_put(&total, RESOURCE_CPU, "",
                        (Amount){ 0, less(cpu_millicores, config->cpu_reserve_millicores) });
        if (r >= 0)
                r = resource_set_put(&total, RESOURCE_MEMORY, "",
                                (Amount){ 0, less(total_memory(), config->memory_reserve_bytes) });
        if (r >= 0)
                r = devices = reconciler_refresh_block_devices(reconciler, features, &total);
        if (r >= 0 && !reconciler->options.dry_run)
                r = uplinks_refresh(reconciler->uplinks, features, &total, tell_link, reconciler);
        if (r < 0)
                return r;
        uplinks = uplinks_capacity(reconciler->uplinks, &n_uplinks);
        reconciler->capacity.default_uplink = NULL;
        for (size_t i = 0; i < n_uplinks; i++)
                if (uplinks[i].is_default)
                        reconciler->capacity.default_uplink = uplinks[i].name;
        hardware_changed = refresh_topology(reconciler, error, &online) > 0 || r > 0 ||
                           cpu_millicores != reconciler->cpu_millicores;
        r = bound_capacity(&total, operator_capacity, &bounded);
        if (r < 0)
                return r;
        if (hardware_changed || !resource_set_equal(&bounded, &reconciler->capacity.total))
                news = CAPACITY_NEWS_PROMISE;
        else if (devices > 0)
                news = CAPACITY_NEWS_TARGETS;
        reconciler->cpu_millicores = cpu_millicores;
        resource_set_deinit(&reconciler->capacity.hardware);
        resource_set_deinit(&reconciler->capacity.total);
        reconciler->capacity.hardware = total;
        reconciler->capacity.total = bounded;
        total = bounded = (ResourceSet) RESOURCE_SET_NULL;
        if (news != CAPACITY_NEWS_NONE)
                reconciler_look_again(reconciler);
        return (int) news;
}

const Capacity *reconciler_capacity(const Reconciler *reconciler) {
        return &reconciler->capacity;
}
