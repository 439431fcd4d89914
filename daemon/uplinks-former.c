/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an earlier configuration left on interfaces that are no uplinks in this one: a slot's class would hold
 * its next tenant there to what the last one might. Found by our marks alone; a root qdisc that was taken
 * over comes back.
 */

#include "uplinks-internal.h"

#include "enforce/ifb.h"
#include "enforce/uplink-marks.h"
#include "util/log.h"

#include <net/if.h>
#include <string.h>

static bool is_configured(const Uplinks *uplinks, const char *ifname) {
        for (size_t i = 0; i < uplinks->config->n_uplinks; i++)
                if (strcmp(uplinks->config->uplinks[i].name, ifname) == 0)
                        return true;
        return false;
}

/* The filters that send to an IFB first, and those that pace; the clsact goes with the last that is on it. */
static int release_former(const Uplinks *uplinks, const char *ifname) {
        const UplinkOptions options = {
                .ifname = ifname,
                .keep_dir = uplinks->keep_dir,
                .discipline = NET_DISCIPLINE_HTB,
                .pin_dir = uplinks->pin_dir,
        };
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        _cleanup_(uplink_free_p) Uplink *uplink = NULL;
        int ingress, egress, classifier;

        ingress = net_ingress_remove(ifname, uplinks->pin_dir);
        egress = uplink_new(&options, &features, &uplink);
        if (egress >= 0)
                egress = uplink_release(uplink);
        classifier = net_classifier_remove(ifname, uplinks->pin_dir);
        return ingress < 0 ? ingress : egress < 0 && egress != -ENODEV ? egress : classifier;
}

void uplinks_release_former(const Uplinks *uplinks) {
        _cleanup_uplink_marks_ UplinkMarks marks = {};
        char ifname[IF_NAMESIZE];
        int r;

        ifb_drop_stale();
        r = uplink_marks_find(&marks);
        if (r < 0)
                (void) log_warning_errno(r, "Uplinks of an earlier configuration cannot be looked for");
        for (size_t i = 0; i < marks.n; i++) {
                const LogFields fields = { .object = ifname };

                if (!if_indextoname(marks.ifindex[i], ifname) || is_configured(uplinks, ifname))
                        continue;
                r = release_former(uplinks, ifname);
                if (r < 0)
                        log_write(LOG_WARNING, &fields,
                                        "%s is no uplink any more, and something of ours stays on it: %s",
                                        ifname, strerror(-r));
                else
                        log_write(LOG_INFO, &fields, "%s is no uplink any more, and not shaped", ifname);
        }
}
