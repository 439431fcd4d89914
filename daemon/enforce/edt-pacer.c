/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/edt-pacer.h"

#include "enforce/tc-filter.h"
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

/* Pins are "edt_<what>_<ifindex>_<layout>": a table of another layout goes, that of another link stays. As
 * names of maps they must do without dashes. */
#define PREFIX "edt_"

enum { CLASSES, STATES, LINK, PROGRAM, PINS_MAX };
static const char *const pin_words[PINS_MAX] = { "classes", "states", "link", "program" };

struct EdtPacer {
        Netlink *netlink;
        TcFilter filter;
        char *pin_dir;
        int fds[PINS_MAX];
        Table link;
        char link_name[PIN_NAME_SIZE];
        bool anew[EDT_CLASSES_MAX]; /* classes that we made since they were last read, by slot */
};

static void skeleton_destroy(struct edt_pacer_bpf **skeleton) {
        edt_pacer_bpf__destroy(*skeleton);
}

/* Right behind the one that gives packets their class. */
static TcFilter filter_of(unsigned ifindex) {
        return (TcFilter){ .ifindex = ifindex, .program = EDT_PACER_PROGRAM_NAME, .rank = 1 };
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
        pin_name(LINK, program->filter.ifindex, program->link_name);
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
                pin_name((int) i, program->filter.ifindex, name);
                program->fds[i] = pin_open(program->pin_dir, name);
                if (program->fds[i] >= 0)
                        r = bpf_map__reuse_fd(maps[i], program->fds[i]);
        }
        if (r >= 0)
                r = edt_pacer_bpf__load(skeleton);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(maps); i++) {
                if (program->fds[i] >= 0)
                        continue;
                pin_name((int) i, program->filter.ifindex, name);
                program->fds[i] = fcntl(bpf_map__fd(maps[i]), F_DUPFD_CLOEXEC, 3);
                r = program->fds[i] < 0 ? -errno : pin_put(program->pin_dir, name, program->fds[i]);
        }
        if (r < 0)
                return r;
        program->fds[PROGRAM] = fcntl(bpf_program__fd(skeleton->progs.EDT_PACER_PROGRAM), F_DUPFD_CLOEXEC, 3);
        return program->fds[PROGRAM] < 0 ? -errno : 0;
}

static int make(const char *pin_dir, unsigned ifindex, EdtPacer **ret) {
        _cleanup_(edt_pacer_free_p) EdtPacer *program = calloc(1, sizeof(*program));
        int r;

        if (!program)
                return -ENOMEM;
        program->filter = filter_of(ifindex);
        program->link = (Table) TABLE_NULL;
        for (int what = 0; what < PINS_MAX; what++)
                program->fds[what] = -EBADF;
        program->pin_dir = strdup(pin_dir);
        if (!program->pin_dir)
                return -ENOMEM;
        r = netlink_new(&program->netlink);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(program);
        return 0;
}

int edt_pacer_new(const char *pin_dir, unsigned ifindex, EdtPacer **ret) {
        _cleanup_(edt_pacer_free_p) EdtPacer *program = NULL;
        _libbpf_silent_;
        int r;

        if (mkdir(pin_dir, 0700) < 0 && errno != EEXIST)
                return -errno;
        pin_list(pin_dir, PREFIX, remove_if_stale, (void *) pin_dir);
        r = make(pin_dir, ifindex, &program);
        if (r >= 0)
                r = open_link(program);
        if (r >= 0)
                r = load(program);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(program);
        return 0;
}

int edt_pacer_open(const char *pin_dir, unsigned ifindex, EdtPacer **ret) {
        _cleanup_(edt_pacer_free_p) EdtPacer *program = NULL;
        char name[PIN_NAME_SIZE];
        int r;

        r = make(pin_dir, ifindex, &program);
        for (int what = CLASSES; r >= 0 && what <= STATES; what++) {
                pin_name(what, ifindex, name);
                r = program->fds[what] = pin_open(pin_dir, name);
        }
        if (r >= 0)
                r = open_link(program);
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
        netlink_free(program->netlink);
        free(program->pin_dir);
        free(program);
        return NULL;
}

/* What hangs there does the same, by the same maps: it is left as it is. */
static bool runs_already(EdtPacer *program, const TcSight *sight) {
        const int maps[] = { program->fds[CLASSES], program->fds[STATES], program->link.fd };
        _cleanup_close_ int fd = -EBADF;
        char name[PIN_NAME_SIZE];

        if (!sight->has_ours)
                return false;
        pin_name(PROGRAM, program->filter.ifindex, name);
        fd = pin_open(program->pin_dir, name);
        for (size_t i = 0; i < ELEMENTSOF(maps); i++)
                if (!tc_program_runs(sight->program_id, fd, program->fds[PROGRAM], maps[i]))
                        return false;
        close(program->fds[PROGRAM]);
        program->fds[PROGRAM] = TAKE_FD(fd);
        return true;
}

int edt_pacer_attach(EdtPacer *program, const char **ret_words) {
        const unsigned ifindex = program->filter.ifindex;
        char name[PIN_NAME_SIZE];
        TcSight sight;
        int r;

        *ret_words = "its filters can't be read";
        r = tc_filter_look(program->netlink, &program->filter, &sight);
        if (r < 0)
                return r;
        *ret_words = "a filter of another owner has the pacer's place at clsact egress";
        if (sight.has_foreign)
                return -EBUSY;
        if (runs_already(program, &sight))
                return 0;
        *ret_words = sight.has_hook ? "the pacer can't be attached"
                                    : "there can be no clsact for the pacer, as beside an ingress qdisc";
        r = tc_filter_attach(&program->filter, &sight, program->fds[PROGRAM]);
        if (r < 0)
                return r;
        if (r > 0)
                tc_pin_put(program->pin_dir, TC_MADE, ifindex, program->fds[PROGRAM]);
        *ret_words = "the pacer can't be pinned";
        pin_name(PROGRAM, ifindex, name);
        r = pin_put(program->pin_dir, name, program->fds[PROGRAM]);
        return r < 0 ? r : 1;
}

void edt_pacer_keep_pins(const EdtPacer *program, PinTell tell, void *userdata) {
        char name[PIN_NAME_SIZE];

        for (int what = 0; what < PINS_MAX; what++)
                if (program->fds[what] >= 0) {
                        pin_name(what, program->filter.ifindex, name);
                        pin_keep(program->pin_dir, name, program->fds[what], tell, userdata);
                }
        table_keep_pin(program->pin_dir, &program->link, tell, userdata);
}

bool edt_pacer_is_attached(const EdtPacer *program) {
        TcSight sight;

        return tc_filter_look(program->netlink, &program->filter, &sight) >= 0 && sight.has_ours;
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

static const EdtEntry *find_entry(const EdtEntry *entries, size_t n, const EdtEntry *like) {
        return n == 0 ? NULL : bsearch(like, entries, n, sizeof(EdtEntry), compare_slot);
}

static int put_difference(EdtPacer *program, const EdtEntry *have, size_t n_have, const EdtEntry *want,
                size_t n, unsigned *changes) {
        for (size_t i = 0; i < n_have; i++)
                if (!find_entry(want, n, &have[i])) {
                        remove_class(program, have[i].slot);
                        ++*changes;
                }
        for (int gains = 0; gains < 2; gains++)
                for (size_t i = 0; i < n; i++) {
                        const EdtEntry *old = find_entry(have, n_have, &want[i]);
                        bool more = !old || want[i].class.floor_bytes > old->class.floor_bytes;
                        int r;

                        if ((old && edt_class_equal(&old->class, &want[i].class)) || more != gains)
                                continue;
                        r = put_class(program, &want[i]);
                        if (r < 0)
                                return r;
                        ++*changes;
                }
        return 0;
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
        r = put_difference(program, have, n_have, entries, n, changes);
        if (r < 0)
                return r;
        if (capacity_bytes < had_capacity)
                set_capacity(program, capacity_bytes);
        *changes += capacity_bytes != had_capacity;
        return 0;
}

static bool holds(const EdtPacer *program, uint32_t slot, const EdtEntry *want) {
        struct edt_class class;

        if (bpf_map_lookup_elem(program->fds[CLASSES], &slot, &class) < 0)
                return !want;
        return want && edt_class_equal(&class, &want->class);
}

int edt_pacer_change(EdtPacer *program, const EdtEntry *have, size_t n_have, const EdtEntry *want, size_t n,
                unsigned *changes) {
        int r = put_difference(program, have, n_have, want, n, changes);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n_have; i++)
                if (!find_entry(want, n, &have[i]) && !holds(program, have[i].slot, NULL))
                        return -ESTALE;
        for (size_t i = 0; i < n; i++) {
                const EdtEntry *old = find_entry(have, n_have, &want[i]);

                if (!(old && edt_class_equal(&old->class, &want[i].class)) &&
                                !holds(program, want[i].slot, &want[i]))
                        return -ESTALE;
        }
        return 0;
}

static void stats_from_state(uint32_t slot, const struct edt_state *state, uint64_t now, NetClassStats *ret) {
        __u64 bytes, packets;

        edt_waiting(state, now, &bytes, &packets);
        *ret = (NetClassStats){
                .slot = slot,
                .bytes = state->bytes - bytes,
                .packets = state->packets - packets,
                .drops = state->drops,
                .overlimits = state->overlimits,
                .borrowed = state->borrowed,
                .backlog_bytes = bytes,
                .backlog_packets = packets,
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
        clock_gettime(CLOCK_MONOTONIC, &t); /* before the states: so no count of what was sent ever falls */
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
        const TcFilter filter = filter_of(ifindex);
        Netlink *netlink = NULL;
        char name[PIN_NAME_SIZE];
        int r;

        r = netlink_new(&netlink);
        if (r >= 0)
                r = tc_filter_detach(netlink, &filter, /* made= */ false);
        netlink_free(netlink);
        if (r < 0)
                return r;
        for (int what = 0; what < PINS_MAX; what++) {
                pin_name(what, ifindex, name);
                pin_remove(pin_dir, name);
        }
        return 0;
}

void edt_pacer_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, PREFIX);
}
