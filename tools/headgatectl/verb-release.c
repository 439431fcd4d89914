/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* release: end an allocation before its end. */

#include "client.h"

int verb_release(const Ctl *ctl) {
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        r = client_new_call(&client, HEADGATE_PATH, HEADGATE_MANAGER, "Release", &call);
        if (r != 0)
                return r;

        r = sd_bus_message_append(call, "sts", ctl->args[0], ctl->generation, ctl->reason);
        if (r < 0)
                return client_fail(&client, r, "cannot send the release");

        return client_call(&client, call, CLIENT_TIMEOUT_CHANGE, /* ret_reply= */ NULL);
}
