// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads what the kernel itself counts of every tenant, in one pass over the groups, and a last time when a
 * group is removed: no file is opened, no text printed, no statistics flushed. It changes nothing. A
 * controller that is not enabled for a group leaves its figures absent.
 *
 * The values are those that the files show: memory.current, memory.peak, memory.events' oom_kill, max and
 * high, and cpu.stat's throttled_usec.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "group-iter.h"

const volatile __u32 page_bytes = 4096;

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct group_row);
} group_rows SEC(".maps");

/* A group's id to its row. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u64);
        __type(value, __u32);
} places SEC(".maps");

/* The controller's state of exactly this group: NULL where a parent's applies. */
static __always_inline void *find_state(struct cgroup *group, int controller) {
        return group->subsys[controller];
}

/* In one read, as a read's call costs more than what it reads. */
#define EVENTS_MAX 16

static __always_inline void read_events(struct mem_cgroup *memory, struct group_row *row) {
        const __u64 max = bpf_core_enum_value(enum memcg_memory_event, MEMCG_MAX),
                    high = bpf_core_enum_value(enum memcg_memory_event, MEMCG_HIGH),
                    oom_kill = bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL);
        __u64 counts[EVENTS_MAX] = {};

        if (max >= EVENTS_MAX || high >= EVENTS_MAX || oom_kill >= EVENTS_MAX)
                return;
        bpf_core_read(counts, (oom_kill + 1) * sizeof(counts[0]), &memory->memory_events);
        row->oom_kills = counts[oom_kill];
        row->limit_hits = counts[max] + counts[high];
}

static __always_inline struct group_row *find_row(struct cgroup *group) {
        __u64 id = group->kn->id;
        __u32 *place = bpf_map_lookup_elem(&places, &id);

        return place ? bpf_map_lookup_elem(&group_rows, place) : NULL;
}

static __always_inline void read_group(struct cgroup *group, struct group_row *row, __u32 present) {
        if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
                struct mem_cgroup *memory =
                                find_state(group, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));

                if (memory) {
                        row->memory_current_bytes = BPF_CORE_READ(memory, memory.usage.counter) * page_bytes;
                        row->memory_peak_bytes = BPF_CORE_READ(memory, memory.watermark) * page_bytes;
                        read_events(memory, row);
                        present |= GROUP_ROW_MEMORY;
                }
        }

        if (bpf_core_enum_value_exists(enum cgroup_subsys_id, cpu_cgrp_id) &&
                        bpf_core_field_exists(struct task_group, cfs_bandwidth)) {
                struct task_group *tasks =
                                find_state(group, bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id));

                if (tasks) {
                        row->throttled_nsec = BPF_CORE_READ(tasks, cfs_bandwidth.throttled_time);
                        present |= GROUP_ROW_THROTTLED;
                }
        }

        row->present = present;
}

SEC("iter/cgroup")
int group_iter_visit(struct bpf_iter__cgroup *ctx) {
        struct cgroup *group = ctx->cgroup; /* NULL: the end of the pass */
        struct group_row *row = group ? find_row(group) : NULL;

        if (row) {
                row->seen = 1;
                read_group(group, row, 0);
        }
        return 0;
}

/* Under cgroup_mutex, as a pass is, which leaves out what is gone. The controllers let go of the group later.
 */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(group_iter_remove, struct cgroup *group) {
        struct group_row *row = find_row(group);

        if (row)
                read_group(group, row, GROUP_ROW_REMOVED);
        return 0;
}

char LICENSE[] SEC("license") = "GPL";
