/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What every verb is given: the options, the arguments that are left, and the way to fail. A verb returns an
 * exit code; whatever fails says so once, on one line, through ctl_fail().
 */

#include "util/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum CtlExit {
        CTL_OK = 0,
        CTL_FAILED = 1,
        CTL_USAGE = 2,
        CTL_DEGRADED = 3,  /* status, doctor: the node's State is degraded; draining is none of that */
        CTL_NOT_FOUND = 4, /* no such tenant, allocation, process or unit */
        CTL_DENIED = 77,
        CTL_RUN_FAILED = 125, /* run: before the command was started, as env(1) */
        CTL_RUN_NO_EXEC = 126,
        CTL_RUN_NO_COMMAND = 127,
} CtlExit;

typedef struct Ctl {
        /* For every verb. */
        const char *bus; /* "system", "session", "peer", a D-Bus address, or "peer:" and the address of a peer
                            socket */
        const char *host; /* ssh(1)'s [USER@]HOST, or NULL */
        bool json;
        bool legend; /* table headings and closing lines */
        bool color;

        /* For some. */
        bool dry_run;
        uint64_t generation; /* 0: whatever is held */
        const char *reason;
        bool all;
        bool residual;
        bool histograms;
        bool batch;
        uint64_t count; /* 0: without end */
        uint64_t delay_usec;
        const char *view, *sort; /* NULL: not given */
        bool reverse;
        const char *sync;         /* the issuer; NULL: not given */
        const char *from, *until; /* as they were given; NULL: not */

        /* What follows the verb. */
        char **args;
        size_t n_args;
        char **command; /* what follows "--", ends with NULL; NULL where there was no "--" */
} Ctl;

/* Prints "headgatectl: …" on standard error, control characters and newlines made harmless; returns `code`.
 */
int ctl_fail(int code, const char *format, ...) _printf_(2, 3);
/* ctl_fail() for a negative errno of our own making. */
int ctl_fail_errno(int error, const char *what);

int verb_status(const Ctl *ctl);
int verb_doctor(const Ctl *ctl);
int verb_list(const Ctl *ctl);
int verb_show(const Ctl *ctl);
int verb_apply(const Ctl *ctl);
int verb_check(const Ctl *ctl);
int verb_renew(const Ctl *ctl);
int verb_release(const Ctl *ctl);
int verb_run(const Ctl *ctl);
int verb_attach(const Ctl *ctl);
int verb_adopt(const Ctl *ctl);
int verb_abandon(const Ctl *ctl);
int verb_drain(const Ctl *ctl);
int verb_resume(const Ctl *ctl);
int verb_capacity(const Ctl *ctl);
int verb_clock(const Ctl *ctl);
int verb_mode(const Ctl *ctl);
int verb_diff(const Ctl *ctl);
int verb_explain(const Ctl *ctl);
int verb_calendar(const Ctl *ctl);
int verb_drift(const Ctl *ctl);
int verb_top(const Ctl *ctl);
int verb_watch(const Ctl *ctl);
