/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Apply and Sync, one transaction, for which time stands still:
 *   0. whatever is due by then is done, so that what is put back is this transaction's alone;
 *   1. judge all requests, each and together;
 *   2. note the intent: into the calendar, and into a transaction of the state that is open until 5; rows
 * that nothing but 5 needs are written just before it, so that who waits for his share does not wait for
 * them. What is on disk is the old calendar, whole; no log of what was written is kept, for none is needed:
 * whoever starts after a crash brings the kernel to what is on disk, which undoes all of 3, groups that no
 * allocation names included (find_orphans() in manager-start.c);
 *   3. apply, by the one path that everything takes, in an order in which no floor is broken at any step;
 *   4. read back: what the kernel refused, or took and did not do, to a tenant of the request or to the
 * parent of all refuses the request;
 *   5. commit: from here on a crash is finished by the next start, which finds the new calendar;
 *   6. begin what cannot be undone: kills, cancellations; and tell. Where nothing is to be begun the caller
 * has its answer first, and before anything else is done the others are told.
 * Where 2 to 5 fail the calendar is put back, and 3 takes away what it did, by the same path and in the same
 * order: what was given last is taken first. Nobody was told, killed or cancelled.
 */

#include "manager-internal.h"

#include "decide/admission.h"
#include "util/log.h"
#include "util/strv.h"

#include <inttypes.h>
#include <string.h>

/* What OnEnd left of a tenant: an Apply wakes it, and one that is refused did not. */
typedef struct AtRest {
        char *tenant_id;
        bool throttled, frozen, doomed, guarded;
        uint64_t residual_memory_bytes;
} AtRest;

/* Whom it preempts: nobody hears of it before the commit. */
typedef struct Victim {
        Allocation *allocation;
        AllocationState state; /* before */
} Victim;

struct Transaction {
        Manager *manager;
        Instant begun;
        Allocation **requests; /* taken from the caller; the calendar's once they are put */
        size_t n;
        Verdict *verdicts;    /* of the requests */
        Allocation **leaving; /* owned list, ending with NULL: those that a Sync leaves out; in the calendar
                                 until they are put aside for their released copies */
        size_t n_leaving;
        Allocation **put;  /* what was put: released copies, then requests */
        Allocation **held; /* what each of them replaced, or NULL */
        size_t n_put;
        AtRest *rest;
        size_t n_rest;
        Victim *victims;
        size_t n_victims;
        SavedLoan *loans; /* as they were */
        size_t n_loans;
        char **new_tenants;
};

static int admit(Transaction *transaction, Failure *failure) {
        Manager *manager = transaction->manager;
        int r;

        transaction->verdicts = calloc(transaction->n + 1, sizeof(Verdict));
        if (!transaction->verdicts)
                return -ENOMEM;
        r = admission_check(&manager->node.calendar, reconciler_capacity(manager->reconciler),
                        transaction->begun.utc_usec, transaction->requests, transaction->n,
                        transaction->leaving, transaction->verdicts);
        for (size_t i = 0; r == 0 && i < transaction->n; i++)
                if (!transaction->verdicts[i].fits)
                        r = failure_set(failure, transaction->verdicts[i].failure.code, "%s",
                                        transaction->verdicts[i].failure.message);
        return r;
}

static int keep_rest_of(Transaction *transaction, const char *tenant_id) {
        const Tenant *tenant = node_find_tenant(&transaction->manager->node, tenant_id);
        AtRest *rest = &transaction->rest[transaction->n_rest];

        if (!tenant)
                return 0;
        *rest = (AtRest){ strdup(tenant_id), tenant->throttled, tenant->frozen, tenant->doomed,
                tenant->guarded, tenant->residual_memory_bytes };
        transaction->n_rest += rest->tenant_id != NULL;
        return rest->tenant_id ? 0 : -ENOMEM;
}

/* All that putting back will need. */
static int prepare(Transaction *transaction) {
        size_t n = transaction->n + transaction->n_leaving, n_loans = 0;
        int r;

        for (size_t i = 0; i < transaction->n; i++)
                n_loans += transaction->verdicts[i].n_loans;
        transaction->put = calloc(n + 1, sizeof(Allocation *));
        transaction->held = calloc(n + 1, sizeof(Allocation *));
        transaction->rest = calloc(n + n_loans + 1, sizeof(AtRest));
        transaction->victims = calloc(n_loans + 1, sizeof(Victim));
        if (!transaction->put || !transaction->held || !transaction->rest || !transaction->victims)
                return -ENOMEM;
        r = calendar_save_loans(
                        &transaction->manager->node.calendar, &transaction->loans, &transaction->n_loans);
        for (size_t i = 0; r >= 0 && i < transaction->n; i++) {
                r = keep_rest_of(transaction, transaction->requests[i]->tenant_id);
                for (size_t k = 0; r >= 0 && k < transaction->verdicts[i].n_loans; k++)
                        r = keep_rest_of(transaction, transaction->verdicts[i].loans[k].from->tenant_id);
        }
        for (size_t i = 0; r >= 0 && i < transaction->n_leaving; i++)
                r = keep_rest_of(transaction, transaction->leaving[i]->tenant_id);
        return r;
}

static int put(Transaction *transaction, Allocation *allocation) {
        size_t i = transaction->n_put;
        int r;

        allocation->untold = true;
        r = calendar_put(&transaction->manager->node.calendar, allocation, &transaction->held[i]);
        if (r < 0)
                return r;
        transaction->put[i] = allocation;
        transaction->n_put++;
        return 0;
}

/* A released copy takes its place, so that it can come back as it was. */
static int release_leaving(Transaction *transaction, Allocation *leaving) {
        _cleanup_allocation_ Allocation *copy = NULL;
        Manager *manager = transaction->manager;
        Allocation *released;
        int r;

        r = allocation_copy(leaving, &copy);
        if (r >= 0)
                r = put(transaction, copy);
        if (r < 0)
                return r;
        released = TAKE_PTR(copy);
        r = manager_note_released(manager, released->id, released->generation, &transaction->begun);
        if (r < 0)
                return r;
        manager_enter_state(manager, released, ALLOCATION_RELEASED,
                        "released: not in its issuer's list any more", &transaction->begun);
        return 0;
}

static int ensure_tenant(Transaction *transaction, const Allocation *request, Failure *failure) {
        Manager *manager = transaction->manager;
        Tenant *tenant;
        int r;

        r = manager_add_tenant(manager, request->tenant_id, &tenant);
        if (r == -EEXIST) {
                /* One whose group could not go when an Apply was put back is still to be told. */
                tenant = node_find_tenant(&manager->node, request->tenant_id);
                if (!tenant->untold || strv_contains(transaction->new_tenants, tenant->id))
                        return 0;
                return strv_push(&transaction->new_tenants, tenant->id);
        }
        if (r == -ENOSPC)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "allocation %s: tenant '%s' would be one over tenants-max, %" PRIu64,
                                request->id, request->tenant_id, manager->options.config->tenants_max);
        if (r < 0)
                return r;
        tenant->untold = true;
        return strv_push(&transaction->new_tenants, tenant->id);
}

/* Those who make room for it; their states follow with the next reconcile. */
static int take_loans(Transaction *transaction, Allocation *request, const Verdict *verdict) {
        Calendar *calendar = &transaction->manager->node.calendar;

        for (size_t i = 0; i < verdict->n_loans; i++) {
                Allocation *from = verdict->loans[i].from;
                int r = calendar_lend(calendar, request, &verdict->loans[i]);

                if (r < 0)
                        return r;
                if (!from->untold)
                        transaction->victims[transaction->n_victims++] = (Victim){ from, from->state };
                from->untold = true;
                calendar_look_again(calendar, from);
        }
        return 0;
}

static int take_request(Transaction *transaction, size_t i, Failure *failure) {
        Manager *manager = transaction->manager;
        Allocation *request = transaction->requests[i];
        const Allocation *held = calendar_find(&manager->node.calendar, request->id);
        int r;

        r = ensure_tenant(transaction, request, failure);
        if (r != 0)
                return r;
        /* An update of what runs goes on from there: its start was told already. */
        if (held && allocation_is_current(held)) {
                request->state = held->state == ALLOCATION_ENDING ? ALLOCATION_ACTIVE : held->state;
                request->actual_start_usec = held->actual_start_usec;
                request->delivered = held->delivered;
                request->delivered_since_usec = held->delivered_since_usec;
                request->state_boottime_usec = held->state_boottime_usec;
                request->warned = held->warned && held->window.end_usec == request->window.end_usec;
        }
        /* Nor does one that names no Devices any more open every one. */
        if (held && allocation_is_current(held) && held->devices.n > 0)
                manager_keep_guarded(manager, node_find_tenant(&manager->node, request->tenant_id));
        /* An update renews a lease as Renew does: it never shortens it. */
        if (held && request->lease_usec > 0 && held->lease_usec > 0 && !held->lease_by_utc &&
                        held->lease_expiry_boottime_usec > request->lease_expiry_boottime_usec) {
                request->lease_expiry_usec = held->lease_expiry_usec;
                request->lease_expiry_boottime_usec = held->lease_expiry_boottime_usec;
        }
        r = put(transaction, request);
        if (r < 0)
                return r;
        transaction->requests[i] = NULL;
        return take_loans(transaction, request, &transaction->verdicts[i]);
}

/* 2. */
static int take_all(Transaction *transaction, Failure *failure) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < transaction->n_leaving; i++)
                r = release_leaving(transaction, transaction->leaving[i]);
        for (size_t i = 0; r == 0 && i < transaction->n; i++)
                r = take_request(transaction, i, failure);
        return r;
}

/* The rows of 2., written late: until the commit the disk has the old calendar in any case. */
static int put_rows(const Transaction *transaction) {
        const Manager *manager = transaction->manager;
        int r = 0;

        for (char **id = transaction->new_tenants; r >= 0 && id && *id; id++)
                r = state_put_tenant(manager->state, node_find_tenant(&manager->node, *id));
        for (size_t i = 0; r >= 0 && i < transaction->n_put; i++)
                r = state_put_allocation(manager->state, transaction->put[i]);
        return r;
}

static int find_failed(const Transaction *transaction, const Allocation *allocation, const char *how,
                Failure *failure) {
        const Tenant *tenant = node_find_tenant(&transaction->manager->node, allocation->tenant_id);

        if (!tenant || !tenant->failed)
                return 0;
        return failure_set(failure, FAILURE_NOT_ENFORCED, "allocation %s%s: tenant %s: %s", allocation->id,
                        how, tenant->id,
                        strv_length(tenant->problems) > 0 ? tenant->problems[0] : "could not be enforced");
}

/* 4. What the kernel refused, to the parent or to a tenant of the request: the whole request was. */
static int find_unenforced(const Transaction *transaction, Failure *failure) {
        const char *problem = reconciler_parent_problem(transaction->manager->reconciler);
        int r = 0;

        if (problem)
                return failure_set(failure, FAILURE_NOT_ENFORCED,
                                "the parent control group, without which no floor holds: %s", problem);
        for (size_t i = 0; r == 0 && i < transaction->n_put; i++)
                r = find_failed(transaction, transaction->put[i],
                                i < transaction->n_leaving ? ", which is released" : "", failure);
        for (size_t i = 0; r == 0 && i < transaction->n_victims; i++)
                r = find_failed(transaction, transaction->victims[i].allocation, ", which gives way",
                                failure);
        return r;
}

/* New objects first, then the states that they are in. */
static void tell_accepted(Transaction *transaction) {
        Manager *manager = transaction->manager;

        for (char **id = transaction->new_tenants; id && *id; id++) {
                Tenant *tenant = node_find_tenant(&manager->node, *id);

                tenant->untold = tenant->changed = false;
                api_tenant_added(manager->api, tenant);
        }
        for (size_t i = 0; i < transaction->n_put; i++) {
                Allocation *allocation = transaction->put[i];
                const Allocation *held = transaction->held[i];

                allocation->untold = false;
                if (allocation->warn_usec > 0) /* it may be due already */
                        calendar_look_again(&manager->node.calendar, allocation);
                if (!held)
                        api_allocation_added(manager->api, allocation);
                else if (i >= transaction->n_leaving)
                        api_allocation_updated(manager->api, allocation);
                api_allocation_changed(
                                manager->api, allocation, held ? held->state : ALLOCATION_STATE_INVALID);
        }
        for (size_t i = 0; i < transaction->n_victims; i++) {
                const Victim *victim = &transaction->victims[i];

                victim->allocation->untold = false;
                if (victim->allocation->state != victim->state)
                        api_allocation_changed(manager->api, victim->allocation, victim->state);
                else
                        api_allocation_lends(manager->api, victim->allocation);
                calendar_look_again(&manager->node.calendar, victim->allocation);
        }
}

/* As it was before take_all(), as far as that came. */
static void untake(Transaction *transaction) {
        Calendar *calendar = &transaction->manager->node.calendar;

        for (size_t i = transaction->n_put; i-- > 0;) {
                Allocation *taken = transaction->put[i], *replaced;

                if (transaction->held[i] && calendar_put(calendar, transaction->held[i], &replaced) >= 0)
                        transaction->held[i] = NULL;
                else /* new; or there is no memory to put the old one back, and the new one must not stay
                        either */
                        (void) calendar_take(calendar, taken->id);
                allocation_free(taken);
        }
        transaction->n_put = 0;
        if (calendar_restore_loans(calendar, transaction->loans, transaction->n_loans) < 0)
                log_warning("What allocations lend to others is lost: there is no memory");
        for (size_t i = 0; i < transaction->n_rest; i++) {
                const AtRest *rest = &transaction->rest[i];
                Tenant *tenant = node_find_tenant(&transaction->manager->node, rest->tenant_id);

                if (!tenant)
                        continue;
                tenant->throttled = rest->throttled;
                tenant->frozen = rest->frozen;
                tenant->doomed = rest->doomed;
                tenant->guarded = rest->guarded;
                tenant->residual_memory_bytes = rest->residual_memory_bytes;
                calendar_mark(calendar, tenant->id);
        }
}

/* What else changed its state while the transaction ran went with it from the disk, and from there alone. */
static void put_back_states(Manager *manager, uint64_t since_boottime_usec) {
        for (size_t i = 0; i < manager->node.calendar.n; i++) {
                const Allocation *allocation = manager->node.calendar.allocations[i];
                const Tenant *tenant = node_find_tenant(&manager->node, allocation->tenant_id);

                if (allocation->state_boottime_usec < since_boottime_usec)
                        continue;
                if (state_put_allocation(manager->state, allocation) < 0 ||
                                (tenant && state_put_tenant(manager->state, tenant) < 0))
                        log_warning("The state of allocation %s is not on disk", allocation->id);
        }
}

static void roll_back(Transaction *transaction) {
        Manager *manager = transaction->manager;

        state_rollback(manager->state);
        untake(transaction);
        put_back_states(manager, transaction->begun.boottime_usec);
        manager->tenants_may_go = manager->look_at_all = true;
        manager_drop_tenants(manager);
        (void) manager_reconcile(manager);
        for (size_t i = 0; i < transaction->n_victims; i++)
                transaction->victims[i].allocation->untold = false;
}

/* 6. */
static void finish(Transaction *transaction) {
        Manager *manager = transaction->manager;
        Instant now = manager_now();

        tell_accepted(transaction);
        manager_settle(manager, &now);
        if (calendar_due(&manager->node.calendar, &transaction->begun) || manager_any_doomed(&manager->node))
                (void) manager_reconcile(manager);
}

/* The list of requests is the caller's: what is still in it goes with the call. */
static void drop_requests(Transaction *transaction) {
        for (size_t i = 0; i < transaction->n; i++) {
                allocation_free(transaction->requests[i]);
                if (transaction->verdicts)
                        verdict_deinit(&transaction->verdicts[i]);
        }
        free(transaction->verdicts);
        transaction->verdicts = NULL;
        transaction->n = 0;
}

static void transaction_done(Transaction *transaction) {
        drop_requests(transaction);
        for (size_t i = 0; i < transaction->n_put; i++)
                allocation_free(transaction->held[i]);
        for (size_t i = 0; i < transaction->n_rest; i++)
                free(transaction->rest[i].tenant_id);
        free(transaction->leaving);
        free(transaction->put);
        free(transaction->held);
        free(transaction->rest);
        free(transaction->victims);
        free(transaction->loans);
        strv_free(transaction->new_tenants);
}

static int on_tell(sd_event_source *source, void *userdata) {
        Manager *manager = userdata;
        Transaction *accepted = TAKE_PTR(manager->accepted);

        finish(accepted);
        transaction_done(accepted);
        free(accepted);
        return 0;
}

void manager_free_accepted(Manager *manager) {
        sd_event_source_disable_unref(manager->tell);
        if (manager->accepted)
                transaction_done(manager->accepted);
        free(manager->accepted);
}

int manager_watch_accepted(Manager *manager) {
        int r = sd_event_add_defer(manager->event, &manager->tell, on_tell, manager);

        if (r >= 0)
                r = sd_event_source_set_priority(manager->tell, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? r : sd_event_source_set_enabled(manager->tell, SD_EVENT_OFF);
}

/* In the loop's next turn, before any other of its events: 1 where that cannot be had, or must not wait. */
static int finish_later(Transaction *transaction) {
        Manager *manager = transaction->manager;
        Transaction *accepted;

        if (transaction->n_victims > 0 || manager_any_doomed(&manager->node))
                return 1;
        accepted = malloc(sizeof(Transaction));
        if (!accepted || sd_event_source_set_enabled(manager->tell, SD_EVENT_ONESHOT) < 0) {
                free(accepted);
                return 1;
        }
        *accepted = *transaction;
        *transaction = (Transaction){};
        manager->accepted = accepted;
        return 0;
}

/* 2. to 5. */
static int commit(Transaction *transaction, Failure *failure) {
        Manager *manager = transaction->manager;
        int r;

        manager->transaction_begun = transaction->begun;
        manager->in_transaction = true;
        r = state_begin(manager->state);
        if (r >= 0)
                r = take_all(transaction, failure);
        if (r == 0)
                r = manager_reconcile(manager);
        if (r == 0 || reconciler_parent_problem(manager->reconciler))
                r = find_unenforced(transaction, failure);
        if (r == 0)
                r = put_rows(transaction);
        if (r == 0)
                r = state_commit(manager->state);
        manager->in_transaction = false;
        if (r != 0) {
                roll_back(transaction);
                return r;
        }
        drop_requests(transaction);
        if (finish_later(transaction) != 0)
                finish(transaction);
        return 0;
}

/* 0. The instant at which nothing is due any more. */
static Instant catch_up(Manager *manager) {
        Instant now = manager_now();

        while (calendar_due(&manager->node.calendar, &now)) {
                (void) manager_reconcile(manager);
                now = manager_now();
        }
        return now;
}

int manager_transact(Manager *manager, uid_t caller, Allocation **requests, size_t n, const char *issuer,
                Failure *failure) {
        Transaction transaction = { .manager = manager, .requests = requests, .n = n };
        int r = 0;

        transaction.begun = catch_up(manager);
        if (issuer)
                r = manager_list_leaving(manager, caller, issuer, requests, n, &transaction.leaving,
                                &transaction.n_leaving);
        if (r == 0)
                r = manager_judge_requests(manager, requests, &transaction.n, transaction.n_leaving, caller,
                                &transaction.begun, failure);
        if (r != 0)
                transaction.n = n; /* the list is as it was given */
        if (r == 0)
                r = admit(&transaction, failure);
        if (r == 0 && transaction.n + transaction.n_leaving > 0) {
                r = prepare(&transaction);
                if (r == 0)
                        r = commit(&transaction, failure);
        }
        transaction_done(&transaction);
        return r;
}

int manager_apply(void *userdata, uid_t caller, Allocation **requests, size_t n, Failure *ret_failure) {
        return manager_transact(userdata, caller, requests, n, /* issuer= */ NULL, ret_failure);
}
