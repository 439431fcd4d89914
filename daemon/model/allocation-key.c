/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of an allocation's keys, with the words of those that are one of several. It judges no value;
 * allocation-validate.c does.
 */

#include "allocation.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

static const char *const state_names[ALLOCATION_STATE_MAX] = {
        "pending",
        "active",
        "held",
        "suspended",
        "ending",
        "ended",
        "preempted",
        "released",
        "failed",
};
static const char *const on_end_names[ON_END_MAX] = { "throttle", "freeze", "kill", "none" };
static const char *const on_lease_expiry_names[ON_LEASE_EXPIRY_MAX] = { "hold", "release" };
static const char *const preempt_mode_names[PREEMPT_MODE_MAX] = { "off", "suspend", "cancel" };
static const char *const placement_mode_names[PLACEMENT_MODE_MAX] = { "shared", "exclusive" };
static const char *const qos_class_names[QOS_CLASS_MAX] = { "", "guaranteed", "burstable", "best-effort" };

/* Signals that end a process or tell it to end itself; a name is what kill(1) takes, without SIG. */
static const struct {
        const char *name;
        int number;
} signal_names[] = {
        { "TERM", SIGTERM },
        { "INT", SIGINT },
        { "HUP", SIGHUP },
        { "QUIT", SIGQUIT },
        { "USR1", SIGUSR1 },
        { "USR2", SIGUSR2 },
        { "KILL", SIGKILL },
};

static int name_index(const char *const *names, int n, const char *s) {
        for (int i = 0; i < n; i++)
                if (strcmp(names[i], s) == 0)
                        return i;
        return -EINVAL;
}

const char *allocation_state_to_string(AllocationState state) {
        assert(state >= 0 && state < ALLOCATION_STATE_MAX);
        return state_names[state];
}

AllocationState allocation_state_from_string(const char *s) {
        return name_index(state_names, ALLOCATION_STATE_MAX, s);
}

const char *on_end_to_string(OnEnd on_end) {
        assert(on_end >= 0 && on_end < ON_END_MAX);
        return on_end_names[on_end];
}

const char *qos_class_to_string(QosClass qos_class) {
        assert(qos_class >= 0 && qos_class < QOS_CLASS_MAX);
        return qos_class_names[qos_class];
}

static const char *on_end_key_to_string(int value) {
        return on_end_to_string(value);
}

static int on_end_from_string(const char *s) {
        return name_index(on_end_names, ON_END_MAX, s);
}

static const char *qos_class_key_to_string(int value) {
        return qos_class_to_string(value);
}

static int qos_class_from_string(const char *s) {
        return name_index(qos_class_names, QOS_CLASS_MAX, s);
}

static const char *on_lease_expiry_to_string(int value) {
        return on_lease_expiry_names[value];
}

static int on_lease_expiry_from_string(const char *s) {
        return name_index(on_lease_expiry_names, ON_LEASE_EXPIRY_MAX, s);
}

static const char *preempt_mode_to_string(int value) {
        return preempt_mode_names[value];
}

static int preempt_mode_from_string(const char *s) {
        return name_index(preempt_mode_names, PREEMPT_MODE_MAX, s);
}

static const char *placement_mode_to_string(int value) {
        return placement_mode_names[value];
}

static int placement_mode_from_string(const char *s) {
        return name_index(placement_mode_names, PLACEMENT_MODE_MAX, s);
}

static const char *signal_to_string(int value) {
        for (size_t i = 0; i < ELEMENTSOF(signal_names); i++)
                if (signal_names[i].number == value)
                        return signal_names[i].name;
        return "TERM";
}

static int signal_from_string(const char *s) {
        if (strncmp(s, "SIG", 3) == 0)
                s += 3;
        for (size_t i = 0; i < ELEMENTSOF(signal_names); i++)
                if (strcmp(signal_names[i].name, s) == 0)
                        return signal_names[i].number;
        return -EINVAL;
}

#define KEY(key, sig, key_type, field, ...) \
        { key, sig, key_type, offsetof(Allocation, field), __VA_ARGS__ }
const AllocationKey allocation_keys[] = {
        KEY("AllocationId", "s", KEY_STRING, id),
        KEY("Generation", "t", KEY_U64, generation),
        KEY("TenantId", "s", KEY_STRING, tenant_id),
        KEY("Issuer", "s", KEY_STRING, issuer),
        KEY("ExternalIds", "a{ss}", KEY_MAP, external_ids),
        KEY("ProjectId", "s", KEY_STRING, project_id),
        KEY("ReservationId", "s", KEY_STRING, reservation_id),
        KEY("StartTime", "t", KEY_U64, start_usec),
        KEY("EndTime", "t", KEY_U64, end_usec),
        KEY("Duration", "t", KEY_U64, duration_usec, .given_only = true),
        KEY("Calendar", "s", KEY_STRING, recurrence_text),
        KEY("WarnBeforeEnd", "t", KEY_U64, warn_usec),
        KEY("EndSignal", "s", KEY_ENUM, end_signal, signal_to_string, signal_from_string,
                        "TERM, INT, HUP, QUIT, USR1, USR2 or KILL"),
        KEY("GraceTime", "t", KEY_U64, grace_usec),
        KEY("OnEnd", "s", KEY_ENUM, on_end, on_end_key_to_string, on_end_from_string,
                        "throttle, freeze, kill or none"),
        KEY("LeaseDuration", "t", KEY_U64, lease_usec),
        KEY("OnLeaseExpiry", "s", KEY_ENUM, on_lease_expiry, on_lease_expiry_to_string,
                        on_lease_expiry_from_string, "hold or release"),
        KEY("Priority", "i", KEY_I32, priority),
        KEY("QosClass", "s", KEY_ENUM, qos_class, qos_class_key_to_string, qos_class_from_string,
                        "guaranteed, burstable or best-effort"),
        KEY("PreemptMode", "s", KEY_ENUM, preempt_mode, preempt_mode_to_string, preempt_mode_from_string,
                        "off, suspend or cancel"),
        KEY("Resources", "a{s(tt)}", KEY_RESOURCES, resources),
        KEY("CpuSet", "s", KEY_STRING, cpu_set),
        KEY("CpuSetMode", "s", KEY_ENUM, cpu_set_mode, placement_mode_to_string, placement_mode_from_string,
                        "shared or exclusive"),
        KEY("NumaNodes", "s", KEY_STRING, numa_nodes),
        KEY("NumaMode", "s", KEY_ENUM, numa_mode, placement_mode_to_string, placement_mode_from_string,
                        "shared or exclusive"),
        KEY("Devices", "a(ss)", KEY_DEVICES, devices),
        KEY("Users", "as", KEY_STRINGS, users),
        KEY("Labels", "a{ss}", KEY_MAP, labels),
        { .name = NULL },
};
#undef KEY

const AllocationKey *allocation_key_find(const char *name) {
        for (const AllocationKey *key = allocation_keys; key->name; key++)
                if (strcmp(key->name, name) == 0)
                        return key;
        return NULL;
}

int allocation_key_refuse(const char *name, Failure *ret_failure) {
        return failure_set(ret_failure, FAILURE_UNKNOWN_KEY,
                        "unknown key '%s'; keys of your own start with 'x_'", name);
}
