/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* renew: a lease, from now on for so long. */

#include "client.h"
#include "quantity.h"

int verb_renew(const Ctl *ctl) {
        uint64_t usec;

        if (!quantity_parse_duration(ctl->args[1], &usec))
                return ctl_fail(CTL_USAGE, "DURATION is '%s', expected " QUANTITY_DURATION_EXPECTED,
                                ctl->args[1]);

        return client_change(ctl, "Renew", "st", ctl->args[0], usec);
}
