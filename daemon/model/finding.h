/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What was found when somebody asked how things stand: where the node differs from its plan, value by value,
 * and why a value is what it is. Texts, as they are to be read.
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct Difference {
        char *tenant_id; /* NULL: the node's own */
        char *object;    /* a control group, "/headgate.slice/…", or an uplink's name */
        char *name;      /* "cpu.max"; "class 4847:12" */
        char *have;      /* "": there is none */
        char *want;      /* "": there is to be none */
        char *held_back; /* why it is left as it is; NULL: the next look at it changes it */
} Difference;

typedef struct DifferenceList {
        Difference *entries; /* owned, with their texts */
        size_t n;
        size_t bytes; /* that they are as a D-Bus message, from above */
} DifferenceList;

#define DIFFERENCE_LIST_NULL \
        { NULL, 0, 0 }

/* What a bus daemon takes as one message (api/api-size.c), but for its header. */
#define DIFFERENCE_LIST_BYTES_MAX ((32U << 20) - 4096)

/* Copies the texts, which may be anybody's. -EOVERFLOW: there are too many to be told at once, and the list
 * is as it was. */
int difference_list_add(DifferenceList *list, const char *tenant_id, const char *object, const char *name,
                const char *have, const char *want, const char *held_back);
void difference_list_deinit(DifferenceList *list);
#define _cleanup_differences_ _cleanup_(difference_list_deinit)

typedef struct Explanation {
        char *name;     /* "cpu.max"; "cpu"; "State" */
        char *value;    /* as planned */
        char *in_force; /* as read just now; "": it is not read */
        char *why;
} Explanation;

typedef struct ExplanationList {
        Explanation *entries; /* owned, with their texts */
        size_t n;
} ExplanationList;

#define EXPLANATION_LIST_NULL \
        { NULL, 0 }

int explanation_list_add(ExplanationList *list, const char *name, const char *value, const char *in_force,
                const char *why);
void explanation_list_deinit(ExplanationList *list);
#define _cleanup_explanations_ _cleanup_(explanation_list_deinit)
