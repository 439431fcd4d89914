/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/tcp-meter.h"
#include "bpf/group-link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/tcp-meter.h"
#include "bpf/tcp-meter.skel.h"

_Static_assert(TCP_RTT_BUCKETS == HISTOGRAM_BUCKETS, "a histogram is a sum of rows");

/* Links are "tcp-…", tables "tcp_…". */
#define PREFIX "tcp"

struct TcpMeter {
        int program_fd; /* attached nowhere by itself */
        char *pin_dir;
        Table rows, rtts, groups;
        uint32_t slots, n_cpus;
        char tag[PIN_TAG_SIZE]; /* of the program that we have */
        GroupLinks links;
        size_t n_adopted;
};

static struct tcp_row *row_of(const TcpMeter *meter, uint32_t cpu, uint32_t slot) {
        return (struct tcp_row *) meter->rows.rows + (size_t) cpu * meter->slots + slot;
}

/* "tcp-<group>-<tag>": the slot is a value of the attachment. */
static void print_name(const GroupLink *link, char ret[static PIN_NAME_SIZE]) {
        snprintf(ret, PIN_NAME_SIZE, PREFIX "-%016" PRIx64 "-%s", link->group_id, link->tag);
}

static bool scan_name(const char *name, GroupLink *ret) {
        return sscanf(name, PREFIX "-%16" SCNx64 "-%16[0-9a-f]", &ret->group_id, ret->tag) == 2;
}

static const GroupLinkNames names = { print_name, scan_name };

static void adopt_link(const char *name, void *userdata) {
        TcpMeter *meter = userdata;

        if (meter->rows.adopted && meter->rtts.adopted && meter->groups.adopted)
                group_links_adopt(&meter->links, name, /* stray= */ false);
        else /* its program adds to tables that are no more */
                pin_remove(meter->pin_dir, name);
}

static int open_counts(TcpMeter *meter) {
        const uint32_t n = meter->slots * meter->n_cpus;
        const TableShape rows = { PREFIX "_rows_" STRINGIFY(TCP_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                sizeof(uint32_t), sizeof(struct tcp_row), n };
        const TableShape rtts = { PREFIX "_rtts_" STRINGIFY(TCP_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                sizeof(uint32_t), sizeof(struct tcp_rtts), n, /* unmapped= */ true };

        for (unsigned tries = 0; tries < 2; tries++) {
                int r = table_open(meter->pin_dir, &rows, &meter->rows);

                if (r >= 0)
                        r = table_open(meter->pin_dir, &rtts, &meter->rtts);
                if (r < 0 || meter->rows.adopted == meter->rtts.adopted)
                        return r;
                /* A sum of round trips without their number, or the other way round: both begin anew. */
                table_deinit(&meter->rows);
                table_deinit(&meter->rtts);
                pin_remove(meter->pin_dir, rows.name);
                pin_remove(meter->pin_dir, rtts.name);
        }
        return -EIO;
}

static int open_tables(TcpMeter *meter) {
        int r = open_counts(meter);

        return r < 0 ? r
                     : table_open(meter->pin_dir,
                                       &(TableShape){ PREFIX "_groups_" STRINGIFY(TCP_METER_LAYOUT),
                                                       BPF_MAP_TYPE_CGROUP_STORAGE, sizeof(uint64_t),
                                                       sizeof(struct tcp_group), 0 },
                                       &meter->groups);
}

static int load(TcpMeter *meter) {
        struct tcp_meter_bpf *skeleton = tcp_meter_bpf__open();
        int r;

        if (!skeleton)
                return -errno;
        skeleton->rodata->slots = meter->slots;
        r = bpf_map__reuse_fd(skeleton->maps.tcp_rows, meter->rows.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.tcp_rtts, meter->rtts.fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.tcp_groups, meter->groups.fd);
        if (r == 0)
                r = tcp_meter_bpf__load(skeleton);
        if (r == 0)
                r = meter->program_fd = pin_keep_program(skeleton->progs.tcp_meter);
        tcp_meter_bpf__destroy(skeleton);
        if (r >= 0)
                r = pin_program_tag(meter->program_fd, meter->tag);
        if (r >= 0)
                r = pin_tag_with_table(meter->tag, &meter->rows);
        return r < 0 ? r : pin_tag_with_table(meter->tag, &meter->rtts);
}

int tcp_meter_new(const char *pin_dir, uint32_t slots, TcpMeter **ret) {
        _cleanup_(tcp_meter_free_p) TcpMeter *meter = NULL;
        int r, n_cpus;

        n_cpus = libbpf_num_possible_cpus();
        if (n_cpus < 0)
                return n_cpus;
        if ((uint64_t) slots * n_cpus > UINT32_MAX)
                return -E2BIG;
        meter = malloc(sizeof(*meter));
        if (!meter)
                return -ENOMEM;
        *meter = (TcpMeter){
                .rows = TABLE_NULL,
                .rtts = TABLE_NULL,
                .groups = TABLE_NULL,
                .program_fd = -EBADF,
                .links.names = &names,
                .slots = slots,
                .n_cpus = n_cpus,
        };
        if (pin_dir) {
                meter->pin_dir = strdup(pin_dir);
                if (!meter->pin_dir)
                        return -ENOMEM;
                meter->links.pin_dir = meter->pin_dir;
        }

        r = open_tables(meter);
        if (r >= 0)
                r = load(meter);
        if (r < 0)
                return r;
        pin_list(pin_dir, PREFIX "-", adopt_link, meter);
        meter->n_adopted = meter->links.n;

        *ret = TAKE_PTR(meter);
        return 0;
}

TcpMeter *tcp_meter_free(TcpMeter *meter) {
        if (!meter)
                return NULL;

        group_links_deinit(&meter->links);
        cleanup_close(&meter->program_fd);
        table_deinit(&meter->rows);
        table_deinit(&meter->rtts);
        table_deinit(&meter->groups);
        free(meter->pin_dir);
        free(meter);
        return NULL;
}

size_t tcp_meter_adopted(const TcpMeter *meter) {
        return meter->n_adopted;
}

static int set_slot(TcpMeter *meter, uint64_t group_id, uint32_t slot) {
        struct tcp_group group;

        if (bpf_map_lookup_elem(meter->groups.fd, &group_id, &group) == 0 && group.slot == slot)
                return 0;
        group = (struct tcp_group){ .slot = slot };
        return bpf_map_update_elem(meter->groups.fd, &group_id, &group, BPF_ANY) < 0 ? -errno : 0;
}

/* The link to be has its program's pin only after it runs it: an interruption between the two repeats the
 * update. */
static int update_link(TcpMeter *meter, GroupLink *link) {
        GroupLink wanted = *link;

        if (bpf_link_update(link->fd, meter->program_fd, NULL) < 0)
                return -errno;
        memcpy(wanted.tag, meter->tag, sizeof(wanted.tag));
        return group_links_rename(&meter->links, link, &wanted);
}

/* The slot before the pin: what is found pinned after an interruption has one. */
static int make_link(TcpMeter *meter, uint32_t slot, int group_fd, uint64_t group_id) {
        GroupLink link = { .group_id = group_id };
        int r;

        link.fd = bpf_link_create(meter->program_fd, group_fd, BPF_CGROUP_SOCK_OPS, NULL);
        if (link.fd < 0)
                return -errno;
        memcpy(link.tag, meter->tag, sizeof(link.tag));
        r = set_slot(meter, group_id, slot);
        if (r >= 0)
                r = group_links_add(&meter->links, &link);
        if (r < 0)
                close(link.fd);
        return r;
}

int tcp_meter_attach(TcpMeter *meter, uint32_t slot, int group_fd, uint64_t group_id) {
        GroupLink *link = group_links_find(&meter->links, /* way= */ 0, group_id);
        int r;

        if (link && !group_link_lives(link)) {
                group_links_drop(&meter->links, link);
                link = NULL;
        }
        if (!link)
                return make_link(meter, slot, group_fd, group_id);

        r = set_slot(meter, group_id, slot);
        return r < 0 || strcmp(link->tag, meter->tag) == 0 ? r : update_link(meter, link);
}

void tcp_meter_detach(TcpMeter *meter, uint64_t group_id) {
        GroupLink *link = group_links_find(&meter->links, /* way= */ 0, group_id);

        if (link)
                group_links_drop(&meter->links, link);
}

void tcp_meter_detach_slots(TcpMeter *meter, const bool *leaving) {
        for (size_t i = meter->links.n; i-- > 0;) {
                struct tcp_group group = {};

                if (bpf_map_lookup_elem(meter->groups.fd, &meter->links.links[i].group_id, &group) == 0 &&
                                group.slot < meter->slots && leaving[group.slot])
                        group_links_drop(&meter->links, meter->links.links + i);
        }
}

bool tcp_meter_holds(const TcpMeter *meter, uint64_t group_id) {
        const GroupLink *link = group_links_find(&meter->links, /* way= */ 0, group_id);

        return link && group_link_lives(link);
}

void tcp_meter_keep_pins(const TcpMeter *meter, PinTell tell, void *userdata) {
        table_keep_pin(meter->pin_dir, &meter->rows, tell, userdata);
        table_keep_pin(meter->pin_dir, &meter->rtts, tell, userdata);
        table_keep_pin(meter->pin_dir, &meter->groups, tell, userdata);
        group_links_keep_pins(&meter->links, tell, userdata);
}

static uint64_t load_relaxed(const __u64 *counter) {
        return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void tcp_meter_read(const TcpMeter *meter, uint32_t slot, Sample *sample) {
        struct tcp_row sum = {};

        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                const struct tcp_row *row = row_of(meter, cpu, slot);

                sum.connects += load_relaxed(&row->connects);
                sum.accepts += load_relaxed(&row->accepts);
                sum.failed += load_relaxed(&row->failed);
                sum.refused += load_relaxed(&row->refused);
                sum.resets += load_relaxed(&row->resets);
                sum.retransmits += load_relaxed(&row->retransmits);
        }

        sample_put(sample, METRIC_NET_TCP_CONNECTS, sum.connects);
        sample_put(sample, METRIC_NET_TCP_ACCEPTS, sum.accepts);
        sample_put(sample, METRIC_NET_TCP_FAILED, sum.failed);
        sample_put(sample, METRIC_NET_TCP_REFUSED, sum.refused);
        sample_put(sample, METRIC_NET_TCP_RESETS, sum.resets);
        sample_put(sample, METRIC_NET_TCP_RETRANSMITS, sum.retransmits);
}

static struct tcp_rtts *rtts_of(const TcpMeter *meter, uint32_t cpu, uint32_t slot) {
        return (struct tcp_rtts *) meter->rtts.rows + (size_t) cpu * meter->slots + slot;
}

/* Of most tenants most CPUs have none. */
int tcp_meter_read_rtt(TcpMeter *meter, uint32_t slot, Histogram *ret) {
        int r = table_reach(&meter->rtts, meter->rtts.whole_bytes);

        if (r < 0)
                return r;
        *ret = (Histogram){};
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                uint64_t sum_nsec = load_relaxed(&row_of(meter, cpu, slot)->rtt_nsec);

                ret->sum_nsec += sum_nsec;
                for (size_t i = 0; sum_nsec > 0 && i < HISTOGRAM_BUCKETS; i++)
                        ret->bucket[i] += load_relaxed(&rtts_of(meter, cpu, slot)->bucket[i]);
        }
        return 0;
}

void tcp_meter_rest(TcpMeter *meter) {
        table_rest(&meter->rtts);
}

void tcp_meter_clear(TcpMeter *meter, uint32_t slot) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                memset(row_of(meter, cpu, slot), 0, sizeof(struct tcp_row));
                (void) table_clear_row(&meter->rtts, cpu * meter->slots + slot, sizeof(struct tcp_rtts));
        }
}

void tcp_meter_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, PREFIX);
}
