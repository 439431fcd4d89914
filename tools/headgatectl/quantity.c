/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Decimal numbers with units, in integers all the way: no amount is ever rounded up. Whether a value makes
 * sense is headgated's to say.
 */

#include "quantity.h"
#include "units.h"

#include "model/resource.h"

#include <string.h>
#include <strings.h>

#define FRACTION_ONE 1000000U /* a fraction is in millionths: finer ones count for nothing */

typedef struct Unit {
        const char *name; /* in lower case, where the case does not matter */
        uint64_t factor;
} Unit;

/* "M" is a month to systemd, and nothing to us: case matters. */
static const Unit time_units[] = {
        { "us", 1 },
        { "µs", 1 },
        { "usec", 1 },
        { "ms", 1000 },
        { "msec", 1000 },
        { "s", 1000000 },
        { "sec", 1000000 },
        { "second", 1000000 },
        { "seconds", 1000000 },
        { "m", 60000000 },
        { "min", 60000000 },
        { "minute", 60000000 },
        { "minutes", 60000000 },
        { "h", 3600000000 },
        { "hr", 3600000000 },
        { "hour", 3600000000 },
        { "hours", 3600000000 },
        { "d", 86400000000 },
        { "day", 86400000000 },
        { "days", 86400000000 },
        { "w", 604800000000 },
        { "week", 604800000000 },
        { "weeks", 604800000000 },
};

static const Unit cpu_units[] = { { "", 1000 }, { "m", 1 } };

/* No "KB": to some it is 1000, to others 1024. */
static const Unit byte_units[] = {
        { "", 1 },
        { "b", 1 },
        { "k", 1ULL << 10 },
        { "kib", 1ULL << 10 },
        { "m", 1ULL << 20 },
        { "mib", 1ULL << 20 },
        { "g", 1ULL << 30 },
        { "gib", 1ULL << 30 },
        { "t", 1ULL << 40 },
        { "tib", 1ULL << 40 },
        { "p", 1ULL << 50 },
        { "pib", 1ULL << 50 },
};

static const Unit rate_units[] = {
        { "", 1 },
        { "bit", 1 },
        { "k", 1000 },
        { "kbit", 1000 },
        { "m", 1000000 },
        { "mbit", 1000000 },
        { "g", 1000000000 },
        { "gbit", 1000000000 },
        { "t", 1000000000000 },
        { "tbit", 1000000000000 },
};

static const Unit plain_units[] = { { "", 1 } };

typedef struct Notation {
        const Unit *units;
        size_t n;
        bool any_case;
        const char *expected;
} Notation;

static const Notation notations[MEASURE_MAX] = {
        [MEASURE_PLAIN] = { plain_units, ELEMENTSOF(plain_units), false, "a whole number, or max" },
        [MEASURE_CPU] = { cpu_units, ELEMENTSOF(cpu_units), false, "CPUs such as 3.5 or 3500m, or max" },
        [MEASURE_BYTES] = { byte_units, ELEMENTSOF(byte_units), true,
                        "bytes such as 512M, 8G or 8GiB, or max" },
        [MEASURE_BITS] = { rate_units, ELEMENTSOF(rate_units), true,
                        "bits a second such as 500M or 1.5Gbit, or max" },
};

static const Notation time_notation = { time_units, ELEMENTSOF(time_units), false,
        QUANTITY_DURATION_EXPECTED };

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* "3.5" at *p, which then stands behind it. */
static bool read_number(const char **p, uint64_t *ret_whole, uint64_t *ret_millionths) {
        uint64_t whole = 0, millionths = 0, place = FRACTION_ONE;
        const char *s = *p;

        if (!is_digit(*s))
                return false;

        for (; is_digit(*s); s++)
                if (__builtin_mul_overflow(whole, 10, &whole) ||
                                __builtin_add_overflow(whole, (uint64_t) (*s - '0'), &whole))
                        return false;

        if (*s == '.') {
                s++;
                if (!is_digit(*s))
                        return false;
                for (; is_digit(*s); s++) {
                        place /= 10;
                        millionths += (uint64_t) (*s - '0') * place;
                }
        }

        *p = s;
        *ret_whole = whole;
        *ret_millionths = millionths;
        return true;
}

static bool scale(uint64_t whole, uint64_t millionths, uint64_t factor, uint64_t *ret) {
        /* Below `factor`, taken apart so that no product leaves 64 bits. */
        uint64_t part = factor / FRACTION_ONE * millionths +
                        factor % FRACTION_ONE * millionths / FRACTION_ONE;
        uint64_t value;

        if (__builtin_mul_overflow(whole, factor, &value) || __builtin_add_overflow(value, part, &value))
                return false;

        *ret = value;
        return true;
}

static const Unit *find_unit(const Notation *notation, const char *name, size_t length) {
        int (*compare)(const char *, const char *, size_t) = notation->any_case ? strncasecmp : strncmp;

        for (size_t i = 0; i < notation->n; i++)
                if (strlen(notation->units[i].name) == length &&
                                compare(notation->units[i].name, name, length) == 0)
                        return &notation->units[i];

        return NULL;
}

static bool parse_seconds(const char *text, uint64_t *ret) {
        uint64_t whole, millionths;

        if (!read_number(&text, &whole, &millionths) || *text != '\0')
                return false;

        return scale(whole, millionths, 1000000, ret);
}

bool quantity_parse_duration(const char *text, uint64_t *ret_usec) {
        uint64_t sum = 0, whole, millionths, part;

        /* A number alone is seconds. */
        if (!parse_seconds(text, &sum))
                for (const char *p = text; p == text || *p;) {
                        const Unit *unit;
                        size_t n;

                        if (!read_number(&p, &whole, &millionths))
                                return false;
                        p += strspn(p, " ");
                        n = strcspn(p, "0123456789. ");
                        unit = find_unit(&time_notation, p, n);
                        if (!unit || !scale(whole, millionths, unit->factor, &part) ||
                                        __builtin_add_overflow(sum, part, &sum))
                                return false;
                        p += n;
                        p += strspn(p, " ");
                }

        if (sum == 0 || sum > QUANTITY_DURATION_MAX_USEC)
                return false;

        *ret_usec = sum;
        return true;
}

bool quantity_parse_resource(const char *name, const char *text, uint64_t *ret, const char **ret_expected) {
        const Notation *notation = &notations[units_measure(name)];
        uint64_t whole, millionths, value;
        const Unit *unit;

        *ret_expected = notation->expected;
        if (strcmp(text, "max") == 0) {
                *ret = UNLIMITED;
                return true;
        }

        if (!read_number(&text, &whole, &millionths))
                return false;

        unit = find_unit(notation, text, strlen(text));
        if (!unit || (unit->factor == 1 && millionths > 0) ||
                        !scale(whole, millionths, unit->factor, &value) || value == UNLIMITED)
                return false;

        *ret = value;
        return true;
}
