/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which interfaces bear something of ours that is of an uplink, whoever configured it: a root qdisc of our
 * handle, one of our filters at clsact, an IFB. It changes nothing.
 */

#include <stddef.h>

typedef struct UplinkMarks {
        unsigned *ifindex; /* owned; each once */
        size_t n;
} UplinkMarks;

/* One dump of qdiscs, and one of each clsact's filters and way. The caller frees with uplink_marks_deinit().
 */
int uplink_marks_find(UplinkMarks *ret);
void uplink_marks_deinit(UplinkMarks *marks);
#define _cleanup_uplink_marks_ _cleanup_(uplink_marks_deinit)
