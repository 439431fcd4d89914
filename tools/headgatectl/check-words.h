/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What Check answers to one request, in a sentence or two. */

#include <jansson.h>
#include <stdint.h>

/*
 * "web-1 does not fit: cpu 4 wanted, 2100m free, from 15:00 to 17:00. It would fit from 17:00:00 (in 2h5m)."
 * or "web-2 fits, by preempting a, b." To be freed. NULL in *ret where there is nothing to say: it fits, and
 * nobody has to go. Times are local. Returns 0 or -ENOMEM.
 */
int check_words_format(const json_t *check, uint64_t now_usec, char **ret);
