/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/socket-meter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/socket-meter.h"
#include "bpf/socket-meter.skel.h"

#define PREFIX "socket"
#define MARKS PREFIX "_marks_" STRINGIFY(SOCKET_METER_LAYOUT)
#define LINK PREFIX "-mark-"

/* One of the two ways to go over things, and how many runs it still rests. */
typedef struct Walk {
        int link;
        uint64_t rest;
} Walk;

struct SocketMeter {
        struct socket_meter_bpf *skeleton;
        Table rows;
        int marks, mark_link;
        char *pin_dir;
        char link_name[PIN_NAME_SIZE]; /* of the link's pin */
        bool adopted;
        Walk find, count;
        bool wanted;  /* there may be sockets without a mark */
        bool counted; /* the rows are of a pass */
};

/* By libbpf, which makes them with the types that the kernel asks of such a map. */
static int load(SocketMeter *meter, const char *pin_dir, int groups_fd) {
        struct socket_meter_bpf *skeleton = meter->skeleton;
        int r;

        r = bpf_map__reuse_fd(skeleton->maps.groups, groups_fd);
        if (r == 0)
                r = bpf_map__reuse_fd(skeleton->maps.socket_rows, meter->rows.fd);
        meter->marks = pin_open(pin_dir, MARKS);
        meter->adopted = meter->marks >= 0;
        if (r == 0 && meter->adopted)
                r = bpf_map__reuse_fd(skeleton->maps.socket_marks, meter->marks);
        if (r == 0)
                r = socket_meter_bpf__load(skeleton);
        if (r < 0 || meter->adopted)
                return r;
        meter->marks = fcntl(bpf_map__fd(skeleton->maps.socket_marks), F_DUPFD_CLOEXEC, 3);
        return meter->marks < 0 ? -errno : pin_put(pin_dir, MARKS, meter->marks);
}

/* "socket-mark-<map of groups>-<tag>": all that must be equal for a link to be left as it is. */
static int name_link(SocketMeter *meter, int groups_fd) {
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);
        char tag[PIN_TAG_SIZE];
        int r = pin_program_tag(bpf_program__fd(meter->skeleton->progs.socket_meter_mark), tag);

        if (r < 0)
                return r;
        if (bpf_obj_get_info_by_fd(groups_fd, &info, &size) < 0)
                return -errno;
        snprintf(meter->link_name, sizeof(meter->link_name), LINK "%08" PRIx32 "-%s", info.id, tag);
        return 0;
}

static void take_up(const char *name, void *userdata) {
        SocketMeter *meter = userdata;

        if (meter->mark_link < 0)
                meter->mark_link = pin_open(meter->pin_dir, name);
}

static void remove_outdated(const char *name, void *userdata) {
        const SocketMeter *meter = userdata;

        if (strcmp(name, meter->link_name) != 0)
                pin_remove(meter->pin_dir, name);
}

/* Another's program, or one with other tables, is replaced without a gap, where the marks are the same. */
static int put_link(SocketMeter *meter, int root_fd) {
        int program_fd = bpf_program__fd(meter->skeleton->progs.socket_meter_mark);

        if (meter->adopted)
                pin_list(meter->pin_dir, LINK, take_up, meter);
        if (meter->mark_link >= 0 && bpf_link_update(meter->mark_link, program_fd, NULL) == 0)
                pin_pace(); /* the one before is let go of */
        else {
                cleanup_close(&meter->mark_link);
                meter->mark_link = bpf_link_create(program_fd, root_fd, BPF_CGROUP_INET_SOCK_CREATE, NULL);
                if (meter->mark_link < 0)
                        return -errno;
        }
        return pin_put(meter->pin_dir, meter->link_name, meter->mark_link);
}

/* From before as it is, or ours from here on. */
static int attach(SocketMeter *meter, int groups_fd, int root_fd) {
        int r = name_link(meter, groups_fd);

        if (r < 0)
                return r;
        if (meter->adopted)
                meter->mark_link = pin_open(meter->pin_dir, meter->link_name);
        if (meter->mark_link < 0)
                r = put_link(meter, root_fd);
        pin_list(meter->pin_dir, LINK, remove_outdated, meter);
        return r;
}

static int open_walk(Walk *walk, const struct bpf_program *program, int map_fd) {
        union bpf_iter_link_info info = { .map = { .map_fd = (uint32_t) map_fd } };
        LIBBPF_OPTS(bpf_link_create_opts, options);

        if (map_fd >= 0) {
                options.iter_info = &info;
                options.iter_info_len = sizeof(info);
        }
        walk->link = bpf_link_create(bpf_program__fd(program), 0, BPF_TRACE_ITER, &options);
        return walk->link < 0 ? -errno : 0;
}

int socket_meter_new(const char *pin_dir, uint32_t slots, int groups_fd, int root_fd, SocketMeter **ret) {
        _cleanup_(socket_meter_free_p) SocketMeter *meter = malloc(sizeof(*meter));
        int r;

        if (!meter)
                return -ENOMEM;
        *meter = (SocketMeter){ .rows = TABLE_NULL,
                .marks = -EBADF,
                .mark_link = -EBADF,
                .find.link = -EBADF,
                .count.link = -EBADF };
        if (pin_dir) {
                meter->pin_dir = strdup(pin_dir);
                if (!meter->pin_dir)
                        return -ENOMEM;
        }
        r = table_open(NULL,
                        &(TableShape){ PREFIX "_rows", BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                                        sizeof(struct socket_row), slots },
                        &meter->rows);
        if (r < 0)
                return r;
        meter->skeleton = socket_meter_bpf__open();
        if (!meter->skeleton)
                return -errno;
        meter->skeleton->rodata->slots = slots;
        r = load(meter, pin_dir, groups_fd);
        if (r >= 0)
                r = open_walk(&meter->find, meter->skeleton->progs.socket_meter_find, -EBADF);
        if (r >= 0)
                r = open_walk(&meter->count, meter->skeleton->progs.socket_meter_count, meter->marks);
        if (r >= 0)
                r = attach(meter, groups_fd, root_fd);
        if (r < 0)
                return r;
        meter->wanted = !meter->adopted;

        *ret = TAKE_PTR(meter);
        return 0;
}

SocketMeter *socket_meter_free(SocketMeter *meter) {
        if (!meter)
                return NULL;
        cleanup_close(&meter->find.link);
        cleanup_close(&meter->count.link);
        cleanup_close(&meter->mark_link);
        cleanup_close(&meter->marks);
        socket_meter_bpf__destroy(meter->skeleton);
        table_deinit(&meter->rows);
        free(meter->pin_dir);
        free(meter);
        return NULL;
}

bool socket_meter_adopted(const SocketMeter *meter) {
        return meter->adopted;
}

void socket_meter_keep_pins(const SocketMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        pin_keep(pin_dir, MARKS, meter->marks, tell, userdata);
        pin_keep(pin_dir, meter->link_name, meter->mark_link, tell, userdata);
}

void socket_meter_groups_changed(SocketMeter *meter) {
        meter->wanted = true;
}

/* The programs write nothing to the reader; a long pass pauses now and then with EAGAIN. */
static int read_all(int link) {
        _cleanup_close_ int fd = bpf_iter_create(link);
        char nothing;
        ssize_t n;

        if (fd < 0)
                return -errno;
        do
                n = read(fd, &nothing, sizeof(nothing));
        while (n < 0 && errno == EAGAIN);
        return n < 0 ? -errno : 0;
}

static bool rests(Walk *walk) {
        return walk->rest > 0 && walk->rest-- > 0;
}

static int run(SocketMeter *meter, Walk *walk) {
        struct socket_pass *pass = &meter->skeleton->bss->pass;
        int r;

        *pass = (struct socket_pass){};
        r = read_all(walk->link);
        walk->rest = pass->visited / SOCKETS_A_RUN;
        return r;
}

void socket_meter_run(SocketMeter *meter) {
        if (!rests(&meter->find) && meter->wanted)
                meter->wanted = run(meter, &meter->find) < 0;
        if (rests(&meter->count))
                return;
        memset(meter->rows.rows, 0, meter->rows.size_bytes);
        meter->counted = run(meter, &meter->count) >= 0;
}

void socket_meter_read(const SocketMeter *meter, uint32_t slot, Sample *sample) {
        const struct socket_row *row = (const struct socket_row *) meter->rows.rows + slot;

        if (!meter->counted)
                return;
        sample_put(sample, METRIC_NET_TCP_SOCKETS, row->tcp);
        sample_put(sample, METRIC_NET_TCP_ESTABLISHED, row->established);
        sample_put(sample, METRIC_NET_UDP_SOCKETS, row->udp);
}

void socket_meter_clear(SocketMeter *meter, uint32_t slot) {
        memset((struct socket_row *) meter->rows.rows + slot, 0, sizeof(struct socket_row));
}

void socket_meter_unpin(const char *pin_dir) {
        pin_remove_all(pin_dir, PREFIX);
}
