/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* drain and resume: whether the node takes new allocations. */

#include "client.h"

int verb_drain(const Ctl *ctl) {
        return client_change(ctl, "Drain", "s", ctl->n_args > 0 ? ctl->args[0] : "");
}

int verb_resume(const Ctl *ctl) {
        return client_change(ctl, "Resume", "");
}
