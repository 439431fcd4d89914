/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/stat-meter.h"
#include "meter/group-carried.h"
#include "meter/group-stat.h"
#include "meter/slot-figures.h"

#include <fcntl.h>
#include <string.h>

/* Counters first, then gauges. */
#define N_COUNTERS 13
static const Metric metrics[] = {
        METRIC_CPU_PRESSURE,
        METRIC_MEMORY_FAULTS,
        METRIC_MEMORY_MAJOR_FAULTS,
        METRIC_MEMORY_REFAULTS,
        METRIC_MEMORY_RECLAIMED,
        METRIC_MEMORY_PRESSURE,
        METRIC_MEMORY_STALL,
        METRIC_IO_READ_BYTES,
        METRIC_IO_WRITE_BYTES,
        METRIC_IO_READ_OPERATIONS,
        METRIC_IO_WRITE_OPERATIONS,
        METRIC_IO_PRESSURE,
        METRIC_IO_STALL,
        METRIC_MEMORY_ANON,
        METRIC_MEMORY_FILE,
        METRIC_MEMORY_KERNEL,
        METRIC_MEMORY_SWAP,
};

typedef struct Group {
        uint32_t slot;
        uint32_t place; /* its row among those of group-carried */
        uint64_t id;
        GroupStat stat;
} Group;

struct StatMeter {
        GroupCarried *carried;
        uint32_t slots;
        SlotFigures *figures; /* what each slot's groups, and those it had, showed at its last turn */
        Group *groups;        /* owned, ordered by slot */
        size_t n_groups;
        size_t next;        /* the group that begins the next turn */
        BlockLayers layers; /* as this turn found them */
};

int stat_meter_new(const char *pin_dir, uint32_t slots, uint32_t places, StatMeter **ret) {
        _cleanup_(stat_meter_free_p) StatMeter *meter = malloc(sizeof(*meter));
        int r;

        if (!meter)
                return -ENOMEM;
        *meter = (StatMeter){ .slots = slots };
        r = slot_figures_new(metrics, ELEMENTSOF(metrics), slots, &meter->figures);
        if (r < 0)
                return r;
        r = group_carried_new(&(GroupCarriedOptions){ pin_dir, "stat_carried_1", "stat_gone_1", metrics,
                                              N_COUNTERS, slots, places, /* falls_by_parts= */ true },
                        &meter->carried);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(meter);
        return 0;
}

StatMeter *stat_meter_free(StatMeter *meter) {
        if (!meter)
                return NULL;

        for (size_t i = 0; i < meter->n_groups; i++)
                group_stat_close(&meter->groups[i].stat);
        free(meter->groups);
        slot_figures_free(meter->figures);
        group_carried_free(meter->carried);
        block_layers_deinit(&meter->layers);
        free(meter);
        return NULL;
}

/* Read no more; what it has in its slot is another matter. */
static void detach(StatMeter *meter, uint64_t group_id) {
        for (size_t i = meter->n_groups; i-- > 0;)
                if (meter->groups[i].id == group_id) {
                        group_stat_close(&meter->groups[i].stat);
                        meter->n_groups--;
                        memmove(meter->groups + i, meter->groups + i + 1,
                                        (meter->n_groups - i) * sizeof(*meter->groups));
                }
}

/* Its counters are kept, and its gauges added to the sum. */
static void take_group(StatMeter *meter, Group *group, Sample *sum) {
        Sample now, lost;

        sample_begin(&now);
        sample_begin(&lost);
        group_stat_read(&group->stat, &meter->layers, &now, &lost);
        group_carried_lose(meter->carried, group->place, &lost);
        group_carried_note(meter->carried, group->place, &now);
        for (size_t i = 0; i < ELEMENTSOF(metrics); i++)
                if (sample_has(&now, metrics[i]))
                        sample_add(sum, metrics[i], now.value[metrics[i]]);
}

/* All groups of the slot whose first is the i-th; gives how many they are. */
static size_t take_slot(StatMeter *meter, size_t i) {
        const uint32_t slot = meter->groups[i].slot;
        Sample sum;
        size_t n = 0;

        sample_begin(&sum);
        for (; i + n < meter->n_groups && meter->groups[i + n].slot == slot; n++)
                take_group(meter, &meter->groups[i + n], &sum);
        /* Over the sums of what the groups' counters stand at. */
        group_carried_sum(meter->carried, slot, sum.present, &sum);
        slot_figures_clear(meter->figures, slot);
        slot_figures_add(meter->figures, slot, &sum);
        return n;
}

int stat_meter_add(StatMeter *meter, uint32_t slot, int group_fd, uint64_t group_id, bool adopted) {
        _cleanup_close_ int fd = -EBADF;
        uint32_t place;
        Group *groups;
        size_t at;
        int r;

        detach(meter, group_id);
        groups = reallocarray(meter->groups, meter->n_groups + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        meter->groups = groups;
        /* Opened anew: what is given may be there for its path alone (O_PATH). */
        fd = openat(group_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = group_carried_place(meter->carried, slot, group_id, adopted, &place);
        if (r < 0)
                return r;

        for (at = 0; at < meter->n_groups && groups[at].slot <= slot; at++)
                ;
        memmove(groups + at + 1, groups + at, (meter->n_groups - at) * sizeof(*groups));
        groups[at] = (Group){ slot, place, group_id, group_stat_open(TAKE_FD(fd)) };
        meter->n_groups++;
        /* What it counts from here on is its slot's: its turn may be far. */
        if (adopted)
                stat_meter_run_slot(meter, slot);
        return 0;
}

void stat_meter_remove(StatMeter *meter, uint64_t group_id) {
        detach(meter, group_id);
        group_carried_leave(meter->carried, group_id);
}

void stat_meter_run(StatMeter *meter, size_t groups) {
        size_t at = meter->next, done = 0;

        block_layers_forget(&meter->layers);
        /* Groups may have gone or come: a turn begins with the first of its slot. */
        while (at > 0 && at < meter->n_groups && meter->groups[at - 1].slot == meter->groups[at].slot)
                at--;
        while (done < groups && done < meter->n_groups) {
                size_t n;

                if (at >= meter->n_groups)
                        at = 0;
                n = take_slot(meter, at);
                at += n;
                done += n;
        }
        meter->next = at;
}

size_t stat_meter_groups(const StatMeter *meter) {
        return meter->n_groups;
}

void stat_meter_run_slot(StatMeter *meter, uint32_t slot) {
        size_t i = 0;

        while (i < meter->n_groups && meter->groups[i].slot < slot)
                i++;
        if (i == meter->n_groups || meter->groups[i].slot != slot)
                return;
        block_layers_forget(&meter->layers);
        (void) take_slot(meter, i);
}

void stat_meter_read(const StatMeter *meter, uint32_t slot, Sample *sample) {
        (void) slot_figures_read(meter->figures, slot, sample);
}

void stat_meter_clear(StatMeter *meter, uint32_t slot) {
        group_carried_clear(meter->carried, slot);
        slot_figures_clear(meter->figures, slot);
}

void stat_meter_keep_pins(const StatMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        group_carried_keep_pins(meter->carried, pin_dir, tell, userdata);
}
