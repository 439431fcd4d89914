/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a D-Bus error means to someone at a terminal: an exit code and one line that says what to do next. */

#include "headgatectl.h"

#include <systemd/sd-bus.h>

/*
 * `where` is the bus in words ("the system bus"). `error` may be unset, then `r`, a negative errno, stands
 * alone. The sentence is to be freed; NULL where there was no memory.
 */
CtlExit bus_error_explain(const sd_bus_error *error, int r, const char *where, char **ret_sentence);
