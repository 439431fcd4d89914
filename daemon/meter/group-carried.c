/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-carried.h"
#include "bpf/pin.h"

#include <assert.h>
#include <linux/bpf.h>
#include <string.h>

/* Row [place] of a table that outlives us. All zeroes: free. */
typedef struct Row {
        uint64_t group_id;
        uint32_t slot;
        uint16_t adopted;
        uint16_t noted; /* bit i: counter i was noted once */
        struct {
                uint64_t base; /* what it showed when its slot's part began, less all that it had counted in
                                  the lives before this one: below 0, where there are some */
                uint64_t last; /* at the last note */
        } counter[];
} Row;
_Static_assert(sizeof(Row) == 16 && 8 * sizeof(uint16_t) >= GROUP_CARRIED_COUNTERS_MAX, "a bit for each");

struct GroupCarried {
        const Metric *counters;
        size_t n_counters;
        Table rows; /* as far as they are used; malloc()ed without BPF, as the next */
        Table gone; /* [slot][counter]: of groups that are no more */
        uint32_t slots, places;
        bool falls_by_parts;
        uint32_t n_used; /* no row from here on is taken */
        bool *held;      /* [places]: by a group that was placed in this run */
        uint32_t *first; /* [slots]: a row of the slot, */
        uint32_t *next;  /* [places]: and another one; PLACE_NONE at the end */
};

#define PLACE_NONE UINT32_MAX

static uint32_t row_bytes(size_t n_counters) {
        return (uint32_t) (sizeof(Row) + n_counters * sizeof(((Row *) NULL)->counter[0]));
}

static Row *row_at(const GroupCarried *carried, uint32_t place) {
        return (Row *) ((char *) carried->rows.rows + (size_t) place * row_bytes(carried->n_counters));
}

static void row_link(GroupCarried *carried, uint32_t place) {
        uint32_t slot = row_at(carried, place)->slot;

        carried->next[place] = carried->first[slot];
        carried->first[slot] = place;
}

static void row_free(GroupCarried *carried, uint32_t place) {
        Row *row = row_at(carried, place);

        if (row->group_id && row->slot < carried->slots) {
                uint32_t *at = &carried->first[row->slot];

                while (*at != place)
                        at = &carried->next[*at];
                *at = carried->next[place];
        }
        memset(row, 0, row_bytes(carried->n_counters));
        carried->held[place] = false;
}

static uint64_t *gone_of(const GroupCarried *carried, uint32_t slot) {
        return (uint64_t *) carried->gone.rows + slot * carried->n_counters;
}

static int open_table(const char *pin_dir, const TableShape *shape, Table *ret) {
        if (table_open(pin_dir, shape, ret) >= 0)
                return 0;
        ret->rows = calloc(shape->rows, shape->row_bytes);
        return ret->rows ? 0 : -ENOMEM;
}

/* The first `n` rows can be touched. */
static int reach(GroupCarried *carried, uint32_t n) {
        return carried->rows.fd < 0
                               ? 0
                               : table_reach(&carried->rows, (size_t) n * row_bytes(carried->n_counters));
}

/* What an earlier run left: no row from `n_used` on is taken. */
static int find_used(GroupCarried *carried) {
        const size_t bytes = row_bytes(carried->n_counters), size = carried->places * bytes;
        char *all;

        if (!carried->rows.adopted && !carried->rows.carried)
                return 0;
        all = table_map(&carried->rows, 0, size);
        if (!all)
                return -errno;
        for (uint32_t place = 0; place < carried->places; place++)
                if (((const Row *) (all + place * bytes))->group_id)
                        carried->n_used = place + 1;
        table_unmap(all, size);
        return reach(carried, carried->n_used);
}

static void close_table(Table *table) {
        if (table->fd < 0) {
                free(table->rows);
                table->rows = NULL;
        }
        table_deinit(table);
}

int group_carried_new(const GroupCarriedOptions *options, GroupCarried **ret) {
        _cleanup_(group_carried_free_p) GroupCarried *carried = malloc(sizeof(*carried));
        int r;

        assert(options->n_counters <= GROUP_CARRIED_COUNTERS_MAX);
        if (!carried)
                return -ENOMEM;
        *carried = (GroupCarried){
                .counters = options->counters,
                .n_counters = options->n_counters,
                .rows = TABLE_NULL,
                .gone = TABLE_NULL,
                .slots = options->slots,
                .places = options->places,
                .falls_by_parts = options->falls_by_parts,
        };
        carried->held = calloc(carried->places, sizeof(bool));
        carried->first = malloc(carried->slots * sizeof(uint32_t));
        carried->next = malloc(carried->places * sizeof(uint32_t));
        if (!carried->held || !carried->first || !carried->next)
                return -ENOMEM;
        memset(carried->first, 0xff, carried->slots * sizeof(uint32_t)); /* PLACE_NONE */
        r = open_table(options->pin_dir,
                        &(TableShape){ options->rows_name, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        row_bytes(carried->n_counters), carried->places,
                                        /* unmapped= */ true, .is_list = true },
                        &carried->rows);
        if (r >= 0)
                r = open_table(options->pin_dir,
                                &(TableShape){ options->gone_name, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                                (uint32_t) (carried->n_counters * sizeof(uint64_t)),
                                                carried->slots },
                                &carried->gone);
        if (r >= 0)
                r = find_used(carried);
        if (r < 0)
                return r;
        for (uint32_t place = 0; place < carried->n_used; place++) {
                if (row_at(carried, place)->slot >= carried->slots) /* not with this table */
                        row_free(carried, place);
                if (row_at(carried, place)->group_id)
                        row_link(carried, place);
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
        free(carried->first);
        free(carried->next);
        free(carried);
        return NULL;
}

void group_carried_keep_pins(const GroupCarried *carried, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &carried->rows, tell, userdata);
        table_keep_pin(pin_dir, &carried->gone, tell, userdata);
}

static void fold(GroupCarried *carried, uint32_t place) {
        const Row *row = row_at(carried, place);
        uint64_t *gone = gone_of(carried, row->slot);

        for (size_t i = 0; i < carried->n_counters; i++)
                gone[i] += row->counter[i].last - row->counter[i].base;
        row_free(carried, place);
}

static bool find_row(const GroupCarried *carried, uint64_t group_id, uint32_t *ret_place) {
        for (uint32_t place = 0; place < carried->n_used; place++)
                if (row_at(carried, place)->group_id == group_id) {
                        *ret_place = place;
                        return true;
                }
        return false;
}

static int find_free(GroupCarried *carried, uint32_t *ret_place) {
        int r;

        if (find_row(carried, 0, ret_place))
                return 0;
        if (carried->n_used == carried->places)
                return -ENOSPC;
        r = reach(carried, carried->n_used + 1);
        if (r >= 0)
                *ret_place = carried->n_used++;
        return r;
}

int group_carried_place(
                GroupCarried *carried, uint32_t slot, uint64_t group_id, bool adopted, uint32_t *ret_place) {
        uint32_t place;
        bool found = find_row(carried, group_id, &place);
        int r;

        if (found && row_at(carried, place)->slot != slot) {
                fold(carried, place);
                found = false;
        }
        r = found ? 0 : find_free(carried, &place);
        if (r == -ENOSPC) {
                /* Of groups that an earlier run had, and this has not. */
                for (place = 0; place < carried->places; place++)
                        if (!carried->held[place])
                                fold(carried, place);
                r = find_free(carried, &place);
        }
        if (r < 0)
                return r;
        if (!found) {
                Row *row = row_at(carried, place);

                row_free(carried, place);
                row->group_id = group_id;
                row->slot = slot;
                row->adopted = adopted;
                row_link(carried, place);
        }
        carried->held[place] = true;
        *ret_place = place;
        return 0;
}

void group_carried_lose(GroupCarried *carried, uint32_t place, const Sample *lost) {
        Row *row = row_at(carried, place);

        for (size_t i = 0; i < carried->n_counters; i++)
                if (sample_has(lost, carried->counters[i]) && row->noted & (1U << i)) {
                        row->counter[i].base -= lost->value[carried->counters[i]];
                        row->counter[i].last -= lost->value[carried->counters[i]];
                }
}

void group_carried_note(GroupCarried *carried, uint32_t place, const Sample *now) {
        Row *row = row_at(carried, place);

        for (size_t i = 0; i < carried->n_counters; i++) {
                uint64_t value;

                if (!sample_has(now, carried->counters[i]))
                        continue;
                value = now->value[carried->counters[i]];
                if (!(row->noted & (1U << i)) && row->adopted)
                        row->counter[i].base = value;
                else if (value < row->counter[i].last)
                        row->counter[i].base += (carried->falls_by_parts ? value : 0) - row->counter[i].last;
                row->noted |= (uint16_t) (1U << i);
                row->counter[i].last = value;
        }
}

void group_carried_sum(const GroupCarried *carried, uint32_t slot, uint64_t present, Sample *sample) {
        const uint64_t *gone = gone_of(carried, slot);

        if (!present)
                return;
        for (size_t i = 0; i < carried->n_counters; i++)
                if (present & 1ULL << carried->counters[i])
                        sample_put(sample, carried->counters[i], gone[i]);
        for (uint32_t place = carried->first[slot]; place != PLACE_NONE; place = carried->next[place]) {
                const Row *row = row_at(carried, place);

                for (size_t i = 0; i < carried->n_counters; i++)
                        if (present & 1ULL << carried->counters[i])
                                sample->value[carried->counters[i]] +=
                                                row->counter[i].last - row->counter[i].base;
        }
}

bool group_carried_find(const GroupCarried *carried, uint32_t slot, uint64_t group_id, uint32_t *ret_place) {
        for (uint32_t place = carried->first[slot]; place != PLACE_NONE; place = carried->next[place])
                if (row_at(carried, place)->group_id == group_id) {
                        *ret_place = place;
                        return true;
                }
        return false;
}

bool group_carried_read(const GroupCarried *carried, uint32_t slot, uint64_t group_id, uint64_t *ret) {
        uint32_t place;
        const Row *row;

        if (!group_carried_find(carried, slot, group_id, &place))
                return false;
        row = row_at(carried, place);
        for (size_t i = 0; i < carried->n_counters; i++)
                ret[i] = row->counter[i].last - row->counter[i].base;
        return true;
}

void group_carried_begin_anew(GroupCarried *carried, uint32_t place) {
        Row *row = row_at(carried, place);

        for (size_t i = 0; i < carried->n_counters; i++) {
                row->counter[i].base -= row->counter[i].last;
                row->counter[i].last = 0;
        }
        row->adopted = false;
}

void group_carried_leave(GroupCarried *carried, uint64_t group_id) {
        uint32_t place;

        if (find_row(carried, group_id, &place))
                fold(carried, place);
}

void group_carried_leave_all(GroupCarried *carried) {
        for (uint32_t place = 0; place < carried->n_used; place++)
                if (row_at(carried, place)->group_id)
                        fold(carried, place);
}

bool group_carried_has_below(const GroupCarried *carried, uint64_t group_id) {
        for (uint32_t place = 0; place < carried->n_used; place++)
                if (row_at(carried, place)->group_id && row_at(carried, place)->group_id < group_id)
                        return true;
        return false;
}

void group_carried_clear(GroupCarried *carried, uint32_t slot) {
        while (carried->first[slot] != PLACE_NONE)
                row_free(carried, carried->first[slot]);
        memset(gone_of(carried, slot), 0, carried->n_counters * sizeof(uint64_t));
}
