/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/group-iter.h"
#include "meter/group-files.h"
#include "meter/pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/types.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/group-iter.h"
#include "bpf/group-iter.skel.h"

/* The counters among what is read here; the others are gauges. */
static const Metric counters[] = { METRIC_CPU_TIME, METRIC_CPU_THROTTLED, METRIC_MEMORY_OOM_KILLS };

/* Row [slot] of the table that outlives us. */
typedef struct Carried {
        uint64_t group_id;                   /* whose the last ones are; 0: of several, or of none yet */
        uint64_t gone[ELEMENTSOF(counters)]; /* of groups that are no more */
        uint64_t last[ELEMENTSOF(counters)]; /* of the groups that are, at the last run */
} Carried;

typedef struct Group {
        uint64_t id;
        uint32_t slot;
        int link_fd; /* an iterator over this group alone; -EBADF: it is below the root, or files are read */
        GroupFiles files;
} Group;

struct GroupIter {
        struct group_iter_bpf *skeleton; /* NULL: files are read */
        Table rows;
        Table carried;   /* pinned; malloc()ed rows without BPF */
        Sample *samples; /* [slot], as of the last run */
        uint32_t slots;
        bool cpu_time;

        char *root;
        uint64_t root_id; /* of the group that root_link goes through; 0: none */
        int root_link;

        Group *groups; /* owned, in no order */
        size_t n_groups;
};

static Carried *carried_of(const GroupIter *iter, uint32_t slot) {
        return (Carried *) iter->carried.rows + slot;
}

static struct group_row *row_of(const GroupIter *iter, uint32_t slot) {
        return (struct group_row *) iter->rows.rows + slot;
}

static int load(GroupIter *iter, int groups_fd) {
        struct group_iter_bpf *skeleton;
        int r;

        r = table_open(NULL,
                        &(TableShape){ "group_rows", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        sizeof(struct group_row), iter->slots },
                        &iter->rows);
        if (r < 0)
                return r;
        skeleton = group_iter_bpf__open();
        if (!skeleton)
                return -errno;
        skeleton->rodata->page_bytes = sysconf(_SC_PAGESIZE);
        r = bpf_map__reuse_fd(skeleton->maps.group_rows, iter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0)
                r = group_iter_bpf__load(skeleton);
        if (r < 0) {
                group_iter_bpf__destroy(skeleton);
                return r;
        }

        iter->skeleton = skeleton;
        return 0;
}

int group_iter_new(const char *pin_dir, uint32_t slots, int groups_fd, const char *root, bool cpu_time,
                GroupIter **ret) {
        _cleanup_(group_iter_free_p) GroupIter *iter = NULL;
        int r;

        iter = malloc(sizeof(*iter));
        if (!iter)
                return -ENOMEM;
        *iter = (GroupIter){
                .rows = TABLE_NULL,
                .carried = TABLE_NULL,
                .slots = slots,
                .cpu_time = cpu_time,
                .root_link = -EBADF,
        };
        iter->root = strdup(root);
        iter->samples = calloc(slots, sizeof(*iter->samples));
        if (!iter->root || !iter->samples)
                return -ENOMEM;

        r = table_open(pin_dir,
                        &(TableShape){ "group_carried_2", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        sizeof(Carried), slots },
                        &iter->carried);
        if (r < 0) {
                iter->carried.rows = calloc(slots, sizeof(Carried));
                if (!iter->carried.rows)
                        return -ENOMEM;
        }
        if (groups_fd >= 0)
                (void) load(iter, groups_fd);

        *ret = TAKE_PTR(iter);
        return 0;
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
        if (iter->skeleton)
                group_iter_bpf__destroy(iter->skeleton);
        table_deinit(&iter->rows);
        if (iter->carried.fd < 0) {
                free(iter->carried.rows);
                iter->carried.rows = NULL;
        }
        table_deinit(&iter->carried);
        free(iter->samples);
        free(iter->root);
        free(iter);
        return NULL;
}

bool group_iter_in_kernel(const GroupIter *iter) {
        return iter->skeleton;
}

static int open_link(const GroupIter *iter, int group_fd, enum bpf_cgroup_iter_order order) {
        union bpf_iter_link_info info = { .cgroup = { .order = order, .cgroup_fd = group_fd } };
        LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof(info));
        int r;

        r = bpf_link_create(
                        bpf_program__fd(iter->skeleton->progs.group_iter_visit), 0, BPF_TRACE_ITER, &options);
        return r < 0 ? -errno : r;
}

static bool path_is_below(const char *path, const char *parent) {
        size_t length = strlen(parent);

        return strncmp(path, parent, length) == 0 && path[length] == '/';
}

int group_iter_add(GroupIter *iter, uint32_t slot, const char *group_path, int group_fd, uint64_t group_id) {
        Group group = { .id = group_id, .slot = slot, .link_fd = -EBADF, .files = GROUP_FILES_NULL };
        Group *groups;

        group_iter_remove(iter, group_id);
        groups = reallocarray(iter->groups, iter->n_groups + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        iter->groups = groups;

        if (!iter->skeleton)
                group_files_open(group_fd, &group.files);
        else if (!path_is_below(group_path, iter->root)) {
                group.link_fd = open_link(iter, group_fd, BPF_CGROUP_ITER_SELF_ONLY);
                if (group.link_fd < 0)
                        return group.link_fd;
        }

        groups[iter->n_groups++] = group;
        return 0;
}

void group_iter_remove(GroupIter *iter, uint64_t group_id) {
        for (size_t i = iter->n_groups; i-- > 0;)
                if (iter->groups[i].id == group_id) {
                        group_close(iter->groups + i);
                        iter->groups[i] = iter->groups[--iter->n_groups];
                }
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
                iter->root_link = open_link(iter, root_fd, BPF_CGROUP_ITER_DESCENDANTS_PRE);
                if (iter->root_link < 0)
                        return iter->root_link;
                iter->root_id = st.st_ino;
        }

        return run_link(iter->root_link);
}

static void sample_from_row(const struct group_row *row, Sample *ret) {
        if (row->present & GROUP_ROW_MEMORY) {
                sample_put(ret, METRIC_MEMORY_CURRENT, row->memory_current_bytes);
                sample_put(ret, METRIC_MEMORY_PEAK, row->memory_peak_bytes);
                sample_put(ret, METRIC_MEMORY_OOM_KILLS, row->oom_kills);
        }
        /* In whole microseconds, as the file has it: the counter must not step back where a restart changes
         * the way. */
        if (row->present & GROUP_ROW_THROTTLED)
                sample_put(ret, METRIC_CPU_THROTTLED, row->throttled_nsec / 1000 * 1000);
}

/*
 * One group, and another than at the last run: all that the other had is gone, and what is there is new. Of
 * several, which of them went is not known: what is missing of their sum is gone.
 */
static void carry_over(const GroupIter *iter, uint32_t slot, const Group *groups, size_t n_groups) {
        uint64_t group_id = n_groups == 1 ? groups[0].id : 0;
        Carried *carried = carried_of(iter, slot);
        bool is_another = group_id && carried->group_id && group_id != carried->group_id;
        Sample *sample = iter->samples + slot;

        for (size_t i = 0; i < ELEMENTSOF(counters); i++) {
                uint64_t now = sample->value[counters[i]], last = carried->last[i];

                if (!sample_has(sample, counters[i]))
                        continue;
                if (is_another)
                        carried->gone[i] += last;
                else if (now < last)
                        carried->gone[i] += last - now;
                carried->last[i] = now;
                sample_put(sample, counters[i], now + carried->gone[i]);
        }
        carried->group_id = group_id;
}

static int slot_compare(const void *a, const void *b) {
        const Group *x = a, *y = b;

        return x->slot < y->slot ? -1 : x->slot > y->slot;
}

int group_iter_run(GroupIter *iter) {
        int r = 0, k;

        for (size_t i = 0; i < iter->n_groups; i++) {
                uint32_t slot = iter->groups[i].slot;

                iter->samples[slot] = (Sample){};
                if (iter->skeleton)
                        memset(row_of(iter, slot), 0, sizeof(struct group_row));
        }

        if (iter->skeleton)
                r = run_root(iter);
        for (size_t i = 0; i < iter->n_groups; i++) {
                const Group *group = iter->groups + i;

                if (!iter->skeleton)
                        group_files_read(&group->files, iter->samples + group->slot);
                else if (group->link_fd >= 0) {
                        k = run_link(group->link_fd);
                        if (k < 0 && k != -ENODEV)
                                r = k;
                }
        }

        /* Slot by slot, whose groups stand together now. */
        if (iter->n_groups > 0)
                qsort(iter->groups, iter->n_groups, sizeof(*iter->groups), slot_compare);
        for (size_t i = 0, n; i < iter->n_groups; i += n) {
                uint32_t slot = iter->groups[i].slot;

                for (n = 1; i + n < iter->n_groups && iter->groups[i + n].slot == slot; n++)
                        ;
                if (iter->skeleton)
                        sample_from_row(row_of(iter, slot), iter->samples + slot);
                carry_over(iter, slot, iter->groups + i, n);
        }

        return r;
}

void group_iter_read(const GroupIter *iter, uint32_t slot, Sample *sample) {
        const Sample *known = iter->samples + slot;

        for (Metric m = 0; m < METRIC_MAX; m++)
                if (sample_has(known, m) && (m != METRIC_CPU_TIME || iter->cpu_time))
                        sample_put(sample, m, known->value[m]);
}

void group_iter_clear(GroupIter *iter, uint32_t slot) {
        *carried_of(iter, slot) = (Carried){};
        iter->samples[slot] = (Sample){};
}
