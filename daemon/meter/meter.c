/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which group is whose, and the order in which the meters learn of it. What is counted, and how, is theirs:
 * this file reads no counter, and knows no program.
 */

#include "meter/meter.h"
#include "meter/group-iter.h"
#include "meter/net-meter.h"
#include "bpf/pin.h"
#include "meter/sched-meter.h"
#include "meter/socket-iter.h"
#include "meter/stat-meter.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <string.h>

/* A tenant has one group of ours, and now and then some that it adopted. */
#define GROUPS_PER_SLOT 4

/* A group's files cost some 40 µs: of a thousand groups each is read every half minute, of 32 at every
 * sample. */
#define STAT_GROUPS_A_TURN 32

typedef struct Group {
        uint64_t id;
        uint32_t slot;
        char *path;   /* owned; NULL: pinned by an earlier run, and not added since */
        bool covered; /* below another group of its slot, which counts it */
        bool network; /* its packets are counted */
        bool counted; /* every meter that there is has it */
} Group;

struct Meter {
        char *pin_dir; /* "meter" below the caller's; NULL: nothing is pinned */
        uint32_t slots;
        Table groups_map;
        SchedMeter *sched; /* NULL where it does not load; so is the next */
        NetMeter *net;
        GroupIter *iter;
        StatMeter *stats;
        SocketIter *sockets; /* NULL where it does not load */
        Group *groups;       /* owned, in no order */
        size_t n_groups;
        struct SlotState {
                bool known;   /* a group was added */
                bool network; /* and the packets of each are counted */
        } * slot_states;      /* owned, [slots]: what a read needs to know of the groups */
};

static int push_group(Meter *meter, Group group) {
        Group *groups;

        groups = reallocarray(meter->groups, meter->n_groups + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        meter->groups = groups;
        groups[meter->n_groups++] = group;
        return 0;
}

static Group *find_group(const Meter *meter, uint64_t id) {
        for (size_t i = 0; i < meter->n_groups; i++)
                if (meter->groups[i].id == id)
                        return meter->groups + i;

        return NULL;
}

static void note_slots(Meter *meter) {
        for (uint32_t slot = 0; slot < meter->slots; slot++)
                meter->slot_states[slot] = (struct SlotState){ .network = true };
        for (size_t i = 0; i < meter->n_groups; i++) {
                const Group *group = meter->groups + i;
                struct SlotState *state = meter->slot_states + group->slot;

                state->known = state->known || group->path;
                state->network = state->network && (group->network || group->covered || !group->path);
        }
}

/* Out of every meter, but for the scheduler's cache: call sched_meter_groups_changed() after the last of
 * them. */
static void withdraw_group(Meter *meter, const Group *group) {
        if (meter->groups_map.fd >= 0)
                (void) bpf_map_delete_elem(meter->groups_map.fd, &group->id);
        if (meter->net)
                net_meter_detach(meter->net, group->id);
        group_iter_remove(meter->iter, group->id);
        stat_meter_remove(meter->stats, group->id);
}

static void drop_group(Meter *meter, Group *group) {
        withdraw_group(meter, group);
        free(group->path);
        *group = meter->groups[--meter->n_groups];
}

/* What an earlier run left in the groups map. A group that is gone has no use for its entry. */
static int adopt_groups(Meter *meter) {
        uint64_t id, *previous = NULL;
        uint32_t slot;
        int r;

        while (bpf_map_get_next_key(meter->groups_map.fd, previous, &id) == 0) {
                previous = &id;
                if (bpf_map_lookup_elem(meter->groups_map.fd, &id, &slot) < 0)
                        continue;
                r = push_group(meter, (Group){ .id = id, .slot = slot });
                if (r < 0)
                        return r;
        }
        for (size_t i = meter->n_groups; i-- > 0;)
                if (meter->groups[i].slot >= meter->slots ||
                                (meter->net && !net_meter_group_lives(meter->net, meter->groups[i].id)))
                        drop_group(meter, meter->groups + i);

        return 0;
}

static int set_up_pins(Meter *meter, const char *dir, FeatureSet *features) {
        int r;

        if (!dir)
                return feature_set_put(features, "meter.pins", false,
                                "nothing is pinned, as asked: counters begin anew with every start");

        r = pin_dir_make(dir, "meter", &meter->pin_dir);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return feature_set_put(features, "meter.pins", false,
                                "nothing can be pinned in %s (%s): counters begin anew with every start", dir,
                                r == -EMEDIUMTYPE ? "it is not on a bpf file system" : strerror(-r));
        return feature_set_put(features, "meter.pins", true, "counters and programs are pinned in %s",
                        meter->pin_dir);
}

static int set_up_sched(Meter *meter, bool full, FeatureSet *features) {
        int r;

        pin_words_begin();
        r = meter->groups_map.fd < 0 ? meter->groups_map.fd
                                     : sched_meter_new(&(SchedMeterOptions){ meter->pin_dir, meter->slots,
                                                                       meter->groups_map.fd, full },
                                                       &meter->sched);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return feature_set_put(features, "meter.cpu", false,
                                "the scheduler's meter does not load (%s%s%s): cpu.time is read from "
                                "cpu.stat, there is no "
                                "cpu.wait and no cpu.switches",
                                strerror(-r), pin_words_last()[0] ? "; " : "", pin_words_last());
        return feature_set_put(features, "meter.cpu", true,
                        "one BPF program at sched_switch, at the %s level%s%s", full ? "full" : "basic",
                        sched_meter_adopted(meter->sched) ? ", adopted as it was running" : "",
                        sched_meter_splits_moves(meter->sched)
                                        ? ""
                                        : "; what a task ran before it moved to another group is the new "
                                          "group's until it leaves its CPU");
}

static int set_up_net(Meter *meter, uint32_t classid_base, FeatureSet *features) {
        int r;

        pin_words_begin();
        r = net_meter_new(meter->pin_dir, meter->slots, classid_base, &meter->net);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return feature_set_put(features, "meter.network", false,
                                "the network meter does not load (%s%s%s): there are no net.* figures, and "
                                "packets get their "
                                "class at the uplink or not at all",
                                strerror(-r), pin_words_last()[0] ? "; " : "", pin_words_last());
        return feature_set_put(features, "meter.network", true,
                        "BPF programs at each tenant's group, IP bytes before any queue%s; %zu links found "
                        "from before",
                        classid_base ? ", and the class of what it sends" : "",
                        net_meter_adopted(meter->net));
}

/* Whether cgroup2 has the controller at all, as the nearest existing group above our parent says. */
static bool has_controller(const char *cgroup_root, const char *controller) {
        _cleanup_free_ char *path = strdup(cgroup_root);

        while (path && path[0] == '/') {
                _cleanup_free_ char *file = NULL, *line = NULL;
                _cleanup_fclose_ FILE *f = NULL;
                size_t size = 0;

                if (asprintf(&file, "%s/cgroup.controllers", path) < 0)
                        return false;
                f = fopen(file, "re");
                if (f) {
                        char *rest, *word;

                        if (getline(&line, &size, f) < 0)
                                return false;
                        for (word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
                                if (strcmp(word, controller) == 0)
                                        return true;
                        return false;
                }
                *strrchr(path, '/') = '\0';
        }

        return false;
}

static int set_up_iter(Meter *meter, const char *cgroup_root, FeatureSet *features) {
        const char *how;
        int r;

        pin_words_begin();
        r = group_iter_new(meter->pin_dir, meter->slots, meter->slots * GROUPS_PER_SLOT,
                        /* in_kernel= */ meter->groups_map.fd >= 0, cgroup_root,
                        /* cpu_time= */ !meter->sched, &meter->iter);
        if (r < 0)
                return r;
        how = group_iter_in_kernel(meter->iter)
                              ? "one pass of a BPF iterator over the groups"
                              : "files of each group, held open, as the BPF iterator does not load";

        if (has_controller(cgroup_root, "memory"))
                r = feature_set_put(features, "meter.memory", true, "%s", how);
        else
                r = feature_set_put(features, "meter.memory", false,
                                "cgroup2 has no memory controller here: there are no memory.* figures");
        if (r < 0)
                return r;
        if (has_controller(cgroup_root, "cpu"))
                return feature_set_put(features, "meter.throttled", true, "%s", how);
        return feature_set_put(features, "meter.throttled", false,
                        "cgroup2 has no cpu controller here: nothing is throttled by it, and there is no "
                        "cpu.throttled");
}

static int set_up_stats(Meter *meter, const char *cgroup_root, FeatureSet *features) {
        int r;

        r = stat_meter_new(meter->pin_dir, meter->slots, meter->slots * GROUPS_PER_SLOT, &meter->stats);
        if (r < 0)
                return r;
        if (!has_controller(cgroup_root, "io"))
                r = feature_set_put(features, "meter.io", false,
                                "cgroup2 has no io controller here: there are no io.* figures of bytes and "
                                "operations");
        else
                r = feature_set_put(features, "meter.io", true,
                                "io.stat, each byte once however many layers it came through; %d groups a "
                                "sample",
                                STAT_GROUPS_A_TURN);
        if (r < 0)
                return r;
        if (access("/proc/pressure/cpu", F_OK) < 0)
                return feature_set_put(features, "meter.pressure", false,
                                "the kernel does not count pressure (%s): there are no *.pressure figures",
                                strerror(errno));
        return feature_set_put(features, "meter.pressure", true, "the pressure files of each group");
}

static int set_up_sockets(Meter *meter, FeatureSet *features) {
        int r;

        pin_words_begin();
        r = meter->groups_map.fd >= 0 ? socket_iter_new(meter->groups_map.fd, &meter->sockets)
                                      : meter->groups_map.fd;
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return feature_set_put(features, "attach.sockets", false,
                                "the iterator over sockets does not load (%s%s%s): sockets that a process "
                                "had before it was attached are not told",
                                strerror(-r), pin_words_last()[0] ? "; " : "", pin_words_last());
        return feature_set_put(features, "attach.sockets", true,
                        "a BPF iterator over the files of a process that is attached");
}

int meter_new(const MeterOptions *options, FeatureSet *features, Meter **ret) {
        _cleanup_(meter_free_p) Meter *meter = NULL;
        int r;

        assert(options && features && ret);

        if (options->slots == 0 || options->slots > UINT32_MAX / GROUPS_PER_SLOT || !options->cgroup_root ||
                        options->cgroup_root[0] != '/')
                return -EINVAL;
        meter = malloc(sizeof(*meter));
        if (!meter)
                return -ENOMEM;
        *meter = (Meter){ .slots = options->slots, .groups_map = TABLE_NULL };
        meter->slot_states = calloc(meter->slots, sizeof(*meter->slot_states));
        if (!meter->slot_states)
                return -ENOMEM;

        r = set_up_pins(meter, options->pin_dir, features);
        if (r < 0)
                return r;
        r = table_open(meter->pin_dir,
                        &(TableShape){ "groups_1", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(uint32_t),
                                        meter->slots * GROUPS_PER_SLOT },
                        &meter->groups_map);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                meter->groups_map.fd = r;

        r = set_up_sched(meter, !options->basic, features);
        if (r < 0)
                return r;
        r = set_up_net(meter, options->classid_base, features);
        if (r < 0)
                return r;
        r = set_up_iter(meter, options->cgroup_root, features);
        if (r < 0)
                return r;
        r = set_up_stats(meter, options->cgroup_root, features);
        if (r < 0)
                return r;
        r = set_up_sockets(meter, features);
        if (r < 0)
                return r;
        r = adopt_groups(meter);
        if (r < 0)
                return r;
        if (meter->sched)
                sched_meter_groups_changed(meter->sched);

        *ret = TAKE_PTR(meter);
        return 0;
}

Meter *meter_free(Meter *meter) {
        if (!meter)
                return NULL;

        for (size_t i = 0; i < meter->n_groups; i++)
                free(meter->groups[i].path);
        free(meter->groups);
        free(meter->slot_states);
        sched_meter_free(meter->sched);
        net_meter_free(meter->net);
        group_iter_free(meter->iter);
        stat_meter_free(meter->stats);
        socket_iter_free(meter->sockets);
        table_deinit(&meter->groups_map);
        free(meter->pin_dir);
        free(meter);
        return NULL;
}

static bool path_is_below(const char *path, const char *parent) {
        size_t length = strlen(parent);

        return strncmp(path, parent, length) == 0 && path[length] == '/';
}

/*
 * Makes room among the groups that are known: the same path under another id is a group that is gone, and the
 * same id in another slot has a new owner. Then says whether a group of this slot above this one counts it
 * already.
 */
static int prepare_place(Meter *meter, uint32_t slot, const char *path, uint64_t id, bool *ret_covered) {
        bool covered = false;

        for (size_t i = meter->n_groups; i-- > 0;) {
                Group *group = meter->groups + i;

                if (!group->path)
                        continue;
                if ((strcmp(group->path, path) == 0) != (group->id == id) ||
                                (group->id == id && group->slot != slot)) {
                        drop_group(meter, group);
                        continue;
                }
                if (group->slot != slot &&
                                (path_is_below(path, group->path) || path_is_below(group->path, path)))
                        return -EBUSY;
                covered = covered || path_is_below(path, group->path);
        }

        /* Each packet and each byte of memory below passes by here too. */
        if (!covered)
                for (size_t i = 0; i < meter->n_groups; i++) {
                        Group *group = meter->groups + i;

                        if (group->path && !group->covered && path_is_below(group->path, path)) {
                                withdraw_group(meter, group);
                                group->covered = true;
                                group->network = group->counted = false;
                        }
                }

        *ret_covered = covered;
        return 0;
}

static int put_in_map(Meter *meter, uint64_t id, uint32_t slot) {
        uint32_t held;

        if (meter->groups_map.fd < 0)
                return 0;
        if (bpf_map_lookup_elem(meter->groups_map.fd, &id, &held) == 0 && held == slot)
                return 0;
        if (bpf_map_update_elem(meter->groups_map.fd, &id, &slot, BPF_ANY) == 0)
                return 0;
        if (errno != E2BIG)
                return -errno;

        for (size_t i = meter->n_groups; i-- > 0;)
                if (!meter->groups[i].path && meter->groups[i].id != id)
                        drop_group(meter, meter->groups + i);
        return bpf_map_update_elem(meter->groups_map.fd, &id, &slot, BPF_ANY) < 0 ? -errno : 0;
}

/* The group of this id in the list: as it is, claimed from an earlier run, or new. */
static int claim_group(Meter *meter, uint32_t slot, const char *path, uint64_t id, Group **ret) {
        _cleanup_free_ char *copy = NULL;
        Group *group;
        int r;

        group = find_group(meter, id);
        if (!group) {
                r = push_group(meter, (Group){ .id = id });
                if (r < 0)
                        return r;
                group = meter->groups + meter->n_groups - 1;
        }
        if (!group->path) {
                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
                group->path = TAKE_PTR(copy);
                group->slot = slot;
        }

        *ret = group;
        return 0;
}

/* All that can be done is done; the first error is returned. */
static int count_group(Meter *meter, Group *group, int group_fd, bool is_counted, MeterGroup kind) {
        int r = 0, k;

        group->covered = false;
        if (meter->net) {
                k = net_meter_attach(meter->net, group->slot, group_fd, group->id);
                group->network = k >= 0;
                r = r < 0 ? r : k;
        }
        if (!is_counted) {
                k = group_iter_add(meter->iter, group->slot, group->path, group_fd, group->id,
                                kind == METER_GROUP_ADOPTED);
                r = r < 0 ? r : k;
                k = stat_meter_add(
                                meter->stats, group->slot, group_fd, group->id, kind == METER_GROUP_ADOPTED);
                r = r < 0 ? r : k;
        }

        return r;
}

int meter_add(Meter *meter, uint32_t slot, const char *group_path, int group_fd, uint64_t group_id,
                MeterGroup kind) {
        bool is_covered, is_counted;
        Group *group;
        int r, k = 0;

        if (slot == 0 || slot >= meter->slots || group_path[0] != '/' || group_id == 0)
                return -EINVAL;

        r = prepare_place(meter, slot, group_path, group_id, &is_covered);
        if (r >= 0)
                r = claim_group(meter, slot, group_path, group_id, &group);
        if (r < 0) {
                note_slots(meter);
                return r;
        }
        is_counted = group->counted;

        if (is_covered) {
                if (!group->covered)
                        withdraw_group(meter, group);
                group->covered = true;
                group->network = group->counted = false;
        } else {
                r = put_in_map(meter, group_id, slot);
                group = find_group(meter, group_id); /* the list may have moved */
                k = count_group(meter, group, group_fd, is_counted, kind);
                group->counted = r >= 0 && k >= 0;
        }
        note_slots(meter);
        if (meter->sched && (!is_counted || is_covered))
                sched_meter_groups_changed(meter->sched);

        return r < 0 ? r : k;
}

void meter_drop(Meter *meter, uint64_t group_id) {
        Group *group = find_group(meter, group_id);

        if (!group)
                return;
        drop_group(meter, group);
        note_slots(meter);
        if (meter->sched)
                sched_meter_groups_changed(meter->sched);
}

int meter_remove(Meter *meter, uint32_t slot) {
        bool any = false;

        if (slot == 0 || slot >= meter->slots)
                return -EINVAL;

        for (size_t i = meter->n_groups; i-- > 0;)
                if (meter->groups[i].slot == slot) {
                        drop_group(meter, meter->groups + i);
                        any = true;
                }
        note_slots(meter);
        if (meter->net)
                net_meter_detach_slot(meter->net, slot);
        /* Only from here on does no CPU add to the row. */
        if (meter->sched && any)
                sched_meter_groups_changed(meter->sched);

        if (meter->sched)
                sched_meter_clear(meter->sched, slot);
        if (meter->net)
                net_meter_clear(meter->net, slot);
        group_iter_clear(meter->iter, slot);
        stat_meter_clear(meter->stats, slot);
        return 0;
}

int meter_refresh(Meter *meter, bool all) {
        if (meter->sched)
                sched_meter_settle(meter->sched);
        stat_meter_run(meter->stats, all ? SIZE_MAX : STAT_GROUPS_A_TURN);

        return group_iter_run(meter->iter);
}

int meter_read(const Meter *meter, uint32_t slot, Sample *ret) {
        Sample sample = {};

        if (slot >= meter->slots || !meter->slot_states[slot].known)
                return -ENOENT;

        if (meter->sched)
                sched_meter_read(meter->sched, slot, &sample);
        if (meter->net && meter->slot_states[slot].network)
                net_meter_read(meter->net, slot, &sample);
        group_iter_read(meter->iter, slot, &sample);
        stat_meter_read(meter->stats, slot, &sample);

        *ret = sample;
        return 0;
}

const char *meter_pin_dir(const Meter *meter) {
        return meter->pin_dir;
}

void meter_keep_pins(const Meter *meter, PinTell tell, void *userdata) {
        if (!meter->pin_dir)
                return;
        pin_dir_keep(meter->pin_dir);
        table_keep_pin(meter->pin_dir, &meter->groups_map, tell, userdata);
        if (meter->sched)
                sched_meter_keep_pins(meter->sched, meter->pin_dir, tell, userdata);
        if (meter->net)
                net_meter_keep_pins(meter->net, tell, userdata);
        group_iter_keep_pins(meter->iter, meter->pin_dir, tell, userdata);
        stat_meter_keep_pins(meter->stats, meter->pin_dir, tell, userdata);
}

bool meter_holds(const Meter *meter, uint64_t group_id) {
        const Group *group = find_group(meter, group_id);

        return !meter->net || !group || !group->network || net_meter_holds(meter->net, group_id);
}

int meter_count_sockets(Meter *meter, uint32_t slot, int pidfd, unsigned *ret) {
        return meter->sockets ? socket_iter_count(meter->sockets, slot, pidfd, ret) : -EOPNOTSUPP;
}

int meter_each_culprit(const Meter *meter, CulpritFound found, void *userdata) {
        const Culprits *culprits = meter->sched ? sched_meter_culprits(meter->sched) : NULL;

        return culprits ? culprits_each(culprits, found, userdata) : -EOPNOTSUPP;
}

int meter_groups_fd(const Meter *meter) {
        return meter->groups_map.fd >= 0 ? meter->groups_map.fd : -EBADF;
}

int meter_release(Meter *meter) {
        while (meter->n_groups > 0)
                drop_group(meter, meter->groups + meter->n_groups - 1);
        note_slots(meter);
        meter->sched = sched_meter_free(meter->sched);
        meter->net = net_meter_free(meter->net);

        return meter->pin_dir ? pin_dir_remove(meter->pin_dir) : 0;
}
