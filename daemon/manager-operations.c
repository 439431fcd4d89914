/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What callers ask of the node, once api/ has decoded it. Each judges all before it changes anything, and
 * leaves no trace where it fails.
 */

#include "manager-internal.h"

#include "decide/admission.h"
#include "export/json.h"
#include "export/openmetrics.h"
#include "util/log.h"
#include "util/strv.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define REASON_LENGTH_MAX 255

/* Whether a request may take the place of what is held. 0: yes; 1 (FAILURE_*): no; -EALREADY: it is what is
 * held. */
static int judge_generation(
                Manager *manager, const Allocation *request, const Allocation *held, Failure *failure) {
        uint64_t released;
        int r;

        r = state_released_generation(manager->state, request->id, &released);
        if (r < 0)
                return r;
        if (request->generation <= released)
                return failure_set(failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " must be over %" PRIu64
                                ", at which it was released",
                                request->id, request->generation, released);
        if (!held)
                return 0;
        if (request->generation < held->generation)
                return failure_set(failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " is older than %" PRIu64
                                ", which is held",
                                request->id, request->generation, held->generation);
        if (request->generation > held->generation)
                return 0;
        if (held->state == ALLOCATION_RELEASED)
                return failure_set(failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " was released; give a higher one",
                                request->id, request->generation);
        if (allocation_same_request(request, held))
                return -EALREADY;
        return failure_set(failure, FAILURE_GENERATION_CONFLICT,
                        "allocation %s: Generation %" PRIu64 " is held with other content; give a higher one",
                        request->id, request->generation);
}

static int judge_owner(const Allocation *held, uid_t caller, Failure *failure) {
        if (caller == 0 || caller == geteuid() || held->owner == caller)
                return 0;
        return failure_set(failure, FAILURE_ACCESS_DENIED, "allocation %s belongs to user %d, not to user %d",
                        held->id, (int) held->owner, (int) caller);
}

static int judge_request(
                Manager *manager, Allocation *request, uid_t caller, uint64_t now_usec, Failure *failure) {
        Allocation *held;
        int r;

        r = allocation_validate(request, failure);
        if (r != 0)
                return r;
        held = calendar_find(&manager->node.calendar, request->id);
        if (held) {
                r = judge_owner(held, caller, failure);
                if (r == 0 && strcmp(held->tenant_id, request->tenant_id) != 0)
                        r = failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: TenantId '%s' cannot become '%s'", request->id,
                                        held->tenant_id, request->tenant_id);
                if (r != 0)
                        return r;
        }
        r = judge_generation(manager, request, held, failure);
        return r != 0 ? r : allocation_accept(request, now_usec, held ? held->owner : caller, failure);
}

static int by_id(const void *a, const void *b) {
        return strcmp((*(Allocation *const *) a)->id ?: "", (*(Allocation *const *) b)->id ?: "");
}

/* One call names an allocation once. */
static int judge_duplicates(Allocation *const *requests, size_t n, Failure *failure) {
        _cleanup_free_ Allocation **sorted = calloc(n + 1, sizeof(Allocation *));

        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                sorted[i] = requests[i];
        qsort(sorted, n, sizeof(Allocation *), by_id);
        for (size_t i = 1; i < n; i++)
                if (by_id(&sorted[i - 1], &sorted[i]) == 0)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %.64s is given twice", sorted[i]->id ?: "''");
        return 0;
}

/* Each on its own, then all against the limits of the node. Those that are held as they are leave the list.
 */
static int judge_requests(Manager *manager, Allocation **requests, size_t *n, uid_t caller, uint64_t now_usec,
                Failure *failure) {
        size_t kept = 0, added = 0;
        int r;

        for (size_t i = 0; i < *n; i++) {
                r = judge_request(manager, requests[i], caller, now_usec, failure);

                if (r != 0 && r != -EALREADY)
                        return r;
                added += !calendar_find(&manager->node.calendar, requests[i]->id);
        }
        r = judge_duplicates(requests, *n, failure);
        if (r != 0)
                return r;
        if (manager->node.calendar.n + added > manager->options.config->allocations_max)
                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                "%zu allocations would be over allocations-max, %" PRIu64,
                                manager->node.calendar.n + added, manager->options.config->allocations_max);
        for (size_t i = 0; i < *n; i++) {
                const Allocation *held = calendar_find(&manager->node.calendar, requests[i]->id);

                if (held && held->generation == requests[i]->generation)
                        allocation_free(requests[i]);
                else
                        requests[kept++] = requests[i];
        }
        *n = kept;
        return 0;
}

static int admit(Manager *manager, Allocation *const *requests, size_t n, Failure *failure) {
        _cleanup_free_ Verdict *verdicts = calloc(n + 1, sizeof(Verdict));
        int r;

        if (!verdicts)
                return -ENOMEM;
        r = admission_check(&manager->node.calendar, reconciler_capacity(manager->reconciler), requests, n,
                        verdicts);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (r == 0 && !verdicts[i].fits)
                        r = failure_set(failure, verdicts[i].failure.code, "%s", verdicts[i].failure.message);
                verdict_deinit(&verdicts[i]);
        }
        return r;
}

/* The requests into the calendar and onto the disk (not yet committed); `held` gets what each replaced. */
static int take_requests(Manager *manager, Allocation *const *requests, size_t n, Allocation **held,
                char ***new_tenants, Failure *failure) {
        for (size_t i = 0; i < n; i++) {
                Allocation *request = requests[i];
                Tenant *tenant = node_find_tenant(&manager->node, request->tenant_id);
                const Allocation *active;
                int r;

                if (!tenant) {
                        r = node_add_tenant(&manager->node, request->tenant_id, manager_slot_max(manager),
                                        &tenant);
                        if (r == -ENOSPC)
                                return failure_set(failure, FAILURE_LIMIT_EXCEEDED,
                                                "allocation %s: tenant '%s' would be one over tenants-max, "
                                                "%" PRIu64,
                                                request->id, request->tenant_id,
                                                manager->options.config->tenants_max);
                        if (r >= 0)
                                r = strv_push(new_tenants, tenant->id);
                        if (r < 0)
                                return r;
                        tenant->untold = true;
                }
                /* An update of what is active goes on from there: its start was told already. */
                active = calendar_find(&manager->node.calendar, request->id);
                if (active && (active->state == ALLOCATION_ACTIVE || active->state == ALLOCATION_ENDING)) {
                        request->state = ALLOCATION_ACTIVE;
                        request->actual_start_usec = active->actual_start_usec;
                }
                request->untold = true;
                r = calendar_put(&manager->node.calendar, request, &held[i]);
                if (r < 0)
                        return r;
                r = state_put_tenant(manager->state, tenant);
                if (r >= 0)
                        r = state_put_allocation(manager->state, request);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* As it was before take_requests(), as far as that came. */
static void untake_requests(Manager *manager, Allocation *const *requests, size_t n, Allocation **held) {
        for (size_t i = 0; i < n; i++) {
                Allocation *request;

                if (calendar_find(&manager->node.calendar, requests[i]->id) != requests[i])
                        continue;
                if (held[i] && calendar_put(&manager->node.calendar, held[i], &request) >= 0)
                        held[i] = NULL;
                else /* new; or there is no memory to put the old one back, and the new one must not stay
                        either */
                        (void) calendar_take(&manager->node.calendar, requests[i]->id);
        }
}

/* What OnEnd left of the requests' tenants, by request: an Apply wakes them, and one that is refused did not.
 */
typedef struct AtRest {
        bool throttled, frozen, doomed;
        uint64_t residual_memory_bytes;
} AtRest;

static void keep_rest(const Manager *manager, Allocation *const *requests, size_t n, AtRest *rest) {
        for (size_t i = 0; i < n; i++) {
                const Tenant *tenant = node_find_tenant(&manager->node, requests[i]->tenant_id);

                if (tenant)
                        rest[i] = (AtRest){ tenant->throttled, tenant->frozen, tenant->doomed,
                                tenant->residual_memory_bytes };
        }
}

static void restore_rest(Manager *manager, Allocation *const *requests, size_t n, const AtRest *rest) {
        for (size_t i = 0; i < n; i++) {
                Tenant *tenant = node_find_tenant(&manager->node, requests[i]->tenant_id);

                if (!tenant)
                        continue;
                tenant->throttled = rest[i].throttled;
                tenant->frozen = rest[i].frozen;
                tenant->doomed = rest[i].doomed;
                tenant->residual_memory_bytes = rest[i].residual_memory_bytes;
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

/* A tenant of the request that was refused its share by the kernel: the whole request was. */
static int find_unenforced(Manager *manager, Allocation *const *requests, size_t n, Failure *failure) {
        for (size_t i = 0; i < n; i++) {
                const Tenant *tenant = node_find_tenant(&manager->node, requests[i]->tenant_id);

                if (tenant && tenant->failed)
                        return failure_set(failure, FAILURE_NOT_ENFORCED, "allocation %s: tenant %s: %s",
                                        requests[i]->id, tenant->id,
                                        strv_length(tenant->problems) > 0 ? tenant->problems[0]
                                                                          : "could not be enforced");
        }
        return 0;
}

/* New objects first, then the states that they are in. */
static void tell_accepted(Manager *manager, Allocation *const *requests, size_t n, Allocation *const *held,
                char *const *new_tenants) {
        for (char *const *id = new_tenants; id && *id; id++) {
                Tenant *tenant = node_find_tenant(&manager->node, *id);

                tenant->untold = tenant->changed = false;
                api_tenant_added(manager->api, tenant);
        }
        for (size_t i = 0; i < n; i++) {
                requests[i]->untold = false;
                if (held[i])
                        api_allocation_updated(manager->api, requests[i]);
                else
                        api_allocation_added(manager->api, requests[i]);
                api_allocation_changed(manager->api, requests[i],
                                held[i] ? held[i]->state : ALLOCATION_STATE_INVALID);
        }
}

static void free_all(Allocation **list, size_t n) {
        for (size_t i = 0; i < n; i++)
                allocation_free(list[i]);
}

/*
 * Judge all, note the intent, apply, read back, commit. Where any step fails the calendar is put back, and
 * the same path that applied it takes away what it did.
 */
static int manager_apply(
                void *userdata, uid_t caller, Allocation **requests, size_t n, Failure *ret_failure) {
        _cleanup_free_ Allocation **held = calloc(n + 1, sizeof(Allocation *));
        _cleanup_free_ AtRest *rest = calloc(n + 1, sizeof(AtRest));
        _cleanup_strv_ char **new_tenants = NULL;
        Manager *manager = userdata;
        Instant begun = manager_now();
        size_t n_all = n;
        int r;

        r = held && rest ? judge_requests(manager, requests, &n, caller, begun.utc_usec, ret_failure)
                         : -ENOMEM;
        if (r != 0)
                n = n_all; /* the list is as it was given */
        if (r == 0)
                r = admit(manager, requests, n, ret_failure);
        if (r != 0 || n == 0) {
                free_all(requests, n);
                return r;
        }
        keep_rest(manager, requests, n, rest);
        manager->in_transaction = true;
        r = state_begin(manager->state);
        if (r >= 0)
                r = take_requests(manager, requests, n, held, &new_tenants, ret_failure);
        if (r == 0)
                r = manager_reconcile(manager);
        if (r == 0)
                r = find_unenforced(manager, requests, n, ret_failure);
        if (r == 0)
                r = state_commit(manager->state);
        manager->in_transaction = false;
        if (r == 0) {
                tell_accepted(manager, requests, n, held, new_tenants);
                free_all(held, n);
                return 0;
        }
        state_rollback(manager->state);
        untake_requests(manager, requests, n, held);
        restore_rest(manager, requests, n, rest);
        free_all(requests, n);
        free_all(held, n);
        put_back_states(manager, begun.boottime_usec);
        manager->tenants_may_go = true;
        manager_drop_tenants(manager);
        (void) manager_reconcile(manager);
        return r;
}

/* Each on its own: 0 where it may be asked of the calendar. What is held already is asked with the window
 * that it has. */
static int judge_for_check(
                Manager *manager, Allocation *request, uid_t caller, uint64_t now_usec, Failure *failure) {
        const Allocation *held;
        int r;

        r = judge_request(manager, request, caller, now_usec, failure);
        if (r != -EALREADY)
                return r;
        held = calendar_find(&manager->node.calendar, request->id);
        request->start_usec = held->start_usec;
        request->end_usec = held->end_usec;
        return 0;
}

static int manager_check(void *userdata, uid_t caller, Allocation **requests, size_t n, Verdict *ret_verdicts,
                Failure *ret_failure) {
        _cleanup_free_ Allocation **asked = calloc(n + 1, sizeof(Allocation *));
        _cleanup_free_ Verdict *answers = calloc(n + 1, sizeof(Verdict));
        uint64_t now = manager_now().utc_usec;
        size_t n_asked = 0;
        Manager *manager = userdata;
        int r = asked && answers ? judge_duplicates(requests, n, ret_failure) : -ENOMEM;

        if (r != 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = judge_for_check(manager, requests[i], caller, now, &ret_verdicts[i].failure);
                if (r == 0)
                        asked[n_asked++] = requests[i];
        }
        if (r >= 0)
                r = admission_check(&manager->node.calendar, reconciler_capacity(manager->reconciler), asked,
                                n_asked, answers);
        for (size_t i = 0, k = 0; r >= 0 && k < n_asked; i++)
                if (requests[i] == asked[k])
                        ret_verdicts[i] = answers[k++];
        return r;
}

static int manager_release_allocation(void *userdata, uid_t caller, const char *id, uint64_t generation,
                const char *reason, Failure *ret_failure) {
        Manager *manager = userdata;
        Allocation *allocation = calendar_find(&manager->node.calendar, id);
        Instant now = manager_now();
        char words[REASON_LENGTH_MAX + 16];
        int r;

        if (!allocation)
                return failure_set(ret_failure, FAILURE_NO_SUCH_ALLOCATION, "no allocation '%.64s'", id);
        r = judge_owner(allocation, caller, ret_failure);
        if (r != 0)
                return r;
        if (generation != 0 && generation < allocation->generation)
                return failure_set(ret_failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " is older than %" PRIu64
                                ", which is held",
                                id, generation, allocation->generation);
        if (!allocation_is_live(allocation))
                return 0;
        for (const char *c = reason; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f || c - reason >= REASON_LENGTH_MAX)
                        return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: the reason must be at most %d bytes without control "
                                        "characters",
                                        id, REASON_LENGTH_MAX);
        /* A release may overtake the updates before it: none of those may bring the allocation back. */
        if (generation < allocation->generation)
                generation = allocation->generation;
        /* The note alone is enough for a start to know it as released: it is on disk before anything is told.
         */
        r = state_put_released(manager->state, id, generation, now.utc_usec);
        if (r < 0)
                return r;
        snprintf(words, sizeof words, "released%s%s", *reason ? ": " : "", reason);
        manager_enter_state(manager, allocation, ALLOCATION_RELEASED, words, &now);
        return manager_reconcile(manager);
}

static int find_group(Manager *manager, const char *tenant_id, TenantGroup **ret_group, Tenant **ret_tenant,
                Failure *failure) {
        Tenant *tenant = node_find_tenant(&manager->node, tenant_id);
        int r;

        if (!tenant)
                return failure_set(failure, FAILURE_NO_SUCH_TENANT,
                                "no tenant '%.64s'; it appears with its first allocation", tenant_id);
        r = reconciler_group(manager->reconciler, tenant, ret_group);
        if (r == -EOPNOTSUPP)
                return failure_set(failure, FAILURE_NOT_SUPPORTED,
                                "tenant %s has no control group: this is a dry run", tenant_id);
        if (r > 0) { /* someone took the old one away: no process goes in before the limits hold again */
                (void) manager_reconcile(manager);
                r = reconciler_group(manager->reconciler, tenant, ret_group);
        }
        if (r >= 0 && tenant->failed)
                return failure_set(failure, FAILURE_NOT_ENFORCED, "tenant %s takes no processes now: %s",
                                tenant_id,
                                strv_length(tenant->problems) > 0 ? tenant->problems[0]
                                                                  : "it could not be given its share");
        *ret_tenant = tenant;
        return r < 0 ? r : 0;
}

static int manager_attach(
                void *userdata, const char *tenant_id, const int *pidfds, size_t n, Failure *ret_failure) {
        _cleanup_free_ char *where = NULL;
        Manager *manager = userdata;
        TenantGroup *group;
        Tenant *tenant;
        int r;

        r = find_group(manager, tenant_id, &group, &tenant, ret_failure);
        if (r != 0)
                return r;
        if (n == 0)
                return failure_set(ret_failure, FAILURE_NO_SUCH_PROCESS, "tenant %s: no process was given",
                                tenant_id);
        r = tenant_group_attach(group, pidfds, n, &where);
        if (r == -ESRCH)
                return failure_set(ret_failure, FAILURE_NO_SUCH_PROCESS,
                                "tenant %s: a process is gone, or was not the one meant", tenant_id);
        if (r < 0)
                return failure_set(ret_failure, FAILURE_NOT_ENFORCED,
                                "tenant %s: %zu processes could not be attached: %s", tenant_id, n,
                                strerror(-r));
        /* What runs while it is moved is charged to its old group until it is looked at. */
        (void) manager_take_sample(manager);
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant_id, .object = where },
                        "%zu processes attached to tenant %s in %s", n, tenant_id, where);
        return 0;
}

static int manager_attach_unit(
                void *userdata, const char *tenant_id, const char *unit, Failure *ret_failure) {
        _cleanup_free_ char *where = NULL;
        Manager *manager = userdata;
        TenantGroup *group;
        Tenant *tenant;
        int r;

        r = find_group(manager, tenant_id, &group, &tenant, ret_failure);
        if (r != 0)
                return r;
        r = tenant_group_attach_unit(group, unit, &where);
        if (r == -EOPNOTSUPP)
                return failure_set(ret_failure, FAILURE_NOT_SUPPORTED,
                                "unit '%.256s' cannot be attached: the cgroup driver is not systemd", unit);
        if (r == -ENOENT)
                return failure_set(ret_failure, FAILURE_NO_SUCH_UNIT, "no unit '%.256s'", unit);
        if (r == -EINVAL)
                return failure_set(ret_failure, FAILURE_NO_SUCH_UNIT,
                                "'%.256s' is not the name of a service or scope", unit);
        if (r < 0)
                return r;
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant_id, .object = unit },
                        "Unit %s belongs to tenant %s from its next start", unit, tenant_id);
        return 0;
}

static int seal(const char *text, size_t size, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("headgate-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0)
                return -errno;
        for (size_t done = 0; done < size;) {
                ssize_t n = write(fd, text + done, size - done);

                if (n < 0)
                        return -errno;
                done += (size_t) n;
        }
        if (lseek(fd, 0, SEEK_SET) < 0 ||
                        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int manager_snapshot(void *userdata, const char *format, const char *only_tenant, int *ret_fd,
                Failure *ret_failure) {
        static const struct {
                const char *name;
                int (*print)(const Node *node, const char *only_tenant, char **ret_text, size_t *ret_size);
        } formats[] = { { "openmetrics", export_openmetrics }, { "json", export_json } };
        Manager *manager = userdata;

        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (strcmp(formats[i].name, format) == 0) {
                        _cleanup_free_ char *text = NULL;
                        size_t size;
                        int r;

                        (void) manager_take_sample(manager);
                        r = formats[i].print(&manager->node, only_tenant, &text, &size);
                        return r < 0 ? r : seal(text, size, ret_fd);
                }
        return failure_set(ret_failure, FAILURE_NOT_SUPPORTED, "format '%.64s' must be openmetrics or json",
                        format);
}

const ApiOperations manager_operations = {
        .apply = manager_apply,
        .check = manager_check,
        .release = manager_release_allocation,
        .attach = manager_attach,
        .attach_unit = manager_attach_unit,
        .snapshot = manager_snapshot,
};
