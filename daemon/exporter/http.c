/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The HTTP side: libmicrohttpd in its external epoll mode, one instance a listening address, all driven by
 * one event loop. It is asked by whoever may connect, but on this host by many who may not read: whose the
 * other end is, the kernel says (peer.c), and those alone are served whom headgated would answer. A scrape is
 * suspended while headgated is asked, so that none waits for another. What a stranger can hold is bounded:
 * connections in all and by where he is, bytes of memory for each, seconds without progress and in all, and
 * of headgated's pages (client.c). Nothing of a request's body is read, and no name or path from it is ever
 * opened.
 */

#include "http.h"

#include "address.h"
#include "client.h"
#include "peer.h"

#include "util/log.h"
#include "util/user-database.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#define CONNECTIONS_MAX 32U /* for each listening address */
#define CONNECTION_MEMORY_BYTES \
        ((size_t) 8192) /* request and response heads; the samples come from the memfd */
#define CONNECTION_IDLE_SEC 10U
#define BACKLOG 16
#define READERS_GROUP "headgate" /* those whom headgated lets read all */

static const char page[] = "<!DOCTYPE html>\n<title>Headgate</title>\n<h1>Headgate</h1>\n"
                           "<p><a href=\"/metrics\">Metrics</a> of this node's tenants, as OpenMetrics.\n";

typedef struct Listener {
        HttpServer *server;
        struct MHD_Daemon *daemon;
        sd_event_source *io;
        sd_event_source *timer;
        bool resumed; /* a connection waits for MHD_run(), which MHD_get_timeout() does not say */
} Listener;

/* One request from its first line to its last byte. */
typedef struct Scrape {
        struct MHD_Connection *connection;
        Client *client;
        SnapshotRequest *request;
        bool suspended;
        bool answered; /* by headgated, or for it */
        int fd;        /* the answer, or -EBADF */
        uint64_t size;
        char *why_not;
        Listener *listener;
        struct Scrape *next, *previous; /* of those that are suspended */
} Scrape;

struct HttpServer {
        sd_event *event; /* a reference */
        SnapshotSource *source;
        Listener *listeners; /* owned, not moved once they run */
        size_t n_listeners;
        Scrape *suspended;
        Clients clients;
        UserDatabase *users;
        sd_event_source *overdue; /* when the next of them has had his time */
        char *addresses;
};

static Client *client_of(struct MHD_Connection *connection) {
        const union MHD_ConnectionInfo *info =
                        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        return info ? info->socket_context : NULL;
}

static uint64_t now_usec(const HttpServer *server) {
        uint64_t usec = 0;

        (void) sd_event_now(server->event, CLOCK_MONOTONIC, &usec);
        return usec;
}

static void watch_clients(HttpServer *server) {
        uint64_t next_usec = clients_cut_overdue(&server->clients, now_usec(server));

        (void) sd_event_source_set_time(server->overdue, next_usec);
        (void) sd_event_source_set_enabled(
                        server->overdue, next_usec == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int handle_overdue(sd_event_source *event_source, uint64_t usec, void *userdata) {
        watch_clients(userdata);
        return 0;
}

static Scrape *scrape_new(Listener *listener, struct MHD_Connection *connection) {
        Scrape *scrape = calloc(1, sizeof(*scrape));

        if (scrape) {
                scrape->listener = listener;
                scrape->connection = connection;
                scrape->client = client_of(connection);
                scrape->fd = -EBADF;
        }
        return scrape;
}

static void scrape_suspend(Scrape *scrape) {
        HttpServer *server = scrape->listener->server;

        MHD_suspend_connection(scrape->connection);
        client_wait(scrape->client);
        scrape->suspended = true;
        scrape->next = server->suspended;
        if (scrape->next)
                scrape->next->previous = scrape;
        server->suspended = scrape;
}

/* The number of the file that headgated made for it. */
static uint64_t scrape_page(const Scrape *scrape) {
        struct stat st;

        return scrape->fd >= 0 && fstat(scrape->fd, &st) >= 0 ? st.st_ino : 0;
}

static void scrape_resume(Scrape *scrape) {
        if (!scrape->suspended)
                return;
        if (scrape->next)
                scrape->next->previous = scrape->previous;
        if (scrape->previous)
                scrape->previous->next = scrape->next;
        else
                scrape->listener->server->suspended = scrape->next;
        scrape->next = scrape->previous = NULL;
        scrape->suspended = false;
        scrape->request = snapshot_request_free(scrape->request);
        client_turn(scrape->client, scrape_page(scrape), now_usec(scrape->listener->server));
        clients_cut_behind(scrape->client->clients);
        watch_clients(scrape->listener->server);
        MHD_resume_connection(scrape->connection);
        scrape->listener->resumed = true;
}

static void scrape_free(Scrape *scrape) {
        if (!scrape)
                return;
        snapshot_request_free(scrape->request);
        cleanup_close(&scrape->fd);
        free(scrape->why_not);
        free(scrape);
}

/* Takes the response. */
static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status,
                struct MHD_Response *response, const char *content_type) {
        enum MHD_Result result;

        if (!response)
                return MHD_NO; /* out of memory: the connection is closed */
        result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
        if (result == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
                result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        if (result == MHD_YES)
                result = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return result;
}

static enum MHD_Result queue_text(struct MHD_Connection *connection, unsigned status, const char *text) {
        return queue(connection, status,
                        MHD_create_response_from_buffer(strlen(text), (void *) text, MHD_RESPMEM_MUST_COPY),
                        "text/plain; charset=utf-8");
}

static enum MHD_Result scrape_answer(Scrape *scrape) {
        _cleanup_free_ char *line = NULL;
        struct MHD_Response *response;

        if (scrape->fd >= 0) {
                response = MHD_create_response_from_fd64(scrape->size, scrape->fd);
                if (response)
                        TAKE_FD(scrape->fd);
                return queue(scrape->connection, MHD_HTTP_OK, response,
                                "application/openmetrics-text; version=1.0.0; charset=utf-8");
        }
        if (asprintf(&line, "%s\n", scrape->why_not ?: "out of memory") < 0) {
                line = NULL;
                return MHD_NO;
        }
        return queue_text(scrape->connection, MHD_HTTP_SERVICE_UNAVAILABLE, line);
}

/* 0, or why he may not read. Who comes from elsewhere could connect because the operator said so (listen=).
 */
static int identify(HttpServer *server, Client *client) {
        User user;
        int r;

        r = peer_find(client->fd, &client->uid);
        if (r == PEER_REMOTE)
                return 0;
        client->is_local = true;
        if (r < 0)
                return r;
        if (client->uid == 0 || client->uid == geteuid())
                return 0;
        r = user_database_find(server->users, client->uid, &user);
        if (r < 0)
                return r == -ENOENT ? -EACCES : r;
        return user.is_member ? 0 : -EACCES;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, const Client *client) {
        _cleanup_free_ char *line = NULL;
        int r;

        if (client->stranger == -EACCES)
                r = asprintf(&line,
                                "On this host root and the group " READERS_GROUP
                                " may read; uid %u is neither.\n",
                                client->uid);
        else
                r = asprintf(&line, "Who asks, of this host, cannot be told: %s\n",
                                strerror(-client->stranger));
        if (r < 0) {
                line = NULL;
                return MHD_NO;
        }
        return queue_text(connection, MHD_HTTP_FORBIDDEN, line);
}

static void handle_snapshot(int fd, uint64_t size, const char *why_not, void *userdata) {
        Scrape *scrape = userdata;

        scrape->answered = true;
        scrape->fd = fd;
        scrape->size = size;
        scrape->why_not = why_not ? strdup(why_not) : NULL;
        scrape_resume(scrape);
}

/* Called for the head of a request, for each part of its body, at its end, and again after a resume. */
static enum MHD_Result handle_request(void *userdata, struct MHD_Connection *connection, const char *url,
                const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
                void **request_state) {
        Listener *listener = userdata;
        Scrape *scrape = *request_state;
        bool metrics = strcmp(url, "/metrics") == 0;
        int r;

        if (!scrape) {
                if (!client_of(connection))
                        return MHD_NO;
                if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                        return queue_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                        "Only GET and HEAD are served.\n");
                *request_state = scrape = scrape_new(listener, connection);
                return scrape ? MHD_YES : MHD_NO;
        }
        if (*upload_data_size > 0)
                return MHD_NO; /* nobody has to send us anything: the connection is closed */
        if (strcmp(url, "/") == 0)
                return queue(connection, MHD_HTTP_OK,
                                MHD_create_response_from_buffer(
                                                strlen(page), (void *) page, MHD_RESPMEM_PERSISTENT),
                                "text/html; charset=utf-8");
        if (!metrics)
                return queue_text(connection, MHD_HTTP_NOT_FOUND, "Not found; there is /metrics.\n");
        if (scrape->client->stranger < 0)
                return refuse(connection, scrape->client);
        if (scrape->answered)
                return scrape_answer(scrape);
        if (scrape->request)
                return MHD_YES; /* asked already, still suspended */

        r = snapshot_request_new(listener->server->source, handle_snapshot, scrape, &scrape->request,
                        &scrape->why_not);
        if (r < 0)
                return scrape_answer(scrape);
        scrape_suspend(scrape);
        return MHD_YES;
}

static void handle_completed(void *userdata, struct MHD_Connection *connection, void **request_state,
                enum MHD_RequestTerminationCode code) {
        Listener *listener = userdata;
        Client *client = client_of(connection);

        scrape_free(*request_state);
        *request_state = NULL;
        if (client)
                client_turn(client, 0, now_usec(listener->server));
        watch_clients(listener->server);
}

/* Before anything is read, and after the last byte. A connection cannot be refused here, but cut; also one
 * for which there is no memory. */
static void handle_connection(void *userdata, struct MHD_Connection *connection, void **client,
                enum MHD_ConnectionNotificationCode code) {
        Listener *listener = userdata;
        HttpServer *server = listener->server;
        const struct sockaddr *address;
        Client *new;
        int fd;

        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
                *client = client_free(*client);
                return;
        }
        fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
        if (client_new(&server->clients, fd, address, listener, now_usec(server), &new) < 0) {
                (void) shutdown(fd, SHUT_RDWR);
                return;
        }
        *client = new;
        new->stranger = identify(server, new);
        if (client_count_source(new) > CLIENTS_OF_SOURCE_MAX)
                client_cut(new);
        watch_clients(server);
}

static void listener_run(Listener *listener) {
        listener->resumed = false;
        MHD_run(listener->daemon);
}

static int handle_io(sd_event_source *event_source, int fd, uint32_t events, void *userdata) {
        listener_run(userdata);
        return 0;
}

static int handle_timer(sd_event_source *event_source, uint64_t usec, void *userdata) {
        listener_run(userdata);
        return 0;
}

/* Before each wait: libmicrohttpd says until when it may last, 0 where it has work that no descriptor shows.
 */
static int handle_prepare(sd_event_source *event_source, void *userdata) {
        Listener *listener = userdata;
        unsigned long long msec = 0;
        uint64_t now_usec;
        int r;

        if (!listener->resumed && MHD_get_timeout(listener->daemon, &msec) != MHD_YES)
                return sd_event_source_set_enabled(listener->timer, SD_EVENT_OFF);
        r = sd_event_now(listener->server->event, CLOCK_MONOTONIC, &now_usec);
        if (r < 0)
                return r;
        r = sd_event_source_set_time(listener->timer, now_usec + msec * 1000);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(listener->timer, SD_EVENT_ONESHOT);
}

/* At boot an address may come later than we: DHCP's, or IPv6's while it is looked for a double. IP_FREEBIND
 * is IPv6's, too. */
static int bind_early(int fd, const Address *address, const char *text) {
        const struct sockaddr *sockaddr = (const struct sockaddr *) &address->sockaddr;
        const int yes = 1;

        if (bind(fd, sockaddr, address->size) >= 0)
                return 0;
        if (errno != EADDRNOTAVAIL || setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &yes, sizeof(yes)) < 0 ||
                        bind(fd, sockaddr, address->size) < 0)
                return -errno;
        log_warning("%s is no address of this node yet", text);
        return 0;
}

static int open_socket(const Address *address, const char *text, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        const int yes = 1;
        int r;

        fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
                return -errno;
        if (address->sockaddr.ss_family == AF_INET6 &&
                        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0)
                return -errno;
        r = bind_early(fd, address, text);
        if (r < 0)
                return r;
        if (listen(fd, BACKLOG) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int note_address(HttpServer *server, int fd) {
        _cleanup_free_ char *text = NULL;
        Address bound = { .size = sizeof(bound.sockaddr) };
        char *addresses;
        int r;

        if (getsockname(fd, (struct sockaddr *) &bound.sockaddr, &bound.size) < 0)
                return -errno;
        r = address_format(&bound, &text);
        if (r < 0)
                return r;
        if (asprintf(&addresses, "%s%s%s", server->addresses ?: "", server->addresses ? " " : "", text) < 0)
                return -ENOMEM;
        free(server->addresses);
        server->addresses = addresses;
        return 0;
}

/* `fd` is libmicrohttpd's from here on. */
static int listener_start(Listener *listener, int fd, bool v6) {
        const union MHD_DaemonInfo *info;
        sd_event *event = listener->server->event;
        int r;

        listener->daemon = MHD_start_daemon(
                        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (v6 ? MHD_USE_IPv6 : MHD_NO_FLAG), 0, NULL,
                        NULL, handle_request, listener, MHD_OPTION_LISTEN_SOCKET, fd,
                        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                        CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_IDLE_SEC,
                        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
                        MHD_OPTION_NOTIFY_COMPLETED, handle_completed, listener, MHD_OPTION_NOTIFY_CONNECTION,
                        handle_connection, listener, MHD_OPTION_END);
        if (!listener->daemon)
                return -ENOMEM;
        info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        if (!info)
                return -EOPNOTSUPP;
        r = sd_event_add_time(event, &listener->timer, CLOCK_MONOTONIC, 0, /* accuracy= */ 1, handle_timer,
                        listener);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &listener->io, info->epoll_fd, EPOLLIN, handle_io, listener);
        if (r < 0)
                return r;
        return sd_event_source_set_prepare(listener->io, handle_prepare);
}

static int server_listen(HttpServer *server, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        Address address;
        int r;

        r = address_parse(text, &address);
        if (r >= 0)
                r = open_socket(&address, text, &fd);
        if (r < 0)
                return log_error_errno(r, "Cannot listen on %s", text);
        r = note_address(server, fd);
        if (r < 0)
                return r;
        Listener *listener = &server->listeners[server->n_listeners++];

        listener->server = server;
        r = listener_start(listener, TAKE_FD(fd), address.sockaddr.ss_family == AF_INET6);
        if (r < 0)
                return log_error_errno(r, "Cannot serve on %s", text);
        return 0;
}

int http_server_new(sd_event *event, SnapshotSource *source, char *const *listen_on, HttpServer **ret) {
        _cleanup_(http_server_free_p) HttpServer *server = calloc(1, sizeof(*server));
        size_t n = 0;
        int r;

        if (!server)
                return -ENOMEM;
        server->event = sd_event_ref(event);
        server->source = source;
        r = user_database_new(READERS_GROUP, &server->users);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &server->overdue, CLOCK_MONOTONIC, 0, /* accuracy= */ 0, handle_overdue,
                        server);
        if (r >= 0)
                r = sd_event_source_set_enabled(server->overdue, SD_EVENT_OFF);
        if (r < 0)
                return r;
        while (listen_on[n])
                n++;
        server->listeners = calloc(n + 1, sizeof(Listener));
        if (!server->listeners)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = server_listen(server, listen_on[i]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(server);
        return 0;
}

HttpServer *http_server_free(HttpServer *server) {
        if (!server)
                return NULL;
        /* libmicrohttpd aborts where a connection is still suspended when it is stopped. */
        while (server->suspended)
                scrape_resume(server->suspended);
        for (size_t i = 0; i < server->n_listeners; i++) {
                Listener *listener = &server->listeners[i];

                sd_event_source_disable_unref(listener->io);
                sd_event_source_disable_unref(listener->timer);
                if (listener->daemon)
                        MHD_stop_daemon(listener->daemon);
        }
        sd_event_source_disable_unref(server->overdue);
        user_database_free(server->users);
        free(server->listeners);
        free(server->addresses);
        sd_event_unref(server->event);
        free(server);
        return NULL;
}

const char *http_server_addresses(const HttpServer *server) {
        return server->addresses ?: "";
}
