/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which tenants are to be looked at again: whoever keeps something that follows from the calendar makes it
 * anew for them alone. A mark too many costs a look; one too few would be a plan that is wrong, so that where
 * there is no memory for a mark all are marked.
 */

#include "calendar.h"

#include <string.h>

static void forget_ids(CalendarMarks *marks) {
        for (size_t i = 0; i < marks->n; i++)
                free(marks->ids[i]);
        free(marks->ids);
        *marks = (CalendarMarks){ .all = marks->all };
}

void calendar_mark_all(Calendar *calendar) {
        calendar->n_marked++;
        calendar->marks.all = true;
        forget_ids(&calendar->marks);
}

void calendar_unmark(Calendar *calendar) {
        calendar->marks.all = false;
        forget_ids(&calendar->marks);
}

/* Twice as many as there are tenants say no more than that it is all of them, and somebody may never ask. */
static bool are_many(const Calendar *calendar) {
        return calendar->marks.n > 2 * calendar->n_tenants + 64;
}

void calendar_mark(Calendar *calendar, const char *tenant_id) {
        CalendarMarks *marks = &calendar->marks;
        _cleanup_free_ char *id = NULL;
        char **ids;

        calendar->n_marked++;
        if (marks->all || (marks->n > 0 && strcmp(marks->ids[marks->n - 1], tenant_id) == 0))
                return;
        id = strdup(tenant_id);
        ids = id && !are_many(calendar) ? reallocarray(marks->ids, marks->n + 1, sizeof(char *)) : NULL;
        if (!ids) {
                calendar_mark_all(calendar);
                return;
        }
        marks->ids = ids;
        ids[marks->n++] = TAKE_PTR(id);
}
