/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-carried.h"
#include "meter/pin.h"

#include <linux/bpf.h>
#include <string.h>

/* The counters among what group-iter reads; the others are gauges. */
static const Metric counters[] = { METRIC_CPU_TIME, METRIC_CPU_THROTTLED, METRIC_MEMORY_OOM_KILLS };

/* Row [place] of a table that outlives us. All zeroes: free. */
typedef struct Row {
        uint64_t group_id;
        uint32_t slot;
        uint16_t adopted;
        uint16_t noted;                      /* bit i: counter i was noted once */
        uint64_t base[ELEMENTSOF(counters)]; /* what it showed when its slot's part began */
        uint64_t last[ELEMENTSOF(counters)]; /* at the last note */
} Row;
_Static_assert(sizeof(Row) == 64, "a row is one line of cache");

/* Row [slot] of another: of groups that are no more. */
typedef struct Gone {
        uint64_t value[ELEMENTSOF(counters)];
} Gone;

struct GroupCarried {
        Table rows, gone; /* malloc()ed rows without BPF */
        uint32_t slots, places;
        uint32_t n_used; /* no row from here on is taken */
        bool *held;      /* [places]: by a group that was placed in this run */
};

static Row *row_at(const GroupCarried *carried, uint32_t place) {
        return (Row *) carried->rows.rows + place;
}

static Gone *gone_of(const GroupCarried *carried, uint32_t slot) {
        return (Gone *) carried->gone.rows + slot;
}

static int open_table(const char *pin_dir, const char *name, uint32_t row_bytes, uint32_t n, Table *ret) {
        const TableShape shape = { name, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), row_bytes, n };

        if (table_open(pin_dir, &shape, ret) >= 0)
                return 0;
        ret->rows = calloc(n, row_bytes);
        return ret->rows ? 0 : -ENOMEM;
}

static void close_table(Table *table) {
        if (table->fd < 0) {
                free(table->rows);
                table->rows = NULL;
        }
        table_deinit(table);
}

int group_carried_new(const char *pin_dir, uint32_t slots, uint32_t places, GroupCarried **ret) {
        _cleanup_(group_carried_free_p) GroupCarried *carried = malloc(sizeof(*carried));
        int r;

        if (!carried)
                return -ENOMEM;
        *carried = (GroupCarried){ .rows = TABLE_NULL, .gone = TABLE_NULL, .slots = slots, .places = places };
        carried->held = calloc(places, sizeof(bool));
        if (!carried->held)
                return -ENOMEM;
        r = open_table(pin_dir, "group_carried_3", sizeof(Row), places, &carried->rows);
        if (r >= 0)
                r = open_table(pin_dir, "group_gone_1", sizeof(Gone), slots, &carried->gone);
        if (r < 0)
                return r;
        for (uint32_t place = 0; place < places; place++) {
                Row *row = row_at(carried, place);

                if (row->slot >= slots) /* not with this table */
                        *row = (Row){};
                if (row->group_id)
                        carried->n_used = place + 1;
        }
        *ret = TAKE_PTR(carried);
        return 0;
}

GroupCarried *group_carried_free(GroupCarried *carried) {
        if (!carried)
                return NULL;
        close_table(&carried->rows);
        close_table(&carried->gone);
        free(carried->held);
        free(carried);
        return NULL;
}

void group_carried_keep_pins(const GroupCarried *carried, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &carried->rows, tell, userdata);
        table_keep_pin(pin_dir, &carried->gone, tell, userdata);
}

static void fold(GroupCarried *carried, uint32_t place) {
        Row *row = row_at(carried, place);

        for (size_t i = 0; i < ELEMENTSOF(counters); i++)
                gone_of(carried, row->slot)->value[i] += row->last[i] - row->base[i];
        *row = (Row){};
        carried->held[place] = false;
}

static bool find_row(const GroupCarried *carried, uint64_t group_id, uint32_t *ret_place) {
        for (uint32_t place = 0; place < carried->n_used; place++)
                if (row_at(carried, place)->group_id == group_id) {
                        *ret_place = place;
                        return true;
                }
        return false;
}

static bool find_free(GroupCarried *carried, uint32_t *ret_place) {
        if (!find_row(carried, 0, ret_place)) {
                if (carried->n_used == carried->places)
                        return false;
                *ret_place = carried->n_used++;
        }
        return true;
}

int group_carried_place(
                GroupCarried *carried, uint32_t slot, uint64_t group_id, bool adopted, uint32_t *ret_place) {
        uint32_t place;
        bool found = find_row(carried, group_id, &place);

        if (found && row_at(carried, place)->slot != slot) {
                fold(carried, place);
                found = false;
        }
        if (!found && !find_free(carried, &place)) {
                /* Of groups that an earlier run had, and this has not. */
                for (place = 0; place < carried->places; place++)
                        if (!carried->held[place])
                                fold(carried, place);
                if (!find_free(carried, &place))
                        return -ENOSPC;
        }
        if (!found)
                *row_at(carried, place) = (Row){ .group_id = group_id, .slot = slot, .adopted = adopted };
        carried->held[place] = true;
        *ret_place = place;
        return 0;
}

void group_carried_note(GroupCarried *carried, uint32_t place, const Sample *now) {
        Row *row = row_at(carried, place);

        for (size_t i = 0; i < ELEMENTSOF(counters); i++) {
                uint64_t value = now->value[counters[i]];

                if (!sample_has(now, counters[i]))
                        continue;
                if (!(row->noted & (1U << i)) && row->adopted)
                        row->base[i] = value;
                else if (value < row->last[i]) { /* its controller was taken away and given again */
                        gone_of(carried, row->slot)->value[i] += row->last[i] - row->base[i];
                        row->base[i] = 0;
                }
                row->noted |= 1U << i;
                row->last[i] = value;
        }
}

void group_carried_sum(const GroupCarried *carried, Sample *samples) {
        for (uint32_t slot = 0; slot < carried->slots; slot++)
                for (size_t i = 0; i < ELEMENTSOF(counters); i++)
                        if (sample_has(&samples[slot], counters[i]))
                                samples[slot].value[counters[i]] = gone_of(carried, slot)->value[i];
        for (uint32_t place = 0; place < carried->n_used; place++) {
                const Row *row = row_at(carried, place);

                for (size_t i = 0; row->group_id && i < ELEMENTSOF(counters); i++)
                        if (sample_has(&samples[row->slot], counters[i]))
                                samples[row->slot].value[counters[i]] += row->last[i] - row->base[i];
        }
}

void group_carried_leave(GroupCarried *carried, uint64_t group_id) {
        uint32_t place;

        if (find_row(carried, group_id, &place))
                fold(carried, place);
}

void group_carried_clear(GroupCarried *carried, uint32_t slot) {
        for (uint32_t place = 0; place < carried->n_used; place++)
                if (row_at(carried, place)->group_id && row_at(carried, place)->slot == slot) {
                        *row_at(carried, place) = (Row){};
                        carried->held[place] = false;
                }
        *gone_of(carried, slot) = (Gone){};
}
