/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Asks headgated for snapshots, without ever blocking. The bus is opened at a request and again at the next
 * one after it was lost. It believes no more of an answer than that it is a memfd that nobody can change or
 * shorten any more. It speaks no IP and does not look into what it hands on.
 */

#include "snapshot.h"

#include "util/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <time.h>

struct SnapshotSource {
        sd_event *event; /* a reference */
        sd_bus *bus;     /* a reference; NULL: not connected */
        char *address;
        uint64_t timeout_usec;
        bool failing; /* the last request failed: the journal has it, once */
};

struct SnapshotRequest {
        SnapshotSource *source;
        SnapshotHandler handler;
        void *userdata;
        sd_bus_slot *slot;
        sd_event_source *deadline;
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

/* Hands the outcome on; `request` may be gone afterwards. A NULL `why_not` without an fd: memory ran out. */
static void finish(SnapshotRequest *request, int fd, uint64_t size, const char *why_not) {
        if (fd < 0 && !why_not)
                why_not = "out of memory";
        request->slot = sd_bus_slot_unref(request->slot);
        request->deadline = sd_event_source_disable_unref(request->deadline);
        note_outcome(request->source, why_not);
        request->handler(fd, size, why_not, request->userdata);
}

static int handle_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error) {
        _cleanup_free_ char *why_not = NULL;
        const sd_bus_error *error = sd_bus_message_get_error(reply);
        int fd = -EBADF, r;
        uint64_t size = 0;

        if (error)
                r = explain(error, &why_not);
        else {
                r = take_memfd(reply, &fd, &size);
                if (r < 0)
                        r = asprintf(&why_not, "headgated answered with no sealed memfd: %s", strerror(-r));
        }
        if (r < 0)
                why_not = NULL;
        finish(userdata, fd, size, why_not);
        return 0;
}

/* Our own clock and not sd-bus's, which starts to count only when the bus has let us in. */
static int handle_deadline(sd_event_source *event_source, uint64_t usec, void *userdata) {
        SnapshotRequest *request = userdata;
        _cleanup_free_ char *why_not = NULL;

        if (asprintf(&why_not, "headgated did not answer within %" PRIu64 " s",
                            request->source->timeout_usec / 1000000) < 0)
                why_not = NULL;
        finish(request, -EBADF, 0, why_not);
        return 0;
}

static int send_request(SnapshotRequest *request) {
        SnapshotSource *source = request->source;
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
        r = sd_event_add_time_relative(source->event, &request->deadline, CLOCK_MONOTONIC,
                        source->timeout_usec,
                        /* accuracy= */ 100000, handle_deadline, request);
        if (r < 0)
                return r;
        return sd_bus_call_async(source->bus, &request->slot, message, handle_reply, request, UINT64_MAX);
}

int snapshot_request_new(SnapshotSource *source, SnapshotHandler handler, void *userdata,
                SnapshotRequest **ret, char **ret_why_not) {
        _cleanup_(snapshot_request_free_p) SnapshotRequest *request = calloc(1, sizeof(*request));
        int r;

        if (!request) {
                *ret_why_not = NULL;
                return -ENOMEM;
        }
        request->source = source;
        request->handler = handler;
        request->userdata = userdata;
        r = send_request(request);
        if (r < 0) {
                if (asprintf(ret_why_not, "no connection to the bus (%s): %s", source->address,
                                    strerror(-r)) < 0)
                        *ret_why_not = NULL;
                note_outcome(source, *ret_why_not ?: "out of memory");
                return r;
        }
        *ret = TAKE_PTR(request);
        return 0;
}

SnapshotRequest *snapshot_request_free(SnapshotRequest *request) {
        if (!request)
                return NULL;
        sd_bus_slot_unref(request->slot);
        sd_event_source_disable_unref(request->deadline);
        free(request);
        return NULL;
}
