/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is kept and counted of drift, and how long one object is left alone. Times are made up. */

#include "model/drift.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000ULL
#define NOW (1000 * SECOND)

static Drift make_drift(DriftCause cause, unsigned number, bool repaired) {
        char key[16];

        snprintf(key, sizeof key, "%u", number);
        return (Drift){
                .utc_usec = number,
                .cause = cause,
                .object = strdup("/group"),
                .key = strdup(key),
                .have = strdup("1"),
                .want = strdup("2"),
                .tenant_id = strdup(""),
                .repaired = repaired,
        };
}

Test(drift, causes_have_names) {
        for (DriftCause a = 0; a < DRIFT_CAUSE_MAX; a++) {
                cr_assert_not_null(drift_cause_to_string(a));
                for (DriftCause b = 0; b < a; b++)
                        cr_expect_str_neq(drift_cause_to_string(a), drift_cause_to_string(b));
        }
}

Test(drift, counts_by_cause) {
        DriftLog log = {};
        Drift drifts[] = {
                make_drift(DRIFT_TC, 0, true),
                make_drift(DRIFT_TC, 1, false),
                make_drift(DRIFT_PIN, 2, true),
        };

        cr_expect_null(drift_log_get(&log, 0));
        for (size_t i = 0; i < sizeof drifts / sizeof *drifts; i++) {
                drift_log_put(&log, &drifts[i]);
                cr_expect_null(drifts[i].object, "it is the log's now");
        }
        cr_expect_eq(log.counts[DRIFT_TC].found, 2);
        cr_expect_eq(log.counts[DRIFT_TC].repaired, 1);
        cr_expect_eq(log.counts[DRIFT_PIN].found, 1);
        cr_expect_eq(log.counts[DRIFT_PIN].repaired, 1);
        cr_expect_eq(log.counts[DRIFT_LINK].found, 0);
        drift_log_deinit(&log);
}

Test(drift, the_last_are_kept_in_order) {
        const unsigned numbers[] = { 1, DRIFT_KEPT - 1, DRIFT_KEPT, DRIFT_KEPT + 1, 3 * DRIFT_KEPT + 7 };

        for (size_t c = 0; c < sizeof numbers / sizeof *numbers; c++) {
                unsigned n = numbers[c], kept = n < DRIFT_KEPT ? n : DRIFT_KEPT;
                DriftLog log = {};

                for (unsigned i = 0; i < n; i++) {
                        Drift drift = make_drift(DRIFT_TC, i, true);

                        drift_log_put(&log, &drift);
                }
                for (unsigned i = 0; i < kept; i++) {
                        const Drift *drift = drift_log_get(&log, i);

                        cr_assert_not_null(drift, "%u of %u", i, n);
                        cr_expect_eq(drift->utc_usec, n - kept + i, "%u of %u", i, n);
                }
                cr_expect_null(drift_log_get(&log, kept), "past %u", n);
                cr_expect_eq(log.counts[DRIFT_TC].found, n);
                drift_log_deinit(&log);
        }
}

/* Each row: a repair at this time (in ms) leaves the object alone for so long, and is one of a fight or not.
 */
Test(drift, repairs_are_spaced_out) {
        static const struct {
                uint64_t at_msec;
                unsigned delay_sec;
                bool fight;
        } rows[] = {
                { 0, 0, false },
                { 20, 0, false },
                { 40, 0, false },
                { 60, 0, false },
                { 80, 1, true },
                { 1080, 2, true },
                { 3080, 4, true },
                { 7080, 8, true },
                { 15080, 16, true },
                { 31080, 16, true },
                { 47080, 16, true },
                { 77081, 0, false }, /* calm for more than half a minute: anew */
                { 77100, 0, false },
        };
        DriftLog log = {};

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                uint64_t now = NOW + rows[i].at_msec * 1000;
                const DriftFight *fight;

                cr_expect_leq(drift_log_due(&log, "a", now), now, "row %zu", i);
                cr_assert_eq(drift_log_repair(&log, "a", "cpu.max", now), 0);
                cr_expect_eq(drift_log_due(&log, "a", now), now + rows[i].delay_sec * SECOND, "row %zu", i);
                fight = drift_log_fight(&log, "a");
                cr_expect_eq(fight != NULL, rows[i].fight, "row %zu", i);
                if (fight) {
                        cr_expect_eq(drift_fight_delay_sec(fight), rows[i].delay_sec, "row %zu", i);
                        cr_expect_str_eq(fight->key, "cpu.max");
                        cr_expect_eq(fight->repairs, i + 1);
                }
                cr_expect_eq(drift_log_fight(&log, NULL), fight, "of any object, row %zu", i);
                cr_expect_eq(drift_log_due(&log, "b", now), now, "another is not kept waiting");
        }
        drift_log_deinit(&log);
}

static void note_ended(const char *object, void *userdata) {
        strcat(userdata, object);
}

Test(drift, a_fight_ends_when_nobody_fights) {
        char ended[16] = "";
        DriftLog log = {};

        for (unsigned i = 0; i < DRIFT_FIGHT_REPAIRS; i++)
                cr_assert_eq(drift_log_repair(&log, "a", "x", NOW), 0);
        cr_assert_eq(drift_log_repair(&log, "b", "x", NOW), 0);
        cr_assert_eq(drift_log_repair(&log, "c", "x", NOW + SECOND), 0);
        cr_expect_eq(drift_log_calm(&log, NOW + DRIFT_CALM_USEC, note_ended, ended), 0);
        cr_expect_not_null(drift_log_fight(&log, "a"));
        cr_expect_eq(drift_log_calm(&log, NOW + DRIFT_CALM_USEC + 1, note_ended, ended), 1);
        cr_expect_str_eq(ended, "a", "the other was no fight");
        cr_expect_null(drift_log_fight(&log, NULL));
        cr_expect_eq(log.n_repairs, 1, "the third was repaired since");
        drift_log_deinit(&log);
}
