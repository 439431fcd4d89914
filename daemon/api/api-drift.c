/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was changed behind the daemon's back, to who asks. */

#include "api-internal.h"

static int append_drift(sd_bus_message *reply, const Drift *drift) {
        return sd_bus_message_append(reply, "a{sv}", 8, "Time", "t", drift->utc_usec, "Cause", "s",
                        drift_cause_to_string(drift->cause), "Object", "s", drift->object, "Key", "s",
                        drift->key, "Have", "s", drift->have, "Want", "s", drift->want, "TenantId", "s",
                        drift->tenant_id, "Repaired", "b", (int) drift->repaired);
}

static int append_drifts(sd_bus_message *reply, const DriftLog *log) {
        const Drift *drift;
        int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

        for (size_t i = 0; r >= 0 && (drift = drift_log_get(log, i)); i++)
                r = append_drift(reply, drift);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_counts(sd_bus_message *reply, const DriftLog *log) {
        int r = sd_bus_message_open_container(reply, 'a', "{s(tt)}");

        for (DriftCause cause = 0; r >= 0 && cause < DRIFT_CAUSE_MAX; cause++)
                r = sd_bus_message_append(reply, "{s(tt)}", drift_cause_to_string(cause),
                                log->counts[cause].found, log->counts[cause].repaired);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

int api_method_drift(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const DriftLog *log = &((const Api *) userdata)->node->drift;
        int r;

        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = append_drifts(reply, log);
        if (r >= 0)
                r = append_counts(reply, log);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
