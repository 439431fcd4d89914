/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What hangs on the uplinks, compared with what last went through there; and whose a change is that the
 * kernel tells of. Puts nothing right but pins, and queues that were too full to be: the next apply does,
 * which is told to look again.
 */

#include "uplinks-internal.h"

#include <net/if.h>
#include <string.h>

void uplinks_look_again(Uplinks *uplinks) {
        for (size_t i = 0; i < uplinks->n_holds; i++)
                uplinks->holds[i].applied.n_classes = 0;
}

void uplinks_look_again_at(Uplinks *uplinks, uint32_t index) {
        for (size_t i = 0; i < uplinks->n_holds; i++)
                if (uplink_hold_index(uplinks, &uplinks->holds[i]) == index)
                        uplinks->holds[i].applied.n_classes = 0;
}

typedef struct Comparison {
        const UplinkHold *hold;
        UplinkDifference tell;
        void *userdata;
} Comparison;

/* What hung on an interface that has gone by now went with it: uplinks_refresh() tells of that. */
static void tell_if_there(const char *key, const char *have, const char *want, void *userdata) {
        const Comparison *comparison = userdata;

        if (if_nametoindex(comparison->hold->device) == comparison->hold->ifindex)
                comparison->tell(key, have, want, comparison->userdata);
}

static void hold_check(UplinkHold *hold, UplinkDifference tell, void *userdata) {
        Comparison comparison = { hold, tell, userdata };

        if (!hold->uplink || hold->applied.n_classes == 0)
                return; /* the next apply looks at it in any case */
        if (uplink_compare(hold->uplink, &hold->applied, tell_if_there, &comparison) == 0 &&
                        uplink_has_room(hold->uplink))
                (void) uplink_apply(hold->uplink, &hold->applied, NULL);
        hold->classifier_due = !hold->classifier;
        if (hold->classifier && !net_classifier_alive(hold->classifier, uplink_floods_fd(hold->uplink)))
                tell_if_there("filter", "none", "net.classify", &comparison);
        if (hold->ingress && !net_ingress_alive(hold->ingress))
                tell_if_there("filter", "none", "net.ingress", &comparison);
}

void uplinks_check(Uplinks *uplinks, uint32_t index, UplinkDifference tell, void *userdata) {
        for (size_t i = 0; i < uplinks->n_holds; i++)
                if (uplink_hold_index(uplinks, &uplinks->holds[i]) == index)
                        hold_check(&uplinks->holds[i], tell, userdata);
}

/* Pins of an interface that is no more were taken away by us, or are to be. */
void uplinks_keep_pins(const Uplinks *uplinks, PinTell tell, void *userdata) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];

                if (!hold->device || hold->ifindex == 0 || if_nametoindex(hold->device) != hold->ifindex)
                        continue;
                if (hold->classifier)
                        net_classifier_keep_pins(hold->classifier, tell, userdata);
                if (hold->uplink)
                        uplink_keep_pins(hold->uplink, tell, userdata);
        }
}

static void tell_nobody(const char *key, const char *have, const char *want, void *userdata) {
}

bool uplinks_is_verified(const Uplinks *uplinks, uint32_t index) {
        bool verified = true;

        for (size_t i = 0; verified && i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];

                if (uplink_hold_index(uplinks, hold) == index)
                        verified = hold->uplink && hold->applied.n_classes > 0 && hold->error == 0 &&
                                   uplink_compare(hold->uplink, &hold->applied, tell_nobody, NULL) == 0 &&
                                   (!hold->ingress || net_ingress_alive(hold->ingress));
        }
        return verified;
}

bool uplinks_find(const Uplinks *uplinks, const LinkChange *change, uint32_t *ret_index) {
        for (size_t i = 0; i < uplinks->n_holds; i++) {
                const UplinkHold *hold = &uplinks->holds[i];
                bool same = hold->ifindex > 0 && (int) hold->ifindex == change->ifindex;

                if (!same && (change->traffic || !hold->device || strcmp(hold->device, change->name) != 0))
                        continue;
                if (change->traffic && hold->uplink && change->port == uplink_port(hold->uplink))
                        return false;
                *ret_index = uplink_hold_index(uplinks, hold);
                return true;
        }
        return false;
}
