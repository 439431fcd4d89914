/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What one control group carries, or should carry: a value for each setting that is present. The same type
 * for what is planned, what was observed and what differs, so that a diff is a comparison of two arrays.
 * Names, files and systemd properties of each setting stand in one table, enforce/cgroup-text.c.
 */

#include "resource.h"

typedef enum Setting {
        SETTING_CPU_IDLE,    /* 0 or 1; before cpu.weight, which the kernel refuses while it is 1 (EINVAL) */
        SETTING_CPU_WEIGHT,  /* 1 … 10000 */
        SETTING_CPU_MAX,     /* µs of CPU a second (1000 a millicore), or UNLIMITED */
        SETTING_MEMORY_MIN,  /* bytes */
        SETTING_MEMORY_LOW,  /* bytes */
        SETTING_MEMORY_HIGH, /* bytes, or UNLIMITED */
        SETTING_MEMORY_MAX,  /* bytes, or UNLIMITED */
        SETTING_SWAP_MAX,    /* bytes, or UNLIMITED */
        SETTING_TASKS_MAX,   /* count, or UNLIMITED */
        SETTING_CPU_BURST,  /* µs of a period that may be saved up for later ones; never over cpu.max's quota
                             */
        SETTING_OOM_GROUP,  /* 0 or 1: who is killed for want of memory is killed whole */
        SETTING_IO_WEIGHT,  /* 1 … 10000, of every device that has none of its own */
        SETTING_HUGETLB_2M, /* bytes, or UNLIMITED */
        SETTING_HUGETLB_1G, /* bytes, or UNLIMITED */
        SETTING_MAX,
        SETTING_INVALID = -EINVAL,
} Setting;

typedef struct Settings {
        uint32_t present; /* bit (1U << Setting): value[Setting] is meant */
        uint64_t value[SETTING_MAX];
} Settings;

static inline bool settings_has(const Settings *settings, Setting setting) {
        return settings->present & (1U << setting);
}

static inline void settings_put(Settings *settings, Setting setting, uint64_t value) {
        settings->present |= 1U << setting;
        settings->value[setting] = value;
}
