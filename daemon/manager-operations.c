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

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#define USERS_SAMPLE_USEC 500000U

/* Each on its own: 0 where it may be asked of the calendar. What is held already is asked with the window
 * that it has. */
static int judge_for_check(Manager *manager, Allocation *request, uid_t caller, const Instant *now,
                size_t *n_elapses, Failure *failure) {
        const Allocation *held;
        int r;

        r = manager_judge_request(manager, request, caller, now, n_elapses, failure);
        if (r == 0)
                r = manager_judge_draining(manager, request, failure);
        if (r != -EALREADY)
                return r;
        held = calendar_find(&manager->node.calendar, request->id);
        request->start_usec = held->start_usec;
        request->end_usec = held->end_usec;
        r = allocation_parse_recurrence(request, failure);
        if (r == 0)
                r = allocation_reckon_windows(request, now->utc_usec, manager->node.calendar.horizon_usec);
        *n_elapses += request->n_elapses;
        return r < 0 ? r : 0;
}

static int manager_check(void *userdata, uid_t caller, Allocation **requests, size_t n, Verdict *ret_verdicts,
                Failure *ret_failure) {
        _cleanup_free_ Allocation **asked = calloc(n + 1, sizeof(Allocation *));
        _cleanup_free_ Verdict *answers = calloc(n + 1, sizeof(Verdict));
        Manager *manager = userdata;
        Instant now = manager_now();
        size_t n_asked = 0, n_elapses = manager_count_elapses(manager);
        int r = asked && answers ? manager_judge_duplicates(requests, n, ret_failure) : -ENOMEM;

        if (r != 0)
                return r;
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = judge_for_check(manager, requests[i], caller, &now, &n_elapses, &ret_verdicts[i].failure);
                if (r == 0)
                        asked[n_asked++] = requests[i];
        }
        if (r >= 0)
                r = admission_check(&manager->node.calendar, reconciler_capacity(manager->reconciler),
                                now.utc_usec, asked, n_asked, /* leaving= */ NULL, answers);
        for (size_t i = 0, k = 0; r >= 0 && k < n_asked; i++)
                if (requests[i] == asked[k])
                        ret_verdicts[i] = answers[k++];
        return r;
}

int manager_note_released(Manager *manager, const char *id, uint64_t generation, const Instant *now) {
        return state_put_released(
                        manager->state, id, generation, manager->node.clock_trusted ? now->utc_usec : 0);
}

static int manager_release_allocation(void *userdata, uid_t caller, const char *id, uint64_t generation,
                const char *reason, Failure *ret_failure) {
        Manager *manager = userdata;
        Allocation *allocation = calendar_find(&manager->node.calendar, id);
        Instant now = manager_now();
        char words[MANAGER_REASON_LENGTH_MAX + 16];
        int r;

        if (!allocation)
                return failure_set(ret_failure, FAILURE_NO_SUCH_ALLOCATION, "no allocation '%.64s'", id);
        r = manager_judge_owner(allocation, caller, ret_failure);
        if (r != 0)
                return r;
        if (generation != 0 && generation < allocation->generation)
                return failure_set(ret_failure, FAILURE_STALE_GENERATION,
                                "allocation %s: Generation %" PRIu64 " is older than %" PRIu64
                                ", which is held",
                                id, generation, allocation->generation);
        if (!allocation_is_live(allocation) && generation <= allocation->generation)
                return 0;
        r = manager_judge_reason(reason, ret_failure);
        if (r != 0)
                return r;
        /* A release may overtake the updates before it: none of those may bring the allocation back, be it
         * over or not. */
        if (generation < allocation->generation)
                generation = allocation->generation;
        /* The note alone is enough for a start to finish it: it is on disk before anything is told. */
        r = manager_note_released(manager, id, generation, &now);
        if (r < 0 || !allocation_is_live(allocation))
                return r;
        snprintf(words, sizeof words, "released%s%s", *reason ? ": " : "", reason);
        manager_enter_state(manager, allocation, ALLOCATION_RELEASED, words, &now);
        return manager_reconcile(manager);
}

static int manager_renew(
                void *userdata, uid_t caller, const char *id, uint64_t lease_usec, Failure *ret_failure) {
        Manager *manager = userdata;
        Allocation *allocation = calendar_find(&manager->node.calendar, id);
        Instant now = manager_now();
        Allocation before;
        int r;

        if (!allocation || !allocation_is_live(allocation))
                return failure_set(ret_failure, FAILURE_NO_SUCH_ALLOCATION, "no allocation '%.64s'%s", id,
                                allocation ? " that still runs: it is over" : "");
        r = manager_judge_owner(allocation, caller, ret_failure);
        if (r != 0)
                return r;
        if (allocation->lease_usec == 0)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: it has no LeaseDuration, and needs no renewal", id);
        if (lease_usec == 0 || lease_usec > ALLOCATION_LEASE_USEC_MAX)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: renewal %" PRIu64 " must be from 1 to %llu µs", id,
                                lease_usec, ALLOCATION_LEASE_USEC_MAX);
        before = *allocation;
        allocation_renew(allocation, now.utc_usec, now.boottime_usec, lease_usec);
        r = state_put_allocation(manager->state, allocation);
        if (r < 0) { /* what is not on disk was not renewed */
                allocation->lease_expiry_usec = before.lease_expiry_usec;
                allocation->lease_expiry_boottime_usec = before.lease_expiry_boottime_usec;
                allocation->lease_by_utc = before.lease_by_utc;
                return r;
        }
        calendar_look_again(&manager->node.calendar, allocation);
        api_allocation_renewed(manager->api, allocation);
        return manager_reconcile(manager);
}

static int write_all(void *userdata, const char *bytes, size_t n) {
        const int *fd = userdata;

        while (n > 0) {
                ssize_t k = write(*fd, bytes, n);

                if (k < 0)
                        return -errno;
                bytes += k;
                n -= (size_t) k;
        }
        return 0;
}

typedef int (*Print)(const Node *node, char *const *only_tenants, Text *text);

static int print_sealed(Print print, const Node *node, char *const *only_tenants, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("headgate-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        _cleanup_text_ Text text = { .take = write_all, .userdata = &fd };
        int r;

        if (fd < 0)
                return -errno;
        r = print(node, only_tenants, &text);
        if (r < 0)
                return r;
        if (lseek(fd, 0, SEEK_SET) < 0 ||
                        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* A sample is work, and the end of an interval over which delivery is judged: users of tenants get no more of
 * them than an exporter asks for. */
static bool is_sampled_for_users(const Manager *manager) {
        return manager->sampled_all_usec > 0 &&
               manager_now().boottime_usec < manager->sampled_all_usec + USERS_SAMPLE_USEC;
}

static int manager_snapshot(void *userdata, const char *format, char *const *only_tenants, int *ret_fd,
                Failure *ret_failure) {
        static const struct {
                const char *name;
                Print print;
        } formats[] = { { "openmetrics", export_openmetrics }, { "json", export_json } };
        Manager *manager = userdata;

        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (strcmp(formats[i].name, format) == 0) {
                        if (!only_tenants || !is_sampled_for_users(manager))
                                (void) manager_take_sample(manager, /* all= */ true);
                        return print_sealed(formats[i].print, &manager->node, only_tenants, ret_fd);
                }
        return failure_set(ret_failure, FAILURE_NOT_SUPPORTED, "format '%.64s' must be openmetrics or json",
                        format);
}

static uint64_t manager_boottime_usec(void *userdata) {
        return manager_now().boottime_usec;
}

static int manager_refresh_blames(void *userdata, Failure *ret_failure) {
        Manager *manager = userdata;

        return reconciler_refresh_blames(manager->reconciler, &manager->node);
}

const ApiOperations manager_operations = {
        .apply = manager_apply,
        .sync = manager_sync,
        .check = manager_check,
        .renew = manager_renew,
        .release = manager_release_allocation,
        .attach = manager_attach,
        .attach_unit = manager_attach_unit,
        .set_mode = manager_set_mode,
        .diff = manager_diff,
        .explain = manager_explain,
        .adopt = manager_adopt,
        .abandon = manager_abandon,
        .refresh_blames = manager_refresh_blames,
        .boottime_usec = manager_boottime_usec,
        .snapshot = manager_snapshot,
        .calendar = manager_segments,
        .drain = manager_drain,
        .resume = manager_resume,
        .set_capacity = manager_set_capacity,
        .accept_clock = manager_accept_clock,
        .release_all = manager_release_all,
};
