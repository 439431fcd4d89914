/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Carries a refusal from where it is found to whoever answers for it. It neither prints nor logs. */

#include "failure.h"

#include <stdarg.h>

/* Length of the UTF-8 sequence at `s` (RFC 3629), or 0 where it is none. */
static size_t utf8_length(const unsigned char *s) {
        size_t n = *s < 0x80                 ? 1
                   : *s >= 0xc2 && *s < 0xe0 ? 2
                   : *s >= 0xe0 && *s < 0xf0 ? 3
                   : *s >= 0xf0 && *s < 0xf5 ? 4
                                             : 0;

        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
                        (*s == 0xf4 && s[1] > 0x8f))
                return 0;
        return n;
}

/* Messages quote what callers sent, cut to a length: what is no text, or would not stay on one line, becomes
 * '?'. */
static void make_printable(char *message) {
        for (unsigned char *s = (unsigned char *) message; *s;) {
                size_t n = utf8_length(s);

                if (n == 0 || *s < 0x20 || *s == 0x7f) {
                        *s = '?';
                        n = 1;
                }
                s += n;
        }
}

int failure_set(Failure *failure, FailureCode code, const char *format, ...) {
        char *message = NULL;
        va_list args;
        int r;

        va_start(args, format);
        r = vasprintf(&message, format, args);
        va_end(args);
        if (r < 0)
                return -ENOMEM;
        make_printable(message);
        free(failure->message);
        *failure = (Failure){ code, message };
        return (int) code;
}

void failure_deinit(Failure *failure) {
        free(failure->message);
        *failure = (Failure) FAILURE_NULL;
}
