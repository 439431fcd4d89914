/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sockets that are held in a known number, in a network of the test's own: listening, connected, accepted and
 * not, of one tenant or two, in another network namespace, from before a restart and during it, and closed.
 */

#include "host.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "meter/socket-meter.h"

TestSuite(socket_meter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U
#define SLOTS 16U
#define PORT 7000
#define WAIT_SEC 20

typedef struct Expected {
        uint64_t tcp, established, udp;
} Expected;

static bool has(const Sample *sample, const Expected *expected) {
        return sample_has(sample, METRIC_NET_TCP_SOCKETS) &&
               sample->value[METRIC_NET_TCP_SOCKETS] == expected->tcp &&
               sample->value[METRIC_NET_TCP_ESTABLISHED] == expected->established &&
               sample->value[METRIC_NET_UDP_SOCKETS] == expected->udp;
}

/* TCP takes a moment where two ends agree on something; what it comes to is exact. */
static void expect_sockets(Meter *meter, uint32_t slot, Expected expected, const char *what) {
        time_t end = time(NULL) + WAIT_SEC;
        Sample sample;

        do {
                sample = meter_must_read(meter, slot);
                if (has(&sample, &expected))
                        return;
                sched_yield();
        } while (time(NULL) < end);
        cr_assert_fail("%s: %" PRIu64 " of TCP, %" PRIu64 " established, %" PRIu64 " of UDP", what,
                        sample.value[METRIC_NET_TCP_SOCKETS], sample.value[METRIC_NET_TCP_ESTABLISHED],
                        sample.value[METRIC_NET_UDP_SOCKETS]);
}

/* What a worker holds from one command to the next. */
static int held[SOCKETS_A_RUN + 200];
static unsigned n_held;

static int hold(int fd) {
        if (fd < 0)
                abort();
        held[n_held++] = fd;
        return fd;
}

static void close_all(void *userdata) {
        while (n_held > 0)
                close(held[--n_held]);
}

static struct sockaddr_in name_of_port(void) {
        return (struct sockaddr_in){
                .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
        };
}

static int listen_here(void) {
        int fd = hold(socket(AF_INET, SOCK_STREAM, 0)), on = 1;
        struct sockaddr_in name = name_of_port();

        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
                        bind(fd, (struct sockaddr *) &name, sizeof(name)) < 0 || listen(fd, 64) < 0)
                abort();
        return fd;
}

static void connect_here(void) {
        struct sockaddr_in name = name_of_port();

        if (connect(hold(socket(AF_INET, SOCK_STREAM, 0)), (struct sockaddr *) &name, sizeof(name)) < 0)
                abort();
}

/* All different. Those that are counted, and beside them what is not: a pipe, and a socket of AF_UNIX. */
#define UNCONNECTED 2U
#define CONNECTED 5U
#define ACCEPTED 3U
#define UDP 4U

static void hold_plain(void *userdata) {
        struct sockaddr_in name = name_of_port();

        for (unsigned i = 0; i < UNCONNECTED; i++)
                hold(socket(i % 2 == 0 ? AF_INET : AF_INET6, SOCK_STREAM, 0));
        for (unsigned i = 0; i < UDP; i++) {
                int fd = hold(socket(i % 2 == 0 ? AF_INET : AF_INET6, SOCK_DGRAM, 0));

                if (i == 0 && connect(fd, (struct sockaddr *) &name, sizeof(name)) < 0)
                        abort();
        }
        hold(socket(AF_UNIX, SOCK_STREAM, 0));
        hold(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

/* Both ends; some of the connections are left to wait. */
static void hold_pairs(void *userdata) {
        int listener = listen_here();

        for (unsigned i = 0; i < CONNECTED; i++)
                connect_here();
        for (unsigned i = 0; i < ACCEPTED; i++)
                hold(accept(listener, NULL, NULL));
}

static void hold_listener(void *userdata) {
        listen_here();
}

static void hold_connected(void *userdata) {
        for (unsigned i = 0; i < CONNECTED; i++)
                connect_here();
}

static void hold_other_network(void *userdata) {
        if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0)
                abort();
        hold_plain(NULL);
        hold_pairs(NULL);
}

/* One worker has one thing to do: what it is comes from here. */
typedef struct Orders {
        void (*work[4])(void *);
} Orders;

static void follow(void *userdata) {
        static unsigned next;
        const Orders *orders = userdata;

        orders->work[next++](NULL);
}

static const Expected nothing = { 0, 0, 0 };
static const Expected plain = { .tcp = UNCONNECTED, .udp = UDP };
/* The listener, and both ends. */
static const Expected pairs = { .tcp = 1 + 2 * CONNECTED, .established = 2 * CONNECTED };
static const Expected both = {
        .tcp = UNCONNECTED + 1 + 2 * CONNECTED, .established = 2 * CONNECTED, .udp = UDP
};

static void own_network(void) {
        cr_assert(unshare(CLONE_NEWNET) == 0, "%m");
        cr_assert(system("ip link set lo up") == 0);
}

/* What the kernel says that there is in our network, which is the tenants' alone. */
static Expected of_sockstat(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/thread-self/net/sockstat", "re");
        _cleanup_free_ char *line = NULL;
        Expected found = {};
        size_t size = 0;

        while (f && getline(&line, &size, f) > 0) {
                (void) sscanf(line, "TCP: inuse %" SCNu64, &found.tcp);
                (void) sscanf(line, "UDP: inuse %" SCNu64, &found.udp);
        }
        return found;
}

Test(socket_meter, known_numbers) {
        Orders orders = { { hold_pairs, hold_plain, close_all } };
        TestGroup group, inner, empty;
        Worker worker;
        Meter *meter;

        own_network();
        group = group_make("a");
        inner = group_make("a/scope");
        empty = group_make("b");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        meter_must_add(meter, OTHER_SLOT, &empty);
        worker = worker_start(&inner, follow, &orders);

        expect_sockets(meter, SLOT, nothing, "before any");
        worker_run(&worker);
        expect_sockets(meter, SLOT, pairs, "a listener and its connections");
        cr_expect_eq(of_sockstat().tcp, pairs.tcp, "the kernel says so, too");
        worker_run(&worker);
        expect_sockets(meter, SLOT, both, "and others");
        expect_sockets(meter, OTHER_SLOT, nothing, "of nobody else");
        worker_run(&worker);
        expect_sockets(meter, SLOT, nothing, "closed");
        worker_stop(&worker);
        meter_free(meter);
}

Test(socket_meter, accepted_ones_are_their_listeners) {
        TestGroup server_group, client_group;
        Worker server, client;
        Meter *meter;

        own_network();
        server_group = group_make("server");
        client_group = group_make("client");
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &server_group);
        meter_must_add(meter, OTHER_SLOT, &client_group);
        server = worker_start(&server_group, hold_listener, NULL);
        client = worker_start(&client_group, hold_connected, NULL);

        worker_run(&server);
        worker_run(&client);
        expect_sockets(meter, SLOT, (Expected){ .tcp = 1 + CONNECTED, .established = CONNECTED },
                        "the listener's, though nobody has accepted");
        expect_sockets(meter, OTHER_SLOT, (Expected){ .tcp = CONNECTED, .established = CONNECTED },
                        "who connected");
        worker_stop(&server);
        expect_sockets(meter, SLOT, nothing, "the listener is gone, and what waited for it");
        worker_stop(&client);
        expect_sockets(meter, OTHER_SLOT, nothing, "the process is gone");
        meter_free(meter);
}

Test(socket_meter, in_another_network_namespace) {
        TestGroup group = group_make("a");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker worker;

        meter_must_add(meter, SLOT, &group);
        worker = worker_start(&group, hold_other_network, NULL);
        worker_run(&worker);
        expect_sockets(meter, SLOT, both, "where we are not");
        worker_stop(&worker);
        expect_sockets(meter, SLOT, nothing, "the process is gone, and its network");
        meter_free(meter);
}

Test(socket_meter, across_restarts) {
        Orders orders = { { hold_plain, hold_pairs, close_all } };
        const char *pins = host_bpffs();
        TestGroup group;
        Worker worker;
        Meter *meter;

        own_network();
        group = group_make("a");
        meter = meter_make(pins, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        worker = worker_start(&group, follow, &orders);
        worker_run(&worker);
        expect_sockets(meter, SLOT, plain, "before");
        meter_free(meter);

        worker_run(&worker);
        meter = meter_make(pins, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        expect_sockets(meter, SLOT, both, "while nobody counted");
        meter_free(meter);

        worker_run(&worker);
        meter = meter_make(pins, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        expect_sockets(meter, SLOT, nothing, "closed while nobody counted");
        worker_stop(&worker);
        meter_release(meter);
        meter_free(meter);
}

Test(socket_meter, from_before_the_first_start) {
        Orders orders = { { hold_plain, hold_listener, close_all } };
        TestGroup group;
        Worker worker, client;
        Meter *meter;

        own_network();
        group = group_make("a");
        worker = worker_start(&group, follow, &orders);
        worker_run(&worker);
        worker_run(&worker);
        meter = meter_make(NULL, SLOTS, 0);
        meter_must_add(meter, SLOT, &group);
        expect_sockets(meter, SLOT, (Expected){ .tcp = UNCONNECTED + 1, .udp = UDP }, "found");
        client = worker_start(NULL, hold_connected, NULL);
        worker_run(&client);
        expect_sockets(meter, SLOT,
                        (Expected){ .tcp = UNCONNECTED + 1 + CONNECTED,
                                        .established = CONNECTED,
                                        .udp = UDP },
                        "connections to a listener that was found");
        worker_stop(&client);
        worker_stop(&worker);
        expect_sockets(meter, SLOT, nothing, "the process is gone");
        meter_free(meter);
}

Test(socket_meter, a_group_is_adopted_with_its_sockets) {
        TestGroup group = group_make("a"), other = group_make("b");
        Meter *meter = meter_make(NULL, SLOTS, 0);
        Worker worker = worker_start(&other, hold_plain, NULL);

        meter_must_add(meter, SLOT, &group);
        expect_sockets(meter, SLOT, nothing, "before");
        worker_run(&worker);
        cr_assert_eq(meter_add(meter, SLOT, other.path, other.fd, other.id, METER_GROUP_ADOPTED), 0);
        expect_sockets(meter, SLOT, plain, "with the adopted group");
        meter_drop(meter, other.id);
        expect_sockets(meter, SLOT, nothing, "and without");
        worker_stop(&worker);
        meter_free(meter);
}

/* With an address: the kernel keeps such a one for a while after it was closed. */
static void hold_many(void *userdata) {
        struct sockaddr_in name = { .sin_family = AF_INET };
        struct rlimit limit = { ELEMENTSOF(held) + 64, ELEMENTSOF(held) + 64 };

        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                abort();
        for (unsigned i = 0; i < SOCKETS_A_RUN + 100; i++)
                if (bind(hold(socket(AF_INET, SOCK_DGRAM, 0)), (struct sockaddr *) &name, sizeof(name)) < 0)
                        abort();
}

Test(socket_meter, many_are_counted_in_turns) {
        Orders orders = { { hold_many, close_all } };
        const Expected many = { .udp = SOCKETS_A_RUN + 100 };
        TestGroup group;
        Worker worker;
        Sample sample;
        Meter *meter;

        own_network();
        group = group_make("a");
        meter = meter_make(NULL, SLOTS, 0);
        worker = worker_start(&group, follow, &orders);
        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        expect_sockets(meter, SLOT, many, "all of them");
        worker_run(&worker);
        sample = meter_must_read(meter, SLOT);
        cr_expect(has(&sample, &many), "this turn is left out");
        sample = meter_must_read(meter, SLOT);
        cr_expect(has(&sample, &nothing), "the next is not");
        worker_stop(&worker);
        meter_free(meter);
}
