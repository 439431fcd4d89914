/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * headgate-exporter as a scraper meets it: a bus of its own, a mock of headgated on it, the real process,
 * real HTTP on loopback. It needs no root and waits for events only: the bus's address, the mock's name,
 * READY=1, an answer.
 */

#include "own-bus.h"

#include "util/cleanup.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#define WAIT_SEC 20 /* a bound, never a time that is waited out */

typedef enum MockMode {
        MOCK_ANSWER,
        MOCK_LARGE,
        MOCK_REFUSE,
        MOCK_SILENT,
        MOCK_UNSEALED,
        MOCK_PIPE
} MockMode;

static char dir[] = "/tmp/headgate-exporter-XXXXXX";
static pid_t mock_pid, exporter_pid;
static uint16_t port;
static unsigned *calls; /* of Snapshot, as the mock has them: shared with it */

/* More than a socket's buffer, and not text alone. */
#define BODY_SIZE 3000001
static char body[BODY_SIZE];
/* More than the kernel's buffers between two who are connected. */
#define LARGE_SIZE (16 << 20)

static pid_t start(void) {
        pid_t pid = fork();

        cr_assert_geq(pid, 0);
        if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(125);
        return pid;
}

static int stop(pid_t *pid, int number) {
        int status = 0;

        if (*pid > 0) {
                kill(*pid, number);
                waitpid(*pid, &status, 0);
        }
        *pid = 0;
        return status;
}

static char *path_in_dir(const char *name) {
        char *path;

        cr_assert_gt(asprintf(&path, "%s/%s", dir, name), 0);
        return path;
}

static void write_file(const char *name, const char *format, ...) _printf_(2, 3);
static void write_file(const char *name, const char *format, ...) {
        _cleanup_free_ char *path = path_in_dir(name);
        _cleanup_fclose_ FILE *file = fopen(path, "we");
        va_list args;

        cr_assert(file);
        va_start(args, format);
        vfprintf(file, format, args);
        va_end(args);
}

static void read_byte(int fd) {
        char c;

        cr_assert_eq(read(fd, &c, 1), 1, "the process that should get ready ended");
}

static int mock_answer_fd(MockMode mode) {
        int fd, pipe_fds[2];

        if (mode == MOCK_PIPE)
                return pipe2(pipe_fds, O_CLOEXEC) < 0 ? -errno : pipe_fds[0];
        fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || write(fd, body, BODY_SIZE) != BODY_SIZE)
                return -EIO;
        if (mode == MOCK_LARGE && ftruncate(fd, LARGE_SIZE) < 0)
                return -errno;
        if ((mode == MOCK_ANSWER || mode == MOCK_LARGE) &&
                        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
                return -errno;
        return fd;
}

static int mock_snapshot(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        const MockMode *mode = userdata;
        _cleanup_close_ int fd = -EBADF;
        const char *format;
        int r;

        __atomic_add_fetch(calls, 1, __ATOMIC_SEQ_CST);
        r = sd_bus_message_read(message, "s", &format);
        if (r < 0)
                return r;
        if (strcmp(format, "openmetrics") != 0)
                return sd_bus_error_set(ret_error, "org.headgate.Error.NotSupported", format);
        if (*mode == MOCK_REFUSE)
                return sd_bus_error_set(ret_error, "org.headgate.Error.AccessDenied", "not for you");
        if (*mode == MOCK_SILENT)
                return 1;
        fd = mock_answer_fd(*mode);
        return fd < 0 ? fd : sd_bus_reply_method_return(message, "h", fd);
}

static const sd_bus_vtable mock_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Snapshot", "s", "h", mock_snapshot, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int mock_run(MockMode mode, int ready_fd) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_free_ char *address = NULL;

        if (asprintf(&address, "unix:path=%s/bus", dir) < 0 || sd_event_new(&event) < 0 ||
                        sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 ||
                        sd_bus_set_bus_client(bus, true) < 0 || sd_bus_start(bus) < 0 ||
                        sd_bus_add_object_vtable(bus, NULL, "/org/headgate/Node1",
                                        "org.headgate.Node1.Manager", mock_vtable, &mode) < 0 ||
                        sd_bus_request_name(bus, "org.headgate.Node1", 0) < 0 ||
                        sd_bus_attach_event(bus, event, 0) < 0 || write(ready_fd, "", 1) != 1)
                return 1;
        return sd_event_loop(event) < 0;
}

static void start_mock(MockMode mode) {
        int pipe_fds[2];

        cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
        mock_pid = start();
        if (mock_pid == 0)
                _exit(mock_run(mode, pipe_fds[1]));
        close(pipe_fds[1]);
        read_byte(pipe_fds[0]);
        close(pipe_fds[0]);
}

/* Waits for READY=1, which also says on which port it listens. `listen`: other addresses, with a blank
 * before. */
static void start_exporter_on(const char *listen) {
        const struct timeval bound = { .tv_sec = WAIT_SEC };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_free_ char *config = path_in_dir("exporter.conf");
        _cleanup_close_ int fd = -EBADF;
        char status[512];
        const char *colon;
        ssize_t n;

        write_file("exporter.conf",
                        "[exporter]\n# any free port\nlisten = 127.0.0.1:0%s\nbus=unix:path=%s/bus\n", listen,
                        dir);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", dir);
        unlink(address.sun_path);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert_eq(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)), 0);
        exporter_pid = start();
        if (exporter_pid == 0) {
                setenv("NOTIFY_SOCKET", address.sun_path, 1);
                execl(getenv("HEADGATE_EXPORTER"), "headgate-exporter", "--config", config, "--timeout=1",
                                NULL);
                _exit(125);
        }
        n = recv(fd, status, sizeof(status) - 1, 0);
        cr_assert_gt(n, 0, "no READY=1");
        status[n] = '\0';
        cr_assert(strstr(status, "READY=1\nSTATUS=Serving /metrics on 127.0.0.1:"), "%s", status);
        colon = strstr(status, "127.0.0.1:") + strlen("127.0.0.1");
        port = (uint16_t) strtoul(colon + 1, NULL, 10);
        cr_assert_gt(port, 0);
        for (const char *p = listen; (p = strchr(p, ' ')); p++) {
                _cleanup_free_ char *word = strndup(p, strcspn(p + 1, " ") + 1);

                cr_expect(strstr(status, word), "no%s in %s", word, status);
        }
}

static void start_exporter(void) {
        start_exporter_on("");
}

static int http_connect(void) {
        const struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        const struct timeval bound = { .tv_sec = WAIT_SEC };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert_geq(fd, 0);
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)), 0);
        cr_assert_eq(connect(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static void http_send(int fd, const char *request) {
        cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t) strlen(request));
}

static char answer[BODY_SIZE + 4096];

typedef struct Answer {
        int status;
        const char *head; /* in `answer`, up to a NUL */
        const char *body;
        size_t body_size;
} Answer;

/* Until the other side closes: the request asked for that. */
static Answer http_receive(int fd) {
        Answer a = {};
        size_t n = 0;
        ssize_t got;
        char *end;

        while ((got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0)) > 0)
                n += (size_t) got;
        cr_assert_eq(got, 0, "no answer: %m");
        answer[n] = '\0';
        end = strstr(answer, "\r\n\r\n");
        cr_assert(end, "no HTTP answer: %.100s", answer);
        *end = '\0';
        cr_assert_eq(sscanf(answer, "HTTP/1.1 %d", &a.status), 1);
        a.head = answer;
        a.body = end + 4;
        a.body_size = (size_t) (answer + n - a.body);
        return a;
}

static Answer http(const char *method, const char *path) {
        _cleanup_close_ int fd = http_connect();
        char request[256];

        snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n",
                        method, path);
        http_send(fd, request);
        return http_receive(fd);
}

static bool has_header(const Answer *a, const char *line) {
        const char *found = strcasestr(a->head, line);

        return found && found[-1] == '\n' && (found[strlen(line)] == '\r' || found[strlen(line)] == '\0');
}

static void expect_unavailable(const char *sentence) {
        Answer a = http("GET", "/metrics");

        cr_expect_eq(a.status, 503, "%d instead of: %s", a.status, sentence);
        cr_expect(strstr(a.body, sentence) && strchr(a.body, '\n') == a.body + a.body_size - 1,
                        "\"%s\" instead of: %s", a.body, sentence);
}

static void set_up(void) {
        if (system("command -v dbus-daemon >/dev/null") != 0)
                cr_skip_test("skipped: no dbus-daemon here (Debian: dbus-daemon)");
        cr_assert(mkdtemp(dir));
        calls = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        cr_assert(calls != MAP_FAILED);
        for (size_t i = 0; i < BODY_SIZE; i++)
                body[i] = (char) (i * 7919 >> 3);
}

static void tear_down(void) {
        static const char *const names[] = { "bus", "bus.conf", "exporter.conf", "notify" };

        stop(&exporter_pid, SIGKILL);
        stop(&mock_pid, SIGKILL);
        own_bus_stop();
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = path_in_dir(names[i]);

                unlink(path);
        }
        rmdir(dir);
}

TestSuite(exporter, .init = set_up, .fini = tear_down, .timeout = 60);

Test(exporter, sends_the_snapshot_byte_for_byte) {
        char length[64];
        Answer a;

        own_bus_start(dir);
        start_mock(MOCK_ANSWER);
        start_exporter();
        snprintf(length, sizeof(length), "Content-Length: %d", BODY_SIZE);
        /* Twice: the connection to the bus is kept. */
        for (int i = 0; i < 2; i++) {
                a = http("GET", "/metrics");
                cr_expect_eq(a.status, 200);
                cr_expect(has_header(&a,
                                "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
                cr_expect(has_header(&a, length));
                cr_assert_eq(a.body_size, BODY_SIZE);
                cr_expect_eq(memcmp(a.body, body, BODY_SIZE), 0);
        }
        a = http("HEAD", "/metrics");
        cr_expect_eq(a.status, 200);
        cr_expect(has_header(&a, length));
        cr_expect_eq(a.body_size, 0);
}

Test(exporter, serves_two_paths_and_two_methods) {
        static const struct {
                const char *method, *path;
                int status;
                const char *header;
        } cases[] = {
                { "GET", "/", 200, "Content-Type: text/html; charset=utf-8" },
                { "HEAD", "/", 200, NULL },
                { "GET", "/metrics?name=x", 503, NULL }, /* there is no bus: found, but not to be had */
                { "GET", "/metrics/", 404, NULL },
                { "GET", "/metric", 404, NULL },
                { "GET", "/../etc/passwd", 404, NULL },
                { "HEAD", "/index.html", 404, NULL },
                { "POST", "/metrics", 405, "Allow: GET, HEAD" },
                { "PUT", "/", 405, "Allow: GET, HEAD" },
                { "DELETE", "/nowhere", 405, "Allow: GET, HEAD" },
                { "OPTIONS", "/metrics", 405, "Allow: GET, HEAD" },
        };

        start_exporter();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Answer a = http(cases[i].method, cases[i].path);

                cr_expect_eq(a.status, cases[i].status, "%s %s: %d", cases[i].method, cases[i].path,
                                a.status);
                cr_expect(!cases[i].header || has_header(&a, cases[i].header), "%s %s: no %s in %s",
                                cases[i].method, cases[i].path, cases[i].header, a.head);
        }
}

Test(exporter, says_why_there_is_nothing) {
        static const struct {
                MockMode mode;
                const char *sentence;
        } cases[] = {
                { MOCK_REFUSE, "headgated refused: not for you" },
                { MOCK_SILENT, "headgated did not answer within 1 s" },
                { MOCK_UNSEALED, "headgated answered with no sealed memfd" },
                { MOCK_PIPE, "headgated answered with no sealed memfd" },
        };

        start_exporter();
        expect_unavailable("no connection to the bus");
        own_bus_start(dir);
        expect_unavailable("headgated is not running");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                start_mock(cases[i].mode);
                expect_unavailable(cases[i].sentence);
                stop(&mock_pid, SIGKILL);
        }
}

Test(exporter, finds_bus_and_daemon_again) {
        start_exporter();
        for (int i = 0; i < 2; i++) {
                own_bus_start(dir);
                start_mock(MOCK_ANSWER);
                cr_expect_eq(http("GET", "/metrics").status, 200);
                stop(&mock_pid, SIGKILL);
                expect_unavailable("headgated is not running");
                start_mock(MOCK_ANSWER);
                cr_expect_eq(http("GET", "/metrics").status, 200);
                own_bus_stop();
                stop(&mock_pid, SIGKILL);
                /* Either word is right: the loss may be seen before or after the question. */
                cr_expect_eq(http("GET", "/metrics").status, 503);
        }
}

/* Also where the bus takes the connection and never says a word: sd-bus's own time would not have begun to
 * count. */
Test(exporter, does_not_wait_for_a_dead_bus) {
        own_bus_start(dir);
        own_bus_signal(SIGSTOP);
        start_exporter();
        expect_unavailable("headgated did not answer within 1 s");
        own_bus_signal(SIGCONT);
        start_mock(MOCK_ANSWER);
        cr_expect_eq(http("GET", "/metrics").status, 200);
}

Test(exporter, one_scrape_does_not_hold_up_another) {
        _cleanup_close_ int fd = -EBADF;

        own_bus_start(dir);
        start_mock(MOCK_SILENT);
        start_exporter();
        fd = http_connect();
        http_send(fd, "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        cr_expect_eq(http("GET", "/").status, 200);
        cr_expect_eq(recv(fd, answer, 1, MSG_DONTWAIT), -1, "the first was answered before");
        cr_expect_eq(http_receive(fd).status, 503);
}

/* Whoever may connect can not have headgated make a snapshot for each of his requests. */
Test(exporter, many_scrapes_share_an_answer) {
        struct timespec begin, end;
        int fds[12];

        own_bus_start(dir);
        start_mock(MOCK_ANSWER);
        start_exporter();
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (size_t round = 0; round < 8; round++) {
                for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                        fds[i] = http_connect();
                        http_send(fds[i], "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
                }
                for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                        Answer a = http_receive(fds[i]);

                        cr_expect_eq(a.status, 200);
                        cr_expect(a.body_size == BODY_SIZE && memcmp(a.body, body, BODY_SIZE) == 0);
                        close(fds[i]);
                }
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        cr_expect_leq(*calls, 2 * (unsigned) (end.tv_sec - begin.tv_sec) + 2, "%u calls", *calls);
}

/* Each page that is being read is headgated's memory: who is far behind does not keep his. */
Test(exporter, slow_readers_keep_few_pages) {
        int fds[6];
        bool whole[ELEMENTSOF(fds)];

        own_bus_start(dir);
        start_mock(MOCK_LARGE);
        start_exporter();
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = http_connect();
                http_send(fds[i], "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
                cr_assert_eq(recv(fds[i], answer, 12, MSG_WAITALL), 12);
                cr_expect_eq(memcmp(answer, "HTTP/1.1 200", 12), 0);
        }
        cr_expect_eq(*calls, ELEMENTSOF(fds), "each has a page of his own");
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                size_t n = 12;
                ssize_t got;

                while ((got = recv(fds[i], answer, sizeof(answer), 0)) > 0)
                        n += (size_t) got;
                whole[i] = got == 0 && n > LARGE_SIZE;
                close(fds[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                cr_expect_eq(whole[i], i >= 2, "reader %zu", i);
}

/* The status of what another user is answered; its text is in `answer`. */
static int http_as(uid_t uid, const char *path) {
        int status, answered = 0, fds[2];
        pid_t pid;
        ssize_t n;

        cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
        pid = start();
        if (pid == 0) {
                Answer a;

                if (setgroups(0, NULL) < 0 || setresuid(uid, uid, uid) < 0)
                        _exit(125);
                a = http("GET", path);
                _exit(write(fds[1], &a.status, sizeof(a.status)) < 0 ||
                                write(fds[1], a.body, a.body_size < 1000 ? a.body_size : 1000) < 0);
        }
        close(fds[1]);
        cr_assert_eq(read(fds[0], &answered, sizeof(answered)), sizeof(answered));
        n = read(fds[0], answer, sizeof(answer) - 1);
        close(fds[0]);
        answer[n > 0 ? n : 0] = '\0';
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        return answered;
}

/* A user of this host who may not ask headgated may not ask us. */
Test(exporter, strangers_of_this_host_read_nothing) {
        if (geteuid() != 0)
                cr_skip_test("skipped: only root can be another user");
        own_bus_start(dir);
        start_mock(MOCK_ANSWER);
        start_exporter();
        cr_expect_eq(http_as(65534, "/metrics"), 403);
        cr_expect_str_eq(
                        answer, "On this host root and the group headgate may read; uid 65534 is neither.\n");
        cr_expect_eq(http_as(65534, "/"), 200);
        cr_expect_eq(*calls, 0);
        cr_expect_eq(http("GET", "/metrics").status, 200);
        cr_expect_eq(*calls, 1);
}

/* Three users of this host, twelve connections each. Exits with how many were cut, once it is asked. */
static void run_strangers(int ready_fd, int go_fd) {
        int strangers[36], n = 0;
        char c;

        for (size_t i = 0; i < ELEMENTSOF(strangers); i++) {
                if (seteuid(65530 + (uid_t) i / 12) < 0)
                        _exit(125);
                strangers[i] = http_connect();
                if (seteuid(0) < 0)
                        _exit(125);
        }
        if (write(ready_fd, "", 1) != 1 || read(go_fd, &c, 1) != 1)
                _exit(125);
        for (size_t i = 0; i < ELEMENTSOF(strangers); i++)
                n += recv(strangers[i], &c, 1, MSG_DONTWAIT) == 0;
        _exit(n);
}

/* They keep nobody out: all of them have half the connections. */
Test(exporter, strangers_of_this_host_leave_room) {
        int ready[2], go[2], status;
        pid_t pid;

        if (geteuid() != 0)
                cr_skip_test("skipped: only root can be another user");
        start_exporter();
        cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
        cr_assert_eq(pipe2(go, O_CLOEXEC), 0);
        pid = start();
        if (pid == 0)
                run_strangers(ready[1], go[0]);
        read_byte(ready[0]);
        /* Connections are taken in their order. */
        cr_expect_eq(http("GET", "/").status, 200);
        cr_assert_eq(write(go[1], "", 1), 1);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 20, "%x", (unsigned) status);
        for (size_t i = 0; i < 2; i++) {
                close(ready[i]);
                close(go[i]);
        }
}

/* At boot, before DHCP and the search for a double are through: addresses of documentation are nobody's. */
Test(exporter, does_not_wait_for_addresses) {
        start_exporter_on(" 192.0.2.1:9464 [2001:db8::1]:9464");
        cr_expect_eq(http("GET", "/").status, 200);
}

/* Two requests on one connection, a client that leaves, and more clients than may be connected. */
Test(exporter, keeps_serving) {
        static int idle[100];
        _cleanup_close_ int fd = -EBADF;
        Answer a;

        own_bus_start(dir);
        start_mock(MOCK_ANSWER);
        start_exporter();
        fd = http_connect();
        http_send(fd, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: "
                      "close\r\n\r\n");
        a = http_receive(fd);
        cr_expect_eq(a.status, 200);
        cr_expect(strstr(a.body, "HTTP/1.1 200 OK") && strstr(a.body, "<h1>Headgate</h1>"));

        for (size_t i = 0; i < ELEMENTSOF(idle); i++) {
                idle[i] = http_connect();
                http_send(idle[i], i % 2 ? "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" : "GET /metr");
        }
        for (size_t i = 0; i < ELEMENTSOF(idle); i++)
                close(idle[i]);
        /* A connection that the bound turned away is closed without a word: then there is room again soon. */
        for (time_t end = time(NULL) + WAIT_SEC; time(NULL) < end;) {
                static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                _cleanup_close_ int again = http_connect();

                if (send(again, request, strlen(request), MSG_NOSIGNAL) == (ssize_t) strlen(request) &&
                                recv(again, answer, 12, MSG_WAITALL) == 12 &&
                                memcmp(answer, "HTTP/1.1 200", 12) == 0)
                        return;
        }
        cr_assert_fail("no connection is taken any more");
}

Test(exporter, stops_at_once_and_in_order) {
        _cleanup_close_ int fd = -EBADF;
        int status;

        own_bus_start(dir);
        start_mock(MOCK_SILENT);
        start_exporter();
        fd = http_connect();
        http_send(fd, "GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n");
        /* Its own answer shows that the scrape before it was read. */
        cr_expect_eq(http("GET", "/").status, 200);
        status = stop(&exporter_pid, SIGTERM);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned) status);
}

Test(exporter, refuses_what_it_does_not_know) {
        static const struct {
                const char *config;
                const char *arguments;
                const char *output; /* the first line's start */
                int status;
        } cases[] = {
                { "", "--version", "headgate-exporter ", 0 },
                { "", "--help", "headgate-exporter [OPTION", 0 },
                { "", "--listen=localhost:80",
                                "headgate-exporter: --listen: \"localhost:80\" is not ADDRESS:PORT", 2 },
                { "", "--bus=here", "headgate-exporter: --bus: \"here\" is not system, session or", 2 },
                { "", "--timeout=0", "headgate-exporter: --timeout: \"0\" is not whole seconds", 2 },
                { "", "--timeout=61", "headgate-exporter: --timeout: \"61\" is not whole seconds", 2 },
                { "", "--wrong", "headgate-exporter: unrecognized option", 2 },
                { "", "word", "headgate-exporter: unexpected argument \"word\"", 2 },
                { "[exporter]\nlisten=[::1\n", "", "headgate-exporter: %s:2: listen: \"[::1\" is not", 2 },
                { "[exporter]\nlisten=1.2.3.4:1 1.2.3.4:x\n", "",
                                "headgate-exporter: %s:2: listen: \"1.2.3.4:1", 2 },
                { "[exporter]\nport=1\n", "", "headgate-exporter: %s:2: unknown key \"port\"", 2 },
                { "\n[other]\na=1\nb=1\n", "", "headgate-exporter: %s:2: unknown section \"other\"", 2 },
                { "[exporter]\nlisten\n", "", "headgate-exporter: %s:2: neither a [section] nor", 2 },
                { "[exporter]\nbus=system\n  port=1\n", "", "headgate-exporter: %s:3: unknown key \"port\"",
                                2 },
                { NULL, "", "headgate-exporter: %s: No such file", 2 },
                { "", "--listen=[fe80::1%nosuch0]:1",
                                "error: Cannot listen on [fe80::1%nosuch0]:1: No such device", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *command = NULL, *expected = NULL, *path = path_in_dir("exporter.conf");
                char line[512] = "";
                FILE *output;
                int status;

                if (cases[i].config)
                        write_file("exporter.conf", "%s", cases[i].config);
                else
                        unlink(path);
                cr_assert_gt(asprintf(&command, "%s --config %s %s 2>&1", getenv("HEADGATE_EXPORTER"), path,
                                             cases[i].arguments),
                                0);
                output = popen(command, "re");
                cr_assert(output && fgets(line, sizeof(line), output), "case %zu says nothing", i);
                status = pclose(output);
                cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == cases[i].status, "case %zu: %x: %s", i,
                                (unsigned) status, line);
                /* getopt_long() names the program as it was called. */
                expected = strstr(cases[i].output, "%s") ? NULL : strdup(cases[i].output);
                if (!expected) {
                        const char *rest = strstr(cases[i].output, "%s") + 2;

                        cr_assert_gt(asprintf(&expected, "headgate-exporter: %s%s", path, rest), 0);
                }
                cr_expect(strncmp(line, expected, strlen(expected)) == 0 ||
                                                (cases[i].status == 2 && strstr(line, expected + 19)),
                                "case %zu: %s", i, line);
        }
}
