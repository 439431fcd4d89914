/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The peer socket: the same objects with no bus daemon between, for schedulers that push often. A peer is who
 * the kernel says connected (SO_PEERCRED), never who it says it is nor which process; root and the schedulers
 * are let in, others are closed unread. What a peer can hold of the daemon is bounded: how many there are,
 * how long one may take to authenticate, how much one may leave unread.
 */

#include "api-internal.h"
#include "authorize.h"

#include "util/log.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define PEERS_MAX 8
#define PEER_BACKLOG 16
#define PEER_AUTHENTICATION_USEC (5 * 1000000ULL)
/* Messages: some 150 MB. One call may make several for each of its 10,000 requests before the
 * loop, and so the reader, has its turn. */
#define PEER_UNREAD_MAX 131072
/* Strangers who knock all the time are not looked at all the time. */
#define KNOCKS_MAX 256
#define KNOCKS_USEC 1000000

static void drop(ApiConnection *connection, const char *why) {
        log_warning("A peer of user %d is dropped: %s", (int) connection->uid, why);
        sd_bus_close(connection->bus);
}

/* It is closed at once, which frees what was kept for it, and leaves the list with the next who comes: this
 * may be in the middle of a call of its own. */
bool api_peer_drop_slow(ApiConnection *connection) {
        uint64_t unread;

        if (!connection->is_peer || sd_bus_get_n_queued_write(connection->bus, &unread) < 0 ||
                        unread <= PEER_UNREAD_MAX)
                return false;
        drop(connection, "it does not read what it is sent");
        return true;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        ApiConnection *connection = userdata;

        if (sd_bus_is_ready(connection->bus) <= 0)
                drop(connection, "it does not authenticate itself");
        return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        api_connection_free(userdata);
        return 0;
}

static size_t count_peers(Api *api) {
        size_t n = 0;

        for (ApiConnection *c = api->connections, *next; c; c = next) {
                next = c->next;
                if (c->is_peer && sd_bus_is_open(c->bus) <= 0)
                        api_connection_free(c);
                else if (c->is_peer)
                        n++;
        }
        return n;
}

/* Takes the descriptor, whatever it returns. */
static int make_bus(sd_event *event, int fd, sd_bus **ret) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_close_ int owned = fd;
        sd_id128_t id;
        int r;

        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, owned, owned);
        if (r < 0)
                return r;
        owned = -EBADF;
        r = sd_bus_set_server(bus, true, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus, true);
        if (r >= 0)
                r = sd_bus_set_sender(bus, API_BUS_NAME);
        /* Nor is the end of the daemon held up by who does not read. */
        if (r >= 0)
                r = sd_bus_set_close_on_exit(bus, false);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                *ret = TAKE_PTR(bus);
        return r;
}

static int admit(Api *api, sd_event *event, int fd, uid_t uid) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(api_connection_free_p) ApiConnection *connection = NULL;
        int r;

        r = make_bus(event, fd, &bus);
        if (r >= 0)
                r = api_connection_new(api, bus, &connection);
        if (r < 0)
                return r;
        connection->is_peer = true;
        connection->uid = uid;
        r = sd_bus_match_signal(bus, api_slot(connection), NULL, NULL, "org.freedesktop.DBus.Local",
                        "Disconnected", on_disconnected, connection);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &connection->deadline, CLOCK_MONOTONIC,
                                PEER_AUTHENTICATION_USEC, 0, on_deadline, connection);
        if (r < 0)
                return r;
        connection = NULL;
        bus = sd_bus_unref(bus); /* the connection has it */
        return 0;
}

static int on_knock(sd_event_source *source, int listener, uint32_t events, void *userdata) {
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        socklen_t size = sizeof(struct ucred);
        struct ucred peer;
        Api *api = userdata;
        int r;

        if (fd < 0) {
                if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                        (void) log_warning_errno(-errno, "A peer cannot be accepted");
                return 0;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
                        !authorize_user(api->users, peer.uid, ACCESS_SCHEDULER, api->options->schedulers))
                return 0;
        if (count_peers(api) >= PEERS_MAX) {
                log_warning("A peer of user %d is refused: there are %d", (int) peer.uid, PEERS_MAX);
                return 0;
        }
        r = admit(api, sd_event_source_get_event(source), TAKE_FD(fd), peer.uid);
        if (r < 0)
                (void) log_warning_errno(r, "A peer of user %d cannot be served", (int) peer.uid);
        return 0;
}

/* Readable by who may be let in, where the file system can say that. */
static int bind_socket(const char *path, mode_t mode, int *ret_fd) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct stat st;

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        if (lstat(path, &st) >= 0) {
                if (!S_ISSOCK(st.st_mode))
                        return -EEXIST;
                (void) unlink(path);
        }
        /* Nobody is let in by the file before the last line, whatever the umask is. */
        if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
                        listen(fd, PEER_BACKLOG) < 0 || chmod(path, mode) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int api_listen(Api *api, sd_event *event, const char *path) {
        bool others = api->options->schedulers && *api->options->schedulers;
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = bind_socket(path, others ? 0666 : 0600, &fd);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &api->listener, fd, EPOLLIN, on_knock, api);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(api->listener, true);
        if (r < 0)
                return r;
        fd = -EBADF; /* the source has it */
        /* Those who left are noticed before those who come. */
        r = sd_event_source_set_priority(api->listener, SD_EVENT_PRIORITY_NORMAL + 1);
        if (r >= 0)
                r = sd_event_source_set_ratelimit(api->listener, KNOCKS_USEC, KNOCKS_MAX);
        if (r < 0)
                return r;
        api->listener_path = strdup(path);
        return api->listener_path ? 0 : -ENOMEM;
}

void api_unlisten(Api *api) {
        for (ApiConnection *c = api->connections, *next; c; c = next) {
                next = c->next;
                if (c->is_peer)
                        api_connection_free(c);
        }
        api->listener = sd_event_source_disable_unref(api->listener);
        if (api->listener_path)
                (void) unlink(api->listener_path);
        free(api->listener_path);
        api->listener_path = NULL;
}
