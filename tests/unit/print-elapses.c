/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Our side of tests/unit/check-recurrence. Each line of standard input is "AFTER-USEC COUNT EXPRESSION"; each
 * line of the answer "NORMAL-FORM<tab>ELAPSE-USEC…", at most COUNT of them, or "!<tab>" and why it is
 * refused.
 */

#include "model/recurrence.h"

#include <inttypes.h>
#include <string.h>

static int print_elapses(const char *expression, uint64_t after, unsigned long count) {
        _cleanup_recurrence_ Recurrence *recurrence = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_free_ char *normal = NULL;
        int r;

        r = recurrence_parse(expression, &recurrence, &failure);
        if (r < 0)
                return r;
        if (r > 0) {
                printf("!\t%s\n", failure.message);
                return 0;
        }
        r = recurrence_format(recurrence, &normal);
        if (r < 0)
                return r;
        fputs(normal, stdout);
        while (count-- > 0 && recurrence_next(recurrence, after, &after) == 0)
                printf("\t%" PRIu64, after);
        putchar('\n');
        return 0;
}

int main(void) {
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        ssize_t length;

        while ((length = getline(&line, &size, stdin)) > 0) {
                char *rest = line;
                uint64_t after = strtoull(rest, &rest, 10);
                unsigned long count = strtoul(rest, &rest, 10);

                line[length - 1] = '\0';
                if (*rest++ != ' ' || print_elapses(rest, after, count) < 0)
                        return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
