/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Carries a refusal from where it is found to whoever answers for it. It neither prints nor logs. */

#include "failure.h"

#include "util/printable.h"

#include <stdarg.h>

int failure_set(Failure *failure, FailureCode code, const char *format, ...) {
        char *message = NULL;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&message, format, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        make_printable(message); /* it quotes what callers sent, cut to a length */
        free(failure->message);
        *failure = (Failure){ code, message };
        return (int) code;
}

void failure_deinit(Failure *failure) {
        free(failure->message);
        *failure = (Failure) FAILURE_NULL;
}
