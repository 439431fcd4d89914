/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Finds the configured uplinks by their names, opens those that have come (what comes in gets its IFB) and
 * closes those that went, or are another under their name; and says what each can carry. Changes no class.
 */

#include "uplinks-internal.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* What the uplink can carry: as configured, else as the link says. */
static int hold_capacity(const UplinkHold *hold, uint64_t *ret_bps) {
        if (hold->kind == RESOURCE_NET_INGRESS) {
                *ret_bps = hold->config->ingress_bps;
                return 0;
        }
        if (hold->config->capacity_bps > 0) {
                *ret_bps = hold->config->capacity_bps;
                return 0;
        }
        return uplink_speed(hold->config->name, ret_bps);
}

/* The classes may go on, and be read by the next that is opened: it does not know which of them were made
 * since the last reading. */
static void hold_close(UplinkHold *hold) {
        NetStats left = {};

        if (hold->uplink)
                uplink_part(hold->uplink, &left);
        if (left.n > 0 && net_stats_add_kept(&hold->left, &left) >= 0)
                hold->left = left;
        else
                net_stats_deinit(&left);
        hold->uplink = uplink_free(hold->uplink);
        hold->told_fallback = false;
        hold->error = 0;
        hold->words[0] = '\0';
        hold->applied.n_classes = 0;
}

/* The IFB of the uplink that has the name now, made where there is none. */
static int follow_ingress(const Uplinks *uplinks, UplinkHold *hold) {
        int r;

        if (hold->ingress && net_ingress_stands(hold->ingress))
                return 0;
        hold_close(hold);
        hold->ingress = net_ingress_free(hold->ingress);
        hold->device = NULL;
        r = net_ingress_new(hold->config->name, uplinks->pin_dir, &hold->ingress);
        if (r >= 0)
                hold->device = net_ingress_device(hold->ingress);
        return r;
}

/* What goes out is shaped on the uplink; what comes in on a device that is named for us alone, by HTB. */
int uplink_hold_open(const Uplinks *uplinks, UplinkHold *hold, uint64_t capacity_bps, FeatureSet *features) {
        const bool out = hold->kind == RESOURCE_NET_EGRESS;
        const UplinkOptions options = {
                .ifname = hold->device,
                .keep_dir = uplinks->keep_dir,
                .take_over = out && hold->config->take_over,
                .discipline = out ? (NetDiscipline) hold->config->discipline : NET_DISCIPLINE_HTB,
                .capacity_bps = capacity_bps,
                .pin_dir = out ? uplinks->pin_dir : NULL,
                .guarded_slots = out ? SLOT_FIRST + (uint32_t) uplinks->config->tenants_max : 0,
        };
        char egress[RESOURCE_NAME_SIZE], ingress[RESOURCE_NAME_SIZE];
        FeatureSet found = FEATURE_SET_NULL;
        const Feature *feature;
        int r;

        if (out)
                return uplink_new(&options, features, &hold->uplink);
        r = uplink_new(&options, &found, &hold->uplink);
        resource_format_name(RESOURCE_NET_EGRESS, hold->device, egress);
        resource_format_name(RESOURCE_NET_INGRESS, hold->config->name, ingress);
        feature = feature_set_get(&found, egress);
        if (r >= 0 && feature)
                r = feature_set_put(features, ingress, feature->available, "queued in %s: %s", hold->device,
                                feature->words);
        feature_set_deinit(&found);
        return r;
}

/* Why it is not to be had, by what its link or the kernel does not tell or offer. */
static void hold_say_lack(const UplinkHold *hold, FeatureSet *features) {
        const char *name = hold->config->name;
        char feature[RESOURCE_NAME_SIZE];

        resource_format_name(hold->kind, name, feature);
        if (hold->kind == RESOURCE_NET_INGRESS)
                (void) feature_set_put(features, feature, false,
                                "this kernel has no IFB (CONFIG_IFB): what comes in at %s is not shaped",
                                name);
        else
                (void) feature_set_put(features, feature, false,
                                "%s tells no speed and no capacity is configured for it: its traffic is not "
                                "shaped",
                                name);
}

static void hold_say_closed(const UplinkHold *hold, int error, FeatureSet *features) {
        char feature[RESOURCE_NAME_SIZE];

        resource_format_name(hold->kind, hold->config->name, feature);
        (void) feature_set_put(features, feature, false,
                        "%s cannot be opened (%s): its traffic is not shaped", hold->config->name,
                        strerror(-error));
}

/*
 * Open as long as the interface is there and its capacity known; one that was replugged is another. Says
 * whether it came, went, or is another.
 */
static bool hold_follow(
                const Uplinks *uplinks, UplinkHold *hold, FeatureSet *features, uint64_t *ret_capacity) {
        const bool was_open = hold->uplink;
        int r = hold->kind == RESOURCE_NET_INGRESS ? follow_ingress(uplinks, hold) : 0;
        unsigned ifindex = hold->device ? if_nametoindex(hold->device) : 0;

        if (r >= 0)
                r = ifindex ? hold_capacity(hold, ret_capacity) : -ENODEV;

        if (hold->uplink && (r < 0 || ifindex != hold->ifindex ||
                                            uplink_is_outgrown(hold->uplink, *ret_capacity)))
                hold_close(hold);
        hold->ifindex = ifindex;
        if (hold->uplink)
                return false;

        if (r == -EOPNOTSUPP) {
                hold_say_lack(hold, features);
                return was_open;
        }
        if (r >= 0 && hold->kind == RESOURCE_NET_EGRESS && hold->config->ingress_bps == 0)
                (void) net_ingress_remove(
                                hold->config->name, uplinks->pin_dir); /* of another configuration */
        if (r >= 0)
                r = uplink_hold_open(uplinks, hold, *ret_capacity, features);
        if (r < 0)
                hold_say_closed(hold, r, features);
        return was_open || hold->uplink;
}

static uint64_t or_part(uint64_t configured, uint64_t capacity, uint64_t divisor) {
        return configured != UINT64_MAX ? configured : capacity / divisor;
}

/* Preamble, check sequence and gap, of which the kernel sees nothing and the link's speed everything. What an
 * operator says is the capacity may be another's figure, of whatever he means. */
#define ETHERNET_OVERHEAD_BYTES 24U

static uint64_t overhead_of(const ConfigUplink *config) {
        if (config->overhead_bytes != UINT64_MAX)
                return config->overhead_bytes;
        return config->capacity_bps > 0 ? 0 : ETHERNET_OVERHEAD_BYTES;
}

uint64_t uplinks_overhead(const Uplinks *uplinks, const char *name) {
        for (size_t i = 0; i < uplinks->config->n_uplinks; i++)
                if (strcmp(uplinks->config->uplinks[i].name, name) == 0)
                        return overhead_of(&uplinks->config->uplinks[i]);
        return 0;
}

/* What is configured of the other two classes is of what goes out. */
static UplinkCapacity capacity_of(const UplinkHold *hold, uint64_t capacity_bps) {
        const ConfigUplink *config = hold->config;
        bool out = hold->kind == RESOURCE_NET_EGRESS;

        return (UplinkCapacity){
                .kind = hold->kind,
                .name = config->name,
                .device = hold->device,
                .is_default = config->is_default,
                .capacity_bps = capacity_bps,
                .overhead_bytes = (uint16_t) (out ? overhead_of(config) : 0),
                .control_floor_bps = or_part(out ? config->control_floor_bps : UINT64_MAX, capacity_bps, 100),
                .control_ceil_bps = or_part(out ? config->control_ceil_bps : UINT64_MAX, capacity_bps, 10),
                .default_floor_bps = or_part(out ? config->default_floor_bps : UINT64_MAX, capacity_bps, 100),
        };
}

/* `old_ifindex`: before it was looked for just now. */
static void tell_replugged(const UplinkHold *hold, unsigned old_ifindex, uint32_t index, UplinksTell tell,
                void *userdata) {
        char have[32] = "gone", want[32] = "there";

        if (!hold->was_there || hold->ifindex == old_ifindex ||
                        (hold->kind == RESOURCE_NET_INGRESS && !hold->device))
                return; /* an IFB goes with its uplink, of which it is told */
        if (hold->ifindex)
                snprintf(have, sizeof have, "index %u", hold->ifindex);
        if (old_ifindex)
                snprintf(want, sizeof want, "index %u", old_ifindex);
        tell(index, have, want, userdata);
}

int uplinks_refresh(Uplinks *uplinks, FeatureSet *features, ResourceSet *total, UplinksTell tell,
                void *userdata) {
        bool changed = false;

        if (!uplinks->former_released)
                uplinks_release_former(uplinks);
        uplinks->former_released = true;
        uplinks->n_planned = 0;
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];
                unsigned old_ifindex = hold->ifindex;
                uint64_t capacity = 0, kept;
                int r;

                changed |= hold_follow(uplinks, hold, features, &capacity);
                changed |= hold->uplink && capacity != hold->capacity_bps;
                hold->capacity_bps = capacity;
                tell_replugged(hold, old_ifindex, uplink_hold_index(uplinks, hold), tell, userdata);
                hold->was_there = hold->was_there || hold->uplink;
                if (!hold->uplink)
                        continue;
                uplinks->capacity[uplinks->n_planned] = capacity_of(hold, capacity);
                kept = uplinks->capacity[uplinks->n_planned].control_floor_bps +
                       uplinks->capacity[uplinks->n_planned].default_floor_bps;
                uplinks->planned[uplinks->n_planned++] = hold;
                r = resource_set_put(total, hold->kind, hold->config->name,
                                (Amount){ 0, capacity > kept ? capacity - kept : 0 });
                if (r < 0)
                        return r;
        }
        return changed;
}

const UplinkCapacity *uplinks_capacity(const Uplinks *uplinks, size_t *ret_n) {
        *ret_n = uplinks->n_planned;
        return uplinks->capacity;
}
