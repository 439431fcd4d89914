/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/sender.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC 1000000000ULL
#define LATE_MAX_NSEC 50000000ULL

static const char payload[65536];

void sender_stream(const Sender *sender) {
        int poller = epoll_create1(EPOLL_CLOEXEC);

        for (unsigned i = 0; i < sender->n; i++)
                (void) epoll_ctl(poller, EPOLL_CTL_ADD, sender->sockets[i],
                                &(struct epoll_event){ EPOLLOUT, { .fd = sender->sockets[i] } });
        (void) epoll_ctl(poller, EPOLL_CTL_ADD, sender->stop,
                        &(struct epoll_event){ EPOLLIN, { .fd = sender->stop } });
        for (;;) {
                struct epoll_event events[64];
                int n = epoll_wait(poller, events, 64, -1);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == sender->stop) {
                                close(poller);
                                return;
                        }
                        (void) send(events[i].data.fd, payload, sizeof(payload), MSG_DONTWAIT | MSG_NOSIGNAL);
                }
        }
}

uint64_t sender_datagrams(
                const Sender *sender, uint32_t bytes, uint64_t bps, uint64_t tick_nsec, uint64_t most) {
        const struct itimerspec every = { { 0, (long) tick_nsec }, { 0, (long) tick_nsec } };
        const uint64_t bytes_a_tick = bps / 8 * tick_nsec / NSEC_PER_SEC;
        int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        uint64_t ticks, owed = 0, sent = 0, taken = 0;
        bool ends = false;

        (void) timerfd_settime(timer, 0, &every, NULL);
        while (!ends) {
                struct pollfd fds[] = { { sender->stop, POLLIN, 0 }, { timer, POLLIN, 0 } };

                (void) poll(fds, 2, -1);
                if (fds[0].revents)
                        break;
                if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
                        continue;
                if (ticks > LATE_MAX_NSEC / tick_nsec)
                        ticks = LATE_MAX_NSEC / tick_nsec;
                for (owed += ticks * bytes_a_tick; owed >= bytes && !ends; owed -= bytes) {
                        taken += send(sender->sockets[sent++ % sender->n], payload, bytes, MSG_DONTWAIT) ==
                                 (ssize_t) bytes;
                        ends = sent == most;
                }
        }
        close(timer);
        return taken;
}
