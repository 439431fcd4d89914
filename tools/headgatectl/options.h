/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line: which verbs there are, which options each takes, and what the words on it come to. */

#include "headgatectl.h"

typedef struct Verb {
        const char *name;
        const char *synopsis; /* what follows the name */
        const char *summary;  /* one line, for the list of verbs */
        const char *help;     /* more, for --help of the verb; may be "" */
        const char *options;  /* the short names of those that only some verbs take, as "ns" */
        size_t args_min, args_max;
        bool takes_command; /* what follows "--" is a command, and must be there */
        int failed;         /* the exit code of whatever fails, a wrong command line too; 0: by what failed */
        int (*run)(const Ctl *ctl); /* NULL: the verb that prints help */
} Verb;

/* Ends with a NULL name. */
extern const Verb verbs[];

/*
 * Reads the command line. Returns 0 and the verb to run; or a positive value where all is done: *ret_exit is
 * then the exit code (help and version were printed, or what is wrong was said).
 */
int options_parse(int argc, char **argv, Ctl *ctl, const Verb **ret_verb, int *ret_exit);
void options_done(Ctl *ctl);
