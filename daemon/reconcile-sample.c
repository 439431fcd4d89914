/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the meters have counted, into the node: each tenant's figures, and who made whom wait. It writes to no
 * kernel. */

#include "reconcile-internal.h"

#include "meter/class-meter.h"

#include <string.h>

typedef struct BlameWalk {
        Tenant **by_slot; /* [slots] */
        uint32_t slots;
        int error;
} BlameWalk;

static void add_blame(uint32_t victim, uint32_t culprit, uint64_t nsec, void *userdata) {
        BlameWalk *walk = userdata;
        Tenant *tenant = victim < walk->slots ? walk->by_slot[victim] : NULL;
        const char *name = culprit == CULPRIT_UNKNOWN                        ? BLAME_UNKNOWN
                           : culprit < walk->slots && walk->by_slot[culprit] ? walk->by_slot[culprit]->id
                                                                             : BLAME_SYSTEM;

        if (tenant && nsec > 0 && walk->error >= 0)
                walk->error = blames_push(&tenant->blames, name, nsec);
}

/* Owned by the caller. */
static Tenant **tenants_by_slot(const Reconciler *reconciler, const Node *node) {
        Tenant **by_slot = calloc(reconciler->n_slots, sizeof(Tenant *));

        for (size_t i = 0; by_slot && i < node->n_tenants; i++)
                by_slot[node->tenants[i]->slot] = node->tenants[i];
        return by_slot;
}

/* A table to be walked, some milliseconds where it is full. */
static int read_blames(Reconciler *reconciler, Node *node) {
        _cleanup_free_ Tenant **by_slot = tenants_by_slot(reconciler, node);
        BlameWalk walk = { by_slot, reconciler->n_slots, 0 };
        int r;

        if (!by_slot)
                return -ENOMEM;
        for (size_t i = 0; i < node->n_tenants; i++)
                blames_deinit(&node->tenants[i]->blames);
        r = meter_each_culprit(reconciler->meter, add_blame, &walk);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        for (size_t i = 0; i < node->n_tenants && walk.error >= 0; i++) {
                Tenant *tenant = node->tenants[i];
                uint64_t nsec = meter_read_unascribed(reconciler->meter, tenant->slot);

                if (nsec > 0)
                        walk.error = blames_push(&tenant->blames, BLAME_MORE, nsec);
                blames_sort(&tenant->blames);
        }
        return walk.error;
}

int reconciler_refresh_blames(Reconciler *reconciler, Node *node) {
        int r;

        if (!reconciler->meter || reconciler->blamed == reconciler->samples)
                return 0;
        r = read_blames(reconciler, node);
        if (r >= 0)
                reconciler->blamed = reconciler->samples;
        return r;
}

/* Of most tenants nobody ever is. */
static int read_victims(const Reconciler *reconciler, Tenant *tenant) {
        const OomVictims victims = meter_read_victims(reconciler->meter, tenant->slot);

        if (victims.n == 0) {
                free(tenant->victims);
                tenant->victims = NULL;
                return 0;
        }
        if (!tenant->victims)
                tenant->victims = malloc(sizeof(*tenant->victims));
        if (!tenant->victims)
                return -ENOMEM;
        *tenant->victims = victims;
        return 0;
}

/* What could not be counted stays as it was. `victims`: there may be new ones. Those that are known are read
 * again all the same, as their times follow the clock. */
static int read_tenant(const Reconciler *reconciler, Tenant *tenant, bool victims) {
        int r = meter_read(reconciler->meter, tenant->slot, &tenant->usage);

        if (r < 0 && r != -ENOENT)
                return r;
        return victims || tenant->victims ? read_victims(reconciler, tenant) : 0;
}

int reconciler_sample_tenant(Reconciler *reconciler, Tenant *tenant) {
        int r;

        if (!reconciler->meter)
                return 0;
        r = meter_refresh_slot(reconciler->meter, tenant->slot);
        if (r >= 0)
                r = read_tenant(reconciler, tenant, /* victims= */ true);
        meter_rest(reconciler->meter);
        return r;
}

/* Where there is but one uplink, all that a tenant has is what it has there. One that is configured may never
 * have been there; of one that is configured no more a tenant may have counts. */
static bool has_several_uplinks(const Reconciler *reconciler) {
        size_t n = 0;

        for (size_t i = 0; i < CLASS_METER_LINKS_MAX; i++)
                n += !!meter_uplink(reconciler->meter, CLASS_WAY_OUT, i);
        return n > 1 || reconciler->options.config->n_uplinks > 1;
}

/* The meter's counters of each uplink, whether or not it is there now. */
static int read_uplinks(const Meter *meter, ClassWay way, Tenant *tenant) {
        for (size_t i = 0; i < CLASS_METER_LINKS_MAX; i++) {
                const char *uplink = meter_uplink(meter, way, i);
                uint64_t counters[NET_CLASS_COUNTERS];
                UplinkUsage *usage;

                if (!uplink || !meter_read_uplink(meter, way, i, tenant->slot, counters))
                        continue;
                usage = uplink_usages_get(&tenant->uplinks, uplink);
                if (!usage)
                        return -ENOMEM;
                usage->known[way] = true;
                memcpy(usage->values[way], counters, sizeof(counters));
        }
        return 0;
}

/* Of two classes with one slot the last is there now. */
static int note_backlogs(Tenant **by_slot, uint32_t slots, ClassWay way, const NetStats *stats) {
        for (size_t i = 0; i < stats->n; i++) {
                Tenant *tenant = stats->classes[i].slot < slots ? by_slot[stats->classes[i].slot] : NULL;
                UplinkUsage *usage = tenant ? uplink_usages_get(&tenant->uplinks, stats->uplink) : NULL;
                uint64_t values[NET_CLASS_FIGURES];

                if (tenant && !usage)
                        return -ENOMEM;
                if (!tenant)
                        continue;
                net_class_values(&stats->classes[i], values);
                memcpy(usage->values[way] + NET_CLASS_COUNTERS, values + NET_CLASS_COUNTERS,
                                NET_CLASS_GAUGES * sizeof(uint64_t));
        }
        return 0;
}

static int sample_way(Reconciler *reconciler, Node *node, ClassWay way,
                const NetStats links[static CONFIG_UPLINKS_MAX]) {
        _cleanup_free_ Tenant **by_slot = NULL;
        int r;

        meter_note_classes(reconciler->meter, way, links, CONFIG_UPLINKS_MAX);
        if (!has_several_uplinks(reconciler))
                return 0;
        by_slot = tenants_by_slot(reconciler, node);
        r = by_slot ? 0 : -ENOMEM;
        for (size_t i = 0; r >= 0 && i < node->n_tenants; i++)
                r = read_uplinks(reconciler->meter, way, node->tenants[i]);
        for (size_t i = 0; r >= 0 && i < CONFIG_UPLINKS_MAX; i++)
                r = note_backlogs(by_slot, reconciler->n_slots, way, &links[i]);
        return r;
}

static int sample_classes(Reconciler *reconciler, Node *node) {
        static const ResourceKind kinds[CLASS_WAY_MAX] = { RESOURCE_NET_EGRESS, RESOURCE_NET_INGRESS };
        int r = 0;

        _Static_assert(CONFIG_UPLINKS_MAX <= CLASS_METER_LINKS_MAX, "a place for each");
        for (size_t i = 0; i < node->n_tenants; i++)
                uplink_usages_forget(&node->tenants[i]->uplinks);
        for (ClassWay way = 0; r >= 0 && way < CLASS_WAY_MAX; way++) {
                NetStats links[CONFIG_UPLINKS_MAX] = {};

                uplinks_read_stats(reconciler->uplinks, kinds[way], links);
                r = sample_way(reconciler, node, way, links);
                for (size_t i = 0; i < CONFIG_UPLINKS_MAX; i++)
                        net_stats_deinit(&links[i]);
        }
        return r;
}

void reconciler_note_left(Reconciler *reconciler, Node *node) {
        if (reconciler->meter && uplinks_have_left(reconciler->uplinks))
                (void) sample_classes(reconciler, node);
}

static int sample_latencies(Reconciler *reconciler, Node *node) {
        for (size_t i = 0; i < node->n_tenants; i++) {
                Tenant *tenant = node->tenants[i];
                int r;

                block_latencies_deinit(&tenant->latencies);
                r = meter_read_latencies(reconciler->meter, tenant->slot, &tenant->latencies);
                if (r < 0)
                        return r == -EOPNOTSUPP ? 0 : r;
        }
        return 0;
}

/* Asked of the kernel a second time only where the meter did not just see it. */
static bool is_alive(const Reconciler *reconciler, uint32_t slot, const TenantGroup *group) {
        return meter_saw_group(reconciler->meter, slot) == tenant_group_id(group) ||
               tenant_group_alive(group);
}

bool reconciler_look_for_overruns(Reconciler *reconciler, uint64_t boot_usec) {
        return reconciler->uplinks && uplinks_look_for_overruns(reconciler->uplinks, boot_usec);
}

static int sample(Reconciler *reconciler, Node *node, bool all) {
        uint64_t victims = meter_count_victims(reconciler->meter);
        bool gone = false;
        int r;

        reconciler->samples++;
        r = sample_classes(reconciler, node);
        if (r >= 0)
                r = meter_refresh(reconciler->meter, all);
        if (r < 0)
                return r;
        meter_read_control(reconciler->meter, &node->control);
        for (size_t i = 0; i < node->n_tenants; i++) {
                Tenant *tenant = node->tenants[i];
                TenantGroup *group = reconciler->groups[tenant->slot];

                r = read_tenant(reconciler, tenant, victims != reconciler->victims);
                if (r < 0)
                        return r;
                gone = gone || (group && !is_alive(reconciler, tenant->slot, group));
        }
        reconciler->victims = victims;
        if (all) {
                r = reconciler_refresh_blames(reconciler, node);
                if (r >= 0)
                        r = sample_latencies(reconciler, node);
                if (r < 0)
                        return r;
        }
        return gone;
}

bool reconciler_read_duration(void *userdata, const Tenant *tenant, Duration duration, Histogram *ret) {
        const Reconciler *reconciler = userdata;

        return reconciler->meter && meter_read_duration(reconciler->meter,
                                                    tenant ? tenant->slot : SLOT_CONTROL, duration, ret) >= 0;
}

int reconciler_sample(Reconciler *reconciler, Node *node, bool all) {
        int r;

        if (!reconciler->meter)
                return 0;
        r = sample(reconciler, node, all);
        meter_rest(reconciler->meter);
        return r;
}
