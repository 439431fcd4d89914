/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Loans between allocations: while a loan is applied, the timelines hold so much less of the lender. It is
 * never more than what the borrower was short of at that instant, so that giving it back always fits,
 * whatever was admitted in between. Who is to lend what is decide/preemption.c's.
 */

#include "allocation-claim.h"
#include "calendar-internal.h"

#include "util/strv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool allocation_can_lend(const Allocation *allocation, ResourceKind kind) {
        return allocation->preempt_mode == PREEMPT_MODE_CANCEL ||
               (allocation->preempt_mode == PREEMPT_MODE_SUSPEND && resource_info(kind)->lent_when_suspended);
}

/* Whether the lender still has, in that stretch, what it lent. */
static bool loan_stands(const Loan *loan) {
        if (allocation_claim(loan->from, loan->kind, loan->target) < loan->amount ||
                        !allocation_can_lend(loan->from, loan->kind))
                return false;
        for (size_t k = 0; k < 1 + loan->from->n_later; k++) {
                const Window *window = allocation_window(loan->from, k);

                if (window->start_usec <= loan->window.start_usec &&
                                loan->window.end_usec <= window->end_usec)
                        return true;
        }
        return false;
}

static int loan_apply(Calendar *calendar, const Allocation *to, Loan *loan) {
        Timeline *timeline;
        int r;

        if (loan->applied || !to->counted || !loan->from->counted || !loan_stands(loan))
                return 0;
        r = calendar_ensure_timeline(calendar, loan->kind, loan->target, &timeline);
        if (r >= 0)
                r = timeline_reserve(timeline, 1);
        if (r < 0)
                return r;
        timeline_lend(timeline, loan->window.start_usec, loan->window.end_usec, loan->amount);
        loan->applied = true;
        return 0;
}

static void loan_undo(Calendar *calendar, Loan *loan) {
        Timeline *timeline;

        if (!loan->applied)
                return;
        timeline = calendar_find_timeline(calendar, loan->kind, loan->target);
        assert(timeline);
        timeline_give_back(timeline, loan->window.start_usec, loan->window.end_usec, loan->amount);
        loan->applied = false;
}

/* All that it borrows, and all that it lends. */
int calendar_apply_loans(Calendar *calendar, Allocation *allocation) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < allocation->n_loans; i++)
                r = loan_apply(calendar, allocation, &allocation->loans[i]);
        for (size_t i = 0; i < allocation->n_borrowers; i++) {
                Allocation *to = allocation->borrowers[i];

                for (size_t k = 0; r >= 0 && k < to->n_loans; k++)
                        if (to->loans[k].from == allocation)
                                r = loan_apply(calendar, to, &to->loans[k]);
        }
        return r;
}

void calendar_undo_loans(Calendar *calendar, Allocation *allocation) {
        for (size_t i = 0; i < allocation->n_loans; i++)
                loan_undo(calendar, &allocation->loans[i]);
        for (size_t i = 0; i < allocation->n_borrowers; i++) {
                Allocation *to = allocation->borrowers[i];

                for (size_t k = 0; k < to->n_loans; k++)
                        if (to->loans[k].from == allocation)
                                loan_undo(calendar, &to->loans[k]);
        }
}

bool calendar_lends_at(const Calendar *calendar, const Allocation *allocation, uint64_t utc_usec) {
        for (size_t i = 0; i < allocation->n_borrowers; i++) {
                const Allocation *to = allocation->borrowers[i];

                /* On a node that drains it will not begin. */
                if (!allocation_holds_reserved(to) || (calendar->draining && to->state == ALLOCATION_PENDING))
                        continue;
                for (size_t k = 0; k < to->n_loans; k++)
                        if (to->loans[k].from == allocation && to->loans[k].window.start_usec <= utc_usec &&
                                        utc_usec < to->loans[k].window.end_usec)
                                return true;
        }
        return false;
}

static bool borrows_from(const Allocation *to, const Allocation *from) {
        for (size_t i = 0; i < from->n_borrowers; i++)
                if (from->borrowers[i] == to)
                        return true;
        return false;
}

static bool is_lent_of(const Loan *loan, const Allocation *lender, ResourceKind kind, const char *target) {
        return loan->from == lender && loan->kind == kind && strcmp(loan->target, target) == 0;
}

int allocation_list_lent(
                const Allocation *lender, ResourceKind kind, const char *target, Loan **ret, size_t *ret_n) {
        size_t n = 0, n_allocated = 1;
        Loan *list = calloc(1, sizeof(Loan));

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < lender->n_borrowers; i++) {
                const Allocation *to = lender->borrowers[i];

                for (size_t k = 0; to->counted && k < to->n_loans; k++) {
                        if (!is_lent_of(&to->loans[k], lender, kind, target))
                                continue;
                        if (n == n_allocated) {
                                if (calendar_grow(&list, 2 * n_allocated, sizeof(Loan)) < 0) {
                                        free(list);
                                        return -ENOMEM;
                                }
                                n_allocated *= 2;
                        }
                        list[n++] = to->loans[k];
                }
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

static uint64_t lent_at(const Allocation *lender, ResourceKind kind, const char *target, uint64_t utc_usec) {
        uint64_t lent = 0;

        for (size_t i = 0; i < lender->n_borrowers; i++) {
                const Allocation *to = lender->borrowers[i];

                for (size_t k = 0; to->counted && k < to->n_loans; k++) {
                        const Loan *loan = &to->loans[k];

                        if (is_lent_of(loan, lender, kind, target) && loan->window.start_usec <= utc_usec &&
                                        utc_usec < loan->window.end_usec)
                                lent += loan->amount;
                }
        }
        return lent;
}

/* The least within the stretch: between two edges of loans nothing changes. */
uint64_t allocation_left_to_lend(
                const Allocation *lender, ResourceKind kind, const char *target, const Window *stretch) {
        uint64_t claimed = allocation_claim(lender, kind, target), most = 0;

        for (uint64_t at = stretch->start_usec; at < stretch->end_usec;
                        at = allocation_next_loan_edge(lender, at, stretch->end_usec)) {
                uint64_t lent = lent_at(lender, kind, target, at);

                most = lent > most ? lent : most;
        }
        return claimed > most ? claimed - most : 0;
}

uint64_t allocation_next_loan_edge(const Allocation *lender, uint64_t at, uint64_t end) {
        for (size_t i = 0; i < lender->n_borrowers; i++) {
                const Allocation *to = lender->borrowers[i];

                for (size_t k = 0; k < to->n_loans; k++) {
                        const Window *window = &to->loans[k].window;

                        if (to->loans[k].from != lender)
                                continue;
                        if (window->start_usec > at)
                                end = least(end, window->start_usec);
                        if (window->end_usec > at)
                                end = least(end, window->end_usec);
                }
        }
        return end;
}

static int note_loan(Calendar *calendar, Allocation *to, const Loan *loan) {
        Allocation *from = loan->from;
        Loan *added;
        int r;

        r = calendar_grow(&from->borrowers, from->n_borrowers + 1, sizeof(Allocation *));
        if (r >= 0)
                r = calendar_grow(&to->loans, to->n_loans + 1, sizeof(Loan));
        if (r < 0)
                return r;
        if (!borrows_from(to, from))
                from->borrowers[from->n_borrowers++] = to;
        added = &to->loans[to->n_loans++];
        *added = *loan;
        added->applied = false;
        to->loans_changed = calendar->loans_changed = true;
        calendar->n_loans++;
        r = loan_apply(calendar, to, added);
        if (r < 0)
                calendar_take_back(calendar, to, from);
        return r;
}

int calendar_lend(Calendar *calendar, Allocation *to, const Loan *loan) {
        uint64_t left = allocation_left_to_lend(loan->from, loan->kind, loan->target, &loan->window);
        Loan clipped = *loan;

        if (clipped.amount > left)
                clipped.amount = left;
        return clipped.amount > 0 ? note_loan(calendar, to, &clipped) : 0;
}

static void forget_borrower(Allocation *from, const Allocation *to) {
        for (size_t i = 0; i < from->n_borrowers; i++)
                if (from->borrowers[i] == to) {
                        from->borrowers[i] = from->borrowers[--from->n_borrowers];
                        return;
                }
}

void calendar_take_back(Calendar *calendar, Allocation *to, Allocation *from) {
        size_t kept = 0;

        if (to->n_loans == 0)
                return;
        to->loans_changed = calendar->loans_changed = true;
        for (size_t i = 0; i < to->n_loans; i++) {
                if (from && to->loans[i].from != from) {
                        to->loans[kept++] = to->loans[i];
                        continue;
                }
                loan_undo(calendar, &to->loans[i]);
                forget_borrower(to->loans[i].from, to);
        }
        calendar->n_loans -= to->n_loans - kept;
        to->n_loans = kept;
}

/* Both ends of every stretch in which it borrows or lends, one resource at a time. */
typedef struct Debt {
        Allocation *other; /* who lends to it, or borrows from it */
        ResourceKind kind;
        char target[RESOURCE_TARGET_SIZE];
        Window window;
        uint64_t amount;
} Debt;

static bool is_of(const Debt *debt, const Resource *claim) {
        return debt->kind == claim->kind && strcmp(debt->target, claim->target) == 0;
}

static bool holds_at(const Debt *debt, uint64_t at_usec) {
        return debt->window.start_usec <= at_usec && at_usec < debt->window.end_usec;
}

static uint64_t sum_at(const Debt *debts, size_t n, const Resource *claim, uint64_t at) {
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (is_of(&debts[i], claim) && holds_at(&debts[i], at))
                        sum += debts[i].amount;
        return sum;
}

static uint64_t next_edge(const Debt *debts, size_t n, uint64_t after) {
        uint64_t next = UINT64_MAX;

        for (size_t i = 0; i < n; i++) {
                if (debts[i].window.start_usec > after && debts[i].window.start_usec < next)
                        next = debts[i].window.start_usec;
                if (debts[i].window.end_usec > after && debts[i].window.end_usec < next)
                        next = debts[i].window.end_usec;
        }
        return next;
}

/* Within a stretch in which nothing changes: `excess` of what was lent to it is lent on, each as far as it
 * goes. */
static int pass_on_within(Calendar *calendar, const Resource *claim, Window stretch, uint64_t excess,
                const Debt *lent, size_t n_lent, const Debt *owed, size_t n_owed) {
        for (size_t i = 0; i < n_lent; i++) {
                uint64_t left = lent[i].amount;

                if (!is_of(&lent[i], claim) || !holds_at(&lent[i], stretch.start_usec))
                        continue;
                for (size_t k = 0; k < n_owed && left > 0 && excess > 0; k++) {
                        Loan loan = { .from = lent[i].other, .kind = lent[i].kind, .window = stretch };
                        int r;

                        if (!is_of(&owed[k], claim) || !holds_at(&owed[k], stretch.start_usec) ||
                                        owed[k].other == lent[i].other)
                                continue;
                        strcpy(loan.target, lent[i].target);
                        loan.amount = owed[k].amount < left ? owed[k].amount : left;
                        loan.amount = loan.amount < excess ? loan.amount : excess;
                        left -= loan.amount;
                        excess -= loan.amount;
                        r = calendar_lend(calendar, owed[k].other, &loan);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/*
 * One that both borrows and lends leaves: of what others lent to it, as much goes on to those whom it lent to
 * as it had not of its own. Else both would have it.
 */
static int pass_on(Calendar *calendar, const Allocation *leaving, const Debt *lent, size_t n_lent,
                const Debt *owed, size_t n_owed) {
        int r = 0;

        for (size_t i = 0; i < leaving->claims.n; i++) {
                const Resource *claim = &leaving->claims.entries[i];
                uint64_t own = claim->amount.reserved, next;

                for (uint64_t at = next_edge(lent, n_lent, 0); r >= 0 && at != UINT64_MAX; at = next) {
                        uint64_t sum = sum_at(lent, n_lent, claim, at) + sum_at(owed, n_owed, claim, at);

                        next = least(next_edge(lent, n_lent, at), next_edge(owed, n_owed, at));
                        if (next != UINT64_MAX && sum > own)
                                r = pass_on_within(calendar, claim, (Window){ at, next }, sum - own, lent,
                                                n_lent, owed, n_owed);
                }
        }
        return r;
}

static Debt make_debt(Allocation *other, const Loan *loan) {
        Debt debt = { .other = other, .kind = loan->kind, .window = loan->window, .amount = loan->amount };

        strcpy(debt.target, loan->target);
        return debt;
}

int calendar_drop_loans(Calendar *calendar, Allocation *allocation) {
        _cleanup_free_ Debt *lent = NULL, *owed = NULL;
        size_t n_lent = 0, n_owed = 0;

        for (size_t i = 0; i < allocation->n_borrowers; i++)
                n_owed += allocation->borrowers[i]->n_loans;
        lent = calloc(allocation->n_loans + 1, sizeof(Debt));
        owed = calloc(n_owed + 1, sizeof(Debt));
        n_owed = 0;
        for (size_t i = 0; lent && owed && i < allocation->n_loans; i++)
                lent[n_lent++] = make_debt(allocation->loans[i].from, &allocation->loans[i]);
        for (size_t i = 0; lent && owed && i < allocation->n_borrowers; i++) {
                Allocation *to = allocation->borrowers[i];

                for (size_t k = 0; k < to->n_loans; k++)
                        if (to->loans[k].from == allocation)
                                owed[n_owed++] = make_debt(to, &to->loans[k]);
        }
        for (size_t i = 0; i < allocation->n_loans; i++)
                calendar_look_again(calendar, allocation->loans[i].from);
        calendar_take_back(calendar, allocation, /* from= */ NULL);
        while (allocation->n_borrowers > 0)
                calendar_take_back(calendar, allocation->borrowers[0], allocation);
        if (!lent || !owed)
                return -ENOMEM;
        return n_lent > 0 && n_owed > 0 ? pass_on(calendar, allocation, lent, n_lent, owed, n_owed) : 0;
}

static bool may_lend(const Loan *loan, const Allocation *to, Allocation *from) {
        Loan moved = *loan;

        moved.from = from;
        return from != to && from->priority < to->priority && loan_stands(&moved);
}

/* As far as the heir goes; the rest stays with whom it was. */
static int inherit(Calendar *calendar, Allocation *to, Loan loan, Allocation *heir) {
        Loan inherited = loan;
        int r = 0;

        inherited.from = heir;
        inherited.amount = 0;
        if (may_lend(&loan, to, heir))
                inherited.amount = least(loan.amount,
                                allocation_left_to_lend(heir, loan.kind, loan.target, &loan.window));
        loan.amount -= inherited.amount;
        if (inherited.amount > 0)
                r = note_loan(calendar, to, &inherited);
        return r < 0 || loan.amount == 0 ? r : note_loan(calendar, to, &loan);
}

int calendar_inherit_loans(Calendar *calendar, Allocation *old, Allocation *heir) {
        _cleanup_free_ SavedLoan *lent = NULL;
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < old->n_borrowers; i++)
                n += old->borrowers[i]->n_loans;
        if (n == 0)
                return 0;
        lent = calloc(n, sizeof(SavedLoan));
        if (!lent)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; i < old->n_borrowers; i++)
                for (size_t k = 0; k < old->borrowers[i]->n_loans; k++)
                        if (old->borrowers[i]->loans[k].from == old)
                                lent[n++] = (SavedLoan){ old->borrowers[i], old->borrowers[i]->loans[k] };
        while (old->n_borrowers > 0)
                calendar_take_back(calendar, old->borrowers[0], old);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = inherit(calendar, lent[i].to, lent[i].loan, heir);
        return r;
}

int calendar_save_loans(const Calendar *calendar, SavedLoan **ret, size_t *ret_n) {
        SavedLoan *saved;
        size_t n = 0;

        for (size_t i = 0; calendar->n_loans > 0 && i < calendar->n; i++)
                n += calendar->allocations[i]->n_loans;
        saved = calloc(n + 1, sizeof(SavedLoan));
        if (!saved)
                return -ENOMEM;
        n = 0;
        for (size_t i = 0; calendar->n_loans > 0 && i < calendar->n; i++)
                for (size_t k = 0; k < calendar->allocations[i]->n_loans; k++)
                        saved[n++] = (SavedLoan){ calendar->allocations[i],
                                calendar->allocations[i]->loans[k] };
        *ret = saved;
        *ret_n = n;
        return 0;
}

int calendar_restore_loans(Calendar *calendar, const SavedLoan *loans, size_t n) {
        int r = 0;

        for (size_t i = 0; i < calendar->n; i++)
                calendar_take_back(calendar, calendar->allocations[i], /* from= */ NULL);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = note_loan(calendar, loans[i].to, &loans[i].loan);
        return r;
}

int allocation_format_loans(const Allocation *allocation, char ***ret) {
        _cleanup_strv_ char **texts = NULL;

        for (size_t i = 0; i < allocation->n_loans; i++) {
                const Loan *loan = &allocation->loans[i];
                char name[RESOURCE_NAME_SIZE];
                int r;

                resource_format_name(loan->kind, loan->target, name);
                r = strv_pushf(&texts, "%s %s %" PRIu64 " %" PRIu64 " %" PRIu64, loan->from->id, name,
                                loan->window.start_usec, loan->window.end_usec, loan->amount);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(texts);
        return 0;
}

/* -ENOENT where it is none any more. */
static int parse_loan(const Calendar *calendar, const char *text, Loan *ret) {
        char id[64], name[RESOURCE_NAME_SIZE];
        Resource named = {};
        Loan loan = {};

        /* The widths are those of the two arrays. */
        static_assert(sizeof id == 64 && sizeof name == 48, "see the format");
        if (sscanf(text, "%63s %47s %" SCNu64 " %" SCNu64 " %" SCNu64, id, name, &loan.window.start_usec,
                            &loan.window.end_usec, &loan.amount) != 5 ||
                        loan.window.start_usec >= loan.window.end_usec ||
                        resource_parse_name(name, &named.kind, named.target) < 0)
                return -ENOENT;
        /* Earlier versions wrote it as the lender names it. */
        loan.kind = named.kind;
        strcpy(loan.target, calendar_target(calendar, &named));
        loan.from = calendar_find(calendar, id);
        if (!loan.from || !allocation_holds_reserved(loan.from))
                return -ENOENT;
        *ret = loan;
        return 0;
}

int calendar_link_loans(Calendar *calendar) {
        for (size_t i = 0; i < calendar->n; i++) {
                Allocation *to = calendar->allocations[i];

                for (char **text = to->loan_texts; text && *text; text++) {
                        Loan loan;
                        int r = parse_loan(calendar, *text, &loan);

                        if (r == -ENOENT || !allocation_holds_reserved(to) || !may_lend(&loan, to, loan.from))
                                continue;
                        r = note_loan(calendar, to, &loan);
                        if (r < 0)
                                return r;
                }
                to->loan_texts = strv_free(to->loan_texts);
        }
        return 0;
}
