/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/socket-iter.h"
#include "util/pidfd.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/socket-iter.h"
#include "bpf/socket-iter.skel.h"

struct SocketIter {
        struct socket_iter_bpf *skeleton;
};

int socket_iter_new(int groups_fd, SocketIter **ret) {
        _cleanup_(socket_iter_free_p) SocketIter *iter = calloc(1, sizeof(*iter));
        int r;

        if (!iter)
                return -ENOMEM;
        iter->skeleton = socket_iter_bpf__open();
        if (!iter->skeleton)
                return -errno;
        r = bpf_map__reuse_fd(iter->skeleton->maps.groups, groups_fd);
        if (r == 0)
                r = socket_iter_bpf__load(iter->skeleton);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(iter);
        return 0;
}

SocketIter *socket_iter_free(SocketIter *iter) {
        if (!iter)
                return NULL;
        socket_iter_bpf__destroy(iter->skeleton);
        free(iter);
        return NULL;
}

int socket_iter_count(SocketIter *iter, uint32_t slot, int pidfd, unsigned *ret) {
        union bpf_iter_link_info info = { .task = { .pid_fd = (uint32_t) pidfd } };
        LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof(info));
        struct socket_iter_pass *pass = &iter->skeleton->bss->pass;
        _cleanup_close_ int link = -EBADF, fd = -EBADF;
        ssize_t n;
        char nothing;

        link = bpf_link_create(bpf_program__fd(iter->skeleton->progs.socket_iter_visit), 0, BPF_TRACE_ITER,
                        &options);
        if (link < 0)
                return -errno;
        fd = bpf_iter_create(link);
        if (fd < 0)
                return -errno;
        *pass = (struct socket_iter_pass){ .slot = slot };
        /* The program writes nothing to the reader; a pass over many files pauses now and then with EAGAIN
         * (kernel/bpf/bpf_iter.c, MAX_ITER_OBJECTS). */
        do
                n = read(fd, &nothing, sizeof(nothing));
        while (n < 0 && errno == EAGAIN);
        if (n < 0)
                return -errno;
        /* The kernel goes by the number that the pidfd stands for, whoever has it by now. */
        if (pidfd_has_exited(pidfd))
                return -ESRCH;
        *ret = pass->elsewhere;
        return 0;
}
