/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sets of CPUs and of NUMA nodes as values. It opens no file. */

#include "cpu-set.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORDS (CPU_SET_SIZE / 64)

bool cpu_set_has(const CpuSet *set, unsigned number) {
        return number < CPU_SET_SIZE && set->words[number / 64] >> (number % 64) & 1;
}

void cpu_set_add(CpuSet *set, unsigned number) {
        assert(number < CPU_SET_SIZE);
        set->words[number / 64] |= 1ULL << (number % 64);
}

unsigned cpu_set_count(const CpuSet *set) {
        unsigned count = 0;

        for (unsigned i = 0; i < WORDS; i++)
                count += (unsigned) __builtin_popcountll(set->words[i]);
        return count;
}

bool cpu_set_is_empty(const CpuSet *set) {
        return cpu_set_next(set, 0) == CPU_SET_SIZE;
}

bool cpu_set_equal(const CpuSet *a, const CpuSet *b) {
        return memcmp(a->words, b->words, sizeof a->words) == 0;
}

unsigned cpu_set_next(const CpuSet *set, unsigned from) {
        for (unsigned i = from / 64; i < WORDS; i++) {
                uint64_t word = set->words[i];

                if (i == from / 64)
                        word &= ~0ULL << (from % 64);
                if (word)
                        return i * 64 + (unsigned) __builtin_ctzll(word);
        }
        return CPU_SET_SIZE;
}

void cpu_set_unite(CpuSet *set, const CpuSet *other) {
        for (unsigned i = 0; i < WORDS; i++)
                set->words[i] |= other->words[i];
}

void cpu_set_intersect(CpuSet *set, const CpuSet *other) {
        for (unsigned i = 0; i < WORDS; i++)
                set->words[i] &= other->words[i];
}

void cpu_set_subtract(CpuSet *set, const CpuSet *other) {
        for (unsigned i = 0; i < WORDS; i++)
                set->words[i] &= ~other->words[i];
}

/* Moves past a number. */
static int parse_number(const char **text, unsigned *ret) {
        const char *p = *text;
        unsigned value = 0;
        bool over = false;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                value = value * 10 + (unsigned) (*p - '0');
                over = over || value >= CPU_SET_SIZE;
                if (over)
                        value = 0;
        }
        if (over)
                return -ERANGE;
        *text = p;
        *ret = value;
        return 0;
}

static int parse_range(const char **text, CpuSet *set) {
        unsigned first, last;
        int r;

        r = parse_number(text, &first);
        if (r < 0)
                return r;
        last = first;
        if (**text == '-') {
                ++*text;
                r = parse_number(text, &last);
                if (r < 0)
                        return r;
        }
        if (last < first)
                return -EINVAL;
        for (unsigned number = first; number <= last; number++)
                cpu_set_add(set, number);
        return 0;
}

int cpu_set_parse(const char *text, CpuSet *ret) {
        CpuSet set = {};

        while (*text) {
                int r = parse_range(&text, &set);

                if (r < 0)
                        return r;
                if (*text == '\0')
                        break;
                if (*text++ != ',' || *text == '\0')
                        return -EINVAL;
        }
        *ret = set;
        return 0;
}

char *cpu_set_format(const CpuSet *set) {
        const char *comma = "";
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        for (unsigned first = cpu_set_next(set, 0); first < CPU_SET_SIZE; comma = ",") {
                unsigned last = first;

                while (cpu_set_has(set, last + 1))
                        last++;
                if (last > first)
                        fprintf(f, "%s%u-%u", comma, first, last);
                else
                        fprintf(f, "%s%u", comma, first);
                first = cpu_set_next(set, last + 1);
        }
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}
