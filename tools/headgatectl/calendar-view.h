/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The calendar drawn as text: a block of rows a resource, the utilisation of its capacity first, then each
 * tenant's part of it. A cell shows the peak within its time. Pure: time, zone (through localtime(3)), width
 * and what the terminal can show are its caller's to know.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Narrower than this it is drawn no more. */
#define CALENDAR_WIDTH_MIN 48

typedef struct CalendarView {
        const char *node_id;
        const json_t *segments; /* as GetCalendar answers: TenantId, Resource, Start, End, Reserved, Limit */
        const json_t *capacity; /* as the Manager's Capacity: each is a block, in this order */
        uint64_t from_usec, until_usec; /* µs UTC */
        uint64_t now_usec;
        uint64_t horizon_usec; /* CalendarHorizon; 0: not known */
        size_t width;          /* columns */
        bool utf8;
        bool color;
        bool legend; /* the time axis, blank lines between blocks, and what the characters mean */
} CalendarView;

/* Returns 0 or -ENOMEM. */
int calendar_view_print(const CalendarView *view, FILE *f);
