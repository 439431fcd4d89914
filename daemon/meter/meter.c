/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which group is whose, and the order in which the meters learn of it. What is counted, and how, is theirs:
 * this file reads no counter, and knows no program.
 */

#include "meter/meter-internal.h"
#include "bpf/pin.h"
#include "util/path.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <string.h>

/* The first whose id is not less. */
static size_t find_place(const Meter *meter, uint64_t id) {
        size_t low = 0, high = meter->n_groups;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (meter->groups[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static Group *find_group(const Meter *meter, uint64_t id) {
        Group *group = meter->groups + find_place(meter, id);

        return group < meter->groups + meter->n_groups && group->id == id ? group : NULL;
}

/* One that is not there yet. */
static int insert_group(Meter *meter, Group group) {
        size_t i = find_place(meter, group.id);
        Group *groups;

        groups = reallocarray(meter->groups, meter->n_groups + 1, sizeof(*groups));
        if (!groups)
                return -ENOMEM;
        meter->groups = groups;
        memmove(groups + i + 1, groups + i, (meter->n_groups - i) * sizeof(*groups));
        groups[i] = group;
        meter->n_groups++;
        return 0;
}

static void note_group(Meter *meter, const Group *group) {
        struct SlotState *state = meter->slot_states + group->slot;

        state->known = state->known || group->path;
        if (group->path && !group->covered) {
                state->network = state->network && group->network;
                state->tcp = state->tcp && group->tcp;
        }
}

static void note_slot(Meter *meter, uint32_t slot) {
        meter->slot_states[slot] = (struct SlotState){ .network = true, .tcp = true };
        for (size_t i = 0; i < meter->n_groups; i++)
                if (meter->groups[i].slot == slot)
                        note_group(meter, meter->groups + i);
}

static void note_slots(Meter *meter) {
        for (uint32_t slot = 0; slot < meter->slots; slot++)
                meter->slot_states[slot] = (struct SlotState){ .network = true, .tcp = true };
        for (size_t i = 0; i < meter->n_groups; i++)
                note_group(meter, meter->groups + i);
}

/* Out of every meter, but for the scheduler's cache: call sched_meter_groups_changed() after the last of
 * them. */
static void withdraw_group(Meter *meter, const Group *group) {
        if (meter->groups_map.fd >= 0)
                (void) bpf_map_delete_elem(meter->groups_map.fd, &group->id);
        if (meter->net)
                net_meter_detach(meter->net, group->id);
        if (meter->tcp)
                tcp_meter_detach(meter->tcp, group->id);
        group_iter_remove(meter->iter, group->id);
        stat_meter_remove(meter->stats, group->id);
}

static void drop_group(Meter *meter, Group *group) {
        withdraw_group(meter, group);
        free(group->path);
        meter->n_groups--;
        memmove(group, group + 1, (size_t) (meter->groups + meter->n_groups - group) * sizeof(*group));
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
                r = insert_group(meter, (Group){ .id = id, .slot = slot });
                if (r < 0)
                        return r;
        }
        for (size_t i = meter->n_groups; i-- > 0;)
                if (meter->groups[i].slot >= meter->slots ||
                                (meter->net && !net_meter_group_lives(meter->net, meter->groups[i].id)))
                        drop_group(meter, meter->groups + i);

        return 0;
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

        r = meter_set_up(meter, options, features);
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
        tcp_meter_free(meter->tcp);
        control_delay_free(meter->delay);
        delivered_free(meter->delivered);
        block_meter_free(meter->block);
        oom_meter_free(meter->oom);
        group_iter_free(meter->iter);
        stat_meter_free(meter->stats);
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                class_meter_free(meter->classes[way]);
        socket_iter_free(meter->sockets);
        socket_meter_free(meter->open_sockets);
        table_deinit(&meter->groups_map);
        free(meter->pin_dir);
        free(meter->lost);
        free(meter);
        return NULL;
}

static size_t depth_of(const char *path) {
        size_t n = 0;

        for (; *path; path++)
                n += *path == '/';
        return n;
}

/*
 * Makes room among the groups that are known: the same path under another id is a group that is gone, and the
 * same id in another slot has a new owner. Then says whether a group of this slot above this one counts it
 * already.
 */
static int prepare_place(Meter *meter, uint32_t slot, const char *path, uint64_t id, bool *ret_covered) {
        const size_t depth = depth_of(path);
        bool covered = false;

        for (size_t i = meter->n_groups; i-- > 0;) {
                Group *group = meter->groups + i;

                if (!group->path)
                        continue;
                if ((group->depth == depth && strcmp(group->path, path) == 0) != (group->id == id) ||
                                (group->id == id && group->slot != slot)) {
                        const uint32_t old_slot = group->slot;

                        drop_group(meter, group);
                        note_slot(meter, old_slot);
                        continue;
                }
                if (group->depth == depth)
                        continue;
                if (group->slot != slot &&
                                (path_is_below(path, group->path) || path_is_below(group->path, path)))
                        return -EBUSY;
                covered = covered || path_is_below(path, group->path);
        }

        /* Each packet and each byte of memory below passes by here too. */
        if (!covered)
                for (size_t i = 0; i < meter->n_groups; i++) {
                        Group *group = meter->groups + i;

                        if (group->depth > depth && group->path && !group->covered &&
                                        path_is_below(group->path, path)) {
                                withdraw_group(meter, group);
                                group->covered = true;
                                group->network = group->tcp = group->counted = false;
                        }
                }

        *ret_covered = covered;
        return 0;
}

/* 1 where it was not there before. */
static int put_in_map(Meter *meter, uint64_t id, uint32_t slot) {
        uint32_t held;

        if (meter->groups_map.fd < 0)
                return 0;
        if (bpf_map_lookup_elem(meter->groups_map.fd, &id, &held) == 0 && held == slot)
                return 0;
        if (bpf_map_update_elem(meter->groups_map.fd, &id, &slot, BPF_ANY) == 0)
                return 1;
        if (errno != E2BIG)
                return -errno;

        for (size_t i = meter->n_groups; i-- > 0;)
                if (!meter->groups[i].path && meter->groups[i].id != id)
                        drop_group(meter, meter->groups + i);
        return bpf_map_update_elem(meter->groups_map.fd, &id, &slot, BPF_ANY) < 0 ? -errno : 1;
}

/* The group of this id in the list: as it is, claimed from an earlier run, or new. */
static int claim_group(Meter *meter, uint32_t slot, const char *path, uint64_t id, Group **ret) {
        _cleanup_free_ char *copy = NULL;
        Group *group;
        int r;

        group = find_group(meter, id);
        if (!group) {
                r = insert_group(meter, (Group){ .id = id });
                if (r < 0)
                        return r;
                group = find_group(meter, id);
        }
        if (!group->path) {
                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
                group->path = TAKE_PTR(copy);
                group->depth = depth_of(path);
                group->slot = slot;
        }

        *ret = group;
        return 0;
}

/* All that can be done is done; the first error is returned. */
static int count_group(Meter *meter, Group *group, int group_fd, bool is_counted, MeterGroup kind) {
        int r = 0, k;

        group->covered = false;
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                class_meter_add(meter->classes[way], group->slot);
        if (meter->net) {
                k = net_meter_attach(meter->net, group->slot, group_fd, group->id);
                group->network = k >= 0;
                r = r < 0 ? r : k;
        }
        if (meter->tcp) {
                k = tcp_meter_attach(meter->tcp, group->slot, group_fd, group->id);
                group->tcp = k >= 0;
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

/* Whoever came since has left it there, or else covered or dropped it. */
static bool has_its_place(const Group *group, uint32_t slot, const char *path) {
        return group && group->path && !group->covered && group->slot == slot &&
               strcmp(group->path, path) == 0;
}

int meter_add(Meter *meter, uint32_t slot, const char *group_path, int group_fd, uint64_t group_id,
                MeterGroup kind) {
        bool is_covered, is_counted;
        Group *group;
        int r, k = 0;

        if (slot == 0 || slot >= meter->slots || group_path[0] != '/' || group_id == 0)
                return -EINVAL;

        group = find_group(meter, group_id);
        if (has_its_place(group, slot, group_path)) {
                r = 0;
                is_covered = false;
        } else {
                r = prepare_place(meter, slot, group_path, group_id, &is_covered);
                if (r >= 0)
                        r = claim_group(meter, slot, group_path, group_id, &group);
        }
        if (r < 0) {
                note_slot(meter, slot);
                return r;
        }
        is_counted = group->counted;

        if (is_covered) {
                if (!group->covered)
                        withdraw_group(meter, group);
                group->covered = true;
                group->network = group->tcp = group->counted = false;
        } else {
                r = put_in_map(meter, group_id, slot);
                if (r > 0 && meter->open_sockets)
                        socket_meter_groups_changed(meter->open_sockets);
                group = find_group(meter, group_id); /* the list may have moved */
                k = count_group(meter, group, group_fd, is_counted, kind);
                group->counted = r >= 0 && k >= 0;
        }
        note_slot(meter, slot);
        if (meter->sched && (!is_counted || is_covered))
                sched_meter_groups_changed(meter->sched);

        return r < 0 ? r : k < 0 ? k : 0;
}

void meter_drop(Meter *meter, uint64_t group_id) {
        Group *group = find_group(meter, group_id);
        uint32_t slot;

        if (!group)
                return;
        slot = group->slot;
        drop_group(meter, group);
        note_slot(meter, slot);
        if (meter->sched)
                sched_meter_groups_changed(meter->sched);
}

void meter_remove_slots(Meter *meter, const bool *leaving) {
        bool any = false;

        for (size_t i = meter->n_groups; i-- > 0;)
                if (leaving[meter->groups[i].slot]) {
                        drop_group(meter, meter->groups + i);
                        any = true;
                }
        note_slots(meter);
        if (meter->net)
                net_meter_detach_slots(meter->net, leaving);
        if (meter->tcp)
                tcp_meter_detach_slots(meter->tcp, leaving);
        /* Only from here on does no CPU add to the rows. */
        if (meter->sched && any)
                sched_meter_groups_changed(meter->sched);

        if (meter->sched)
                sched_meter_clear(meter->sched, leaving);
        for (uint32_t slot = 1; slot < meter->slots; slot++) {
                if (!leaving[slot])
                        continue;
                if (meter->net)
                        net_meter_clear(meter->net, slot);
                if (meter->tcp)
                        tcp_meter_clear(meter->tcp, slot);
                if (meter->open_sockets)
                        socket_meter_clear(meter->open_sockets, slot);
                if (meter->block)
                        block_meter_clear(meter->block, slot);
                if (meter->oom)
                        oom_meter_clear(meter->oom, slot);
                group_iter_clear(meter->iter, slot);
                stat_meter_clear(meter->stats, slot);
                for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                        class_meter_clear(meter->classes[way], slot);
        }
}

int meter_remove(Meter *meter, uint32_t slot) {
        _cleanup_free_ bool *leaving = NULL;

        if (slot == 0 || slot >= meter->slots)
                return -EINVAL;
        leaving = calloc(meter->slots, sizeof(bool));
        if (!leaving)
                return -ENOMEM;
        leaving[slot] = true;
        meter_remove_slots(meter, leaving);
        return 0;
}

int meter_refresh(Meter *meter, bool all) {
        if (meter->sched)
                sched_meter_settle(meter->sched);
        if (meter->open_sockets)
                socket_meter_run(meter->open_sockets);
        stat_meter_run(meter->stats, all ? SIZE_MAX : STAT_GROUPS_A_TURN);

        return group_iter_run(meter->iter);
}

int meter_refresh_slot(Meter *meter, uint32_t slot) {
        if (slot >= meter->slots)
                return -EINVAL;
        if (meter->sched)
                sched_meter_settle(meter->sched);
        stat_meter_run_slot(meter->stats, slot);

        return group_iter_run_slot(meter->iter, slot);
}

bool meter_reads_all_files(const Meter *meter) {
        return stat_meter_groups(meter->stats) <= STAT_GROUPS_A_TURN;
}

void meter_note_classes(Meter *meter, ClassWay way, const NetStats *links, size_t n) {
        class_meter_run(meter->classes[way], links, n);
}

const char *meter_uplink(const Meter *meter, ClassWay way, size_t uplink) {
        return class_meter_uplink(meter->classes[way], uplink);
}

bool meter_read_uplink(const Meter *meter, ClassWay way, size_t uplink, uint32_t slot,
                uint64_t ret[static NET_CLASS_COUNTERS]) {
        return class_meter_read_uplink(meter->classes[way], uplink, slot, ret);
}

int meter_read(const Meter *meter, uint32_t slot, Sample *ret) {
        if (slot >= meter->slots || !meter->slot_states[slot].known)
                return -ENOENT;

        sample_begin(ret);
        if (meter->sched)
                sched_meter_read(meter->sched, slot, ret);
        if (meter->net && meter->slot_states[slot].network)
                net_meter_read(meter->net, slot, ret);
        if (meter->tcp && meter->slot_states[slot].tcp)
                tcp_meter_read(meter->tcp, slot, ret);
        if (meter->open_sockets)
                socket_meter_read(meter->open_sockets, slot, ret);
        group_iter_read(meter->iter, slot, ret);
        stat_meter_read(meter->stats, slot, ret);
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                class_meter_read(meter->classes[way], slot, ret);
        return 0;
}

void meter_read_control(const Meter *meter, Sample *ret) {
        Sample sample = {};

        if (meter->net && meter->slot_states[SLOT_CONTROL].known && meter->slot_states[SLOT_CONTROL].network)
                net_meter_read(meter->net, SLOT_CONTROL, &sample);
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                class_meter_read(meter->classes[way], SLOT_CONTROL, &sample);
        *ret = sample;
}

int meter_read_duration(const Meter *meter, uint32_t slot, Duration duration, Histogram *ret) {
        const struct SlotState *state = slot < meter->slots ? meter->slot_states + slot : NULL;

        /* Of the control class nothing else is told than what its packets waited, and of no other that. */
        if (!state || (slot == SLOT_CONTROL) != (duration == DURATION_NET_EGRESS_DELAY))
                return -EOPNOTSUPP;
        if (duration == DURATION_NET_EGRESS_DELAY && meter->delay)
                control_delay_read(meter->delay, ret);
        else if (duration == DURATION_CPU_WAIT && meter->sched && state->known)
                return sched_meter_read_waits(meter->sched, slot, ret);
        else if (duration == DURATION_NET_TCP_RTT && meter->tcp && state->known && state->tcp)
                return tcp_meter_read_rtt(meter->tcp, slot, ret);
        else
                return -EOPNOTSUPP;
        return 0;
}

uint64_t meter_saw_group(const Meter *meter, uint32_t slot) {
        return group_iter_seen(meter->iter, slot);
}

const char *meter_lost(const Meter *meter) {
        return meter->lost;
}

bool meter_carried(const Meter *meter) {
        return meter->carried;
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
        if (meter->tcp)
                tcp_meter_keep_pins(meter->tcp, tell, userdata);
        if (meter->open_sockets)
                socket_meter_keep_pins(meter->open_sockets, meter->pin_dir, tell, userdata);
        if (meter->delay)
                control_delay_keep_pins(meter->delay, tell, userdata);
        if (meter->block)
                block_meter_keep_pins(meter->block, meter->pin_dir, tell, userdata);
        if (meter->delivered)
                delivered_keep_pins(meter->delivered, meter->pin_dir, tell, userdata);
        if (meter->oom)
                oom_meter_keep_pins(meter->oom, meter->pin_dir, tell, userdata);
        group_iter_keep_pins(meter->iter, meter->pin_dir, tell, userdata);
        stat_meter_keep_pins(meter->stats, meter->pin_dir, tell, userdata);
        for (ClassWay way = 0; way < CLASS_WAY_MAX; way++)
                class_meter_keep_pins(meter->classes[way], meter->pin_dir, tell, userdata);
}

const char *meter_missing(const Meter *meter, uint64_t group_id) {
        const Group *group = find_group(meter, group_id);

        if (meter->net && group && group->network && !net_meter_holds(meter->net, group_id))
                return "net-meter";
        if (meter->tcp && group && group->tcp && !tcp_meter_holds(meter->tcp, group_id))
                return "tcp-meter";
        return NULL;
}

int meter_count_sockets(Meter *meter, uint32_t slot, int pidfd, unsigned *ret) {
        return meter->sockets ? socket_iter_count(meter->sockets, slot, pidfd, ret) : -EOPNOTSUPP;
}

int meter_each_culprit(const Meter *meter, CulpritFound found, void *userdata) {
        return meter->sched ? sched_meter_each_culprit(meter->sched, found, userdata) : -EOPNOTSUPP;
}

uint64_t meter_read_unascribed(const Meter *meter, uint32_t slot) {
        return meter->sched && slot < meter->slots ? sched_meter_read_unascribed(meter->sched, slot) : 0;
}

int meter_read_latencies(const Meter *meter, uint32_t slot, BlockLatencies *ret) {
        return meter->block ? block_meter_read(meter->block, slot, ret) : -EOPNOTSUPP;
}

void meter_rest(const Meter *meter) {
        if (meter->sched)
                sched_meter_rest(meter->sched);
        if (meter->tcp)
                tcp_meter_rest(meter->tcp);
        if (meter->block)
                block_meter_rest(meter->block);
}

uint64_t meter_count_victims(const Meter *meter) {
        return meter->oom ? oom_meter_count(meter->oom) : 0;
}

OomVictims meter_read_victims(const Meter *meter, uint32_t slot) {
        return meter->oom ? oom_meter_read(meter->oom, slot) : (OomVictims){};
}

bool meter_keeps_delivered(const Meter *meter) {
        return meter->delivered;
}

Delivery *meter_find_delivered(
                Meter *meter, const char *id, uint64_t since_usec, const DeliveredOwners *owners) {
        return delivered_find(meter->delivered, id, since_usec, owners);
}

void meter_each_delivered(Meter *meter, DeliveredFound found, void *userdata) {
        delivered_each(meter->delivered, found, userdata);
}

int meter_net_rows_fd(const Meter *meter) {
        return meter->net ? net_meter_rows_fd(meter->net) : -EOPNOTSUPP;
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
        meter->tcp = tcp_meter_free(meter->tcp);
        meter->open_sockets = socket_meter_free(meter->open_sockets);
        meter->block = block_meter_free(meter->block);
        meter->oom = oom_meter_free(meter->oom);
        meter->delay = control_delay_free(meter->delay);

        return meter->pin_dir ? pin_dir_remove(meter->pin_dir) : 0;
}
