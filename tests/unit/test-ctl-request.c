/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* JSON to D-Bus and back: what is sent, with which types; and what is not, with the sentence that says why.
 */

#include "headgatectl/request.h"
#include "headgatectl/variant.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

/* A bus that never speaks: messages need one to be made. */
typedef struct Quiet {
        sd_bus *bus;
        int other;
} Quiet;

static Quiet quiet_open(void) {
        Quiet quiet = { NULL, -EBADF };
        int fds[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        cr_assert_geq(sd_bus_new(&quiet.bus), 0);
        cr_assert_geq(sd_bus_set_fd(quiet.bus, fds[0], fds[0]), 0);
        cr_assert_geq(sd_bus_start(quiet.bus), 0);
        quiet.other = fds[1];
        return quiet;
}

static void quiet_close(Quiet *quiet) {
        sd_bus_close_unref(quiet->bus);
        close(quiet->other);
}

/* The whole way in. The message, sealed and rewound; or NULL and the sentence. */
static sd_bus_message *encode(Quiet *quiet, const char *text, Failure *failure) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        _cleanup_json_ json_t *requests = NULL;
        int r;

        r = request_parse("f.json", text, strlen(text), &requests, failure);
        cr_assert_geq(r, 0);
        if (r > 0)
                return NULL;

        cr_assert_geq(sd_bus_message_new_method_call(quiet->bus, &m, "a.b", "/", "a.b", "Apply"), 0);
        r = request_append(m, requests, failure);
        cr_assert_geq(r, 0, "%s", strerror(-r));
        if (r > 0)
                return NULL;

        cr_assert_geq(sd_bus_message_seal(m, 1, 0), 0);
        cr_assert_geq(sd_bus_message_rewind(m, true), 0);
        return TAKE_PTR(m);
}

Test(ctl_request, each_key_has_the_type_of_its_table) {
        static const struct {
                const char *text, *key, *signature, *value;
        } cases[] = {
                { "{\"AllocationId\": \"a\"}", "AllocationId", "s", "\"a\"" },
                { "{\"Generation\": 7}", "Generation", "t", "7" },
                { "{\"EndTime\": \"max\"}", "EndTime", "t", "\"max\"" },
                { "{\"StartTime\": 0}", "StartTime", "t", "0" },
                { "{\"Duration\": 9223372036854775807}", "Duration", "t", "9223372036854775807" },
                { "{\"ExternalIds\": {\"slurm\": \"17\", \"\": \"\"}}", "ExternalIds", "a{ss}",
                                "{\"slurm\":\"17\",\"\":\"\"}" },
                { "{\"Labels\": {}}", "Labels", "a{ss}", "{}" },
                { "{\"Users\": [\"ann\", \"bob\"]}", "Users", "as", "[\"ann\",\"bob\"]" },
                { "{\"Users\": []}", "Users", "as", "[]" },
                { "{\"OnEnd\": \"kill\"}", "OnEnd", "s", "\"kill\"" },
                { "{\"OnEnd\": \"no such\"}", "OnEnd", "s", "\"no such\"" }, /* headgated refuses it */
                { "{\"Resources\": {\"cpu\": [1000, \"max\"], \"memory\": [0, 5]}}", "Resources", "a{s(tt)}",
                                "{\"cpu\":[1000,\"max\"],\"memory\":[0,5]}" },
                { "{\"Resources\": {\"frob\": [2, 1]}}", "Resources", "a{s(tt)}", "{\"frob\":[2,1]}" },
                { "{\"x_note\": \"mine\"}", "x_note", "s", "\"mine\"" },
                { "{\"Priority\": -5}", "Priority", "i", "-5" },
                { "{\"Frob\": \"s\"}", "Frob", "s", "\"s\"" },
                { "{\"Frob\": 5}", "Frob", "t", "5" },
                { "{\"Frob\": -5}", "Frob", "x", "-5" },
                { "{\"Frob\": true}", "Frob", "b", "true" },
                { "{\"Frob\": 0.5}", "Frob", "d", "0.5" },
                { "{\"Frob\": [[\"/dev/null\", \"rw\"]]}", "Frob", "s",
                                "\"[[\\\"/dev/null\\\",\\\"rw\\\"]]\"" },
                { "{\"Devices\": [[\"/dev/null\", \"rw\"], [\"char-drm\", \"frob\"]]}", "Devices", "a(ss)",
                                "[[\"/dev/null\",\"rw\"],[\"char-drm\",\"frob\"]]" },
                { "{\"Devices\": []}", "Devices", "a(ss)", "[]" },
                { "{\"Frob\": null}", "Frob", "s", "\"null\"" },
        };
        Quiet quiet = quiet_open();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_failure_ Failure failure = FAILURE_NULL;
                _cleanup_bus_message_ sd_bus_message *m = encode(&quiet, cases[i].text, &failure);
                _cleanup_json_ json_t *value = NULL;
                _cleanup_free_ char *dumped = NULL;
                const char *key = NULL, *contents = NULL;

                cr_assert(m, "%s: %s", cases[i].text, failure.message);
                cr_assert_str_eq(sd_bus_message_get_signature(m, true), "aa{sv}", "%s", cases[i].text);
                cr_assert_gt(sd_bus_message_enter_container(m, 'a', "a{sv}"), 0);
                cr_assert_gt(sd_bus_message_enter_container(m, 'a', "{sv}"), 0);
                cr_assert_gt(sd_bus_message_enter_container(m, 'e', "sv"), 0);
                cr_assert_gt(sd_bus_message_read(m, "s", &key), 0);
                cr_expect_str_eq(key, cases[i].key, "%s", cases[i].text);
                cr_assert_gt(sd_bus_message_peek_type(m, NULL, &contents), 0);
                cr_expect_str_eq(contents, cases[i].signature, "%s: %s", cases[i].text, contents);
                cr_assert_eq(variant_read(m, &value), 0, "%s", cases[i].text);
                dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
                cr_expect_str_eq(dumped, cases[i].value, "%s: %s", cases[i].text, dumped);
        }

        quiet_close(&quiet);
}

Test(ctl_request, one_object_is_a_list_of_one) {
        static const struct {
                const char *text, *back;
        } cases[] = {
                { "{\"Generation\": 1}", "[{\"Generation\":1}]" },
                { "[{\"Generation\": 1}]", "[{\"Generation\":1}]" },
                { "[{\"Generation\": 1}, {}, {\"Issuer\": \"s\"}]",
                                "[{\"Generation\":1},{},{\"Issuer\":\"s\"}]" },
                { "[]", "[]" },
        };
        Quiet quiet = quiet_open();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_failure_ Failure failure = FAILURE_NULL;
                _cleanup_bus_message_ sd_bus_message *m = encode(&quiet, cases[i].text, &failure);
                _cleanup_json_ json_t *back = NULL;
                _cleanup_free_ char *dumped = NULL;

                cr_assert(m, "%s: %s", cases[i].text, failure.message);
                cr_assert_eq(variant_read(m, &back), 0);
                dumped = json_dumps(back, JSON_COMPACT);
                cr_expect_str_eq(dumped, cases[i].back, "%s: %s", cases[i].text, dumped);
        }

        quiet_close(&quiet);
}

Test(ctl_request, what_is_refused_says_where_and_what) {
        static const struct {
                const char *text, *message;
        } cases[] = {
                { "", "f.json:1:0: '[' or '{' expected near end of file" },
                { "{\n  \"Generation\": 1,,\n}", "f.json:2:19: string or '}' expected near ','" },
                { "{\"a\": 1, \"a\": 2}", "f.json:1:12: duplicate object key near '\"a\"'" },
                { "{\"EndTime\": 18446744073709551615}", "f.json:1:32: too big integer near "
                                                         "'18446744073709551615' (unlimited is \"max\")" },
                { "{} {}", "f.json:1:4: end of file expected near '{'" },
                { "{\"a\": \"\\u0000\"}", "f.json:1:14: \\u0000 is not allowed without JSON_ALLOW_NUL near "
                                          "'\"\\u0000\"'" },
                { "\"AllocationId\"", "f.json:1:14: '[' or '{' expected near '\"AllocationId\"'" },
                { "[{}, 5]", "f.json: entry 2 of the list is not an allocation, { ... }" },
                { "{\"AllocationId\": 5}", "request 1: AllocationId is 5, expected a string" },
                { "[{}, {\"Issuer\": null}]", "request 2: Issuer is null, expected a string" },
                { "{\"AllocationId\": \"a\", \"Generation\": -1}", "allocation a: Generation is -1, expected "
                                                                   "a whole number from 0, or \"max\"" },
                { "{\"AllocationId\": \"a\", \"Generation\": 1.5}",
                                "allocation a: Generation is 1.5, expected a whole number from 0, or "
                                "\"max\"" },
                { "{\"AllocationId\": \"a\", \"StartTime\": \"2026-11-22T10:00:00Z\"}",
                                "allocation a: StartTime is \"2026-11-22T10:00:00Z\", expected a whole "
                                "number from 0, "
                                "or \"max\"" },
                { "{\"AllocationId\": \"a\", \"OnEnd\": 1}",
                                "allocation a: OnEnd is 1, expected throttle, freeze, kill or none" },
                { "{\"AllocationId\": \"a\", \"Users\": \"ann\"}",
                                "allocation a: Users is \"ann\", expected a list of strings" },
                { "{\"AllocationId\": \"a\", \"Users\": [1]}",
                                "allocation a: Users is 1, expected a list of strings" },
                { "{\"AllocationId\": \"a\", \"Devices\": {\"/dev/null\": \"rw\"}}",
                                "allocation a: Devices is {\"/dev/null\":\"rw\"}, expected a list of pairs, "
                                "[[\"/dev/null\", \"rw\"]]" },
                { "{\"AllocationId\": \"a\", \"Devices\": [\"/dev/null\"]}",
                                "allocation a: Devices is \"/dev/null\", expected a list of pairs, "
                                "[[\"/dev/null\", \"rw\"]]" },
                { "{\"AllocationId\": \"a\", \"Devices\": [[\"/dev/null\", 6]]}",
                                "allocation a: Devices is [\"/dev/null\",6], expected a list of pairs, "
                                "[[\"/dev/null\", \"rw\"]]" },
                { "{\"AllocationId\": \"a\", \"Labels\": {\"n\": 1}}",
                                "allocation a: Labels is {\"n\":1}, expected an object of strings, "
                                "{\"name\": "
                                "\"value\"}" },
                { "{\"AllocationId\": \"a\", \"Resources\": [1]}",
                                "allocation a: Resources is [1], expected an object, {\"cpu\": [reserved, "
                                "limit]}" },
                { "{\"AllocationId\": \"a\", \"Resources\": {\"cpu\": 1000}}",
                                "allocation a: Resources: cpu is 1000, expected [reserved, limit], two whole "
                                "numbers "
                                "from 0 or "
                                "\"max\"" },
                { "{\"AllocationId\": \"a\", \"Resources\": {\"cpu\": [1, 2, 3]}}",
                                "allocation a: Resources: cpu is [1,2,3], expected [reserved, limit], two "
                                "whole numbers "
                                "from 0 or "
                                "\"max\"" },
                { "{\"AllocationId\": \"a\", \"Resources\": {\"cpu\": [-1, 2]}}",
                                "allocation a: Resources: cpu is [-1,2], expected [reserved, limit], two "
                                "whole numbers "
                                "from 0 or "
                                "\"max\"" },
                { "{\"AllocationId\": \"a\", \"x_n\": 5}", "allocation a: x_n is 5, expected a string" },
                { "{\"AllocationId\": \"a\", \"Issuer\": "
                  "[\"0123456789012345678901234567890123456789012345678901234567890"
                  "12345678901234567890\"]}",
                                "allocation a: Issuer is "
                                "[\"0123456789012345678901234567890123456789012345678901234..., "
                                "expected a "
                                "string" },
        };
        Quiet quiet = quiet_open();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_failure_ Failure failure = FAILURE_NULL;
                _cleanup_bus_message_ sd_bus_message *m = encode(&quiet, cases[i].text, &failure);

                cr_assert_null(m, "%s: taken", cases[i].text);
                cr_expect_eq(failure.code, FAILURE_INVALID_ALLOCATION, "%s", cases[i].text);
                cr_expect_str_eq(failure.message, cases[i].message, "%s: %s", cases[i].text, failure.message);
        }

        quiet_close(&quiet);
}

Test(ctl_request, numbers_that_json_cannot_hold) {
        static const struct {
                uint64_t value;
                const char *text;
        } cases[] = {
                { 0, "0" },
                { INT64_MAX, "9223372036854775807" },
                { (uint64_t) INT64_MAX + 1, "\"9223372036854775808\"" },
                { UINT64_MAX - 1, "\"18446744073709551614\"" },
                { UINT64_MAX, "\"max\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *json = variant_u64_new(cases[i].value);
                _cleanup_free_ char *text = json_dumps(json, JSON_ENCODE_ANY);

                cr_expect_str_eq(text, cases[i].text, "%s", text);
                cr_expect_eq(variant_u64_value(json), cases[i].value, "%s", text);
        }
}

Test(ctl_request, replies_of_every_type) {
        _cleanup_bus_message_ sd_bus_message *m = NULL;
        _cleanup_json_ json_t *json = NULL;
        _cleanup_free_ char *text = NULL;
        Quiet quiet = quiet_open();

        cr_assert_geq(sd_bus_message_new_method_call(quiet.bus, &m, "a.b", "/", "a.b", "C"), 0);
        cr_assert_geq(sd_bus_message_append(m, "a{oa{sv}}", 1, "/a", 6, "Features", "a{s(bs)}", 1, "cpu", 1,
                                      "yes", "T", "t", UINT64_MAX, "Empty", "a{st}", 0, "Paths", "ao", 2,
                                      "/a", "/b", "N", "n", -3, "V", "v", "u", 4),
                        0);
        cr_assert_geq(sd_bus_message_seal(m, 1, 0), 0);
        cr_assert_geq(sd_bus_message_rewind(m, true), 0);
        cr_assert_eq(variant_read(m, &json), 0);
        text = json_dumps(json, JSON_COMPACT);
        cr_expect_str_eq(text,
                        "{\"/"
                        "a\":{\"Features\":{\"cpu\":[true,\"yes\"]},\"T\":\"max\",\"Empty\":{},\"Paths\":[\"/"
                        "a\",\"/"
                        "b\"],\"N\":-3,\"V\":4}}",
                        "%s", text);
        quiet_close(&quiet);
}
