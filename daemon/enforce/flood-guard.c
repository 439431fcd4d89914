/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/flood-guard.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/flood-guard.h"

#define PREFIX "flood_"
#define NSEC_PER_SEC 1000000000ULL
#define PSEC_PER_SEC 1000000000000ULL

/* An eighth more than the ceiling is let pass: what the queue itself drops takes nothing of the ceiling, and
 * would leave it unused. */
#define MORE_PART 8U

static struct flood_row *row_of(const FloodGuard *guard, uint32_t slot) {
        struct flood_row *rows = guard->table.rows;

        return guard->ifindex != 0 && slot < guard->slots ? &rows[slot] : NULL;
}

/* "flood_<ifindex>_<layout>" */
static void remove_if_stale(const char *name, void *userdata) {
        char ifname[IF_NAMESIZE];

        if (!if_indextoname((unsigned) strtoul(name + strlen(PREFIX), NULL, 10), ifname))
                pin_remove(userdata, name);
}

int flood_guard_open(FloodGuard *guard, const char *pin_dir, unsigned ifindex, uint32_t slots) {
        int r;

        if (guard->ifindex == ifindex)
                return 0;
        flood_guard_close(guard);
        pin_list(pin_dir, PREFIX, remove_if_stale, (void *) pin_dir);
        snprintf(guard->name, sizeof(guard->name), PREFIX "%u_" STRINGIFY(FLOOD_GUARD_LAYOUT), ifindex);
        pin_tables_begin(slots); /* what was counted for fewer is carried over */
        r = table_open(pin_dir,
                        &(TableShape){ guard->name, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        sizeof(struct flood_row), slots },
                        &guard->table);
        pin_tables_begin(/* slots= */ 0);
        if (r < 0)
                return r;
        guard->ifindex = ifindex;
        guard->slots = slots;
        return 0;
}

void flood_guard_close(FloodGuard *guard) {
        table_deinit(&guard->table);
        guard->ifindex = 0;
}

void flood_guard_rest(FloodGuard *guard) {
        for (uint32_t slot = 0; guard->ifindex != 0 && slot < guard->slots; slot++)
                __atomic_store_n(&row_of(guard, slot)->psec_per_byte, 0, __ATOMIC_RELEASE);
}

void flood_guard_remove(FloodGuard *guard, const char *pin_dir, unsigned ifindex, uint32_t slots) {
        if (flood_guard_open(guard, pin_dir, ifindex, slots) < 0)
                return;
        memset(guard->table.rows, 0, guard->table.size_bytes);
        pin_remove(pin_dir, guard->name);
        flood_guard_close(guard);
}

void flood_guard_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, PREFIX);
}

void flood_guard_keep_pin(const FloodGuard *guard, const char *pin_dir, PinTell tell, void *userdata) {
        table_keep_pin(pin_dir, &guard->table, tell, userdata);
}

int flood_guard_fd(const FloodGuard *guard) {
        return guard->table.fd;
}

void flood_guard_set(FloodGuard *guard, uint32_t slot, uint64_t ceil_bytes, uint64_t queue_bytes) {
        const uint64_t rate = ceil_bytes + ceil_bytes / MORE_PART;
        struct flood_row *row = row_of(guard, slot), want = { .psec_per_byte = 1, .queue_nsec = UINT64_MAX };

        if (!row)
                return;
        if (queue_bytes != FLOOD_GUARD_NEVER && PSEC_PER_SEC / rate > 0)
                want = (struct flood_row){
                        .psec_per_byte = PSEC_PER_SEC / rate,
                        .queue_nsec = queue_bytes * NSEC_PER_SEC / rate,
                        .window_bytes = queue_bytes / FLOOD_WINDOWS_A_QUEUE,
                };
        if (row->psec_per_byte == want.psec_per_byte && row->queue_nsec == want.queue_nsec)
                return;
        /* Whoever sees one of the two from before drops nothing that would have had a place: the queue is
         * taken to be empty after the last. */
        __atomic_store_n(&row->queue_nsec, UINT64_MAX, __ATOMIC_RELEASE);
        __atomic_store_n(&row->window_bytes, want.window_bytes, __ATOMIC_RELEASE);
        __atomic_store_n(&row->psec_per_byte, want.psec_per_byte, __ATOMIC_RELEASE);
        __atomic_store_n(&row->sent_at, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&row->queue_nsec, want.queue_nsec, __ATOMIC_RELEASE);
}

void flood_guard_forget(FloodGuard *guard, uint32_t slot) {
        struct flood_row *row = row_of(guard, slot);

        if (row)
                memset(row, 0, sizeof(*row));
}

bool flood_guard_has(const FloodGuard *guard, uint32_t slot) {
        const struct flood_row *row = row_of(guard, slot);

        return row && row->psec_per_byte > 0 && row->queue_nsec != UINT64_MAX;
}

uint64_t flood_guard_drops(const FloodGuard *guard, uint32_t slot) {
        const struct flood_row *row = row_of(guard, slot);

        return row ? __atomic_load_n(&row->drops, __ATOMIC_RELAXED) : 0;
}
