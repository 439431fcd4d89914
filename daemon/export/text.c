/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void text_deinit(Text *text) {
        free(text->data);
        *text = (Text) TEXT_NULL;
}

/* Stays in a CPU's own cache until it is handed on. */
#define PIECE_SIZE (64 * 1024)

int text_flush(Text *text) {
        if (text->error == 0 && text->take && text->n > 0) {
                text->error = text->take(text->userdata, text->data, text->n);
                text->n = 0;
        }
        return text->error;
}

char *text_reserve(Text *text, size_t n) {
        if (text->take && text->n >= PIECE_SIZE)
                (void) text_flush(text);
        if (text->error < 0)
                return NULL;
        if (text->allocated - text->n <= n) {
                size_t allocated = (text->n + n + 1) * 2;
                char *data = realloc(text->data, allocated);

                if (!data) {
                        text->error = -ENOMEM;
                        return NULL;
                }
                text->data = data;
                text->allocated = allocated;
        }
        return text->data + text->n;
}

void text_end(Text *text, char *end) {
        *end = '\0';
        text->n = (size_t) (end - text->data);
}

void text_append_bytes(Text *text, const char *bytes, size_t n) {
        char *p = text_reserve(text, n);

        if (p)
                text_end(text, mempcpy(p, bytes, n));
}

void text_append(Text *text, const char *s) {
        text_append_bytes(text, s, strlen(s));
}

void text_append_escaped(Text *text, const char *s) {
        while (s && *s) {
                size_t n = strcspn(s, "\\\"\n");

                text_append_bytes(text, s, n);
                s += n;
                if (!*s)
                        return;
                text_append(text, *s == '\n' ? "\\n" : *s == '"' ? "\\\"" : "\\\\");
                s++;
        }
}

/* Two digits at a time: half of the divisions. */
static char *put_pair(char *p, uint64_t pair) {
        static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                    "25262728293031323334353637383940414243444546474849"
                                    "50515253545556575859606162636465666768697071727374"
                                    "75767778798081828384858687888990919293949596979899";

        memcpy(p, pairs + 2 * pair, 2);
        return p;
}

static unsigned count_digits(uint64_t value) {
        static const uint64_t from[] = { 0, 0, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL,
                10000000ULL, 100000000ULL, 1000000000ULL, 10000000000ULL, 100000000000ULL, 1000000000000ULL,
                10000000000000ULL, 100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL,
                100000000000000000ULL, 1000000000000000000ULL, 10000000000000000000ULL };
        unsigned bits = 64 - (unsigned) __builtin_clzll(value | 1), n = (bits * 1233 >> 12) + 1;

        return value < from[n] ? n - 1 : n; /* 1233 / 4096: the logarithm of 2 */
}

char *text_put_number(char *p, uint64_t value) {
        char *end = p + count_digits(value), *d = end;

        for (; value >= 100; value /= 100)
                d = put_pair(d - 2, value % 100);
        if (value >= 10)
                (void) put_pair(d - 2, value);
        else
                *--d = (char) ('0' + value);
        return end;
}

char *text_put_decimal(char *p, uint64_t whole, uint64_t fraction, unsigned places) {
        char *end;

        p = text_put_number(p, whole);
        if (fraction == 0)
                return p;
        *p++ = '.';
        for (char *d = end = p + places; d > p; fraction /= 10)
                *--d = (char) ('0' + fraction % 10);
        while (end[-1] == '0')
                end--;
        return end;
}
