/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Allocations as values: made, copied, compared, and judged as far as that needs neither the node nor the
 * time. Whether the node has room is decide/admission.c's question; what state it is in at an instant,
 * calendar.c's.
 */

#include "allocation.h"
#include "identifier.h"

#include "util/strv.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define ISSUER_LENGTH_MAX 255
#define GRACE_USEC_MAX (24ULL * 3600 * 1000000)
#define TIME_USEC_MAX (253402300800ULL * 1000000) /* the year 10000: past it no one can print a time */

static const char *const state_names[ALLOCATION_STATE_MAX] = {
        "pending",
        "active",
        "ending",
        "ended",
        "released",
        "failed",
};
static const char *const on_end_names[ON_END_MAX] = { "throttle", "freeze", "kill", "none" };
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
        KEY("EndSignal", "s", KEY_ENUM, end_signal, signal_to_string, signal_from_string,
                        "TERM, INT, HUP, QUIT, USR1, USR2 or KILL"),
        KEY("GraceTime", "t", KEY_U64, grace_usec),
        KEY("OnEnd", "s", KEY_ENUM, on_end, on_end_key_to_string, on_end_from_string,
                        "throttle, freeze, kill or none"),
        KEY("QosClass", "s", KEY_ENUM, qos_class, qos_class_key_to_string, qos_class_from_string,
                        "guaranteed, burstable or best-effort"),
        KEY("Resources", "a{s(tt)}", KEY_RESOURCES, resources),
        KEY("Users", "as", KEY_STRINGS, users),
        KEY("Labels", "a{ss}", KEY_MAP, labels),
        { .name = NULL },
};
#undef KEY

/* Keys of the design that this version does not have: said so, instead of "unknown". */
static const char *const keys_absent[] = {
        "Calendar",
        "WarnBeforeEnd",
        "LeaseDuration",
        "OnLeaseExpiry",
        "Priority",
        "PreemptMode",
        "CpuSet",
        "CpuSetMode",
        "NumaNodes",
        "NumaMode",
        "Devices",
};

const AllocationKey *allocation_key_find(const char *name) {
        for (const AllocationKey *key = allocation_keys; key->name; key++)
                if (strcmp(key->name, name) == 0)
                        return key;
        return NULL;
}

int allocation_key_refuse(const char *name, Failure *ret_failure) {
        for (size_t i = 0; i < ELEMENTSOF(keys_absent); i++)
                if (strcmp(keys_absent[i], name) == 0)
                        return failure_set(ret_failure, FAILURE_NOT_SUPPORTED,
                                        "key '%s' is not supported by this version of headgated", name);
        return failure_set(ret_failure, FAILURE_UNKNOWN_KEY,
                        "unknown key '%s'; keys of your own start with 'x_'", name);
}

const char *string_map_get(const StringMap *map, const char *name) {
        for (size_t i = 0; i < map->n; i++)
                if (strcmp(map->names[i], name) == 0)
                        return map->values[i];
        return NULL;
}

int string_map_put(StringMap *map, const char *name, const char *value) {
        _cleanup_free_ char *own_name = strdup(name), *own_value = strdup(value);
        char **names, **values;
        size_t i;

        if (!own_name || !own_value)
                return -ENOMEM;
        for (i = 0; i < map->n; i++) {
                int order = strcmp(map->names[i], name);

                if (order == 0) {
                        free(map->values[i]);
                        map->values[i] = TAKE_PTR(own_value);
                        return 0;
                }
                if (order > 0)
                        break;
        }
        names = reallocarray(map->names, map->n + 1, sizeof(char *));
        if (!names)
                return -ENOMEM;
        map->names = names;
        values = reallocarray(map->values, map->n + 1, sizeof(char *));
        if (!values)
                return -ENOMEM;
        map->values = values;
        memmove(names + i + 1, names + i, (map->n - i) * sizeof(char *));
        memmove(values + i + 1, values + i, (map->n - i) * sizeof(char *));
        names[i] = TAKE_PTR(own_name);
        values[i] = TAKE_PTR(own_value);
        map->n++;
        return 0;
}

bool string_map_equal(const StringMap *a, const StringMap *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->names[i], b->names[i]) != 0 || strcmp(a->values[i], b->values[i]) != 0)
                        return false;
        return true;
}

void string_map_deinit(StringMap *map) {
        for (size_t i = 0; i < map->n; i++) {
                free(map->names[i]);
                free(map->values[i]);
        }
        free(map->names);
        free(map->values);
        *map = (StringMap){};
}

static int string_map_copy(const StringMap *map, StringMap *ret) {
        StringMap copy = {};

        for (size_t i = 0; i < map->n; i++) {
                int r = string_map_put(&copy, map->names[i], map->values[i]);
                if (r < 0) {
                        string_map_deinit(&copy);
                        return r;
                }
        }
        *ret = copy;
        return 0;
}

int allocation_new(Allocation **ret) {
        Allocation *allocation = calloc(1, sizeof(Allocation));

        if (!allocation)
                return -ENOMEM;
        allocation->end_usec = UINT64_MAX;
        allocation->end_signal = SIGTERM;
        *ret = allocation;
        return 0;
}

/* The field behind a key. */
static void *field(const Allocation *allocation, const AllocationKey *key) {
        return (char *) allocation + key->offset;
}

static void field_deinit(void *value, KeyType type) {
        switch (type) {
        case KEY_STRING:
                free(*(char **) value);
                break;
        case KEY_STRINGS:
                strv_free(*(char ***) value);
                break;
        case KEY_MAP:
                string_map_deinit(value);
                break;
        case KEY_RESOURCES:
                resource_set_deinit(value);
                break;
        case KEY_U64:
        case KEY_I32:
        case KEY_ENUM:
                break;
        }
}

static int field_copy(const void *from, void *to, KeyType type) {
        switch (type) {
        case KEY_STRING:
                if (!*(char *const *) from)
                        return 0;
                *(char **) to = strdup(*(char *const *) from);
                return *(char **) to ? 0 : -ENOMEM;
        case KEY_STRINGS:
                return strv_copy(*(char **const *) from, to);
        case KEY_MAP:
                return string_map_copy(from, to);
        case KEY_RESOURCES:
                return resource_set_copy(from, to);
        case KEY_U64:
                *(uint64_t *) to = *(const uint64_t *) from;
                return 0;
        case KEY_I32:
                *(int32_t *) to = *(const int32_t *) from;
                return 0;
        case KEY_ENUM:
                *(int *) to = *(const int *) from;
                return 0;
        }
        return -EINVAL;
}

static bool string_equal(const char *a, const char *b) {
        return strcmp(a ?: "", b ?: "") == 0;
}

static bool field_equal(const void *a, const void *b, KeyType type) {
        switch (type) {
        case KEY_STRING:
                return string_equal(*(char *const *) a, *(char *const *) b);
        case KEY_STRINGS:
                return strv_equal(*(char **const *) a, *(char **const *) b);
        case KEY_MAP:
                return string_map_equal(a, b);
        case KEY_RESOURCES:
                return resource_set_equal(a, b);
        case KEY_U64:
                return *(const uint64_t *) a == *(const uint64_t *) b;
        case KEY_I32:
                return *(const int32_t *) a == *(const int32_t *) b;
        case KEY_ENUM:
                return *(const int *) a == *(const int *) b;
        }
        return false;
}

Allocation *allocation_free(Allocation *allocation) {
        if (!allocation)
                return NULL;
        for (const AllocationKey *key = allocation_keys; key->name; key++)
                field_deinit(field(allocation, key), key->type);
        string_map_deinit(&allocation->extensions);
        free(allocation->reason);
        free(allocation);
        return NULL;
}

int allocation_copy(const Allocation *allocation, Allocation **ret) {
        _cleanup_allocation_ Allocation *copy = NULL;
        int r;

        r = allocation_new(&copy);
        for (const AllocationKey *key = allocation_keys; r >= 0 && key->name; key++)
                r = field_copy(field(allocation, key), field(copy, key), key->type);
        if (r >= 0)
                r = string_map_copy(&allocation->extensions, &copy->extensions);
        if (r >= 0)
                r = field_copy(&allocation->reason, &copy->reason, KEY_STRING);
        if (r < 0)
                return r;
        copy->start_given = allocation->start_given;
        copy->owner = allocation->owner;
        copy->state = allocation->state;
        copy->actual_start_usec = allocation->actual_start_usec;
        copy->actual_end_usec = allocation->actual_end_usec;
        copy->state_boottime_usec = allocation->state_boottime_usec;
        *ret = TAKE_PTR(copy);
        return 0;
}

bool allocation_same_request(const Allocation *a, const Allocation *b) {
        if (a->start_given != b->start_given)
                return false;
        for (const AllocationKey *key = allocation_keys; key->name; key++) {
                /* Given as "from when it is accepted": the instants differ, the request does not. */
                if (key->offset == offsetof(Allocation, start_usec) && !a->start_given)
                        continue;
                if (key->offset == offsetof(Allocation, end_usec) && a->duration_usec > 0)
                        continue;
                if (!field_equal(field(a, key), field(b, key), key->type))
                        return false;
        }
        return string_map_equal(&a->extensions, &b->extensions);
}

QosClass allocation_qos_class(const Allocation *allocation) {
        bool all_zero = true, all_equal = true;

        if (allocation->qos_class != QOS_CLASS_DERIVED)
                return allocation->qos_class;
        for (size_t i = 0; i < allocation->resources.n; i++) {
                const Resource *entry = &allocation->resources.entries[i];

                if (!resource_info(entry->kind)->has_reserved)
                        continue;
                if (entry->amount.reserved > 0)
                        all_zero = false;
                if (entry->amount.reserved != entry->amount.limit)
                        all_equal = false;
        }
        return all_zero ? QOS_CLASS_BEST_EFFORT : all_equal ? QOS_CLASS_GUARANTEED : QOS_CLASS_BURSTABLE;
}

bool allocation_is_live(const Allocation *allocation) {
        return allocation->state <= ALLOCATION_ENDING;
}

static bool is_printable(const char *s) {
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        return false;
        return true;
}

static int refuse_key(Failure *failure, const char *key, const char *value, const char *bound) {
        return failure_set(failure, FAILURE_INVALID_ALLOCATION, "%s '%s': %s", key, value, bound);
}

static int validate_ids(const Allocation *allocation, Failure *failure) {
        static const char bound[] = "must be lower-case letters and digits, with single dashes between, "
                                    "at most 63 characters and 16 dashes";

        if (!allocation->id)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "AllocationId is missing");
        if (!identifier_valid(allocation->id))
                return refuse_key(failure, "AllocationId",
                                is_printable(allocation->id) ? allocation->id : "?", bound);
        if (!allocation->tenant_id)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION, "allocation %s: TenantId is missing",
                                allocation->id);
        if (!identifier_valid(allocation->tenant_id))
                return refuse_key(failure, "TenantId",
                                is_printable(allocation->tenant_id) ? allocation->tenant_id : "?", bound);
        if (allocation->generation == 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Generation is missing or 0; it must be at least 1",
                                allocation->id);
        return 0;
}

static int validate_map(const StringMap *map, const char *key, const char *id, Failure *failure) {
        if (map->n > ALLOCATION_ENTRIES_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s has %zu entries, at most %d are allowed", id, key, map->n,
                                ALLOCATION_ENTRIES_MAX);
        for (size_t i = 0; i < map->n; i++)
                if (!is_printable(map->names[i]) || !is_printable(map->values[i]) ||
                                strlen(map->names[i]) > ISSUER_LENGTH_MAX ||
                                strlen(map->values[i]) > ISSUER_LENGTH_MAX)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: entry %zu of %s must be at most %d bytes without "
                                        "control characters",
                                        id, i + 1, key, ISSUER_LENGTH_MAX);
        return 0;
}

static int validate_texts(const Allocation *allocation, Failure *failure) {
        const struct {
                const char *key, *value;
        } texts[] = {
                { "Issuer", allocation->issuer },
                { "ProjectId", allocation->project_id },
                { "ReservationId", allocation->reservation_id },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (texts[i].value &&
                                (strlen(texts[i].value) > ISSUER_LENGTH_MAX || !is_printable(texts[i].value)))
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: %s must be at most %d bytes without control "
                                        "characters",
                                        allocation->id, texts[i].key, ISSUER_LENGTH_MAX);
        if (strv_length(allocation->users) > ALLOCATION_ENTRIES_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Users has %zu entries, at most %d are allowed",
                                allocation->id, strv_length(allocation->users), ALLOCATION_ENTRIES_MAX);
        for (char **user = allocation->users; user && *user; user++)
                if (!**user || !is_printable(*user) || strlen(*user) > ISSUER_LENGTH_MAX)
                        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                        "allocation %s: a name in Users is empty, too long or has control "
                                        "characters",
                                        allocation->id);
        r = validate_map(&allocation->external_ids, "ExternalIds", allocation->id, failure);
        if (r == 0)
                r = validate_map(&allocation->labels, "Labels", allocation->id, failure);
        if (r == 0)
                r = validate_map(&allocation->extensions, "x_…", allocation->id, failure);
        return r;
}

static int validate_window(const Allocation *allocation, Failure *failure) {
        const char *id = allocation->id;

        if (allocation->end_usec != UINT64_MAX && allocation->duration_usec > 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: EndTime and Duration were both given; give one", id);
        if (allocation->start_usec > TIME_USEC_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: StartTime %" PRIu64
                                " is past the year 9999 (times are microseconds UTC)",
                                id, allocation->start_usec);
        if (allocation->end_usec != UINT64_MAX && allocation->end_usec > TIME_USEC_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: EndTime %" PRIu64
                                " is past the year 9999 (times are microseconds UTC)",
                                id, allocation->end_usec);
        if (allocation->duration_usec > TIME_USEC_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Duration %" PRIu64 " is over %llu µs", id,
                                allocation->duration_usec, TIME_USEC_MAX);
        if (allocation->start_given && allocation->end_usec <= allocation->start_usec)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: EndTime %" PRIu64 " must be after StartTime %" PRIu64, id,
                                allocation->end_usec, allocation->start_usec);
        if (allocation->grace_usec > GRACE_USEC_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: GraceTime %" PRIu64 " is over a day (%llu µs)", id,
                                allocation->grace_usec, GRACE_USEC_MAX);
        return 0;
}

static int validate_amount(const Allocation *allocation, const Resource *entry, Failure *failure) {
        const ResourceInfo *info = resource_info(entry->kind);
        const Amount *amount = &entry->amount;
        char name[RESOURCE_NAME_SIZE];

        resource_format_name(entry->kind, entry->target, name);
        if (!info->has_reserved && amount->reserved > 0)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved %" PRIu64 " must be 0: it is a limit alone",
                                allocation->id, name, amount->reserved);
        if (amount->reserved == UNLIMITED)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved must be a number of %s; only a limit can be "
                                "unlimited",
                                allocation->id, name, info->unit);
        if (amount->reserved > RESERVED_MAX)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved %" PRIu64
                                " is over the most that can be reserved, %llu %s",
                                allocation->id, name, amount->reserved, RESERVED_MAX, info->unit);
        if (amount->reserved > amount->limit)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s reserved %" PRIu64 " is over its limit %" PRIu64 " (%s)",
                                allocation->id, name, amount->reserved, amount->limit, info->unit);
        if (amount->limit < info->limit_min)
                return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: %s limit %" PRIu64 " is below the least, %" PRIu64 " %s",
                                allocation->id, name, amount->limit, info->limit_min, info->unit);
        return 0;
}

static int validate_qos_class(const Allocation *allocation, Failure *failure) {
        Allocation derived = *allocation;
        QosClass given = allocation->qos_class, fits;

        if (given == QOS_CLASS_DERIVED)
                return 0;
        derived.qos_class = QOS_CLASS_DERIVED;
        fits = allocation_qos_class(&derived);
        /* Burstable is the weaker promise: what is guaranteed may be called so; the reverse would be a lie.
         */
        if (given == fits || (given == QOS_CLASS_BURSTABLE && fits == QOS_CLASS_GUARANTEED))
                return 0;
        return failure_set(failure, FAILURE_INVALID_ALLOCATION,
                        "allocation %s: QosClass '%s' needs %s, but Resources make it %s", allocation->id,
                        qos_class_to_string(given),
                        given == QOS_CLASS_GUARANTEED    ? "reserved = limit everywhere"
                        : given == QOS_CLASS_BEST_EFFORT ? "reserved 0 everywhere"
                                                         : "something reserved",
                        qos_class_to_string(fits));
}

int allocation_validate(const Allocation *allocation, Failure *ret_failure) {
        int r;

        r = validate_ids(allocation, ret_failure);
        if (r == 0)
                r = validate_texts(allocation, ret_failure);
        if (r == 0)
                r = validate_window(allocation, ret_failure);
        if (r == 0 && allocation->resources.n == 0)
                r = failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: Resources is missing or empty", allocation->id);
        for (size_t i = 0; r == 0 && i < allocation->resources.n; i++)
                r = validate_amount(allocation, &allocation->resources.entries[i], ret_failure);
        if (r == 0)
                r = validate_qos_class(allocation, ret_failure);
        return r;
}

int allocation_accept(Allocation *allocation, uint64_t now_usec, uid_t owner, Failure *ret_failure) {
        uint64_t start = allocation->start_given ? allocation->start_usec : now_usec;
        uint64_t end = allocation->duration_usec > 0 ? amount_add(start, allocation->duration_usec)
                                                     : allocation->end_usec;

        if (end <= now_usec)
                return failure_set(ret_failure, FAILURE_INVALID_ALLOCATION,
                                "allocation %s: EndTime %" PRIu64 " is already past (it is %" PRIu64 " now)",
                                allocation->id, end, now_usec);
        allocation->start_usec = start;
        allocation->end_usec = end;
        allocation->owner = owner;
        return 0;
}
