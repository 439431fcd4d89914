/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-iter.h"
#include "meter/group-carried.h"
#include "meter/group-files.h"
#include "meter/slot-figures.h"
#include "bpf/pin.h"
#include "util/path.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/types.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/group-iter.h"
#include "bpf/group-iter.skel.h"

/* The counters among what is read here; the others are gauges. */
static const Metric counters[] = { METRIC_CPU_TIME, METRIC_CPU_THROTTLED, METRIC_MEMORY_OOM_KILLS,
        METRIC_MEMORY_LIMIT_HITS };

static const Metric gauges[] = { METRIC_MEMORY_CURRENT, METRIC_MEMORY_PEAK };

typedef struct Group {
        uint64_t id;
        uint32_t slot;
        uint32_t place; /* of its rows */
        bool adopted;
        int link_fd; /* an iterator over this group alone; -EBADF: it is below the root, or files are read */
        GroupFiles files;
} Group;

struct GroupIter {
        int program_fd; /* -EBADF: files are read */
        int removal_link;
        Table rows;   /* [place] */
        Table places; /* group id to place, for the program */
        GroupCarried *carried;
        SlotFigures *figures; /* as of the last run */
        uint64_t *seen;       /* [slot]: the id of its own group, where the last pass met it */
        uint32_t slots, n_places;
        bool cpu_time;

        char *root;
        uint64_t root_id; /* of the group that root_link goes through; 0: none */
        int root_link;

        Group *groups; /* owned, in no order */
        size_t n_groups;
};

static struct group_row *row_of(const GroupIter *iter, const Group *group) {
        return (struct group_row *) iter->rows.rows + group->place;
}

/* While there is nobody to take what it leaves it need not hang there. */
static int attach_removal(const struct bpf_program *program) {
        int r = bpf_raw_tracepoint_open(NULL, bpf_program__fd(program));

        return r < 0 ? -errno : r;
}

static int load(GroupIter *iter) {
        struct group_iter_bpf *skeleton;
        int r;

        r = table_open(NULL,
                        &(TableShape){ "group_rows", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        sizeof(struct group_row), iter->n_places, /* unmapped= */ true },
                        &iter->rows);
        if (r >= 0)
                r = table_open(NULL,
                                &(TableShape){ "group_places", BPF_MAP_TYPE_HASH, sizeof(uint64_t),
                                                sizeof(uint32_t), iter->n_places },
                                &iter->places);
        if (r < 0)
                return r;
        skeleton = group_iter_bpf__open();
        if (!skeleton)
                return -errno;
        skeleton->rodata->page_bytes = sysconf(_SC_PAGESIZE);
        r = bpf_map__reuse_fd(skeleton->maps.group_rows, iter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.places, iter->places.fd);
        if (r == 0)
                r = group_iter_bpf__load(skeleton);
        if (r == 0)
                r = iter->removal_link = attach_removal(skeleton->progs.group_iter_remove);
        if (r >= 0)
                r = iter->program_fd = pin_keep_program(skeleton->progs.group_iter_visit);
        group_iter_bpf__destroy(skeleton);
        return r;
}

int group_iter_new(const char *pin_dir, uint32_t slots, uint32_t places, bool in_kernel, const char *root,
                bool cpu_time, GroupIter **ret) {
        _cleanup_(group_iter_free_p) GroupIter *iter = NULL;
        int r;

        iter = malloc(sizeof(*iter));
        if (!iter)
                return -ENOMEM;
        *iter = (GroupIter){
                .rows = TABLE_NULL,
                .places = TABLE_NULL,
                .slots = slots,
                .n_places = places,
                .cpu_time = cpu_time,
                .root_link = -EBADF,
                .program_fd = -EBADF,
                .removal_link = -EBADF,
        };
        iter->root = strdup(root);
        iter->seen = calloc(slots, sizeof(*iter->seen));
        if (!iter->root || !iter->seen)
                return -ENOMEM;

        r = slot_figures_new(gauges, ELEMENTSOF(gauges), slots, &iter->figures);
        if (r < 0)
                return r;
        r = group_carried_new(&(GroupCarriedOptions){ pin_dir, "group_carried_5", "group_gone_2", counters,
                                              ELEMENTSOF(counters), slots, places },
                        &iter->carried);
        if (r < 0)
                return r;
        if (in_kernel && !cpu_time)
                (void) load(iter);

        *ret = TAKE_PTR(iter);
        return 0;
}

void group_iter_keep_pins(const GroupIter *iter, const char *pin_dir, PinTell tell, void *userdata) {
        group_carried_keep_pins(iter->carried, pin_dir, tell, userdata);
}

static void group_close(Group *group) {
        cleanup_close(&group->link_fd);
        group_files_close(&group->files);
}

GroupIter *group_iter_free(GroupIter *iter) {
        if (!iter)
                return NULL;

        for (size_t i = 0; i < iter->n_groups; i++)
                group_close(iter->groups + i);
        free(iter->groups);
        cleanup_close(&iter->root_link);
        cleanup_close(&iter->program_fd);
        cleanup_close(&iter->removal_link);
        table_deinit(&iter->rows);
        table_deinit(&iter->places);
        group_carried_free(iter->carried);
        slot_figures_free(iter->figures);
        free(iter->seen);
        free(iter->root);
        free(iter);
        return NULL;
}

bool group_iter_in_kernel(const GroupIter *iter) {
        return iter->program_fd >= 0;
}

static int open_link(const GroupIter *iter, union bpf_iter_link_info info) {
        LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof(info));
        int r;

        r = bpf_link_create(iter->program_fd, 0, BPF_TRACE_ITER, &options);
        return r < 0 ? -errno : r;
}

static int open_own_link(const GroupIter *iter, uint64_t group_id) {
        return open_link(iter, (union bpf_iter_link_info){ .cgroup = { .order = BPF_CGROUP_ITER_SELF_ONLY,
                                                                           .cgroup_id = group_id } });
}

/* Read no more; what it has in its slot is another matter. */
static void detach(GroupIter *iter, uint64_t group_id) {
        for (size_t i = iter->n_groups; i-- > 0;)
                if (iter->groups[i].id == group_id) {
                        iter->seen[iter->groups[i].slot] = 0;
                        group_close(iter->groups + i);
                        iter->groups[i] = iter->groups[--iter->n_groups];
                }
        if (group_iter_in_kernel(iter))
                (void) bpf_map_delete_elem(iter->places.fd, &group_id);
}

int group_iter_add(GroupIter *iter, uint32_t slot, const char *group_path, int group_fd, uint64_t group_id,
                bool adopted) {
        Group group = {
                .id = group_id, .slot = slot, .adopted = adopted, .link_fd = -EBADF, .files = GROUP_FILES_NULL
        };
        Group *groups;
        int r;

        detach(iter, group_id);
        groups = reallocarray(iter->groups, iter->n_groups + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        iter->groups = groups;
        r = group_carried_place(iter->carried, slot, group_id, adopted, &group.place);
        if (r < 0)
                return r;

        if (!group_iter_in_kernel(iter))
                group_files_open(group_fd, &group.files);
        else {
                r = table_reach(&iter->rows, (group.place + 1) * sizeof(struct group_row));
                if (r < 0)
                        return r;
                memset(row_of(iter, &group), 0, sizeof(struct group_row));
                if (bpf_map_update_elem(iter->places.fd, &group_id, &group.place, BPF_ANY) < 0)
                        return -errno;
                if (!path_is_below(group_path, iter->root)) {
                        group.link_fd = open_own_link(iter, group_id);
                        if (group.link_fd < 0)
                                return group.link_fd;
                }
        }

        groups[iter->n_groups++] = group;
        return 0;
}

/* Of a group that is gone counters alone: what it held is held by it no more. */
static void sample_from_row(const struct group_row *row, Sample *ret) {
        const bool removed = row->present & GROUP_ROW_REMOVED;

        if (!row->seen && !removed)
                return;
        if (row->present & GROUP_ROW_MEMORY) {
                if (!removed) {
                        sample_put(ret, METRIC_MEMORY_CURRENT, row->memory_current_bytes);
                        sample_put(ret, METRIC_MEMORY_PEAK, row->memory_peak_bytes);
                }
                sample_put(ret, METRIC_MEMORY_OOM_KILLS, row->oom_kills);
                sample_put(ret, METRIC_MEMORY_LIMIT_HITS, row->limit_hits);
        }
        /* In whole microseconds, as the file has it: the counter must not step back where a restart changes
         * the way. */
        if (row->present & GROUP_ROW_THROTTLED)
                sample_put(ret, METRIC_CPU_THROTTLED, row->throttled_nsec / 1000 * 1000);
}

/* What it had counted when it was removed, if it was. */
static void note_last(GroupIter *iter, uint64_t group_id) {
        for (size_t i = 0; group_iter_in_kernel(iter) && i < iter->n_groups; i++) {
                const struct group_row *row = row_of(iter, &iter->groups[i]);
                Sample last;

                if (iter->groups[i].id != group_id || !(row->present & GROUP_ROW_REMOVED))
                        continue;
                sample_begin(&last);
                sample_from_row(row, &last);
                group_carried_note(iter->carried, iter->groups[i].place, &last);
        }
}

void group_iter_remove(GroupIter *iter, uint64_t group_id) {
        note_last(iter, group_id);
        detach(iter, group_id);
        group_carried_leave(iter->carried, group_id);
}

/* The program writes rows and nothing to the reader: the first read is the whole pass. */
static int run_link(int link_fd) {
        _cleanup_close_ int fd = -EBADF;
        char nothing;

        fd = bpf_iter_create(link_fd);
        if (fd < 0)
                return -errno;
        return read(fd, &nothing, sizeof(nothing)) < 0 ? -errno : 0;
}

/* The parent may come after us, and may be made anew. */
static int run_root(GroupIter *iter) {
        _cleanup_close_ int root_fd = -EBADF;
        struct stat st;

        if (stat(iter->root, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (st.st_ino != iter->root_id) {
                cleanup_close(&iter->root_link);
                iter->root_link = -EBADF;
                iter->root_id = 0;
                root_fd = open(iter->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (root_fd < 0)
                        return -errno;
                iter->root_link = open_link(
                                iter, (union bpf_iter_link_info){
                                                      .cgroup = { .order = BPF_CGROUP_ITER_DESCENDANTS_PRE,
                                                                      .cgroup_fd = (uint32_t) root_fd } });
                if (iter->root_link < 0)
                        return iter->root_link;
                iter->root_id = st.st_ino;
        }

        return run_link(iter->root_link);
}

/* Its counters to its slot's, and the slot's gauges so much more. */
static void take_group(GroupIter *iter, const Group *group) {
        Sample now;

        sample_begin(&now);
        if (group_iter_in_kernel(iter))
                sample_from_row(row_of(iter, group), &now);
        else
                group_files_read(&group->files, &now);
        group_carried_note(iter->carried, group->place, &now);
        if (!iter->cpu_time)
                now.present &= ~(1ULL << METRIC_CPU_TIME);
        slot_figures_add(iter->figures, group->slot, &now);
        if (group_iter_in_kernel(iter) && !group->adopted && row_of(iter, group)->seen)
                iter->seen[group->slot] = group->id;
}

static void forget_slot(GroupIter *iter, uint32_t slot) {
        slot_figures_clear(iter->figures, slot);
        iter->seen[slot] = 0;
}

int group_iter_run(GroupIter *iter) {
        int r = 0, k;

        for (size_t i = 0; i < iter->n_groups; i++) {
                forget_slot(iter, iter->groups[i].slot);
                if (group_iter_in_kernel(iter))
                        row_of(iter, iter->groups + i)->seen = 0;
        }

        if (group_iter_in_kernel(iter))
                r = run_root(iter);
        for (size_t i = 0; i < iter->n_groups; i++) {
                const Group *group = iter->groups + i;

                if (group->link_fd >= 0) {
                        k = run_link(group->link_fd);
                        if (k < 0 && k != -ENODEV)
                                r = k;
                }
                take_group(iter, group);
        }

        return r;
}

/* The root's pass, of this group alone. */
static int run_group(const GroupIter *iter, const Group *group) {
        _cleanup_close_ int own_link = -EBADF;

        if (!group_iter_in_kernel(iter))
                return 0;
        row_of(iter, group)->seen = 0;
        if (group->link_fd >= 0)
                return run_link(group->link_fd);
        own_link = open_own_link(iter, group->id);
        return own_link < 0 ? own_link : run_link(own_link);
}

int group_iter_run_slot(GroupIter *iter, uint32_t slot) {
        int r = 0, k;

        forget_slot(iter, slot);
        for (size_t i = 0; i < iter->n_groups; i++) {
                if (iter->groups[i].slot != slot)
                        continue;
                k = run_group(iter, &iter->groups[i]);
                if (k < 0 && k != -ENODEV && k != -ENOENT)
                        r = k;
                take_group(iter, &iter->groups[i]);
        }
        return r;
}

void group_iter_read(const GroupIter *iter, uint32_t slot, Sample *sample) {
        uint64_t present = slot_figures_read(iter->figures, slot, sample);

        group_carried_sum(iter->carried, slot, present, sample);
}

uint64_t group_iter_seen(const GroupIter *iter, uint32_t slot) {
        return iter->seen[slot];
}

void group_iter_clear(GroupIter *iter, uint32_t slot) {
        group_carried_clear(iter->carried, slot);
        forget_slot(iter, slot);
}
