/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads and prints times of day in UTC; it asks no clock and knows no zone. */

#include "instant.h"

#include <stdio.h>
#include <stdlib.h>

CivilTime civil_parse(const char *text) {
        CivilTime civil;
        double second = 0;
        int n = sscanf(text, "%d-%d-%d %d:%d:%lf", &civil.year, &civil.month, &civil.day, &civil.hour,
                        &civil.minute, &second);

        if (n < 5) {
                fprintf(stderr, "'%s' is no time\n", text);
                abort();
        }
        civil.usec = (int) (second * 1000000 + 0.5);
        return civil;
}

uint64_t instant_parse(const char *text) {
        CivilTime civil = civil_parse(text);

        return (uint64_t) civil_to_usec(&civil);
}

const char *civil_format(const CivilTime *civil, char *ret) {
        int n = snprintf(ret, INSTANT_SIZE, "%04d-%02d-%02d %02d:%02d:%02d", civil->year, civil->month,
                        civil->day, civil->hour, civil->minute, civil->usec / 1000000);

        if (civil->usec % 1000000 > 0)
                snprintf(ret + n, INSTANT_SIZE - (size_t) n, ".%06d", civil->usec % 1000000);
        return ret;
}

const char *instant_format(uint64_t usec, char *ret) {
        CivilTime civil = civil_from_usec((int64_t) usec);

        return civil_format(&civil, ret);
}
