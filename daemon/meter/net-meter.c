/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/net-meter.h"
#include "bpf/group-link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/net-meter.h"
#include "bpf/net-meter.skel.h"

typedef enum Direction {
        DIRECTION_EGRESS,
        DIRECTION_INGRESS,
        DIRECTION_MAX,
} Direction;

static const struct {
        const char *name;
        enum bpf_attach_type type;
} directions[DIRECTION_MAX] = {
        [DIRECTION_EGRESS] = { "egress", BPF_CGROUP_INET_EGRESS },
        [DIRECTION_INGRESS] = { "ingress", BPF_CGROUP_INET_INGRESS },
};

typedef struct Count {
        uint64_t bytes, packets;
} Count;
_Static_assert(sizeof(Count) == 16, "a row of net_told");

#define NET_TOLD_LAYOUT 1

struct NetMeter {
        struct net_meter_bpf *skeleton; /* the programs of slot 0, attached nowhere */
        char *pin_dir;
        Table rows;
        uint32_t slots, n_cpus;
        uint32_t classid_base;
        char tags[DIRECTION_MAX][PIN_TAG_SIZE]; /* of the programs that we have */
        GroupLinks links;                       /* a way is a Direction */
        size_t n_adopted;
        Table told; /* Count [slots]: of what was sent, at most */
};

static struct net_row *row_of(const NetMeter *meter, uint32_t cpu, uint32_t slot) {
        return (struct net_row *) meter->rows.rows + (size_t) cpu * meter->slots + slot;
}

static Count *told_of(const NetMeter *meter, uint32_t slot) {
        return (Count *) meter->told.rows + slot;
}

static uint32_t classid_of(const NetMeter *meter, uint32_t slot) {
        return meter->classid_base ? meter->classid_base + slot : 0;
}

/* "net-egress-<group>-<slot>-<class>-<tag>" */
static void print_name(const GroupLink *link, char ret[static PIN_NAME_SIZE]) {
        snprintf(ret, PIN_NAME_SIZE, "net-%s-%016" PRIx64 "-%" PRIu32 "-%08" PRIx32 "-%s",
                        directions[link->way].name, link->group_id, link->slot, link->classid, link->tag);
}

static bool scan_name(const char *name, GroupLink *ret) {
        char direction[8];

        if (sscanf(name, "net-%7[a-z]-%16" SCNx64 "-%" SCNu32 "-%8" SCNx32 "-%16[0-9a-f]", direction,
                            &ret->group_id, &ret->slot, &ret->classid, ret->tag) != 5)
                return false;
        ret->way = strcmp(direction, "egress") == 0 ? DIRECTION_EGRESS : DIRECTION_INGRESS;
        return true;
}

static const GroupLinkNames names = { print_name, scan_name };

static void adopt_link(const char *name, void *userdata) {
        NetMeter *meter = userdata;

        group_links_adopt(&meter->links, name, /* stray= */ false); /* the tag would be another */
}

/* Once, for slot 0: what every slot's programs are made from. With a class, if they have one, as it is asked
 * for with that alone whether the kernel's memory may be read. */
static int load(NetMeter *meter, bool reads_kernel) {
        struct net_meter_bpf *skeleton;
        int r;

        skeleton = net_meter_bpf__open();
        if (!skeleton)
                return -errno;
        skeleton->rodata->slots = meter->slots;
        skeleton->rodata->classid = meter->classid_base;
        skeleton->rodata->reads_kernel = reads_kernel;
        r = bpf_map__reuse_fd(skeleton->maps.net_rows, meter->rows.fd);
        if (r == 0)
                r = net_meter_bpf__load(skeleton);
        if (r < 0) {
                net_meter_bpf__destroy(skeleton);
                return r;
        }

        meter->skeleton = skeleton;
        return 0;
}

static const struct bpf_program *program_of(const NetMeter *meter, Direction direction) {
        return direction == DIRECTION_EGRESS ? meter->skeleton->progs.net_meter_egress
                                             : meter->skeleton->progs.net_meter_ingress;
}

/* The constants of one slot's programs, in a map that nobody can write again: so the verifier takes them as
 * such. */
static int make_constants(const NetMeter *meter, uint32_t slot) {
        __typeof__(*meter->skeleton->rodata) constants = *meter->skeleton->rodata;
        LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_RDONLY_PROG);
        _cleanup_close_ int fd = -EBADF;
        uint32_t key = 0;

        constants.slot = slot;
        constants.classid = classid_of(meter, slot);
        fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "net_constants", sizeof(key), sizeof(constants), 1, &options);
        if (fd < 0 || bpf_map_update_elem(fd, &key, &constants, BPF_ANY) < 0 || bpf_map_freeze(fd) < 0)
                return -errno;

        return TAKE_FD(fd);
}

/* The program of slot 0 over other constants, past libbpf: a tenth of the time of loading an object anew.
 */
static int load_program(const NetMeter *meter, Direction direction, int constants_fd) {
        const struct bpf_program *program = program_of(meter, direction);
        LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = directions[direction].type);
        int old_fd = bpf_map__fd(meter->skeleton->maps.rodata), fd;
        size_t n = bpf_program__insn_cnt(program);
        _cleanup_free_ struct bpf_insn *insns = NULL;

        insns = malloc(n * sizeof(*insns));
        if (!insns)
                return -ENOMEM;
        memcpy(insns, bpf_program__insns(program), n * sizeof(*insns));
        for (size_t i = 0; i < n; i++)
                if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW) &&
                                insns[i].src_reg == BPF_PSEUDO_MAP_VALUE && insns[i].imm == old_fd)
                        insns[i].imm = constants_fd;

        fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, bpf_program__name(program), "GPL", insns, n, &options);
        return fd < 0 ? -errno : fd;
}

/* What was told outlives us as what was counted does: else the next of us would tell less. */
static int open_tables(const char *pin_dir, NetMeter *meter) {
        const TableShape rows = { "net_rows_" STRINGIFY(NET_METER_LAYOUT), BPF_MAP_TYPE_ARRAY,
                sizeof(uint32_t), sizeof(struct net_row), meter->slots * meter->n_cpus };
        const TableShape told = { "net_told_" STRINGIFY(NET_TOLD_LAYOUT), BPF_MAP_TYPE_ARRAY,
                sizeof(uint32_t), sizeof(Count), meter->slots };
        int r;

        r = table_open(pin_dir, &rows, &meter->rows);
        if (r >= 0)
                r = table_open(pin_dir, &told, &meter->told);
        if (r >= 0 && !meter->rows.adopted && !meter->rows.carried) /* all begins anew */
                memset(meter->told.rows, 0, (size_t) meter->slots * sizeof(Count));
        return r;
}

int net_meter_new(const char *pin_dir, uint32_t slots, uint32_t classid_base, NetMeter **ret) {
        _cleanup_(net_meter_free_p) NetMeter *meter = NULL;
        int r, n_cpus;

        n_cpus = libbpf_num_possible_cpus();
        if (n_cpus < 0)
                return n_cpus;
        if ((uint64_t) slots * n_cpus > UINT32_MAX)
                return -E2BIG;
        meter = malloc(sizeof(*meter));
        if (!meter)
                return -ENOMEM;
        *meter = (NetMeter){
                .rows = TABLE_NULL,
                .told = TABLE_NULL,
                .links.names = &names,
                .slots = slots,
                .n_cpus = n_cpus,
                .classid_base = classid_base,
        };
        if (pin_dir) {
                meter->pin_dir = strdup(pin_dir);
                if (!meter->pin_dir)
                        return -ENOMEM;
                meter->links.pin_dir = meter->pin_dir;
        }

        r = open_tables(pin_dir, meter);
        if (r < 0)
                return r;
        r = load(meter, /* reads_kernel= */ true);
        if (r < 0 && r != -ENOMEM)
                r = load(meter, /* reads_kernel= */ false);
        if (r < 0)
                return r;
        /* The same for every slot: a program's constants are no part of its tag. */
        for (Direction d = 0; d < DIRECTION_MAX; d++) {
                r = pin_program_tag(bpf_program__fd(program_of(meter, d)), meter->tags[d]);
                if (r >= 0)
                        r = pin_tag_with_table(meter->tags[d], &meter->rows);
                if (r < 0)
                        return r;
        }

        pin_list(pin_dir, "net-", adopt_link, meter);
        meter->n_adopted = meter->links.n;

        *ret = TAKE_PTR(meter);
        return 0;
}

NetMeter *net_meter_free(NetMeter *meter) {
        if (!meter)
                return NULL;

        group_links_deinit(&meter->links);
        net_meter_bpf__destroy(meter->skeleton);
        table_deinit(&meter->told);
        table_deinit(&meter->rows);
        free(meter->pin_dir);
        free(meter);
        return NULL;
}

bool net_meter_reads_kernel(const NetMeter *meter) {
        return meter->skeleton->rodata->reads_kernel;
}

size_t net_meter_adopted(const NetMeter *meter) {
        return meter->n_adopted;
}

/* The link to be has its program's pin only after it runs it: an interruption between the two repeats the
 * update. */
static int update_link(NetMeter *meter, GroupLink *link, const GroupLink *wanted, int program) {
        if (bpf_link_update(link->fd, program, NULL) < 0)
                return -errno;
        pin_pace(); /* its old one is let go of */
        return group_links_rename(&meter->links, link, wanted);
}

static int make_link(NetMeter *meter, const GroupLink *wanted, int program, int group_fd) {
        GroupLink link = *wanted;
        int r;

        link.fd = bpf_link_create(program, group_fd, directions[wanted->way].type, NULL);
        if (link.fd < 0)
                return -errno;
        r = group_links_add(&meter->links, &link);
        if (r < 0)
                close(link.fd);
        return r;
}

int net_meter_attach(NetMeter *meter, uint32_t slot, int group_fd, uint64_t group_id) {
        _cleanup_close_ int constants = -EBADF;
        int r;

        for (Direction d = 0; d < DIRECTION_MAX; d++) {
                GroupLink wanted = { .fd = -EBADF,
                        .way = d,
                        .group_id = group_id,
                        .slot = slot,
                        .classid = classid_of(meter, slot) };
                _cleanup_close_ int program = -EBADF;
                GroupLink *link;

                memcpy(wanted.tag, meter->tags[d], sizeof(wanted.tag));
                link = group_links_find(&meter->links, d, group_id);
                if (link && !group_link_lives(link)) {
                        group_links_drop(&meter->links, link);
                        link = NULL;
                }
                if (link && link->slot == slot && link->classid == wanted.classid &&
                                strcmp(link->tag, wanted.tag) == 0)
                        continue;

                if (constants < 0)
                        constants = make_constants(meter, slot);
                if (constants < 0)
                        return constants;
                program = load_program(meter, d, constants);
                if (program < 0)
                        return program;
                r = link ? update_link(meter, link, &wanted, program) : -ENOLINK;
                if (r == -ENOLINK) {
                        if (link)
                                group_links_drop(&meter->links, link);
                        r = make_link(meter, &wanted, program, group_fd);
                }
                if (r < 0)
                        return r;
        }

        return 0;
}

void net_meter_detach(NetMeter *meter, uint64_t group_id) {
        for (size_t i = meter->links.n; i-- > 0;)
                if (meter->links.links[i].group_id == group_id)
                        group_links_drop(&meter->links, meter->links.links + i);
}

void net_meter_detach_slots(NetMeter *meter, const bool *leaving) {
        for (size_t i = meter->links.n; i-- > 0;)
                if (meter->links.links[i].slot < meter->slots && leaving[meter->links.links[i].slot])
                        group_links_drop(&meter->links, meter->links.links + i);
}

bool net_meter_group_lives(const NetMeter *meter, uint64_t group_id) {
        const GroupLink *link = group_links_find(&meter->links, DIRECTION_EGRESS, group_id);

        return link && group_link_lives(link);
}

bool net_meter_holds(const NetMeter *meter, uint64_t group_id) {
        for (Direction d = 0; d < DIRECTION_MAX; d++) {
                const GroupLink *link = group_links_find(&meter->links, d, group_id);

                if (!link || !group_link_lives(link))
                        return false;
        }
        return true;
}

int net_meter_rows_fd(const NetMeter *meter) {
        return meter->rows.fd;
}

void net_meter_keep_pins(const NetMeter *meter, PinTell tell, void *userdata) {
        table_keep_pin(meter->pin_dir, &meter->rows, tell, userdata);
        table_keep_pin(meter->pin_dir, &meter->told, tell, userdata);
        group_links_keep_pins(&meter->links, tell, userdata);
}

static void add_count(Count *sum, const struct net_count *count) {
        sum->bytes += __atomic_load_n(&count->bytes, __ATOMIC_RELAXED);
        sum->packets += __atomic_load_n(&count->packets, __ATOMIC_RELAXED);
}

/* What is found to have stayed on the node was counted as sent a moment ago: what was told never shrinks. */
static void keep_told(Count *told, Count *count) {
        if ((int64_t) (count->bytes - told->bytes) < 0)
                count->bytes = told->bytes;
        if ((int64_t) (count->packets - told->packets) < 0)
                count->packets = told->packets;
        *told = *count;
}

void net_meter_read(const NetMeter *meter, uint32_t slot, Sample *sample) {
        Count egress = {}, ingress = {}, local_egress = {}, local_ingress = {};

        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++) {
                const struct net_row *row = row_of(meter, cpu, slot);

                add_count(&egress, &row->egress);
                add_count(&ingress, &row->ingress);
                add_count(&local_egress, &row->local_egress);
                add_count(&local_ingress, &row->local_ingress);
        }
        keep_told(told_of(meter, slot), &egress);

        sample_put(sample, METRIC_NET_EGRESS_BYTES, egress.bytes);
        sample_put(sample, METRIC_NET_EGRESS_PACKETS, egress.packets);
        sample_put(sample, METRIC_NET_INGRESS_BYTES, ingress.bytes);
        sample_put(sample, METRIC_NET_INGRESS_PACKETS, ingress.packets);
        sample_put(sample, METRIC_NET_LOCAL_EGRESS_BYTES, local_egress.bytes);
        sample_put(sample, METRIC_NET_LOCAL_EGRESS_PACKETS, local_egress.packets);
        sample_put(sample, METRIC_NET_LOCAL_INGRESS_BYTES, local_ingress.bytes);
        sample_put(sample, METRIC_NET_LOCAL_INGRESS_PACKETS, local_ingress.packets);
}

void net_meter_clear(NetMeter *meter, uint32_t slot) {
        for (uint32_t cpu = 0; cpu < meter->n_cpus; cpu++)
                memset(row_of(meter, cpu, slot), 0, sizeof(struct net_row));
        *told_of(meter, slot) = (Count){};
}
