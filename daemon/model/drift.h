/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What was found otherwise than it was left, though nobody had planned that: counted by cause, the last of it
 * kept, and how often one object is put back when somebody writes it again and again. It knows neither files
 * nor clocks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DriftCause {
        DRIFT_CGROUP_FILE, /* a value of a group of ours is another */
        DRIFT_CGROUP_GONE, /* the group was removed, or made anew */
        DRIFT_SYSTEMD,     /* a value is another since systemd reloaded or was executed anew */
        DRIFT_TC,          /* qdisc, class or filter of ours */
        DRIFT_LINK,        /* an uplink was taken out, or is another under its name */
        DRIFT_PIN,         /* a pin of ours is gone, or what it pinned hangs nowhere */
        DRIFT_CAUSE_MAX,
} DriftCause;

/* "cgroup-file" */
const char *drift_cause_to_string(DriftCause cause);

typedef struct Drift {
        uint64_t utc_usec; /* when it was noticed */
        DriftCause cause;
        char *object;    /* group below the mount, uplink, or directory of pins */
        char *key;       /* file, class, or pin */
        char *have;      /* what was found */
        char *want;      /* what had been read back before */
        char *tenant_id; /* "" where it is no tenant's */
        bool repaired;   /* read back as planned since */
} Drift;

void drift_deinit(Drift *drift);

/* An object is put back at once this often; from then on it is left for a second, two, four … between. */
#define DRIFT_FIGHT_REPAIRS 5U
#define DRIFT_FIGHT_DELAY_MAX_USEC (16ULL * 1000000)
/* Left alone for this long, it is peace. */
#define DRIFT_CALM_USEC (30ULL * 1000000)

typedef struct DriftFight {
        char *object;
        char *key; /* of the last repair */
        unsigned repairs;
        uint64_t last_usec, next_usec; /* boot time: of the last repair, and the earliest of the next */
} DriftFight;

#define DRIFT_KEPT 128U

typedef struct DriftLog {
        Drift *kept; /* owned, DRIFT_KEPT of them; NULL before the first */
        uint64_t n;  /* ever put; the last stands at (n - 1) % DRIFT_KEPT */
        struct DriftCount {
                uint64_t found, repaired;
        } counts[DRIFT_CAUSE_MAX];
        DriftFight *repairs; /* owned: objects repaired of late */
        size_t n_repairs;
} DriftLog;

void drift_log_deinit(DriftLog *log);

/* Takes what `drift` owns, and counts it; where there is no memory it is counted all the same. */
void drift_log_put(DriftLog *log, Drift *drift);
/* The i-th of what is kept, the oldest first; NULL past the last. */
const Drift *drift_log_get(const DriftLog *log, size_t i);

/* When the object may be put back: `now_usec` or earlier means now. */
uint64_t drift_log_due(const DriftLog *log, const char *object, uint64_t now_usec);
/* It is about to be put back. -ENOMEM. */
int drift_log_repair(DriftLog *log, const char *object, const char *key, uint64_t now_usec);
/* The fight over the object, or NULL where there is none; over any object where it is NULL. */
const DriftFight *drift_log_fight(const DriftLog *log, const char *object);
/* Seconds between its repairs now. */
unsigned drift_fight_delay_sec(const DriftFight *fight);
/* Forgets what was left alone: the number of fights that ended so, and `ended` is called with each. */
size_t drift_log_calm(DriftLog *log, uint64_t now_usec, void (*ended)(const char *object, void *userdata),
                void *userdata);
