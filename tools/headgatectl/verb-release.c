/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* release: end an allocation before its end. */

#include "client.h"

int verb_release(const Ctl *ctl) {
        return client_change(ctl, "Release", "sts", ctl->args[0], ctl->generation, ctl->reason);
}
