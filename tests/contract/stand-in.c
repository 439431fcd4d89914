/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Plays headgated for headgatectl: in states that a dry run of the real one cannot be brought into (a lease
 * that is over, a suspension, a clock that is not trusted), and with a line on standard output for each call
 * that changes something: its name, and its arguments as JSON. It keeps no calendar and judges nothing.
 * Usage: stand-in BUS-ADDRESS
 */

#include "headgatectl/client.h"

#include <string.h>
#include <sys/mman.h>

#define HOUR_USEC 3600000000ULL
#define LEASE_EXPIRY_USEC 1795341600000000ULL /* 2026-11-22T10:00:00Z */
#define FAR_USEC 4102444800000000ULL          /* 2100-01-01T00:00:00Z */

typedef struct Scene {
        const char *state;
        char *drain_reason; /* owned; NULL: none */
        bool clock_trusted;
        uint64_t n_calls; /* up to now: the seconds of the counters' clock */
} Scene;

typedef struct Part {
        const char *id, *path, *tenant_id, *state;
        int priority;
        const char *preempts, *preempted_by; /* NULL: nobody */
        uint64_t missing;                    /* millicores of 2000; 0: nothing is */
} Part;

static const Part parts[] = {
        { "web-1", HEADGATE_ALLOCATION_PREFIX "/web_2d1", "web", "held", 5, "batch-1", NULL, 0 },
        { "batch-1", HEADGATE_ALLOCATION_PREFIX "/batch_2d1", "batch", "suspended", -5, NULL, "web-1", 500 },
};

static int append_node(sd_bus_message *m, const Scene *scene) {
        return sd_bus_message_append(m, "a{sv}", 12, "NodeId", "s", "node-7", "BootId", "s", "b007",
                        "Version", "s", HEADGATE_VERSION, "State", "s", scene->state, "DrainReason", "s",
                        scene->drain_reason ?: "", "ClockTrusted", "b", (int) scene->clock_trusted,
                        "CalendarHorizon", "t", 336 * HOUR_USEC, "Capacity", "a{st}", 2, "cpu",
                        (uint64_t) 4000, "memory", (uint64_t) 16 << 30, "OperatorCapacity", "a{st}", 2, "cpu",
                        (uint64_t) 4000, "net.egress@eth9", (uint64_t) 1000000000, "Reserved", "a{st}", 2,
                        "cpu", (uint64_t) 3000, "memory", (uint64_t) 1 << 30, "Idle", "a{st}", 2, "cpu",
                        (uint64_t) 1000, "memory", (uint64_t) 15 << 30, "Features", "a{s(bs)}", 1, "clock",
                        (int) scene->clock_trusted, scene->clock_trusted ? "accepted" : "stepped by 2h");
}

#define ZEROES_7 \
        (uint64_t) 0, (uint64_t) 0, (uint64_t) 0, (uint64_t) 0, (uint64_t) 0, (uint64_t) 0, (uint64_t) 0

static int append_tenant(sd_bus_message *m, const Part *part) {
        /* 99 waits of at most 1 µs, one of 2 to 4 µs; of batch nothing else was counted yet. Of the memory
         * nothing is in force. */
        const uint64_t n = strcmp(part->tenant_id, "batch") == 0 ? 0 : 4;

        return sd_bus_message_append(m, "a{sv}", 8, "TenantId", "s", part->tenant_id, "Mode", "s", "enforce",
                        "Allocations", "ao", 1, part->path, "OomVictims", "a(sutt)", 1, "postgres", 4711U,
                        (uint64_t) 1767225599000000, (uint64_t) 3 << 20, "Histograms", "a{sat}", 3,
                        "io.read.latency@8:0", 24, ZEROES_7, ZEROES_7, (uint64_t) 0, 2 * n, (uint64_t) 0,
                        ZEROES_7, "cpu.wait", 24, (uint64_t) 99, (uint64_t) 0, (uint64_t) 1, ZEROES_7,
                        ZEROES_7, ZEROES_7, "net.tcp.rtt", 24, ZEROES_7, ZEROES_7, (uint64_t) 0, n,
                        (uint64_t) 0, ZEROES_7, "Desired", "a{s(tt)}", 2, "cpu", (uint64_t) 500,
                        (uint64_t) 2000, "memory", (uint64_t) 1 << 30, UINT64_MAX, "Effective", "a{s(tt)}", 1,
                        "cpu", (uint64_t) 500, (uint64_t) 2000, "Problems", "as", 1,
                        "its memory limit is not in force");
}

static int append_allocation(sd_bus_message *m, const Part *part) {
        const char *preempts = part->preempts, *preempted_by = part->preempted_by;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "AllocationId", "s",
                                part->id, "TenantId", "s", part->tenant_id, "State", "s", part->state,
                                "StartTime", "t", HOUR_USEC, "EndTime", "t", UINT64_MAX, "Calendar", "s",
                                "Mon..Fri 09:00", "WindowStart", "t", LEASE_EXPIRY_USEC, "WindowEnd", "t",
                                LEASE_EXPIRY_USEC + HOUR_USEC, "Priority", "i", part->priority);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}", "Delivered", "a{st}", 3, "cpu.denied",
                                (uint64_t) 1500000000, "net.egress.denied-drops", (uint64_t) 7, "observed",
                                (uint64_t) 60000000000, "LeaseDuration", "t", 2 * HOUR_USEC, "LeaseExpiry",
                                "t", LEASE_EXPIRY_USEC, "OnLeaseExpiry", "s", "hold", "PreemptMode", "s",
                                "suspend");
        if (r >= 0)
                r = preempts ? sd_bus_message_append(m, "{sv}", "Preempts", "as", 1, preempts)
                             : sd_bus_message_append(m, "{sv}", "PreemptedBy", "as", 1, preempted_by);
        if (r >= 0 && part->missing > 0)
                r = sd_bus_message_append(m, "{sv}", "Missing", "a{s(tt)}", 1, "cpu", (uint64_t) 2000,
                                2000 - part->missing);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static const Part *find_part(const char *path, const char *prefix) {
        _cleanup_free_ char *id = client_path_id(path, prefix);
        bool tenant = strcmp(prefix, HEADGATE_TENANT_PREFIX) == 0;

        for (size_t i = 0; id && i < ELEMENTSOF(parts); i++)
                if (strcmp(tenant ? parts[i].tenant_id : parts[i].id, id) == 0)
                        return &parts[i];

        return NULL;
}

/* Properties.GetAll: which object it is, its path says. */
static int append_all(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        const Part *part;

        if (strcmp(path, HEADGATE_PATH) == 0)
                return append_node(reply, scene);
        if ((part = find_part(path, HEADGATE_TENANT_PREFIX)))
                return append_tenant(reply, part);
        if ((part = find_part(path, HEADGATE_ALLOCATION_PREFIX)))
                return append_allocation(reply, part);

        return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "no such object");
}

static int append_object(sd_bus_message *reply, const char *path, const char *interface, const Part *part,
                int (*append)(sd_bus_message *m, const Part *part)) {
        int r;

        r = sd_bus_message_open_container(reply, 'e', "oa{sa{sv}}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "o", path);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sa{sv}}");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", interface);
        if (r >= 0)
                r = append(reply, part);
        for (int i = 0; r >= 0 && i < 3; i++) /* the interface, the interfaces, the object */
                r = sd_bus_message_close_container(reply);

        return r;
}

static int append_objects(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        int r = sd_bus_message_open_container(reply, 'a', "{oa{sa{sv}}}");

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(parts); i++) {
                _cleanup_free_ char *path = NULL;

                r = sd_bus_path_encode(HEADGATE_TENANT_PREFIX, parts[i].tenant_id, &path);
                if (r >= 0)
                        r = append_object(reply, path, HEADGATE_TENANT, &parts[i], append_tenant);
                if (r >= 0)
                        r = append_object(reply, parts[i].path, HEADGATE_ALLOCATION, &parts[i],
                                        append_allocation);
        }

        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* An hour that is full, and one without an end in which nothing is reserved. */
static int append_calendar(
                const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        uint64_t from, until;
        int r;

        r = sd_bus_message_read(m, "tt", &from, &until);
        if (r < 0)
                return r;

        return sd_bus_message_append(reply, "aa{sv}", 2, 6, "TenantId", "s", "batch", "Resource", "s", "cpu",
                        "Start", "t", from, "End", "t", UINT64_MAX, "Reserved", "t", (uint64_t) 0, "Limit",
                        "t", UINT64_MAX, 6, "TenantId", "s", "web", "Resource", "s", "cpu", "Start", "t",
                        from, "End", "t", from + HOUR_USEC, "Reserved", "t", (uint64_t) 4000, "Limit", "t",
                        (uint64_t) 4000);
}

static int append_differences(
                const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        return sd_bus_message_append(reply, "aa{sv}", 2, 6, "TenantId", "s", "web", "Object", "s",
                        "/headgate.slice/headgate-web.slice", "Name", "s", "cpu.max", "Have", "s",
                        "max 100000", "Want", "s", "20000 100000", "HeldBack", "s", "its Mode is observe", 6,
                        "TenantId", "s", "", "Object", "s", "eth0", "Name", "s", "class 4847:10", "Have", "s",
                        "", "Want", "s", "prio 1", "HeldBack", "s", "");
}

/* What the tenants use: batch more memory, and nobody counted how long it waited. */
static const struct {
        const char *tenant_id, *metric;
        uint64_t start, per_second;
} counters[] = {
        { "web", "cpu.time", 7, 1500000000 },
        { "web", "cpu.wait", 7, 20000000 },
        { "web", "cpu.switches", 7, 1000 },
        { "web", "memory.current", 512 << 20, 0 },
        { "web", "memory.anon", 256 << 20, 0 },
        { "web", "memory.faults", 7, 30 },
        { "web", "io.read.bytes", 7, 3 << 20 },
        { "web", "io.read.operations", 7, 12 },
        { "web", "net.egress.bytes", 7, 125000 },
        { "web", "net.egress.packets", 7, 100 },
        { "batch", "cpu.time", 7, 250000000 },
        { "batch", "memory.current", 1 << 30, 0 },
        { "batch", "io.read.bytes", 7, 0 },
};

static int append_snapshot(
                const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        _cleanup_json_ json_t *tenants = json_object(), *snapshot = NULL;
        _cleanup_close_ int fd = -EBADF;

        for (size_t i = 0; i < ELEMENTSOF(counters); i++) {
                if (!json_object_get(tenants, counters[i].tenant_id))
                        json_object_set_new(tenants, counters[i].tenant_id, json_object());
                json_object_set_new(json_object_get(tenants, counters[i].tenant_id), counters[i].metric,
                                variant_u64_new(counters[i].start + scene->n_calls * counters[i].per_second));
        }

        snapshot = json_pack("{sosO}", "Time", variant_u64_new(scene->n_calls * 1000000), "Tenants", tenants);
        fd = memfd_create("snapshot", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (json_dumpfd(snapshot, fd, JSON_COMPACT) < 0)
                return -EIO;

        return sd_bus_message_append(reply, "h", fd);
}

/* Of batch it answers as to a user of that tenant's own. */
static int append_culprits(
                const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        const char *tenant_id;
        int r;

        r = sd_bus_message_read(m, "s", &tenant_id);
        if (r < 0)
                return r;
        if (strcmp(tenant_id, "batch") == 0)
                return sd_bus_error_set(
                                error, "org.headgate.Error.AccessDenied", "Culprits is not for user 2");

        return sd_bus_message_append(
                        reply, "a{st}", 2, "batch", (uint64_t) 7500000, "web", (uint64_t) 2500000);
}

static int append_drift(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        return sd_bus_message_append(reply, "aa{sv}a{s(tt)}", 2, 8, "Time", "t", LEASE_EXPIRY_USEC, "Cause",
                        "s", "cgroup-file", "Object", "s", "/headgate.slice/headgate-web.slice", "Key", "s",
                        "cpu.max", "Have", "s", "max 100000", "Want", "s", "50000 100000", "TenantId", "s",
                        "web", "Repaired", "b", 1, 8, "Time", "t", LEASE_EXPIRY_USEC, "Cause", "s", "link",
                        "Object", "s", "eth1", "Key", "s", "interface", "Have", "s", "gone", "Want", "s",
                        "index 3", "TenantId", "s", "", "Repaired", "b", 0, 3, "cgroup-file", (uint64_t) 4,
                        (uint64_t) 4, "tc", (uint64_t) 0, (uint64_t) 0, "link", (uint64_t) 1, (uint64_t) 0);
}

static int append_reasons(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        return sd_bus_message_append(reply, "aa{sv}", 2, 4, "Name", "s", "cpu.max", "Value", "s",
                        "20000 100000", "InForce", "s", "max 100000", "Why", "s",
                        "limit 200 = 200 (web-1, held)", 4, "Name", "s", "State", "Value", "s", "held",
                        "InForce", "s", "", "Why", "s", "its lease is over");
}

static int append_checks(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        return sd_bus_message_append(reply, "aa{sv}", 2, 7, "AllocationId", "s", "web-1", "Fits", "b", 0,
                        "Reason", "s", "cpu is short", "Missing", "a{s(tt)}", 1, "cpu", (uint64_t) 4000,
                        (uint64_t) 2100, "MissingFrom", "t", FAR_USEC, "MissingUntil", "t", UINT64_MAX,
                        "EarliestStart", "t", FAR_USEC + HOUR_USEC, 3, "AllocationId", "s", "web-2", "Fits",
                        "b", 1, "Preempts", "as", 2, "a", "b");
}

static int append_paths(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        if (strcmp(scene->state, "draining") == 0 && sd_bus_message_is_method_call(m, NULL, "Apply"))
                return sd_bus_error_setf(error, "org.headgate.Error.Draining", "node-7 is draining: %s",
                                scene->drain_reason);

        return sd_bus_message_append(reply, "ao", 1, parts[0].path);
}

/* Its name and its arguments as one line; `m` is then where it was. */
static int log_call(sd_bus_message *m) {
        _cleanup_json_ json_t *arguments = json_array();
        _cleanup_free_ char *text = NULL;

        while (sd_bus_message_at_end(m, /* complete= */ false) == 0) {
                json_t *value = NULL;
                int r = variant_read(m, &value);

                if (r < 0)
                        return r;
                json_array_append_new(arguments, value);
        }

        text = json_dumps(arguments, JSON_COMPACT);
        printf("%s %s\n", sd_bus_message_get_member(m), text ?: "?");
        fflush(stdout);
        return sd_bus_message_rewind(m, /* complete= */ true);
}

static int tell(sd_bus_message *m, const char *name, const char *types, ...) {
        _cleanup_bus_message_ sd_bus_message *told = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_signal(sd_bus_message_get_bus(m), &told, HEADGATE_PATH,
                        strcmp(name, "PropertiesChanged") == 0 ? "org.freedesktop.DBus.Properties"
                                                               : HEADGATE_MANAGER,
                        name);
        if (r < 0)
                return r;

        va_start(ap, types);
        r = sd_bus_message_appendv(told, types, ap);
        va_end(ap);
        return r < 0 ? r : sd_bus_send(NULL, told, NULL);
}

static int on_renew(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        const char *id;
        uint64_t usec;
        int r;

        r = sd_bus_message_read(m, "st", &id, &usec);
        if (r < 0)
                return r;
        if (strcmp(id, "web-1") != 0)
                return sd_bus_error_setf(
                                error, "org.headgate.Error.NoSuchAllocation", "no allocation '%s'", id);

        return tell(m, "AllocationEnding", "st", id, usec);
}

static int on_drain(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        const char *reason;
        int r;

        r = sd_bus_message_read(m, "s", &reason);
        if (r < 0)
                return r;

        free(scene->drain_reason);
        scene->drain_reason = strdup(reason);
        scene->state = "draining";
        return tell(m, "PropertiesChanged", "sa{sv}as", HEADGATE_MANAGER, 1, "State", "s", scene->state, 0);
}

static int on_resume(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        free(scene->drain_reason);
        scene->drain_reason = NULL;
        scene->state = "ok";
        return tell(m, "PropertiesChanged", "sa{sv}as", HEADGATE_MANAGER, 1, "State", "s", scene->state, 0);
}

static int on_set_capacity(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        return tell(m, "CapacityChanged", "a{st}", 2, "cpu", (uint64_t) 3500, "memory", (uint64_t) 8 << 30);
}

static int on_accept_clock(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        scene->clock_trusted = true;
        return tell(m, "PropertiesChanged", "sa{sv}as", HEADGATE_MANAGER, 1, "ClockTrusted", "b", 1, 0);
}

static int append_left(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error) {
        return sd_bus_message_append(reply, "as", 1, "web");
}

/* Of a call for batch that is not full, a process is gone. */
static int on_attach(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        const char *tenant_id;
        int r, fd, n = 0;

        r = sd_bus_message_read(m, "s", &tenant_id);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "h");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 'h', &fd)) > 0)
                n++;
        if (r >= 0 && n < 16 && strcmp(tenant_id, "batch") == 0)
                return sd_bus_error_set(error, "org.headgate.Error.NoSuchProcess", "a process is gone");
        return r;
}

static int on_nothing(Scene *scene, sd_bus_message *m, sd_bus_error *error) {
        return 0;
}

/* What changes something answers nothing, and is logged; so are those of the others that are to be seen. */
static const struct {
        const char *member, *signature;
        bool logged;
        int (*change)(Scene *scene, sd_bus_message *m, sd_bus_error *error);
        int (*answer)(const Scene *scene, sd_bus_message *m, sd_bus_message *reply, sd_bus_error *error);
} methods[] = {
        { "GetAll", "s", false, NULL, append_all },
        { "GetManagedObjects", "", true, NULL, append_objects },
        { "Snapshot", "s", false, NULL, append_snapshot },
        { "GetCalendar", "tt", true, NULL, append_calendar },
        { "Culprits", "s", true, NULL, append_culprits },
        { "Drift", "", true, NULL, append_drift },
        { "Check", "aa{sv}", true, NULL, append_checks },
        { "Apply", "aa{sv}", true, NULL, append_paths },
        { "Sync", "saa{sv}", true, NULL, append_paths },
        { "Renew", "st", true, on_renew, NULL },
        { "Drain", "s", true, on_drain, NULL },
        { "Resume", "", true, on_resume, NULL },
        { "SetCapacity", "a{st}", true, on_set_capacity, NULL },
        { "AcceptClock", "", true, on_accept_clock, NULL },
        { "ReleaseAll", "", true, NULL, append_left },
        { "SetMode", "ss", true, on_nothing, NULL },
        { "Diff", "s", true, NULL, append_differences },
        { "Explain", "ss", true, NULL, append_reasons },
        { "Attach", "sah", true, on_attach, NULL },
        { "Adopt", "ss", true, on_nothing, NULL },
        { "Abandon", "ss", true, on_nothing, NULL },
};

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        const char *member = sd_bus_message_get_member(m);
        Scene *scene = userdata;
        size_t i = 0;
        int r;

        while (i < ELEMENTSOF(methods) && strcmp(methods[i].member, member) != 0)
                i++;
        if (i == ELEMENTSOF(methods))
                return 0;
        if (!sd_bus_message_has_signature(m, methods[i].signature))
                return sd_bus_error_setf(ret_error, SD_BUS_ERROR_INVALID_ARGS, "%s takes '%s'", member,
                                methods[i].signature);

        scene->n_calls++;
        r = methods[i].logged ? log_call(m) : 0;
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0 && methods[i].change)
                r = methods[i].change(scene, m, ret_error);
        else if (r >= 0)
                r = methods[i].answer(scene, m, reply, ret_error);

        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int main(int argc, char **argv) {
        Scene scene = { .state = "ok" };
        sd_bus *bus = NULL;
        int r;

        r = argc == 2 ? sd_bus_new(&bus) : -EINVAL;
        if (r >= 0)
                r = sd_bus_set_address(bus, argv[1]);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_add_fallback(bus, NULL, HEADGATE_PATH, on_message, &scene);
        if (r >= 0)
                r = sd_bus_request_name(bus, HEADGATE_NAME, 0);
        while (r >= 0) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
        }

        fprintf(stderr, "stand-in: %s\n", strerror(-r));
        return 1;
}
