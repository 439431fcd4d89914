/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line: what it comes to, and the exit code where it comes to nothing. */

#include "headgatectl/options.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

#define WORDS_MAX 16

/* Splits at blanks, into static storage. */
static int parse(const char *line, Ctl *ctl, const Verb **ret_verb, int *ret_exit) {
        static char text[256], *argv[WORDS_MAX + 1];
        int argc = 0;

        memset(argv, 0, sizeof(argv));
        strcpy(text, line);
        for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
                argv[argc++] = word;

        return options_parse(argc, argv, ctl, ret_verb, ret_exit);
}

Test(ctl_options, what_is_wrong) {
        static const struct {
                const char *line;
                int exit;
        } cases[] = {
                { "headgatectl", CTL_USAGE },
                { "headgatectl frob", CTL_USAGE },
                { "headgatectl --frob list", CTL_USAGE },
                { "headgatectl list -x", CTL_USAGE },
                { "headgatectl list --residual", CTL_USAGE },
                { "headgatectl list allocations more", CTL_USAGE },
                { "headgatectl show", CTL_USAGE },
                { "headgatectl release a --generation=x", CTL_USAGE },
                { "headgatectl release a --generation=-1", CTL_USAGE },
                { "headgatectl release a --generation", CTL_USAGE },
                { "headgatectl top -n 0", CTL_USAGE },
                { "headgatectl top -d 0", CTL_USAGE },
                { "headgatectl top -d nan", CTL_USAGE },
                { "headgatectl top -d 1x", CTL_USAGE },
                { "headgatectl top --view", CTL_USAGE },
                { "headgatectl list --view=cpu", CTL_USAGE },
                { "headgatectl watch --sort=cpu", CTL_USAGE },
                { "headgatectl top --reverse=yes", CTL_USAGE },
                { "headgatectl -H h --bus=session list", CTL_USAGE },
                { "headgatectl help frob", CTL_USAGE },
                { "headgatectl renew a", CTL_USAGE },
                { "headgatectl renew a 1h more", CTL_USAGE },
                { "headgatectl drain now please", CTL_USAGE },
                { "headgatectl resume now", CTL_USAGE },
                { "headgatectl clock accept it", CTL_USAGE },
                { "headgatectl calendar --from", CTL_USAGE },
                { "headgatectl calendar tomorrow", CTL_USAGE },
                { "headgatectl list --from now", CTL_USAGE },
                { "headgatectl apply --sync f.json", CTL_USAGE },
                { "headgatectl apply --sync= f.json", CTL_USAGE },
                { "headgatectl apply --sync s --dry-run f.json", CTL_USAGE },
                { "headgatectl check --sync s f.json", CTL_USAGE },
                { "headgatectl run", CTL_RUN_FAILED },
                { "headgatectl run web", CTL_RUN_FAILED },
                { "headgatectl run web sleep 1", CTL_RUN_FAILED },
                { "headgatectl run web --", CTL_RUN_FAILED },
                { "headgatectl run -- sleep 1", CTL_RUN_FAILED },
                { "headgatectl run --frob web -- sleep 1", CTL_RUN_FAILED },
                { "headgatectl --help", CTL_OK },
                { "headgatectl help run", CTL_OK },
                { "headgatectl top --help", CTL_OK },
                { "headgatectl --version", CTL_OK },
        };

        cr_redirect_stdout();
        cr_redirect_stderr();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Verb *verb = NULL;
                int code = -1;
                Ctl ctl;

                cr_expect_eq(parse(cases[i].line, &ctl, &verb, &code), 1, "%s", cases[i].line);
                cr_expect_eq(code, cases[i].exit, "%s: %d", cases[i].line, code);
                options_done(&ctl);
        }
}

Test(ctl_options, options_stand_anywhere_before_the_dashes) {
        static const char *const lines[] = {
                "headgatectl --json release --generation=3 web-1 --reason=done --bus=session",
                "headgatectl release web-1 --bus session --generation 3 --reason done --json",
                "headgatectl release --json --reason done --generation 3 --bus session -- web-1",
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                const Verb *verb = NULL;
                int code = -1;
                Ctl ctl;

                cr_assert_eq(parse(lines[i], &ctl, &verb, &code), 0, "%s", lines[i]);
                cr_expect_str_eq(verb->name, "release");
                cr_expect(ctl.json && ctl.legend);
                cr_expect_str_eq(ctl.bus, "session");
                cr_expect_eq(ctl.generation, 3);
                cr_expect_str_eq(ctl.reason, "done");
                cr_expect_eq(ctl.n_args, 1);
                cr_expect_str_eq(ctl.args[0], "web-1");
                options_done(&ctl);
        }
}

Test(ctl_options, what_follows_the_dashes_is_the_command) {
        static const char *const command[] = { "sh", "-c", "--json", "--", "x", NULL };
        const Verb *verb = NULL;
        int code = -1;
        Ctl ctl;

        cr_assert_eq(parse("headgatectl run web --residual -- sh -c --json -- x", &ctl, &verb, &code), 0);
        cr_expect(ctl.residual && !ctl.json);
        cr_expect_eq(ctl.n_args, 1);
        cr_expect_str_eq(ctl.args[0], "web");
        for (size_t i = 0; i < ELEMENTSOF(command); i++)
                cr_expect(command[i] ? ctl.command[i] && strcmp(ctl.command[i], command[i]) == 0
                                     : !ctl.command[i],
                                "word %zu", i);
        options_done(&ctl);
}

Test(ctl_options, a_time_may_begin_with_a_dash) {
        const Verb *verb = NULL;
        int code = -1;
        Ctl ctl;

        cr_assert_eq(parse("headgatectl calendar --from -30min --until=+2h", &ctl, &verb, &code), 0);
        cr_expect_str_eq(ctl.from, "-30min");
        cr_expect_str_eq(ctl.until, "+2h");
        options_done(&ctl);

        cr_assert_eq(parse("headgatectl apply --sync slurm -", &ctl, &verb, &code), 0);
        cr_expect_str_eq(ctl.sync, "slurm");
        cr_expect_str_eq(ctl.args[0], "-");
        options_done(&ctl);
}

Test(ctl_options, defaults) {
        const Verb *verb = NULL;
        int code = -1;
        Ctl ctl;

        setenv("HEADGATE_BUS", "unix:path=/x", /* overwrite= */ 1);
        cr_assert_eq(parse("headgatectl top -d 0.5 -n 3 --no-legend --view cpu --sort=wait --reverse", &ctl,
                                     &verb, &code),
                        0);
        cr_expect_str_eq(ctl.bus, "unix:path=/x");
        cr_expect_eq(ctl.delay_usec, 500000);
        cr_expect_eq(ctl.count, 3);
        cr_expect_str_eq(ctl.view, "cpu");
        cr_expect_str_eq(ctl.sort, "wait");
        cr_expect(ctl.reverse);
        cr_expect_not(ctl.legend);
        options_done(&ctl);

        unsetenv("HEADGATE_BUS");
        cr_assert_eq(parse("headgatectl list", &ctl, &verb, &code), 0);
        cr_expect_str_eq(ctl.bus, "system");
        cr_expect_eq(ctl.delay_usec, 2000000);
        cr_expect_eq(ctl.generation, 0);
        options_done(&ctl);
}
