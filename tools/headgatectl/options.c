/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Options and verbs, each from one table, from which getopt_long(3), the checks and the help are all made.
 * Runs no verb and opens no connection.
 */

#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#define DELAY_DEFAULT_USEC 2000000U
#define DELAY_MIN_USEC 100000U

/* Without a short name: numbers that no character has. */
enum {
        OPTION_BUS = 0x100,
        OPTION_JSON,
        OPTION_NO_LEGEND,
        OPTION_VERSION,
        OPTION_DRY_RUN,
        OPTION_GENERATION,
        OPTION_REASON,
        OPTION_RESIDUAL,
        OPTION_BATCH,
        OPTION_SYNC,
        OPTION_FROM,
        OPTION_UNTIL,
        OPTION_ALL,
        OPTION_HISTOGRAMS,
        OPTION_VIEW,
        OPTION_SORT,
        OPTION_REVERSE,
};

typedef struct Option {
        const char *name;
        int value;            /* what getopt_long() returns */
        char key;             /* in Verb.options; 0: every verb takes it */
        const char *argument; /* in the help; NULL: takes none */
        const char *summary;
} Option;

static const Option options[] = {
        { "json", OPTION_JSON, 0, NULL, "print D-Bus properties under their D-Bus names" },
        { "no-legend", OPTION_NO_LEGEND, 0, NULL, "no headings and no closing lines" },
        { "host", 'H', 0, "[USER@]HOST", "work on another node, over ssh" },
        { "bus", OPTION_BUS, 0, "BUS", "system (default), session, peer, or an address; also HEADGATE_BUS" },
        { "help", 'h', 0, NULL, "this text; after a verb, that verb's" },
        { "version", OPTION_VERSION, 0, NULL, "print the version" },
        { "dry-run", OPTION_DRY_RUN, 'D', NULL, "ask whether it fits, change nothing: as 'check'" },
        { "sync", OPTION_SYNC, 'S', "ISSUER", "make these all that ISSUER has: release its others" },
        { "all", OPTION_ALL, 'a', NULL, "take everything that is headgated's off this node, and end it" },
        { "generation", OPTION_GENERATION, 'g', "N", "refuse where a later Generation is held" },
        { "reason", OPTION_REASON, 'r', "TEXT", "why, for the allocation's Reason" },
        { "residual", OPTION_RESIDUAL, 'R', NULL, "also outside a window, in the tenant's residual share" },
        { "histograms", OPTION_HISTOGRAMS, 'i', NULL,
                        "draw how long tasks waited and round trips were, and say for whom" },
        { "from", OPTION_FROM, 'f', "T", "from when on (default: now)" },
        { "until", OPTION_UNTIL, 'u', "T", "up to when (default: a day later)" },
        { "view", OPTION_VIEW, 'v', "NAME", "overview (default), cpu, memory, io, network or promises" },
        { "sort", OPTION_SORT, 's', "COLUMN", "by a column of the view, in small letters: the most first" },
        { "reverse", OPTION_REVERSE, 'x', NULL, "the other way round" },
        { "batch", OPTION_BATCH, 'b', NULL, "plain tables one after another, also on a terminal" },
        { "count", 'n', 'n', "N", "end after so many" },
        { "delay", 'd', 'd', "SECONDS", "time between two tables (default 2)" },
};

static const char short_options[] = "H:hn:d:";

static const Option *option_by_value(int value) {
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (options[i].value == value)
                        return &options[i];

        return NULL;
}

static const Verb *verb_find(const char *name) {
        for (const Verb *verb = verbs; verb->name; verb++)
                if (strcmp(verb->name, name) == 0)
                        return verb;

        return NULL;
}

static void print_options(const Verb *verb, bool common) {
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                const Option *option = &options[i];
                char left[64], letter[5] = "    ";

                if (common != (option->key == 0) || (!common && !strchr(verb->options, option->key)))
                        continue;

                if (option->value < 0x100)
                        snprintf(letter, sizeof(letter), "-%c, ", option->value);
                snprintf(left, sizeof(left), "%s--%s%s%s", letter, option->name, option->argument ? "=" : "",
                                option->argument ?: "");
                printf("  %-26s %s\n", left, option->summary);
        }
}

static void print_help(const Verb *verb) {
        if (verb) {
                printf("headgatectl %s%s%s\n\n%s.\n%s", verb->name, *verb->synopsis ? " " : "",
                                verb->synopsis, verb->summary, verb->help);
                if (*verb->options) {
                        printf("\nOptions:\n");
                        print_options(verb, /* common= */ false);
                }
                printf("\nOptions of every verb:\n");
                print_options(verb, /* common= */ true);
                return;
        }

        printf("headgatectl [OPTION...] VERB [ARGUMENT...]\n\n"
               "Shows and steers headgated, the resource controller of this node.\n\nVerbs:\n");
        for (verb = verbs; verb->name; verb++) {
                char left[64];

                snprintf(left, sizeof(left), "%s %s", verb->name, verb->synopsis);
                printf("  %-34s %s\n", left, verb->summary);
        }
        printf("\nOptions:\n");
        print_options(NULL, /* common= */ true);
        printf("\nExit codes: 0 ok, 1 failed, 2 wrong usage, 3 degraded, 4 not found, 77 denied;\n"
               "run: 125 where it fails itself, else the command's own.\n");
}

static bool parse_u64(const char *text, uint64_t *ret) {
        char *end;

        if (text[0] < '0' || text[0] > '9')
                return false;

        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno == 0 && *end == '\0';
}

static bool parse_seconds(const char *text, uint64_t *ret_usec) {
        char *end;
        double seconds = strtod(text, &end);

        /* Also false for what is not a number. */
        if (end == text || *end != '\0' || !(seconds * 1e6 >= DELAY_MIN_USEC && seconds <= 86400))
                return false;

        *ret_usec = (uint64_t) (seconds * 1e6);
        return true;
}

static int set_option(Ctl *ctl, int value, const char *argument) {
        switch (value) {
        case OPTION_JSON:
                ctl->json = true;
                return 0;
        case OPTION_NO_LEGEND:
                ctl->legend = false;
                return 0;
        case 'H':
                ctl->host = argument;
                return *argument ? 0 : ctl_fail(CTL_USAGE, "--host wants [USER@]HOST");
        case OPTION_BUS:
                ctl->bus = argument;
                return 0;
        case OPTION_DRY_RUN:
                ctl->dry_run = true;
                return 0;
        case OPTION_GENERATION:
                if (!parse_u64(argument, &ctl->generation))
                        return ctl_fail(CTL_USAGE, "--generation wants a whole number, not '%s'", argument);
                return 0;
        case OPTION_ALL:
                ctl->all = true;
                return 0;
        case OPTION_HISTOGRAMS:
                ctl->histograms = true;
                return 0;
        case OPTION_REASON:
                ctl->reason = argument;
                return 0;
        case OPTION_RESIDUAL:
                ctl->residual = true;
                return 0;
        case OPTION_VIEW:
                ctl->view = argument;
                return 0;
        case OPTION_SORT:
                ctl->sort = argument;
                return 0;
        case OPTION_REVERSE:
                ctl->reverse = true;
                return 0;
        case OPTION_BATCH:
                ctl->batch = true;
                return 0;
        case OPTION_SYNC:
                ctl->sync = argument;
                return *argument ? 0 : ctl_fail(CTL_USAGE, "--sync wants ISSUER");
        case OPTION_FROM:
                ctl->from = argument;
                return 0;
        case OPTION_UNTIL:
                ctl->until = argument;
                return 0;
        case 'n':
                if (!parse_u64(argument, &ctl->count) || ctl->count == 0)
                        return ctl_fail(CTL_USAGE, "--count wants a whole number from 1, not '%s'", argument);
                return 0;
        case 'd':
                if (!parse_seconds(argument, &ctl->delay_usec))
                        return ctl_fail(CTL_USAGE, "--delay wants seconds from 0.1 to 86400, not '%s'",
                                        argument);
                return 0;
        default:
                return ctl_fail(CTL_USAGE, "unknown option");
        }
}

/* Reads options up to "--" (or the end), wherever they stand, into ctl; `given` collects their keys. */
static int read_options(int argc, char **argv, Ctl *ctl, char *given, bool *ret_help, bool *ret_version) {
        struct option table[ELEMENTSOF(options) + 1] = {};
        int value, r;

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                table[i] = (struct option){
                        .name = options[i].name,
                        .has_arg = options[i].argument ? required_argument : no_argument,
                        .val = options[i].value,
                };

        opterr = 0;
        optind = 0; /* glibc: also forgets what an earlier parse left */
        while ((value = getopt_long(argc, argv, short_options, table, NULL)) != -1) {
                const Option *option = option_by_value(value);

                if (value == '?') {
                        const Option *wanting = optopt ? option_by_value(optopt) : NULL;

                        if (wanting && wanting->argument)
                                return ctl_fail(CTL_USAGE, "--%s wants %s", wanting->name, wanting->argument);
                        if (wanting)
                                return ctl_fail(CTL_USAGE, "--%s takes no value", wanting->name);
                        if (optopt)
                                return ctl_fail(CTL_USAGE, "unknown option '-%c' (headgatectl --help)",
                                                optopt);
                        return ctl_fail(CTL_USAGE, "unknown option '%s' (headgatectl --help)",
                                        argv[optind - 1]);
                }

                if (value == 'h')
                        *ret_help = true;
                else if (value == OPTION_VERSION)
                        *ret_version = true;
                else {
                        r = set_option(ctl, value, optarg);
                        if (r != 0)
                                return r;
                }

                if (option->key && !strchr(given, option->key))
                        strncat(given, &option->key, 1);
        }

        return 0;
}

/* The verb's own demands on what was given. */
static int check_usage(const Ctl *ctl, const Verb *verb, const char *given) {
        for (; *given; given++)
                if (!strchr(verb->options, *given)) {
                        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                                if (options[i].key == *given)
                                        return ctl_fail(CTL_USAGE,
                                                        "--%s is not for '%s' (headgatectl %s --help)",
                                                        options[i].name, verb->name, verb->name);
                }

        if (verb->takes_command && (!ctl->command || !ctl->command[0]))
                return ctl_fail(CTL_USAGE, "'%s' wants a command after '--': headgatectl %s %s", verb->name,
                                verb->name, verb->synopsis);

        if (ctl->n_args < verb->args_min)
                return ctl_fail(CTL_USAGE, "'%s' wants more: headgatectl %s %s", verb->name, verb->name,
                                verb->synopsis);

        if (ctl->n_args > verb->args_max)
                return ctl_fail(CTL_USAGE, "'%s' does not take '%s': headgatectl %s %s", verb->name,
                                ctl->args[verb->args_max], verb->name, verb->synopsis);

        /* What a sync would release first is nothing that a check could know. */
        if (ctl->sync && ctl->dry_run)
                return ctl_fail(CTL_USAGE, "--sync and --dry-run exclude one another");

        if (ctl->host && ctl->bus)
                return ctl_fail(CTL_USAGE, "--host and --bus exclude one another");

        return 0;
}

/* The verb among the words, which getopt_long() has left at optind; NULL: none was given. */
static int find_verb(int argc, char **argv, bool *help, const Verb **ret) {
        const Verb *verb;

        *ret = NULL;
        if (optind >= argc)
                return 0;

        verb = verb_find(argv[optind]);
        if (verb && !verb->run) { /* "help", which another verb may follow */
                *help = true;
                optind++;
                if (optind == argc)
                        return 0;
                verb = verb_find(argv[optind]);
        }

        if (!verb)
                return ctl_fail(CTL_USAGE, "no verb '%s' (headgatectl --help names them)", argv[optind]);

        *ret = verb;
        return 0;
}

/* What follows the verb: `n` words, then "--" and `n_after` more where there was one. */
static int take_words(Ctl *ctl, const Verb *verb, char **words, size_t n, char **after, size_t n_after,
                const char *given) {
        /* argv ends with NULL, so the command does, too. */
        if (verb->takes_command) {
                ctl->command = after;
                n_after = 0;
        }

        ctl->args = calloc(n + n_after + 1, sizeof(char *));
        if (!ctl->args)
                return ctl_fail_errno(-ENOMEM, "cannot read the command line");

        memcpy(ctl->args, words, n * sizeof(char *));
        if (n_after > 0)
                memcpy(ctl->args + n, after, n_after * sizeof(char *));
        ctl->n_args = n + n_after;

        return check_usage(ctl, verb, given);
}

/* Where neither --bus nor --host says it. */
static const char *default_bus(void) {
        const char *bus = getenv("HEADGATE_BUS");

        return bus && *bus ? bus : "system";
}

static bool want_color(void) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

int options_parse(int argc, char **argv, Ctl *ctl, const Verb **ret_verb, int *ret_exit) {
        char given[ELEMENTSOF(options) + 1] = "";
        bool help = false, version = false;
        const Verb *verb = NULL;
        int dashes = 1, r;

        *ctl = (Ctl){
                .legend = true,
                .color = want_color(),
                .reason = "",
                .delay_usec = DELAY_DEFAULT_USEC,
        };
        while (dashes < argc && strcmp(argv[dashes], "--") != 0)
                dashes++;

        r = read_options(dashes, argv, ctl, given, &help, &version);
        if (r == 0)
                r = find_verb(dashes, argv, &help, &verb);

        if (r == 0 && (version || help)) {
                if (version)
                        printf("headgatectl %s\n", HEADGATE_VERSION);
                else
                        print_help(verb);
                *ret_exit = CTL_OK;
                return 1;
        }

        if (r == 0 && !verb)
                r = ctl_fail(CTL_USAGE, "which verb? (headgatectl --help names them)");

        if (r == 0)
                r = take_words(ctl, verb, argv + optind + 1, (size_t) (dashes - optind - 1),
                                dashes < argc ? argv + dashes + 1 : NULL,
                                dashes < argc ? (size_t) (argc - dashes - 1) : 0, given);

        if (r != 0) {
                /* Where an option was wrong no verb was looked for: it is any word that is one. */
                for (int i = 1; i < dashes && !verb; i++)
                        verb = verb_find(argv[i]);
                *ret_exit = verb && verb->failed ? verb->failed : r;
                return 1;
        }

        if (!ctl->bus)
                ctl->bus = default_bus();

        *ret_verb = verb;
        return 0;
}

void options_done(Ctl *ctl) {
        free(ctl->args);
        ctl->args = NULL;
}
