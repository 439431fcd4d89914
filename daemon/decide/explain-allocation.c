/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An allocation: why it is in its state, and what it adds to its tenant's share. */

#include "explain-internal.h"

#include "util/civil.h"

#include <inttypes.h>
#include <string.h>

/* "…begins 2026-11-22T10:00:00Z". */
static void print_at(Words *words, const char *what, uint64_t utc_usec) {
        char time[CIVIL_TEXT_SIZE];

        words_add(words, "%s%s", what, utc_usec == UINT64_MAX ? "never" : civil_format_utc(utc_usec, time));
}

/* What others have is theirs to know. */
static bool may_name(bool is_reader, const Allocation *allocation, const Allocation *other) {
        return is_reader || strcmp(allocation->tenant_id, other->tenant_id) == 0;
}

static void print_borrowers(Words *words, bool is_reader, const Allocation *allocation) {
        for (size_t i = 0; i < allocation->n_borrowers; i++) {
                const Allocation *borrower = allocation->borrowers[i];

                words_add(words, "%s", i == 0 ? "; it lends to " : ", ");
                if (may_name(is_reader, allocation, borrower))
                        words_add(words, "%s (priority %d)", borrower->id, (int) borrower->priority);
                else
                        words_add(words, "another allocation");
        }
}

/* What changes it next. */
static void print_next(Words *words, const Calendar *calendar, const Allocation *allocation) {
        switch (allocation->state) {
        case ALLOCATION_PENDING:
                print_at(words, "; its window begins ", allocation->window.start_usec);
                if (calendar->draining)
                        words_add(words, "; the node drains: no window begins");
                break;
        case ALLOCATION_ACTIVE:
                print_at(words, "; its window ends ", allocation->window.end_usec);
                if (allocation->lease_usec > 0)
                        print_at(words, "; its lease, unless it is renewed, ", allocation->lease_expiry_usec);
                break;
        case ALLOCATION_HELD:
                print_at(words,
                                "; OnLeaseExpiry is hold: limits stay until it is renewed, or its window "
                                "ends ",
                                allocation->window.end_usec);
                break;
        case ALLOCATION_SUSPENDED:
                print_at(words, "; PreemptMode is suspend, its window ends ", allocation->window.end_usec);
                break;
        case ALLOCATION_ENDING:
                words_add(words, "; GraceTime is %" PRIu64 " µs: ceilings hold, floors are gone",
                                allocation->grace_usec);
                break;
        default:
                print_at(words, "; since ", allocation->actual_end_usec);
                break;
        }
}

int explain_state(const Calendar *calendar, bool is_reader, const Allocation *allocation, char **ret) {
        Words words = WORDS_NULL;

        words_add(&words, "%s", allocation_reason(allocation, is_reader) ?: "it was accepted");
        print_next(&words, calendar, allocation);
        print_borrowers(&words, is_reader, allocation);
        if (calendar->irrevocable_waits && allocation_is_live(allocation))
                words_add(&words, "; the clock is not trusted: what cannot be undone waits");
        return words_take(&words, ret);
}

int explain_part(const Calendar *calendar, bool is_reader, const Allocation *allocation,
                const Resource *entry, char **ret) {
        const Amount *missing = resource_set_get(&allocation->missing, entry->kind, entry->target);
        Amount part = explain_part_of(allocation, entry);
        Words words = WORDS_NULL;

        if (!allocation_is_current(allocation))
                words_add(&words, "%s: it is no part of its tenant's share",
                                allocation_state_to_string(allocation->state));
        else if (explain_is_lent(allocation, entry->kind))
                words_add(&words, "suspended: it is lent to others");
        else {
                words_add(&words, "%s: its tenant's share has reserved %" PRIu64 " and limit ",
                                allocation_state_to_string(allocation->state), part.reserved);
                explain_print_amount(&words, part.limit);
                words_add(&words, " of it");
        }
        words_add(&words, " (%s", resource_info(entry->kind)->unit);
        if (resource_info(entry->kind)->target == TARGET_UPLINK)
                words_add(&words, ", uplink %s", calendar_target(calendar, entry));
        words_add(&words, ")");
        if (missing)
                words_add(&words, "; the node has %" PRIu64 " of %" PRIu64 " promised", missing->limit,
                                missing->reserved);
        for (size_t i = 0; i < allocation->n_loans; i++)
                if (allocation->loans[i].kind == entry->kind)
                        words_add(&words, "; %" PRIu64 " borrowed from %s", allocation->loans[i].amount,
                                        may_name(is_reader, allocation, allocation->loans[i].from)
                                                        ? allocation->loans[i].from->id
                                                        : "another allocation");
        return words_take(&words, ret);
}

int explain_qos_class(const Allocation *allocation, char **ret) {
        static const char *const derived[QOS_CLASS_MAX] = {
                [QOS_CLASS_GUARANTEED] = "every reserved is its limit",
                [QOS_CLASS_BURSTABLE] = "something is reserved, and not all of it is its limit",
                [QOS_CLASS_BEST_EFFORT] = "nothing is reserved",
        };
        const char *why = allocation->qos_class == QOS_CLASS_DERIVED
                                          ? derived[allocation_qos_class(allocation)]
                                          : "as it was asked for";

        *ret = strdup(why);
        return *ret ? 0 : -ENOMEM;
}
