/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "drift.h"

#include "util/cleanup.h"

#include <assert.h>
#include <string.h>

static const char *const cause_names[DRIFT_CAUSE_MAX] = {
        [DRIFT_CGROUP_FILE] = "cgroup-file",
        [DRIFT_CGROUP_GONE] = "cgroup-gone",
        [DRIFT_SYSTEMD] = "systemd",
        [DRIFT_TC] = "tc",
        [DRIFT_LINK] = "link",
        [DRIFT_PIN] = "pin",
};

const char *drift_cause_to_string(DriftCause cause) {
        assert(cause < DRIFT_CAUSE_MAX);
        return cause_names[cause];
}

void drift_deinit(Drift *drift) {
        free(drift->object);
        free(drift->key);
        free(drift->have);
        free(drift->want);
        free(drift->tenant_id);
        *drift = (Drift){};
}

static void fight_deinit(DriftFight *fight) {
        free(fight->object);
        free(fight->key);
}

void drift_log_deinit(DriftLog *log) {
        for (size_t i = 0; log->kept && i < DRIFT_KEPT; i++)
                drift_deinit(&log->kept[i]);
        free(log->kept);
        for (size_t i = 0; i < log->n_repairs; i++)
                fight_deinit(&log->repairs[i]);
        free(log->repairs);
        *log = (DriftLog){};
}

void drift_log_put(DriftLog *log, Drift *drift) {
        Drift *place;

        log->counts[drift->cause].found++;
        log->counts[drift->cause].repaired += drift->repaired;
        if (!log->kept)
                log->kept = calloc(DRIFT_KEPT, sizeof(Drift));
        if (!log->kept) {
                drift_deinit(drift);
                return;
        }
        place = &log->kept[log->n++ % DRIFT_KEPT];
        drift_deinit(place);
        *place = *drift;
        *drift = (Drift){};
}

const Drift *drift_log_get(const DriftLog *log, size_t i) {
        uint64_t first = log->n > DRIFT_KEPT ? log->n - DRIFT_KEPT : 0;

        return i < log->n - first ? &log->kept[(first + i) % DRIFT_KEPT] : NULL;
}

static DriftFight *find_repairs(const DriftLog *log, const char *object) {
        for (size_t i = 0; i < log->n_repairs; i++)
                if (strcmp(log->repairs[i].object, object) == 0)
                        return &log->repairs[i];
        return NULL;
}

uint64_t drift_log_due(const DriftLog *log, const char *object, uint64_t now_usec) {
        const DriftFight *fight = find_repairs(log, object);

        return fight && fight->next_usec > now_usec ? fight->next_usec : now_usec;
}

static uint64_t fight_delay(const DriftFight *fight) {
        unsigned beyond = fight->repairs - DRIFT_FIGHT_REPAIRS;

        if (fight->repairs < DRIFT_FIGHT_REPAIRS)
                return 0;
        return beyond < 4 ? 1000000ULL << beyond : DRIFT_FIGHT_DELAY_MAX_USEC;
}

static int add_repairs(DriftLog *log, const char *object, DriftFight **ret) {
        DriftFight *repairs = reallocarray(log->repairs, log->n_repairs + 1, sizeof(DriftFight));
        char *copy;

        if (!repairs)
                return -ENOMEM;
        log->repairs = repairs;
        copy = strdup(object);
        if (!copy)
                return -ENOMEM;
        repairs[log->n_repairs] = (DriftFight){ .object = copy };
        *ret = &repairs[log->n_repairs++];
        return 0;
}

int drift_log_repair(DriftLog *log, const char *object, const char *key, uint64_t now_usec) {
        DriftFight *fight = find_repairs(log, object);
        char *copy = strdup(key);
        int r = 0;

        if (copy && !fight)
                r = add_repairs(log, object, &fight);
        if (!copy || r < 0) {
                free(copy);
                return -ENOMEM;
        }
        if (now_usec - fight->last_usec > DRIFT_CALM_USEC)
                fight->repairs = 0;
        free(fight->key);
        fight->key = copy;
        fight->repairs++;
        fight->last_usec = now_usec;
        fight->next_usec = now_usec + fight_delay(fight);
        return 0;
}

const DriftFight *drift_log_fight(const DriftLog *log, const char *object) {
        for (size_t i = 0; i < log->n_repairs; i++)
                if (log->repairs[i].repairs >= DRIFT_FIGHT_REPAIRS &&
                                (!object || strcmp(log->repairs[i].object, object) == 0))
                        return &log->repairs[i];
        return NULL;
}

unsigned drift_fight_delay_sec(const DriftFight *fight) {
        return (unsigned) (fight_delay(fight) / 1000000);
}

size_t drift_log_calm(DriftLog *log, uint64_t now_usec, void (*ended)(const char *object, void *userdata),
                void *userdata) {
        size_t n = 0;

        for (size_t i = log->n_repairs; i-- > 0;) {
                DriftFight fight = log->repairs[i];

                if (now_usec - fight.last_usec <= DRIFT_CALM_USEC)
                        continue;
                log->repairs[i] = log->repairs[--log->n_repairs];
                if (fight.repairs >= DRIFT_FIGHT_REPAIRS) {
                        ended(fight.object, userdata);
                        n++;
                }
                fight_deinit(&fight);
        }
        return n;
}
