/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Asks headgated for snapshots, without ever blocking. The bus is opened at a request and again at the next
 * one after it was lost. It believes no more of an answer than that it is a memfd that nobody can change or
 * shorten any more. It speaks no IP and does not look into what it hands on.
 *
 * Whoever may connect may ask as often as he likes, and each snapshot is work for headgated: it is asked once
 * at a time, and not within PACE_USEC of a question that it answered. Who comes meanwhile waits, with all
 * others who do, for the next answer: what he gets was never taken before he asked.
 */

#include "snapshot.h"

#include "util/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define PACE_USEC 500000U

struct SnapshotSource {
        sd_event *event; /* a reference */
        sd_bus *bus;     /* a reference; NULL: not connected */
        char *address;
        uint64_t timeout_usec;
        bool failing; /* the last call failed: the journal has it, once */

        SnapshotRequest *requests; /* that have no answer yet */
        sd_bus_slot *call;         /* the one that is under way, or NULL */
        sd_event_source *timer;    /* its end; or, without a call, when the next is due; or NULL */
        uint64_t next_usec;        /* CLOCK_MONOTONIC: no call before */
};

struct SnapshotRequest {
        SnapshotSource *source;
        SnapshotHandler handler;
        void *userdata;
        bool asked;                       /* by the call that is under way */
        SnapshotRequest *next, *previous; /* of its source's */
};

int snapshot_source_new(sd_event *event, const char *bus, uint64_t timeout_usec, SnapshotSource **ret) {
        SnapshotSource *source = calloc(1, sizeof(*source));

        if (!source)
                return -ENOMEM;
        source->event = sd_event_ref(event);
        source->timeout_usec = timeout_usec;
        source->address = strdup(bus);
        if (!source->address) {
                snapshot_source_free(source);
                return -ENOMEM;
        }
        *ret = source;
        return 0;
}

SnapshotSource *snapshot_source_free(SnapshotSource *source) {
        if (!source)
                return NULL;
        sd_bus_slot_unref(source->call);
        sd_event_source_disable_unref(source->timer);
        sd_bus_close_unref(source->bus);
        sd_event_unref(source->event);
        free(source->address);
        free(source);
        return NULL;
}

static int open_bus(const char *address, sd_bus **ret) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        if (strcmp(address, "system") == 0)
                return sd_bus_open_system_with_description(ret, "headgate-exporter");
        if (strcmp(address, "session") == 0)
                return sd_bus_open_user_with_description(ret, "headgate-exporter");
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, /* b= */ true);
        if (r < 0)
                return r;
        r = sd_bus_negotiate_fds(bus, /* b= */ true);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int connect_bus(SnapshotSource *source) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        if (source->bus && sd_bus_is_open(source->bus) > 0)
                return 0;
        source->bus = sd_bus_close_unref(source->bus);
        r = open_bus(source->address, &bus);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(bus, source->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        source->bus = TAKE_PTR(bus);
        return 0;
}

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* The journal hears of the first failure and of the first success after it, not of every scrape between. */
static void note_outcome(SnapshotSource *source, const char *why_not) {
        if (why_not && !source->failing)
                log_warning("No samples to serve until further notice: %s", why_not);
        else if (!why_not && source->failing)
                log_info("headgated answers again");
        source->failing = why_not;
}

static int take_memfd(sd_bus_message *reply, int *ret_fd, uint64_t *ret_size) {
        const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int borrowed, seals, r;

        r = sd_bus_message_read(reply, "h", &borrowed);
        if (r < 0)
                return r;
        /* Answers EINVAL for what is no memfd. */
        seals = fcntl(borrowed, F_GET_SEALS);
        if (seals < 0)
                return -errno;
        if ((seals & needed) != needed)
                return -EPERM;
        fd = fcntl(borrowed, F_DUPFD_CLOEXEC, 3);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        *ret_size = (uint64_t) st.st_size;
        return 0;
}

static int explain(const sd_bus_error *error, char **ret) {
        static const char *const absent[] = { SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_SERVICE_UNKNOWN };

        for (size_t i = 0; i < ELEMENTSOF(absent); i++)
                if (sd_bus_error_has_name(error, absent[i]))
                        return asprintf(ret, "headgated is not running");
        /* The bus says so for it, or sd-bus for the bus. */
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
                return asprintf(ret, "headgated or the bus went away: %s", error->message);
        return asprintf(ret, "headgated refused: %s", error->message ?: error->name);
}

static void request_link(SnapshotRequest *request) {
        SnapshotSource *source = request->source;

        request->next = source->requests;
        if (request->next)
                request->next->previous = request;
        source->requests = request;
}

static void request_unlink(SnapshotRequest *request) {
        SnapshotSource *source = request->source;

        if (request->next)
                request->next->previous = request->previous;
        if (request->previous)
                request->previous->next = request->next;
        else if (source->requests == request)
                source->requests = request->next;
        request->next = request->previous = NULL;
}

static SnapshotRequest *find_asked(const SnapshotSource *source) {
        SnapshotRequest *request = source->requests;

        while (request && !request->asked)
                request = request->next;
        return request;
}

/* Each gets a descriptor of its own. A handler may drop its request, and others. */
static void answer_asked(SnapshotSource *source, int fd, uint64_t size, const char *why_not) {
        SnapshotRequest *request;

        while ((request = find_asked(source))) {
                int own_fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -EBADF;

                request_unlink(request);
                request->handler(own_fd < 0 ? -EBADF : own_fd, size,
                                own_fd >= 0 ? NULL
                                : fd >= 0   ? "too many open files"
                                            : why_not,
                                request->userdata);
        }
}

static void ask_again(SnapshotSource *source);

/* Of the call that was under way. NULL `why_not` without an fd: memory ran out. */
static void finish(SnapshotSource *source, int fd, uint64_t size, const char *why_not) {
        if (fd < 0 && !why_not)
                why_not = "out of memory";
        if (fd < 0)
                source->next_usec = 0;
        source->call = sd_bus_slot_unref(source->call);
        source->timer = sd_event_source_disable_unref(source->timer);
        note_outcome(source, why_not);
        answer_asked(source, fd, size, why_not);
        if (source->requests)
                ask_again(source);
}

static int handle_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        SnapshotSource *source = userdata;
        _cleanup_free_ char *why_not = NULL;
        _cleanup_close_ int fd = -EBADF;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        uint64_t size = 0;
        int r;

        if (error)
                r = explain(error, &why_not);
        else {
                r = take_memfd(reply, &fd, &size);
                if (r < 0)
                        r = asprintf(&why_not, "headgated answered with no sealed memfd: %s", strerror(-r));
        }
        if (r < 0)
                why_not = NULL;
        finish(source, fd, size, why_not);
        return 0;
}

/* Our own clock and not sd-bus's, which starts to count only when the bus has let us in. */
static int handle_deadline(sd_event_source *event_source, uint64_t usec, void *userdata) {
        SnapshotSource *source = userdata;
        _cleanup_free_ char *why_not = NULL;

        if (asprintf(&why_not, "headgated did not answer within %" PRIu64 " s",
                            source->timeout_usec / 1000000) < 0)
                why_not = NULL;
        finish(source, -EBADF, 0, why_not);
        return 0;
}

static int set_timer(SnapshotSource *source, uint64_t usec, sd_event_time_handler_t handler) {
        source->timer = sd_event_source_disable_unref(source->timer);
        return sd_event_add_time(source->event, &source->timer, CLOCK_MONOTONIC, usec, /* accuracy= */ 10000,
                        handler, source);
}

static void mark_asked(SnapshotSource *source) {
        for (SnapshotRequest *request = source->requests; request; request = request->next)
                request->asked = true;
}

static int call(SnapshotSource *source) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int r;

        r = connect_bus(source);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(source->bus, &message, "org.headgate.Node1", "/org/headgate/Node1",
                        "org.headgate.Node1.Manager", "Snapshot");
        if (r < 0)
                return r;
        r = sd_bus_message_set_auto_start(message, /* b= */ false); /* a scrape starts nothing */
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "s", "openmetrics");
        if (r < 0)
                return r;
        r = set_timer(source, now_usec() + source->timeout_usec, handle_deadline);
        if (r < 0)
                return r;
        r = sd_bus_call_async(source->bus, &source->call, message, handle_reply, source, UINT64_MAX);
        if (r < 0)
                source->timer = sd_event_source_disable_unref(source->timer);
        return r;
}

static int handle_due(sd_event_source *event_source, uint64_t usec, void *userdata) {
        SnapshotSource *source = userdata;

        source->next_usec = 0; /* also where the timer came early */
        source->timer = sd_event_source_disable_unref(source->timer);
        if (source->requests)
                ask_again(source);
        return 0;
}

/* Now, or when it is time: who waits by then shares the answer. */
static int ask(SnapshotSource *source, char **ret_why_not) {
        uint64_t now = now_usec();
        bool due = now >= source->next_usec;
        int r = due ? call(source) : set_timer(source, source->next_usec, handle_due);

        if (r < 0) {
                if (asprintf(ret_why_not, "no connection to the bus (%s): %s", source->address,
                                    strerror(-r)) < 0)
                        *ret_why_not = NULL;
                note_outcome(source, *ret_why_not ?: "out of memory");
        } else if (due) {
                source->next_usec = now + PACE_USEC;
                mark_asked(source);
        }
        return r;
}

/* For those who came while it was not time. */
static void ask_again(SnapshotSource *source) {
        _cleanup_free_ char *why_not = NULL;

        if (ask(source, &why_not) >= 0)
                return;
        mark_asked(source);
        answer_asked(source, -EBADF, 0, why_not ?: "out of memory");
}

int snapshot_request_new(SnapshotSource *source, SnapshotHandler handler, void *userdata,
                SnapshotRequest **ret, char **ret_why_not) {
        _cleanup_(snapshot_request_free_p) SnapshotRequest *request = calloc(1, sizeof(*request));
        int r;

        *ret_why_not = NULL;
        if (!request)
                return -ENOMEM;
        request->source = source;
        request->handler = handler;
        request->userdata = userdata;
        request_link(request);
        /* While there is a timer, a call is under way, or not due. */
        if (!source->timer) {
                r = ask(source, ret_why_not);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(request);
        return 0;
}

SnapshotRequest *snapshot_request_free(SnapshotRequest *request) {
        if (!request)
                return NULL;
        request_unlink(request);
        free(request);
        return NULL;
}
