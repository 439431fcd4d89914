/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/allocation.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>

/* A request that is right in every part; each case below spoils one. */
static Allocation *request_new(void) {
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup("web-1");
        a->tenant_id = strdup("acme");
        a->generation = 1;
        a->start_usec = 1000;
        a->start_given = true;
        a->end_usec = 2000;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ 500, 1000 }), 0);
        return a;
}

static void set_text(char **field, const char *value) {
        free(*field);
        *field = value ? strdup(value) : NULL;
}

static void id_is_a_path(Allocation *a) {
        set_text(&a->id, "../../etc");
}
static void id_is_missing(Allocation *a) {
        set_text(&a->id, NULL);
}
static void tenant_is_missing(Allocation *a) {
        set_text(&a->tenant_id, NULL);
}
static void tenant_has_a_newline(Allocation *a) {
        set_text(&a->tenant_id, "a\nb");
}
static void generation_is_zero(Allocation *a) {
        a->generation = 0;
}
static void end_is_before_start(Allocation *a) {
        a->end_usec = 999;
}
static void end_is_start(Allocation *a) {
        a->end_usec = 1000;
}
static void end_and_duration(Allocation *a) {
        a->duration_usec = 5;
}
static void start_is_past_all_calendars(Allocation *a) {
        a->start_usec = UINT64_MAX - 1;
}
static void grace_is_a_week(Allocation *a) {
        a->grace_usec = 7ULL * 24 * 3600 * 1000000;
}
static void reserved_is_over_limit(Allocation *a) {
        a->resources.entries[0].amount = (Amount){ 2000, 1000 };
}
static void reserved_is_unlimited(Allocation *a) {
        a->resources.entries[0].amount = (Amount){ UNLIMITED, UNLIMITED };
}
static void limit_is_too_small(Allocation *a) {
        a->resources.entries[0].amount = (Amount){ 0, 9 };
}
static void tasks_are_reserved(Allocation *a) {
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_TASKS, "", (Amount){ 1, 10 }), 0);
}
static void resources_are_missing(Allocation *a) {
        resource_set_deinit(&a->resources);
}
static void guaranteed_with_room_above(Allocation *a) {
        a->qos_class = QOS_CLASS_GUARANTEED;
}
static void best_effort_with_a_floor(Allocation *a) {
        a->qos_class = QOS_CLASS_BEST_EFFORT;
}
static void issuer_has_an_escape(Allocation *a) {
        set_text(&a->issuer, "a\033[2J");
}
static void user_is_empty(Allocation *a) {
        cr_assert_eq(strv_push(&a->users, ""), 0);
}
static void device_is_a_file(Allocation *a) {
        cr_assert_eq(device_set_put(&a->devices, "/etc/passwd", DEVICE_READ), 0);
}
static void device_has_an_escape(Allocation *a) {
        cr_assert_eq(device_set_put(&a->devices, "/dev/\033[2J", DEVICE_READ), 0);
}
static void devices_are_too_many(Allocation *a) {
        for (unsigned i = 0; i <= ALLOCATION_ENTRIES_MAX; i++) {
                char name[16];

                snprintf(name, sizeof name, "c 1:%u", i);
                cr_assert_eq(device_set_put(&a->devices, name, DEVICE_READ), 0);
        }
}
static void label_has_a_tab(Allocation *a) {
        cr_assert_eq(string_map_put(&a->labels, "k", "a\tb"), 0);
}

static const struct {
        const char *name;
        void (*spoil)(Allocation *a);
        const char *says; /* key, value and bound stand in the one sentence */
} refused[] = {
        { "id is a path", id_is_a_path, "AllocationId '../../etc': must be lower-case" },
        { "id is missing", id_is_missing, "AllocationId is missing" },
        { "tenant is missing", tenant_is_missing, "TenantId is missing" },
        { "tenant has a newline", tenant_has_a_newline, "TenantId 'a?b'" },
        { "generation is 0", generation_is_zero, "Generation is missing or 0; it must be at least 1" },
        { "end before start", end_is_before_start, "EndTime 999 must be after StartTime 1000" },
        { "end at start", end_is_start, "EndTime 1000 must be after StartTime 1000" },
        { "end and duration", end_and_duration, "EndTime and Duration were both given" },
        { "start past all calendars", start_is_past_all_calendars, "past the year 9999" },
        { "grace of a week", grace_is_a_week, "GraceTime 604800000000 is over 86400000000" },
        { "reserved over limit", reserved_is_over_limit, "cpu reserved 2000 is over its limit 1000" },
        { "reserved unlimited", reserved_is_unlimited, "cpu reserved must be a number" },
        { "limit too small", limit_is_too_small, "cpu limit 9 is below the least, 10" },
        { "tasks reserved", tasks_are_reserved, "tasks reserved 1 must be 0" },
        { "no resources", resources_are_missing, "Resources is missing" },
        { "guaranteed, limit above", guaranteed_with_room_above,
                        "QosClass 'guaranteed' needs reserved = limit" },
        { "best-effort, floor", best_effort_with_a_floor, "QosClass 'best-effort' needs reserved 0" },
        { "issuer with an escape", issuer_has_an_escape, "Issuer must be" },
        { "user empty", user_is_empty, "Users" },
        { "a file for a device", device_is_a_file,
                        "Devices: '/etc/passwd' must be a device node (/dev/nvidia0)" },
        { "device with an escape", device_has_an_escape, "Devices: '/dev/?[2J' must be" },
        { "65 devices", devices_are_too_many, "Devices has 65 entries, at most 64" },
        { "label with a tab", label_has_a_tab, "Labels" },
};

Test(allocation, a_right_request_is_taken) {
        _cleanup_allocation_ Allocation *a = request_new();
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        cr_expect_eq(allocation_validate(a, &failure), 0, "%s", failure.message);
}

Test(allocation, each_wrong_request_is_refused_in_one_line) {
        for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
                _cleanup_allocation_ Allocation *a = request_new();
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                refused[i].spoil(a);
                cr_assert_eq(allocation_validate(a, &failure), FAILURE_INVALID_ALLOCATION, "%s",
                                refused[i].name);
                cr_expect_not_null(strstr(failure.message, refused[i].says), "%s: '%s'", refused[i].name,
                                failure.message);
                for (const char *c = failure.message; *c; c++)
                        cr_assert((unsigned char) *c >= 0x20, "%s: a control character came through",
                                        refused[i].name);
        }
}

Test(allocation, acceptance_gives_times) {
        _cleanup_allocation_ Allocation *a = request_new(), *b = request_new(), *c = request_new();
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        a->start_given = false;
        a->start_usec = 0;
        a->end_usec = UINT64_MAX;
        a->duration_usec = 70;
        cr_expect_eq(allocation_accept(a, &(Acceptance){ .now_usec = 500, .owner = 7 }, &failure), 0);
        cr_expect_eq(a->start_usec, 500);
        cr_expect_eq(a->end_usec, 570);
        cr_expect_eq(a->owner, 7);
        cr_expect_eq(allocation_accept(b, &(Acceptance){ .now_usec = 1500, .owner = 7 }, &failure), 0);
        cr_expect_eq(b->start_usec, 1000, "a start in the past stays as it was given");
        cr_expect_eq(allocation_accept(c, &(Acceptance){ .now_usec = 2000, .owner = 7 }, &failure),
                        FAILURE_INVALID_ALLOCATION);
        cr_expect_not_null(strstr(failure.message, "EndTime 2000 is already past"));
}

Test(allocation, the_same_request_later_is_the_same) {
        _cleanup_allocation_ Allocation *a = request_new(), *b = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        a->start_given = false;
        a->end_usec = UINT64_MAX;
        a->duration_usec = 70;
        cr_assert_eq(allocation_copy(a, &b), 0);
        cr_assert_eq(allocation_accept(a, &(Acceptance){ .now_usec = 500, .owner = 7 }, &failure), 0);
        cr_expect(allocation_same_request(a, b));
        b->resources.entries[0].amount.limit++;
        cr_expect_not(allocation_same_request(a, b));
}

Test(allocation, every_key_counts_in_the_comparison) {
        for (const AllocationKey *key = allocation_keys; key->name; key++) {
                _cleanup_allocation_ Allocation *a = request_new(), *b = request_new();
                void *field = (char *) b + key->offset;

                switch (key->type) {
                case KEY_STRING:
                        set_text(field, "other");
                        break;
                case KEY_U64:
                        *(uint64_t *) field += 1;
                        break;
                case KEY_I32:
                        *(int32_t *) field += 1;
                        break;
                case KEY_STRINGS:
                        cr_assert_eq(strv_push(field, "other"), 0);
                        break;
                case KEY_MAP:
                        cr_assert_eq(string_map_put(field, "other", "value"), 0);
                        break;
                case KEY_RESOURCES:
                        cr_assert_eq(resource_set_put(field, RESOURCE_TASKS, "", (Amount){ 0, 5 }), 0);
                        break;
                case KEY_DEVICES:
                        cr_assert_eq(device_set_put(field, "char-drm", DEVICE_READ), 0);
                        break;
                case KEY_ENUM:
                        *(int *) field += 1;
                        break;
                }
                cr_expect_not(allocation_same_request(a, b), "%s", key->name);
                cr_expect(allocation_same_request(a, a));
        }
}

Test(allocation, qos_class_is_derived) {
        static const struct {
                Amount cpu, memory;
                QosClass qos_class;
        } cases[] = {
                { { 100, 100 }, { 1 << 20, 1 << 20 }, QOS_CLASS_GUARANTEED },
                { { 100, 200 }, { 1 << 20, 1 << 20 }, QOS_CLASS_BURSTABLE },
                { { 0, 200 }, { 0, 1 << 20 }, QOS_CLASS_BEST_EFFORT },
                { { 0, 200 }, { 1 << 20, 1 << 20 }, QOS_CLASS_BURSTABLE },
        };

        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                _cleanup_allocation_ Allocation *a = request_new();

                cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", cases[i].cpu), 0);
                cr_assert_eq(resource_set_put(&a->resources, RESOURCE_MEMORY, "", cases[i].memory), 0);
                cr_assert_eq(resource_set_put(&a->resources, RESOURCE_TASKS, "", (Amount){ 0, 9 }), 0);
                cr_expect_eq(allocation_qos_class(a), cases[i].qos_class, "case %zu", i);
        }
}

Test(allocation, an_unknown_key_is_said_to_be) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        cr_expect_eq(allocation_key_refuse("Prioritty", &failure), FAILURE_UNKNOWN_KEY);
}
