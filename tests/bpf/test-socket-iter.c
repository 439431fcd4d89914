/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sockets of a process that moved: those from before are elsewhere, those from after are not. */

#include "host.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

TestSuite(socket_iter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U

static void open_sockets(void *userdata) {
        static const struct {
                int family, type;
        } sockets[] = { { AF_INET, SOCK_STREAM }, { AF_INET6, SOCK_DGRAM }, { AF_PACKET, SOCK_RAW },
                { AF_UNIX, SOCK_STREAM }, { AF_NETLINK, SOCK_RAW } };

        for (size_t i = 0; i < ELEMENTSOF(sockets); i++)
                cr_assert(socket(sockets[i].family, sockets[i].type, 0) >= 0, "%m");
}

/* More than the kernel looks at in one read of an iterator. */
static void open_many(void *userdata) {
        for (int i = 0; i < 200; i++)
                cr_assert(socket(AF_INET, SOCK_DGRAM, 0) >= 0, "%m");
}

static unsigned count(Meter *meter, uint32_t slot, int pidfd) {
        unsigned n = 77;

        cr_assert_eq(meter_count_sockets(meter, slot, pidfd, &n), 0);
        return n;
}

Test(socket_iter, what_was_open_stays) {
        TestGroup old = group_make("old"), group = group_make("tenant"), inner = group_make("tenant/scope");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker worker = worker_start(&old, open_sockets, NULL), own = worker_start(&inner, open_many, NULL);
        int pidfd = (int) syscall(SYS_pidfd_open, worker.pid, 0);
        int own_fd = (int) syscall(SYS_pidfd_open, own.pid, 0);

        meter_must_add(meter, SLOT, &group);
        cr_expect_eq(count(meter, SLOT, pidfd), 0, "it has none");
        worker_run(&worker);
        cr_expect_eq(count(meter, SLOT, pidfd), 3);
        group_move(&group, worker.pid);
        cr_expect_eq(count(meter, SLOT, pidfd), 3);
        worker_run(&worker);
        cr_expect_eq(count(meter, SLOT, pidfd), 3, "those from after are the tenant's");
        cr_expect_eq(count(meter, OTHER_SLOT, pidfd), 6);
        worker_run(&own);
        cr_expect_eq(count(meter, SLOT, own_fd), 0, "below its group is in it");
        cr_expect_eq(count(meter, OTHER_SLOT, own_fd), 200);
        worker_stop(&own);
        worker_stop(&worker);
        cr_expect_eq(meter_count_sockets(meter, SLOT, pidfd, &(unsigned){ 0 }), -ESRCH);
        meter_free(meter);
}
