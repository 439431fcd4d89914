/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bytes that grow, or that are handed on piece by piece: a page of a thousand tenants is some megabytes,
 * which whoever only writes them somewhere need not hold. The first error stays and makes all further
 * appending void, so that it is looked at once.
 */

#include "util/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/* Takes the next bytes; 0 or negative errno. */
typedef int (*TextTake)(void *userdata, const char *bytes, size_t n);

typedef struct Text {
        char *data; /* owned; ends in a NUL that does not count */
        size_t n, allocated;
        int error;     /* 0 or negative errno */
        TextTake take; /* NULL: all stays in `data`; else what it has not yet taken does */
        void *userdata;
} Text;

#define TEXT_NULL \
        { NULL, 0, 0, 0, NULL, NULL }

void text_deinit(Text *text);
#define _cleanup_text_ _cleanup_(text_deinit)

/* Hands on what is left; the text's error, if there was one. */
int text_flush(Text *text);

/* Where the next `n` bytes go, for who writes them itself and ends with text_end(); NULL after an error. */
char *text_reserve(Text *text, size_t n);
/* What was reserved is written up to `end`. */
void text_end(Text *text, char *end);

void text_append_bytes(Text *text, const char *bytes, size_t n);
void text_append(Text *text, const char *s);
/* As in the labels and help texts of OpenMetrics. `s` may be NULL, as the empty string. */
void text_append_escaped(Text *text, const char *s);

/* What one number takes at most, in decimals with a point. */
#define TEXT_NUMBER_SIZE 48
/* Both give where they ended. */
char *text_put_number(char *p, uint64_t value);
/* `whole`, and after a point `fraction` in `places` digits, of which the last zeros are left out. */
char *text_put_decimal(char *p, uint64_t whole, uint64_t fraction, unsigned places);
