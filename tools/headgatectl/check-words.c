/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The counter-offer in words. Says what the answer says, and makes none of its own. */

#include "check-words.h"

#include "units.h"
#include "variant.h"
#include "view.h"

#include "util/printable.h"

#include <string.h>

static void print_missing(FILE *f, const json_t *missing) {
        const char *name, *separator = "";
        json_t *amount;

        json_object_foreach ((json_t *) missing, name, amount) {
                uint64_t wanted = variant_u64_value(json_array_get(amount, 0));
                uint64_t idle = variant_u64_value(json_array_get(amount, 1));
                char wanted_text[UNITS_SIZE], idle_text[UNITS_SIZE];

                fprintf(f, "%s%s %s wanted, %s free", separator, name,
                                units_format_resource(name, wanted, wanted_text),
                                units_format_resource(name, idle, idle_text));
                separator = "; ";
        }
}

/* The first stretch in which something is missing, where that is told. */
static void print_stretch(FILE *f, const json_t *check, uint64_t now_usec) {
        uint64_t from = variant_get_u64(check, "MissingFrom"), until = variant_get_u64(check, "MissingUntil");
        char text[UNITS_SIZE];

        if (until <= from)
                return;

        fprintf(f, ", from %s", from <= now_usec ? "now" : units_format_near(from, now_usec, text));
        if (until == UINT64_MAX)
                fputs(" on", f);
        else
                fprintf(f, " to %s", units_format_near(until, now_usec, text));
}

static void print_earliest(FILE *f, const json_t *check, uint64_t now_usec) {
        uint64_t earliest = variant_get_u64(check, "EarliestStart");
        char time[UNITS_SIZE], left[UNITS_SIZE];

        if (earliest == 0) {
                fputs(" No start was found at which it would fit.", f);
                return;
        }

        /* To the next full second: what is offered is never before what was found. */
        earliest += (1000000 - earliest % 1000000) % 1000000;
        fprintf(f, " It would fit from %s", units_format_second(earliest, now_usec, time));
        if (earliest > now_usec)
                fprintf(f, " (in %s)", units_format_usec(earliest - now_usec, left));
        fputc('.', f);
}

static int print_words(FILE *f, const json_t *check, uint64_t now_usec) {
        const json_t *missing = json_object_get(check, "Missing"),
                     *preempts = json_object_get(check, "Preempts");
        const char *id = variant_get_string(check, "AllocationId");
        const char *reason = variant_get_string(check, "Reason");
        _cleanup_free_ char *names = view_join(preempts);

        if (!names)
                return -ENOMEM;

        fprintf(f, "%s ", *id ? id : "A request without an id");
        if (json_is_true(json_object_get(check, "Fits"))) {
                fprintf(f, "fits, by preempting %s.", names);
                return 0;
        }

        fputs("does not fit: ", f);
        if (json_object_size(missing) == 0) {
                fprintf(f, "%s.", *reason ? reason : "headgated does not say why");
                return 0;
        }

        print_missing(f, missing);
        print_stretch(f, check, now_usec);
        fputc('.', f);
        print_earliest(f, check, now_usec);
        if (json_array_size(preempts) > 0)
                fprintf(f, " That would preempt %s.", names);
        return 0;
}

int check_words_format(const json_t *check, uint64_t now_usec, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f;
        int r;

        if (json_is_true(json_object_get(check, "Fits")) &&
                        json_array_size(json_object_get(check, "Preempts")) == 0) {
                *ret = NULL;
                return 0;
        }

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;

        r = print_words(f, check, now_usec);
        if (fclose(f) != 0)
                r = -ENOMEM;
        if (r < 0)
                return r;

        make_printable(text);
        *ret = TAKE_PTR(text);
        return 0;
}
