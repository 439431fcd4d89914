/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Processes and units into tenants, and what processes left with their old groups: told while it lasts. To
 * find it, all files of a process are walked: when it is attached, as long as that takes no more than a tenth
 * of a CPU, and then in turns, which together take a thousandth of one at most, however many files there are.
 * It is not kept over a restart of the daemon.
 */

#include "manager-internal.h"

#include "model/remains.h"
#include "util/log.h"
#include "util/path.h"
#include "util/pidfd.h"
#include "util/strv.h"

#include <fcntl.h>
#include <string.h>

#define ATTACH_MAX 16            /* of one call, as api/ lets pass */
#define ATTACHED_WATCHED_MAX 128 /* beyond them the oldest is not told any more */
#define TOLD_PER_TENANT_MAX 16

#define TURN_USEC 1000U /* of walks in one sample; the last of them takes as long as it takes */
#define REST_PER_TURN 1000U
#define REST_PER_WALK 10U           /* of one at once, when it is attached, */
#define WALKS_AHEAD_USEC 1000000ULL /* of which so much may be owed */

struct AttachedProcess {
        int pidfd;
        char *tenant_id;
        bool unseen; /* its files were not walked yet */
        Remains remains;
};

/* --- what is left --- */

static void attached_deinit(AttachedProcess *process) {
        cleanup_close(&process->pidfd);
        free(process->tenant_id);
        free(process->remains.group);
}

void manager_free_attached(Manager *manager) {
        for (size_t i = 0; i < manager->n_attached; i++)
                attached_deinit(&manager->attached[i]);
        free(manager->attached);
}

static void drop_attached(Manager *manager, size_t i) {
        attached_deinit(&manager->attached[i]);
        manager->n_attached--;
        memmove(manager->attached + i, manager->attached + i + 1,
                        (manager->n_attached - i) * sizeof(AttachedProcess));
}

static bool is_tenants(const Tenant *tenant, const char *path) {
        if (path_is_within(path, tenant->control_group))
                return true;
        for (size_t i = 0; i < tenant->adopted.n; i++)
                if (path_is_within(path, tenant->adopted.entries[i].path))
                        return true;
        return false;
}

/* Before it is moved. What cannot be read is not told. */
static void look_before(const Manager *manager, const Tenant *tenant, int pidfd, Remains *ret) {
        const Feature *memory = feature_set_get(&manager->node.features, "meter.memory");
        pid_t pid;

        if (pidfd_get_pid(pidfd, &pid) < 0 || pidfd_get_name(pidfd, ret->name) < 0 ||
                        cgroup_find_process(pidfd, &ret->group) < 0)
                return;
        ret->pid = (int) pid;
        if (memory && memory->available && !is_tenants(tenant, ret->group))
                (void) pidfd_get_memory(pidfd, &ret->memory_bytes);
}

/* Both only become less: what it opens and is charged from now on is the tenant's. */
static void look_again(Manager *manager, const Tenant *tenant, int pidfd, Remains *remains) {
        uint64_t memory_bytes;

        remains->sockets = 0;
        (void) reconciler_count_sockets(manager->reconciler, tenant, pidfd, &remains->sockets);
        if (remains->memory_bytes > 0 && pidfd_get_memory(pidfd, &memory_bytes) >= 0 &&
                        memory_bytes < remains->memory_bytes)
                remains->memory_bytes = memory_bytes;
}

/* Whoever attaches may be anybody's user, and his process have any number of files: false where others before
 * it have used up what there is for that, and it is left to its turn. */
static bool look_at_once(Manager *manager, const Tenant *tenant, int pidfd, Remains *remains) {
        const uint64_t now_usec = manager_now().boottime_usec, begin_usec = manager_cpu_usec();

        if (manager->walks_rest_usec < now_usec)
                manager->walks_rest_usec = now_usec;
        if (manager->walks_rest_usec > now_usec + WALKS_AHEAD_USEC)
                return false;
        look_again(manager, tenant, pidfd, remains);
        manager->walks_rest_usec += REST_PER_WALK * (manager_cpu_usec() - begin_usec);
        return true;
}

static void log_remains(const Tenant *tenant, const char *words) {
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant->id }, "Tenant %s: %s", tenant->id, words);
}

/* Takes what `remains` owns. */
static void watch(Manager *manager, const Tenant *tenant, int pidfd, bool unseen, Remains *remains) {
        AttachedProcess *attached, process = { .pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0),
                .tenant_id = strdup(tenant->id),
                .unseen = unseen,
                .remains = *remains };

        remains->group = NULL;
        attached = reallocarray(manager->attached, manager->n_attached + 1, sizeof(AttachedProcess));
        if (attached)
                manager->attached = attached;
        if (!attached || process.pidfd < 0 || !process.tenant_id) {
                attached_deinit(&process);
                return;
        }
        attached[manager->n_attached++] = process;
        if (manager->n_attached > ATTACHED_WATCHED_MAX)
                drop_attached(manager, 0);
}

static int describe(const Manager *manager, const Tenant *tenant, char ***ret) {
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < manager->n_attached; i++) {
                const AttachedProcess *process = &manager->attached[i];
                _cleanup_free_ char *words = NULL;

                if (strcmp(process->tenant_id, tenant->id) != 0)
                        continue;
                if (++n > TOLD_PER_TENANT_MAX)
                        continue;
                r = remains_format(&process->remains, &words);
                if (r > 0)
                        r = strv_push(ret, words);
        }
        if (r >= 0 && n > TOLD_PER_TENANT_MAX)
                r = strv_pushf(ret, "%zu more processes left sockets or memory with their old groups",
                                n - TOLD_PER_TENANT_MAX);
        return r;
}

/* What its processes left by now, into its words. */
static void tell_remains(Manager *manager, Tenant *tenant) {
        _cleanup_strv_ char **now = NULL;

        if (describe(manager, tenant, &now) < 0 || strv_equal(now, tenant->remains))
                return;
        strv_free(tenant->remains);
        tenant->remains = TAKE_PTR(now);
        node_note_news(&manager->node, tenant);
}

/* It is another's now, or the same tenant's once more. */
static void forget_remains(Manager *manager, int pid) {
        for (size_t i = manager->n_attached; i-- > 0;) {
                Tenant *tenant;

                if (manager->attached[i].remains.pid != pid)
                        continue;
                tenant = node_find_tenant(&manager->node, manager->attached[i].tenant_id);
                drop_attached(manager, i);
                if (tenant)
                        tell_remains(manager, tenant);
        }
}

static void note_remains(Manager *manager, Tenant *tenant, const int *pidfds, size_t n, Remains *remains) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *words = NULL;
                bool seen;

                forget_remains(manager, remains[i].pid);
                if (!remains[i].group)
                        continue;
                seen = look_at_once(manager, tenant, pidfds[i], &remains[i]);
                if (remains_format(&remains[i], &words) > 0)
                        log_remains(tenant, words);
                else if (seen)
                        continue;
                watch(manager, tenant, pidfds[i], !seen, &remains[i]);
        }
        tell_remains(manager, tenant);
}

static const Tenant *living_tenant(const Manager *manager, const AttachedProcess *process) {
        return pidfd_has_exited(process->pidfd) ? NULL : node_find_tenant(&manager->node, process->tenant_id);
}

static void look_in_turn(Manager *manager, const Tenant *tenant, AttachedProcess *process) {
        _cleanup_free_ char *words = NULL;

        look_again(manager, tenant, process->pidfd, &process->remains);
        if (process->unseen && remains_format(&process->remains, &words) > 0)
                log_remains(tenant, words);
        process->unseen = false;
}

/* Those whose turn it is. */
static void take_turn(Manager *manager) {
        const uint64_t now_usec = manager_now().boottime_usec, begin_usec = manager_cpu_usec();
        uint64_t spent_usec = 0;

        if (now_usec < manager->attached_due_usec)
                return;
        for (size_t n = 0; n < manager->n_attached && spent_usec < TURN_USEC; n++) {
                AttachedProcess *process = &manager->attached[manager->attached_next++ % manager->n_attached];
                const Tenant *tenant = living_tenant(manager, process);

                if (tenant)
                        look_in_turn(manager, tenant, process);
                spent_usec = manager_cpu_usec() - begin_usec;
        }
        manager->attached_due_usec = now_usec + REST_PER_TURN * spent_usec;
}

void manager_look_at_attached(Manager *manager) {
        take_turn(manager);
        for (size_t i = manager->n_attached; i-- > 0;) {
                AttachedProcess *process = &manager->attached[i];
                _cleanup_free_ char *words = NULL;

                if (!living_tenant(manager, process)) {
                        process->remains.sockets = process->remains.memory_bytes = 0;
                        process->unseen = false;
                }
                if (!process->unseen && remains_format(&process->remains, &words) <= 0)
                        drop_attached(manager, i);
        }
        for (size_t i = 0; i < manager->node.n_tenants; i++)
                if (manager->n_attached > 0 || manager->node.tenants[i]->remains)
                        tell_remains(manager, manager->node.tenants[i]);
}

/* --- into a tenant --- */

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

int manager_attach(void *userdata, const char *tenant_id, const int *pidfds, size_t n, Failure *ret_failure) {
        _cleanup_free_ char *where = NULL;
        Remains remains[ATTACH_MAX] = {};
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
        for (size_t i = 0; i < n && i < ATTACH_MAX; i++)
                look_before(manager, tenant, pidfds[i], &remains[i]);
        r = tenant_group_attach(group, pidfds, n, &where);
        if (r >= 0)
                note_remains(manager, tenant, pidfds, n, remains);
        for (size_t i = 0; i < ATTACH_MAX; i++)
                free(remains[i].group);
        if (r == -ESRCH)
                return failure_set(ret_failure, FAILURE_NO_SUCH_PROCESS,
                                "tenant %s: a process is gone, or was not the one meant", tenant_id);
        if (r < 0)
                return failure_set(ret_failure, FAILURE_NOT_ENFORCED,
                                "tenant %s: %zu processes could not be attached: %s", tenant_id, n,
                                strerror(-r));
        /* What runs while it is moved is charged to its old group until it is looked at. The others' counters
         * are left to the next sample: who attaches may be anybody's user, and do so as often as he likes. */
        r = reconciler_sample_tenant(manager->reconciler, tenant);
        if (r < 0)
                (void) log_warning_errno(r, "The counters of tenant %s cannot be read", tenant_id);
        manager_tell_tenants(manager);
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant_id, .object = where },
                        "%zu processes attached to tenant %s in %s", n, tenant_id, where);
        return 0;
}

/* The tenant's from now on, and not only from its next start, when this group is gone. */
static int adopt_until_restart(Manager *manager, uid_t caller, const Tenant *tenant, const char *unit,
                const char *path, Failure *failure) {
        _cleanup_failure_ Failure refusal = FAILURE_NULL;
        int r;

        if (is_tenants(tenant, path))
                return 0;
        r = manager_adopt(manager, caller, tenant->id, path, &refusal);
        return r <= 0 ? r
                      : failure_set(failure, refusal.code,
                                        "unit '%.256s' belongs to tenant %s from its next start; until then "
                                        "it does not: %s",
                                        unit, tenant->id, refusal.message);
}

int manager_attach_unit(
                void *userdata, uid_t caller, const char *tenant_id, const char *unit, Failure *ret_failure) {
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
                                "'%.256s' is not the name of a service, socket, mount or swap: no "
                                "other unit can be a tenant's",
                                unit);
        if (r == -EEXIST)
                return failure_set(ret_failure, FAILURE_NOT_ENFORCED,
                                "unit '%.256s' does not become tenant %s's: a drop-in behind ours "
                                "names another Slice=",
                                unit, tenant->id);
        if (r < 0)
                return r;
        log_write(LOG_INFO, &(LogFields){ .tenant = tenant_id, .object = unit },
                        "Unit %s belongs to tenant %s from its next start", unit, tenant_id);
        return where ? adopt_until_restart(manager, caller, tenant, unit, where, ret_failure) : 0;
}
