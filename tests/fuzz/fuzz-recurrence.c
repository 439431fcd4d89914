/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Calendar event expressions from outside: whatever they are, parsing ends, and what was taken has one normal
 * form that says the same, and elapses that only go forward and do not depend on when one asks.
 */

#include "model/recurrence.h"

#include <assert.h>
#include <string.h>

#define DAY_USEC (24ULL * 3600 * 1000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Recurrence *parse(const char *expression) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Recurrence *recurrence = NULL;
        int r = recurrence_parse(expression, &recurrence, &failure);

        assert(r >= 0);
        assert((r == 0) == (recurrence != NULL));
        assert(r == 0 || (failure.code == FAILURE_INVALID_ALLOCATION && failure.message));
        return recurrence;
}

static void check_elapses(const Recurrence *a, const Recurrence *b, uint64_t after) {
        for (int i = 0; i < 3; i++) {
                uint64_t next = 0, same = 0;
                int r = recurrence_next(a, after, &next);

                assert(recurrence_next(b, after, &same) == r && same == next);
                if (r < 0) {
                        assert(r == -ENOENT);
                        return;
                }
                assert(next > after);
                assert(recurrence_next(a, next - 1, &same) == 0 && same == next);
                assert(recurrence_next(a, after + (next - after) / 2, &same) == 0);
                assert(same == next || after + (next - after) / 2 == next);
                after = next;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        /* Around the changes of clocks in 2026, and where things end. */
        static const uint64_t starts[] = { 0, 20450 * DAY_USEC, 20534 * DAY_USEC, 20750 * DAY_USEC,
                84000 * DAY_USEC, UINT64_MAX };
        _cleanup_free_ char *expression = strndup((const char *) data, size), *normal = NULL, *again = NULL;
        _cleanup_recurrence_ Recurrence *recurrence = NULL, *reread = NULL;

        assert(expression);
        recurrence = parse(expression);
        if (!recurrence)
                return 0;
        assert(recurrence_format(recurrence, &normal) == 0);
        reread = parse(normal);
        assert(reread);
        assert(recurrence_format(reread, &again) == 0);
        assert(strcmp(normal, again) == 0);
        for (size_t i = 0; i < ELEMENTSOF(starts); i++)
                check_elapses(recurrence, reread, starts[i]);
        return 0;
}
