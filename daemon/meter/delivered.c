/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/delivered.h"

#include <linux/bpf.h>
#include <string.h>

/* Changed with the figures, too: sums of others would be taken for these. */
#define TABLE_NAME "delivered_3"

typedef struct Row {
        char id[IDENTIFIER_LENGTH_MAX + 1]; /* "": free */
        uint64_t since_usec;
        Delivery sum;
} Row;

struct Delivered {
        Table table;
        uint32_t n_rows;
};

int delivered_new(const char *pin_dir, uint32_t rows, Delivered **ret) {
        _cleanup_(delivered_free_p) Delivered *delivered = malloc(sizeof(*delivered));
        int r;

        if (!delivered)
                return -ENOMEM;
        *delivered = (Delivered){ .table = TABLE_NULL, .n_rows = rows };
        r = table_open(pin_dir,
                        &(TableShape){ TABLE_NAME, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(Row), rows,
                                        .is_list = true },
                        &delivered->table);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(delivered);
        return 0;
}

Delivered *delivered_free(Delivered *delivered) {
        if (!delivered)
                return NULL;
        table_deinit(&delivered->table);
        free(delivered);
        return NULL;
}

void delivered_keep_pins(const Delivered *delivered, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &delivered->table, tell, userdata);
}

static Row *find_row(const Delivered *delivered, const char *id) {
        Row *rows = delivered->table.rows;

        for (uint32_t i = 0; i < delivered->n_rows; i++)
                if (strncmp(rows[i].id, id, sizeof(rows[i].id)) == 0)
                        return rows + i;
        return NULL;
}

static void free_row(Row *row, const DeliveredOwners *owners) {
        owners->lost(row->id, owners->userdata);
        memset(row, 0, sizeof(*row));
}

/* Called where every row is somebody's. */
static Row *make_room(Delivered *delivered, const DeliveredOwners *owners) {
        Row *rows = delivered->table.rows, *room = NULL, *oldest = NULL;
        uint64_t oldest_usec = UINT64_MAX;

        for (uint32_t i = 0; i < delivered->n_rows; i++) {
                uint64_t ended_usec = owners->ended_usec(rows[i].id, owners->userdata);

                if (ended_usec == 0) {
                        room = rows + i;
                        free_row(room, owners);
                } else if (ended_usec < oldest_usec) {
                        oldest = rows + i;
                        oldest_usec = ended_usec;
                }
        }
        if (room || !oldest)
                return room;
        free_row(oldest, owners);
        return oldest;
}

Delivery *delivered_find(
                Delivered *delivered, const char *id, uint64_t since_usec, const DeliveredOwners *owners) {
        Row *row = find_row(delivered, id);

        if (!row)
                row = find_row(delivered, "");
        if (!row)
                row = make_room(delivered, owners);
        if (!row)
                return NULL;
        if (row->id[0] == '\0' || row->since_usec != since_usec) {
                *row = (Row){ .since_usec = since_usec };
                snprintf(row->id, sizeof(row->id), "%s", id);
        }
        return &row->sum;
}

void delivered_each(Delivered *delivered, DeliveredFound found, void *userdata) {
        Row *rows = delivered->table.rows;

        for (uint32_t i = 0; i < delivered->n_rows; i++)
                if (rows[i].id[0] != '\0')
                        found(rows[i].id, rows[i].since_usec, &rows[i].sum, userdata);
}
