/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How large answers are reckoned to be, against the answers: all objects, and differences. */

#include "api-server.h"

#include "api/api-internal.h"
#include "util/strv.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t aligned(size_t at, size_t to) {
        return (at + to - 1) / to * to;
}

static size_t alignment(char type) {
        return strchr("xtde({r", type) ? 8 : strchr("yvg", type) ? 1 : type == 'n' || type == 'q' ? 2 : 4;
}

/* Where what is left of the container ends, by the D-Bus Specification, "Marshaling". */
static size_t measure(sd_bus_message *m, size_t at) {
        const char *contents, *text;
        char type;

        while (sd_bus_message_peek_type(m, &type, &contents) > 0) {
                uint64_t value;

                at = aligned(at, alignment(type));
                if (strchr("sog", type)) {
                        cr_assert_gt(sd_bus_message_read_basic(m, type, &text), 0);
                        at += (type == 'g' ? 1 : 4) + strlen(text) + 1;
                        continue;
                }
                if (!strchr("aver", type)) {
                        cr_assert_gt(sd_bus_message_read_basic(m, type, &value), 0);
                        at += alignment(type);
                        continue;
                }
                at += type == 'v' ? 1 + strlen(contents) + 1 : type == 'a' ? 4 : 0;
                if (type == 'a')
                        at = aligned(at, alignment(contents[0]));
                cr_assert_gt(sd_bus_message_enter_container(m, type, contents), 0);
                at = measure(m, at);
                cr_assert_gt(sd_bus_message_exit_container(m), 0);
        }
        return at;
}

static size_t bytes_of_answer_to(sd_bus_message *m) {
        sd_bus_message *reply = call(m);
        size_t n;

        expect_success(reply);
        n = measure(reply, 0);
        sd_bus_message_unref(reply);
        return n;
}

static size_t answer_bytes(void) {
        return bytes_of_answer_to(
                        method(API_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"));
}

/* Never less, and a fifth more at most, or what would fit is refused; but for what is reckoned unseen. */
static void expect_close(size_t reckoned, size_t answered, size_t unseen, const char *what) {
        cr_expect_geq(reckoned, answered, "%s: %zu bytes are reckoned %zu", what, answered, reckoned);
        cr_expect_leq(reckoned, answered / 5 * 6 + unseen, "%s: %zu bytes are reckoned %zu", what, answered,
                        reckoned);
}

/* Of these tenants one alone has durations that are counted. */
static size_t unseen_bytes(void) {
        const size_t one = sizeof(((Histogram *) NULL)->bucket) + 40;

        return node.n_tenants * DURATION_MAX * one;
}

static void put_text(char **field) {
        free(*field);
        cr_assert_gt(asprintf(field, "%0999d", 7), 0);
}

static void put_key(Allocation *allocation, const AllocationKey *key) {
        void *field = (char *) allocation + key->offset;

        if (key->type == KEY_STRING && key->offset != offsetof(Allocation, id) &&
                        key->offset != offsetof(Allocation, tenant_id))
                put_text(field);
        for (int i = 0; i < 64; i++) {
                char name[RESOURCE_TARGET_SIZE];

                snprintf(name, sizeof(name), "%0*d", 10 + i % 8, i);
                if (key->type == KEY_MAP)
                        cr_assert_eq(string_map_put(field, name, name), 0);
                if (key->type == KEY_STRINGS)
                        cr_assert_eq(strv_push(field, name), 0);
                if (key->type == KEY_DEVICES)
                        cr_assert_eq(device_set_put(field, name, 1), 0);
                if (key->type == KEY_RESOURCES)
                        cr_assert_eq(resource_set_put(field, RESOURCE_NET_EGRESS, name, (Amount){ 1, 2 }), 0);
        }
}

/* So much of one thing that it would be missed. */
static const struct {
        const char *name;
        size_t offset;
        KeyType type;
} others[] = {
        { "Reason", offsetof(Allocation, reason), KEY_STRING },
        { "AssignedCpus", offsetof(Allocation, assigned_cpus), KEY_STRING },
        { "Missing", offsetof(Allocation, missing), KEY_RESOURCES },
        { "Extensions", offsetof(Allocation, extensions), KEY_MAP },
};

/* One more of it, with much of what the key names; NULL: with nothing. */
static void expect_close_of_allocation(const char *name, const AllocationKey *key) {
        const size_t reckoned = api_objects_bytes(api_server()), answered = answer_bytes();
        Allocation *allocation, *replaced;

        cr_assert_eq(allocation_new(&allocation), 0);
        cr_assert_gt(asprintf(&allocation->id, "a-%zu", node.calendar.n), 0);
        allocation->tenant_id = strdup("gamma");
        if (key)
                put_key(allocation, key);
        cr_assert_eq(calendar_put(&node.calendar, allocation, &replaced), 0);
        expect_close(api_objects_bytes(api_server()) - reckoned, answer_bytes() - answered, 0, name);
}

TestSuite(api_size, .init = api_server_set_up, .fini = api_server_tear_down);

Test(api_size, is_reckoned_from_above_and_close) {
        expect_close(api_objects_bytes(api_server()), answer_bytes(), unseen_bytes(), "the sample");
        expect_close_of_allocation("nothing", NULL);
        for (const AllocationKey *key = allocation_keys; key->name; key++)
                expect_close_of_allocation(key->name, key);
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                expect_close_of_allocation(others[i].name,
                                &(AllocationKey){ .type = others[i].type, .offset = others[i].offset });
}

Test(api_size, differences_are_reckoned_from_above_and_close) {
        static const int lengths[] = { 0, 1, 2, 3, 4, 5, 6, 7, 100, 4001 };

        for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
                sd_bus_message *m = manager_method("Diff");
                char text[4002];
                size_t n;

                snprintf(text, sizeof(text), "%0*d", lengths[i], 7);
                text[lengths[i]] = '\0';
                cr_assert_geq(sd_bus_message_append(m, "s", text), 0);
                n = bytes_of_answer_to(m);
                expect_close(asked.generation, n, 0, "differences");
        }
}

Test(api_size, no_more_differences_are_kept_than_fit_into_a_message) {
        _cleanup_differences_ DifferenceList list = DIFFERENCE_LIST_NULL;
        _cleanup_free_ char *half = NULL;

        cr_assert_gt(asprintf(&half, "%0*d", (int) DIFFERENCE_LIST_BYTES_MAX / 2, 7), 0);
        cr_expect_eq(difference_list_add(&list, "t", "/t", "cpu.max", half, "", NULL), 0);
        cr_expect_eq(difference_list_add(&list, "t", "/t", "cpu.max", half, "", NULL), -EOVERFLOW);
        cr_expect_eq(list.n, 1U);
        cr_expect_eq(difference_list_add(&list, "t", "/t", "cpu.max", "1", "", NULL), 0);
        cr_expect_eq(list.n, 2U);
}
