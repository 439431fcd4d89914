/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Hands each uplink that is there its part of the plan, and remembers what went through, so that one is
 * looked at only when its plan changes or a look at it is asked for. It plans nothing. What goes out and what
 * comes in are held alike, on the uplink itself and on an IFB.
 */

#include "uplinks-internal.h"

#include "enforce/edt-pacer.h"
#include "enforce/flood-guard.h"

#include <string.h>

uint32_t uplink_hold_index(const Uplinks *uplinks, const UplinkHold *hold) {
        return (uint32_t) (hold->config - uplinks->config->uplinks);
}

int uplinks_new(const Config *config, const char *pin_dir, const char *keep_dir, Uplinks **ret) {
        Uplinks *uplinks = calloc(1, sizeof(Uplinks));

        if (!uplinks)
                return -ENOMEM;
        uplinks->pin_dir = pin_dir;
        uplinks->keep_dir = keep_dir;
        uplinks->config = config;
        uplinks->local_due = true;
        uplinks->addresses = (Table) TABLE_NULL;
        for (size_t i = 0; i < config->n_uplinks; i++) {
                const ConfigUplink *uplink = &config->uplinks[i];

                uplinks->holds[uplinks->n_holds++] = (UplinkHold){
                        .config = uplink, .kind = RESOURCE_NET_EGRESS, .device = uplink->name
                };
                if (uplink->ingress_bps > 0)
                        uplinks->holds[uplinks->n_holds++] =
                                        (UplinkHold){ .config = uplink, .kind = RESOURCE_NET_INGRESS };
        }
        *ret = uplinks;
        return 0;
}

Uplinks *uplinks_free(Uplinks *uplinks) {
        if (!uplinks)
                return NULL;
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                net_classifier_free(uplinks->holds[i].classifier);
                net_ingress_free(uplinks->holds[i].ingress);
                uplink_free(uplinks->holds[i].uplink);
                free(uplinks->holds[i].applied.classes);
                net_stats_deinit(&uplinks->holds[i].left);
        }
        net_local_free(uplinks->local);
        table_deinit(&uplinks->addresses);
        free(uplinks);
        return NULL;
}

static void hold_remember(UplinkHold *hold, const NetPlan *plan, bool read_back) {
        NetClass *classes = reallocarray(hold->applied.classes, plan->n_classes, sizeof(NetClass));

        if (!classes) {
                hold->applied.n_classes = 0; /* looked at again, that is all */
                return;
        }
        memcpy(classes, plan->classes, plan->n_classes * sizeof(NetClass));
        hold->applied = *plan;
        hold->applied.classes = classes;
        hold->read_back = read_back;
}

/* The classifier goes with its interface, or with whoever takes the hook away. */
static void ensure_classifier(const Uplinks *uplinks, UplinkHold *hold, int groups_fd, FeatureSet *features) {
        const int floods_fd = uplink_floods_fd(hold->uplink);

        if (groups_fd < 0 || (hold->classifier && net_classifier_alive(hold->classifier, floods_fd)))
                return;
        hold->classifier = net_classifier_free(hold->classifier);
        (void) net_classifier_new(hold->config->name, groups_fd, floods_fd, uplinks->pin_dir, features,
                        &hold->classifier);
        hold->classifier_due = false;
}

/* `ret_words`: why not, where there are any. */
static int ensure_ingress(Uplinks *uplinks, UplinkHold *hold, int groups_fd, FeatureSet *features,
                const char **ret_words) {
        if (groups_fd < 0 && groups_fd != -EOPNOTSUPP)
                return 0;
        for (size_t i = 0; i < uplinks->n_planned; i++) /* the clsact is the classifier's to make */
                if (uplinks->planned[i]->config == hold->config && !uplinks->planned[i]->ingress)
                        ensure_classifier(uplinks, uplinks->planned[i], groups_fd, features);
        return net_ingress_attach(hold->ingress, groups_fd, uplinks_addresses_fd(uplinks), ret_words);
}

/* Nothing but what differs from it needs to be looked at. */
static bool hold_is_read_back(const UplinkHold *hold) {
        return hold->read_back && hold->applied.n_classes > 0;
}

static void hold_apply(Uplinks *uplinks, UplinkHold *hold, const NetPlan *plan, int groups_fd,
                FeatureSet *features, unsigned *changes) {
        unsigned messages = 0;
        bool read_back = false, look = false;
        const char *words;
        int r = -ESTALE;

        if (hold_is_read_back(hold))
                r = uplink_change(hold->uplink, &hold->applied, plan, &messages);
        if (r >= 0)
                read_back = r > 0;
        else {
                look = true; /* at the filters, too; of what was read back, news would tell */
                r = uplink_apply(hold->uplink, plan, &messages);
        }
        *changes += messages;
        words = uplink_words(hold->uplink);
        if (r >= 0) {
                hold_remember(hold, plan, read_back);
                words = NULL;
                if (hold->ingress && look)
                        r = ensure_ingress(uplinks, hold, groups_fd, features, &words);
        }
        uplink_hold_note(hold, r < 0 ? r : 0, words, features);
        uplink_hold_note_fallback(hold, features);
        if (r >= 0 && !hold->ingress && (look || hold->classifier_due))
                ensure_classifier(uplinks, hold, groups_fd, features);
}

void uplinks_apply(Uplinks *uplinks, const NetPlan *plans, int groups_fd, FeatureSet *features,
                unsigned *changes) {
        for (size_t i = 0; i < uplinks->n_planned; i++)
                if (!net_plan_equal(&uplinks->planned[i]->applied, &plans[i]))
                        hold_apply(uplinks, uplinks->planned[i], &plans[i], groups_fd, features, changes);
}

void uplinks_observe(Uplinks *uplinks, NetPlan *ret) {
        for (size_t i = 0; i < uplinks->n_planned; i++)
                if (uplink_observe(uplinks->planned[i]->uplink, NULL, &ret[i]) < 0)
                        ret[i] = (NetPlan){};
}

void uplinks_read_back(Uplinks *uplinks, FeatureSet *features, NetPlan *ret) {
        for (size_t i = 0; i < uplinks->n_planned; i++) {
                UplinkHold *hold = uplinks->planned[i];
                const NetPlan *applied = hold->applied.n_classes > 0 ? &hold->applied : NULL;
                int r = hold_is_read_back(hold) ? uplink_expect(hold->uplink, applied, &ret[i]) : -ENODATA;

                if (r < 0)
                        r = uplink_observe(hold->uplink, applied, &ret[i]);
                hold->read_back = r == 0;
                if (r < 0)
                        ret[i] = (NetPlan){};
                if (r != 0 && applied)
                        uplink_hold_note(hold, r < 0 ? r : -EREMOTEIO, uplink_words(hold->uplink), features);
        }
}

void uplinks_release(Uplinks *uplinks) {
        FeatureSet features = FEATURE_SET_NULL; /* nobody asks any more */

        for (size_t i = 0; i < uplinks->n_holds; i++) {
                UplinkHold *hold = &uplinks->holds[i];

                if (hold->kind == RESOURCE_NET_INGRESS)
                        continue;
                (void) net_ingress_remove(hold->config->name, uplinks->pin_dir);
                /* One that tells no speed now may have told one before. */
                if (hold->uplink || uplink_hold_open(uplinks, hold, /* capacity_bps= */ 0, &features) >= 0)
                        (void) uplink_release(hold->uplink);
                /* The hook goes with the last that is on it. */
                if (hold->classifier)
                        (void) net_classifier_release(hold->classifier);
                else
                        (void) net_classifier_remove(hold->config->name, uplinks->pin_dir);
        }
        uplinks_release_former(uplinks);
        (void) net_local_remove(uplinks->pin_dir);
        net_addresses_remove(uplinks->pin_dir);
        edt_pacer_unpin(uplinks->pin_dir);
        flood_guard_unpin(uplinks->pin_dir);
        feature_set_deinit(&features);
}
