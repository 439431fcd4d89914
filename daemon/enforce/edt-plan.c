/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "edt-plan.h"

#include "bpf/edt-clock.h"
#include "util/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high) {
        return value < low ? low : value > high ? high : value;
}

static void class_from_plan(const NetPlan *plan, const NetClass *class, struct edt_class *ret) {
        uint64_t capacity = plan->capacity_bps / 8, floor = clamp(class->floor_bps / 8, 0, capacity);

        *ret = (struct edt_class){
                .floor_bytes = floor,
                .ceil_bytes = clamp(class->ceil_bps / 8, floor ?: 1, capacity),
                .weight_bytes = clamp(floor, capacity / EDT_WEIGHT_PART ?: 1, capacity),
                .level = class->priority < EDT_LEVEL_MAX ? class->priority : EDT_LEVEL_BEST_EFFORT,
        };
}

bool edt_suits(bool is_paced, uint64_t capacity_bps) {
        return capacity_bps >= (is_paced ? EDT_DOWN_TO_BPS : EDT_FROM_BPS);
}

bool edt_error_lasts(int error) {
        switch (error) {
        case -EBUSY: /* another has the place */
        case -EEXIST:
        case -EINVAL: /* the kernel does not take it, or the verifier */
        case -E2BIG:
        case -ENOSYS:
        case -EOPNOTSUPP:
        case -ENOENT: /* it has no such qdisc, or no such type of program */
        case -ESRCH:
        case -EPERM:
        case -EACCES:
                return true;
        default:
                return false;
        }
}

int edt_entries_from_plan(const NetPlan *plan, EdtEntry **ret, size_t *ret_n) {
        _cleanup_free_ EdtEntry *entries = NULL;

        if (plan->capacity_bps < 8 || plan->n_classes == 0 || plan->classes[0].slot != SLOT_DEFAULT)
                return -EINVAL;
        entries = calloc(plan->n_classes, sizeof(EdtEntry));
        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < plan->n_classes; i++) {
                if (i > 0 && plan->classes[i].slot <= plan->classes[i - 1].slot)
                        return -EINVAL;
                entries[i].slot = plan->classes[i].slot;
                class_from_plan(plan, &plan->classes[i], &entries[i].class);
        }
        if (entries[plan->n_classes - 1].slot >= EDT_CLASSES_MAX)
                return -EINVAL;
        *ret = TAKE_PTR(entries);
        *ret_n = plan->n_classes;
        return 0;
}

void edt_entry_to_model(const EdtEntry *entry, NetClass *ret) {
        *ret = (NetClass){
                .slot = entry->slot,
                .priority = (uint8_t) entry->class.level,
                .floor_bps = entry->class.floor_bytes * 8,
                .ceil_bps = entry->class.ceil_bytes * 8,
        };
}

void edt_class_round(const NetPlan *plan, const NetClass *class, NetClass *ret) {
        EdtEntry entry = { .slot = class->slot };

        class_from_plan(plan, class, &entry.class);
        edt_entry_to_model(&entry, ret);
}

bool edt_class_equal(const struct edt_class *a, const struct edt_class *b) {
        return a->floor_bytes == b->floor_bytes && a->ceil_bytes == b->ceil_bytes &&
               a->weight_bytes == b->weight_bytes && a->level == b->level;
}

void edt_class_format(const struct edt_class *class, char *ret) {
        if (!class)
                (void) snprintf(ret, EDT_CLASS_TEXT_SIZE, "none");
        else
                (void) snprintf(ret, EDT_CLASS_TEXT_SIZE,
                                "prio %" PRIu32 " rate %" PRIu64 "bit ceil %" PRIu64 "bit",
                                (uint32_t) class->level, (uint64_t) class->floor_bytes * 8,
                                (uint64_t) class->ceil_bytes * 8);
}
