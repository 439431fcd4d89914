/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/edt-pacer.h"

#include "bpf/pin.h"
#include "enforce/uplink.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bpf/edt-clock.h"
#include "bpf/edt-pacer.skel.h"

/* As net-class.c's filter, and right behind it. */
#define FILTER_HANDLE UPLINK_HTB_MAJOR
#define FILTER_PRIORITY 0x49U

/* net-class.c's mark of a clsact that we made: it takes that away. */
#define CLSACT_MARK "net-class-made-clsact"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

/* Pins are "edt_<what>_<ifindex>_<layout>": a table of another layout goes, that of another link stays. As
 * names of maps they must do without dashes. */
#define PREFIX "edt_"

enum { CLASSES, STATES, LINK, PROGRAM, NEXT, PINS_MAX };
static const char *const pin_words[PINS_MAX] = { "classes", "states", "link", "program", "next" };

struct EdtPacer {
        char *pin_dir;
        unsigned ifindex;
        int fds[PINS_MAX];
        Table link;
        char link_name[PIN_NAME_SIZE];
        bool anew[EDT_CLASSES_MAX]; /* classes that we made since they were last read, by slot */
};

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments) {
        return 0;
}

static void restore_print(libbpf_print_fn_t *print) {
        libbpf_set_print(*print);
}

/* What libbpf would print is in its return values. */
#define _libbpf_silent_ \
        _cleanup_(restore_print) _unused_ libbpf_print_fn_t saved = libbpf_set_print(print_nothing)

static void skeleton_destroy(struct edt_pacer_bpf **skeleton) {
        edt_pacer_bpf__destroy(*skeleton);
}

static void pin_name(int what, unsigned ifindex, char ret[static PIN_NAME_SIZE]) {
        snprintf(ret, PIN_NAME_SIZE, PREFIX "%s_%u_" STRINGIFY(EDT_PACER_LAYOUT), pin_words[what], ifindex);
}

static void remove_if_stale(const char *name, void *userdata) {
        const char *number = strpbrk(name, "0123456789");
        unsigned ifindex = number ? (unsigned) strtoul(number, NULL, 10) : 0;
        char ifname[IF_NAMESIZE], current[PIN_NAME_SIZE];

        for (int what = 0; what < PINS_MAX; what++) {
                pin_name(what, ifindex, current);
                if (strcmp(name, current) == 0 && if_indextoname(ifindex, ifname))
                        return;
        }
        pin_remove(userdata, name);
}

static int open_link(EdtPacer *program) {
        pin_name(LINK, program->ifindex, program->link_name);
        return table_open(program->pin_dir,
                        &(TableShape){ program->link_name, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        sizeof(struct edt_link), 1 },
                        &program->link);
}

/* What is pinned is taken; what is not, the object makes: a lock in a map's rows asks for its types. */
static int load(EdtPacer *program) {
        _cleanup_(skeleton_destroy) struct edt_pacer_bpf *skeleton = edt_pacer_bpf__open();
        struct bpf_map *maps[] = { [CLASSES] = NULL, [STATES] = NULL };
        char name[PIN_NAME_SIZE];
        int r;

        if (!skeleton)
                return -errno;
        maps[CLASSES] = skeleton->maps.edt_classes;
        maps[STATES] = skeleton->maps.edt_states;
        skeleton->rodata->major = UPLINK_HTB_MAJOR;
        skeleton->rodata->minor_base = UPLINK_MINOR_SLOT_BASE;
        skeleton->rodata->slot_default = SLOT_DEFAULT;
        skeleton->rodata->slot_control = SLOT_CONTROL;
        r = bpf_map__reuse_fd(skeleton->maps.edt_links, program->link.fd);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(maps); i++) {
                pin_name((int) i, program->ifindex, name);
                program->fds[i] = pin_open(program->pin_dir, name);
                if (program->fds[i] >= 0)
                        r = bpf_map__reuse_fd(maps[i], program->fds[i]);
        }
        if (r >= 0)
                r = edt_pacer_bpf__load(skeleton);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(maps); i++) {
                if (program->fds[i] >= 0)
                        continue;
                pin_name((int) i, program->ifindex, name);
                program->fds[i] = fcntl(bpf_map__fd(maps[i]), F_DUPFD_CLOEXEC, 3);
                r = program->fds[i] < 0 ? -errno : pin_put(program->pin_dir, name, program->fds[i]);
        }
        if (r < 0)
                return r;
        program->fds[PROGRAM] = fcntl(bpf_program__fd(skeleton->progs.EDT_PACER_PROGRAM), F_DUPFD_CLOEXEC, 3);
        return program->fds[PROGRAM] < 0 ? -errno : 0;
}

int edt_pacer_new(const char *pin_dir, unsigned ifindex, EdtPacer **ret) {
        _cleanup_(edt_pacer_free_p) EdtPacer *program = NULL;
        _libbpf_silent_;
        int r;

        if (mkdir(pin_dir, 0700) < 0 && errno != EEXIST)
                return -errno;
        pin_list(pin_dir, PREFIX, remove_if_stale, (void *) pin_dir);
        program = calloc(1, sizeof(*program));
        if (!program)
                return -ENOMEM;
        program->ifindex = ifindex;
        program->link = (Table) TABLE_NULL;
        for (int what = 0; what < PINS_MAX; what++)
                program->fds[what] = -EBADF;
        program->pin_dir = strdup(pin_dir);
        if (!program->pin_dir)
                return -ENOMEM;
        r = open_link(program);
        if (r >= 0)
                r = load(program);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(program);
        return 0;
}

EdtPacer *edt_pacer_free(EdtPacer *program) {
        if (!program)
                return NULL;
        for (int what = 0; what < PINS_MAX; what++)
                cleanup_close(&program->fds[what]);
        table_deinit(&program->link);
        free(program->pin_dir);
        free(program);
        return NULL;
}

static bool program_info(int fd, struct bpf_prog_info *ret) {
        uint32_t size = sizeof(*ret);

        *ret = (struct bpf_prog_info){};
        return fd >= 0 && bpf_obj_get_info_by_fd(fd, ret, &size) == 0;
}

/* The id of the program at our place on the interface; 0: none. */
static int query(unsigned ifindex, uint32_t *ret_id) {
        LIBBPF_OPTS(bpf_tc_hook, egress, .ifindex = (int) ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
        int r = bpf_tc_query(&egress, &options);

        /* Without a clsact it is -EINVAL: no such parent. */
        *ret_id = r < 0 ? 0 : options.prog_id;
        return r == -ENOENT || r == -EINVAL ? 0 : r;
}

/* Whether the program at our place is one that a pin of ours says is ours: only CAP_SYS_ADMIN opens a program
 * by its id. */
static bool is_ours(
                const char *pin_dir, unsigned ifindex, uint32_t id, struct bpf_prog_info *ret, int *ret_fd) {
        static const int places[] = { PROGRAM, NEXT };

        for (size_t i = 0; id != 0 && i < ELEMENTSOF(places); i++) {
                _cleanup_close_ int fd = -EBADF;
                char name[PIN_NAME_SIZE];

                pin_name(places[i], ifindex, name);
                fd = pin_open(pin_dir, name);
                if (program_info(fd, ret) && ret->id == id) {
                        if (ret_fd)
                                *ret_fd = TAKE_FD(fd);
                        return true;
                }
        }
        return false;
}

static int pin_as(const EdtPacer *program, int what) {
        char name[PIN_NAME_SIZE];

        pin_name(what, program->ifindex, name);
        return pin_put(program->pin_dir, name, program->fds[PROGRAM]);
}

static int make_hook(const EdtPacer *program) {
        LIBBPF_OPTS(bpf_tc_hook, egress, .ifindex = (int) program->ifindex, .attach_point = BPF_TC_EGRESS);
        int r = bpf_tc_hook_create(&egress);
        char name[PIN_NAME_SIZE];

        if (r < 0)
                return r == -EEXIST ? 0 : r == -ENOENT ? -EOPNOTSUPP : r;
        snprintf(name, sizeof(name), CLSACT_MARK "-%u", program->ifindex);
        return pin_put(program->pin_dir, name, program->fds[PROGRAM]);
}

int edt_pacer_attach(EdtPacer *program) {
        LIBBPF_OPTS(bpf_tc_hook, egress, .ifindex = (int) program->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
                        .prog_fd = program->fds[PROGRAM]);
        _cleanup_close_ int there_fd = -EBADF;
        struct bpf_prog_info there, ours;
        _libbpf_silent_;
        char name[PIN_NAME_SIZE];
        uint32_t id;
        int r;

        r = query(program->ifindex, &id);
        if (r < 0)
                return r;
        if (!program_info(program->fds[PROGRAM], &ours))
                return -errno;
        if (id != 0 && !is_ours(program->pin_dir, program->ifindex, id, &there, &there_fd))
                return -EBUSY;
        /* Of the same maps, as all that is pinned here is. */
        if (id != 0 && memcmp(there.tag, ours.tag, sizeof(ours.tag)) == 0) {
                close(program->fds[PROGRAM]);
                program->fds[PROGRAM] = TAKE_FD(there_fd);
                return 0;
        }
        /* The pin first: what hangs there without one would be another's. */
        r = make_hook(program);
        if (r >= 0)
                r = pin_as(program, id == 0 ? PROGRAM : NEXT);
        if (r < 0)
                return r;
        options.flags = id == 0 ? 0 : BPF_TC_F_REPLACE;
        r = bpf_tc_attach(&egress, &options);
        if (r >= 0 && id != 0)
                r = pin_as(program, PROGRAM);
        if (r < 0)
                return r;
        pin_name(NEXT, program->ifindex, name);
        pin_remove(program->pin_dir, name);
        return 1;
}

void edt_pacer_keep_pins(const EdtPacer *program, PinTell tell, void *userdata) {
        char name[PIN_NAME_SIZE];

        for (int what = 0; what < PINS_MAX; what++)
                if (program->fds[what] >= 0) {
                        pin_name(what, program->ifindex, name);
                        pin_keep(program->pin_dir, name, program->fds[what], tell, userdata);
                }
        table_keep_pin(program->pin_dir, &program->link, tell, userdata);
}

bool edt_pacer_is_attached(const EdtPacer *program) {
        struct bpf_prog_info info;
        _libbpf_silent_;
        uint32_t id;

        return query(program->ifindex, &id) >= 0 &&
               is_ours(program->pin_dir, program->ifindex, id, &info, NULL);
}

static struct edt_link *link_of(const EdtPacer *program) {
        return program->link.rows;
}

static int put_class(EdtPacer *program, const EdtEntry *entry) {
        static const struct edt_state nothing = {};

        /* The state first: a class without one is not there for the program. */
        if (bpf_map_update_elem(program->fds[STATES], &entry->slot, &nothing, BPF_NOEXIST) == 0)
                program->anew[entry->slot] = true;
        else if (errno != EEXIST)
                return -errno;
        return bpf_map_update_elem(program->fds[CLASSES], &entry->slot, &entry->class, BPF_ANY) < 0 ? -errno
                                                                                                    : 0;
}

static void remove_class(EdtPacer *program, uint32_t slot) {
        (void) bpf_map_delete_elem(program->fds[CLASSES], &slot);
        (void) bpf_map_delete_elem(program->fds[STATES], &slot);
}

static int compare_slot(const void *a, const void *b) {
        const EdtEntry *x = a, *y = b;

        return x->slot < y->slot ? -1 : x->slot > y->slot;
}

int edt_pacer_get(const EdtPacer *program, uint64_t *ret_capacity_bytes, EdtEntry **ret, size_t *ret_n) {
        _cleanup_free_ EdtEntry *entries = NULL;
        uint32_t slot, *previous = NULL;
        size_t n = 0, allocated = 0;

        while (bpf_map_get_next_key(program->fds[CLASSES], previous, &slot) == 0) {
                if (n == allocated) {
                        EdtEntry *grown = reallocarray(entries, 2 * allocated + 64, sizeof(EdtEntry));

                        if (!grown)
                                return -ENOMEM;
                        entries = grown;
                        allocated = 2 * allocated + 64;
                }
                entries[n].slot = slot;
                previous = &entries[n].slot;
                if (bpf_map_lookup_elem(program->fds[CLASSES], &slot, &entries[n].class) == 0)
                        n++;
        }
        if (n > 0)
                qsort(entries, n, sizeof(EdtEntry), compare_slot);
        *ret_capacity_bytes = __atomic_load_n(&link_of(program)->capacity_bytes, __ATOMIC_RELAXED);
        *ret = TAKE_PTR(entries);
        *ret_n = n;
        return 0;
}

/* A link that was not paced begins with nobody above its weight. */
static void set_capacity(EdtPacer *program, uint64_t capacity_bytes) {
        struct edt_link *link = link_of(program);

        if (link->capacity_bytes == 0)
                for (int level = 0; level < EDT_LEVEL_MAX; level++)
                        link->multiplier[level] = EDT_MULTIPLIER_ONE;
        __atomic_store_n(&link->capacity_bytes, capacity_bytes, __ATOMIC_RELEASE);
}

int edt_pacer_set(EdtPacer *program, uint64_t capacity_bytes, uint32_t overhead_bytes,
                const EdtEntry *entries, size_t n, unsigned *changes) {
        _cleanup_free_ EdtEntry *have = NULL;
        uint64_t had_capacity;
        size_t n_have = 0;
        int r;

        r = edt_pacer_get(program, &had_capacity, &have, &n_have);
        if (r < 0)
                return r;
        *changes += link_of(program)->overhead_bytes != overhead_bytes;
        __atomic_store_n(&link_of(program)->overhead_bytes, overhead_bytes, __ATOMIC_RELEASE);
        if (capacity_bytes > had_capacity)
                set_capacity(program, capacity_bytes);
        for (size_t i = 0; i < n_have; i++)
                if (!bsearch(&have[i], entries, n, sizeof(EdtEntry), compare_slot)) {
                        remove_class(program, have[i].slot);
                        ++*changes;
                }
        for (int gains = 0; gains < 2; gains++)
                for (size_t i = 0; i < n; i++) {
                        const EdtEntry *old = n_have == 0 ? NULL
                                                          : bsearch(&entries[i], have, n_have,
                                                                            sizeof(EdtEntry), compare_slot);
                        bool more = !old || entries[i].class.floor_bytes > old->class.floor_bytes;

                        if ((old && edt_class_equal(&old->class, &entries[i].class)) || more != gains)
                                continue;
                        r = put_class(program, &entries[i]);
                        if (r < 0)
                                return r;
                        ++*changes;
                }
        if (capacity_bytes < had_capacity)
                set_capacity(program, capacity_bytes);
        *changes += capacity_bytes != had_capacity;
        return 0;
}

/* What was given a time that has not come yet waits: of the class's rate so much. What it sent is the rest.
 */
static void stats_from_state(uint32_t slot, const struct edt_state *state, uint64_t now, NetClassStats *ret) {
        uint64_t ahead = state->last > now ? state->last - now : 0;
        uint64_t backlog = (uint64_t) ((unsigned __int128) ahead * state->share_rate / EDT_NSEC);
        uint64_t mean = state->packets ? state->bytes / state->packets : 0;

        *ret = (NetClassStats){
                .slot = slot,
                .bytes = state->bytes,
                .packets = state->packets,
                .drops = state->drops,
                .overlimits = state->overlimits,
                .borrowed = state->borrowed,
                .backlog_bytes = backlog,
                .backlog_packets = mean ? backlog / mean : 0,
        };
}

int edt_pacer_read_stats(EdtPacer *program, NetClassStats **ret, size_t *ret_n) {
        _cleanup_free_ NetClassStats *stats = NULL;
        _cleanup_free_ EdtEntry *entries = NULL;
        uint64_t capacity;
        struct timespec t;
        size_t n, kept = 0;
        int r;

        r = edt_pacer_get(program, &capacity, &entries, &n);
        if (r < 0)
                return r;
        stats = calloc(n + 1, sizeof(NetClassStats));
        if (!stats)
                return -ENOMEM;
        clock_gettime(CLOCK_MONOTONIC, &t);
        for (size_t i = 0; i < n; i++) {
                uint32_t slot = entries[i].slot;
                struct edt_state state;

                if (bpf_map_lookup_elem_flags(program->fds[STATES], &slot, &state, BPF_F_LOCK) < 0)
                        continue;
                stats_from_state(slot, &state, (uint64_t) t.tv_sec * EDT_NSEC + (uint64_t) t.tv_nsec,
                                &stats[kept]);
                if (slot < EDT_CLASSES_MAX) {
                        stats[kept].anew = program->anew[slot];
                        program->anew[slot] = false;
                }
                kept++;
        }
        *ret = TAKE_PTR(stats);
        *ret_n = kept;
        return 0;
}

int edt_pacer_remove(const char *pin_dir, unsigned ifindex) {
        LIBBPF_OPTS(bpf_tc_hook, egress, .ifindex = (int) ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
        struct bpf_prog_info info;
        _libbpf_silent_;
        char name[PIN_NAME_SIZE];
        uint32_t id;
        int r;

        if (query(ifindex, &id) >= 0 && is_ours(pin_dir, ifindex, id, &info, NULL)) {
                r = bpf_tc_detach(&egress, &options);
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        for (int what = 0; what < PINS_MAX; what++) {
                pin_name(what, ifindex, name);
                pin_remove(pin_dir, name);
        }
        return 0;
}
