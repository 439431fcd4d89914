/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* apply, a sync, and check: a file of allocations to headgated. It decides; nothing is sent of a file that
 * has a fault. */

#include "check-words.h"
#include "client.h"
#include "request.h"
#include "units.h"
#include "view.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

static int read_all(int fd, const char *name, char **ret, size_t *ret_size) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                ssize_t n;

                if (size == allocated) {
                        char *grown;

                        if (size >= REQUEST_SIZE_MAX)
                                return ctl_fail(CTL_FAILED,
                                                "%s: more than %u MiB, too much for one list of allocations",
                                                name, REQUEST_SIZE_MAX >> 20);

                        allocated = allocated ? 2 * allocated : 65536;
                        grown = realloc(text, allocated);
                        if (!grown)
                                return ctl_fail_errno(-ENOMEM, name);
                        text = grown;
                }

                n = read(fd, text + size, allocated - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return ctl_fail_errno(-errno, name);
                if (n == 0)
                        break;
                size += (size_t) n;
        }

        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

static int read_requests(const char *path, json_t **ret) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        bool standard_input = strcmp(path, "-") == 0;
        const char *name = standard_input ? "standard input" : path;
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r;

        if (!standard_input) {
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (fd < 0)
                        return ctl_fail_errno(-errno, path);
        }

        r = read_all(standard_input ? STDIN_FILENO : fd, name, &text, &size);
        if (r != 0)
                return r;

        r = request_parse(name, text, size, ret, &failure);
        if (r < 0)
                return ctl_fail_errno(r, name);
        if (r > 0)
                return ctl_fail(CTL_FAILED, "%s", failure.message);

        return 0;
}

/* Calls the Manager's `method`, which takes aa{sv}, behind the issuer where there is one, with what the file
 * holds. Opens `client`, once the file is read. */
static int send_requests(const Ctl *ctl, const char *method, const char *issuer, uint64_t timeout_usec,
                Client *client, sd_bus_message **ret_reply) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_bus_message_ sd_bus_message *call = NULL;
        _cleanup_json_ json_t *requests = NULL;
        int r;

        r = read_requests(ctl->args[0], &requests);
        if (r != 0)
                return r;

        r = client_open(ctl, client);
        if (r != 0)
                return r;

        r = client_new_call(client, HEADGATE_PATH, HEADGATE_MANAGER, method, &call);
        if (r != 0)
                return r;

        r = issuer ? sd_bus_message_append(call, "s", issuer) : 0;
        if (r >= 0)
                r = request_append(call, requests, &failure);
        if (r < 0)
                return client_fail(client, r, "cannot send the allocations");
        if (r > 0)
                return ctl_fail(CTL_FAILED, "%s", failure.message);

        return client_call(client, call, timeout_usec, ret_reply);
}

/* The allocations at the paths; of those that the caller may not read, the id. */
static int get_applied(Client *client, const json_t *paths, json_t **ret) {
        _cleanup_json_ json_t *tenants = NULL, *all = NULL, *by_id = json_object(), *applied = json_array();
        json_t *path, *allocation;
        size_t i;

        client->keep = true;
        (void) client_get_objects(client, &tenants, &all);
        client->keep = false;
        json_array_foreach (all, i, allocation)
                json_object_set(by_id, variant_get_string(allocation, "AllocationId"), allocation);
        json_array_foreach (paths, i, path) {
                _cleanup_free_ char *id = client_path_id(json_string_value(path), HEADGATE_ALLOCATION_PREFIX);

                if (!id)
                        continue;
                allocation = json_object_get(by_id, id);
                json_array_append_new(applied,
                                allocation ? json_incref(allocation) : json_pack("{ss}", "AllocationId", id));
        }
        if (json_array_size(applied) != json_array_size(paths))
                return ctl_fail_errno(-ENOMEM, "applied, but cannot show it");

        *ret = TAKE_PTR(applied);
        return 0;
}

int verb_apply(const Ctl *ctl) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_t *paths = NULL, *applied = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        int r;

        if (ctl->dry_run)
                return verb_check(ctl);

        r = send_requests(
                        ctl, ctl->sync ? "Sync" : "Apply", ctl->sync, CLIENT_TIMEOUT_CHANGE, &client, &reply);
        if (r != 0)
                return r;

        r = variant_read(reply, &paths);
        if (r < 0)
                return client_fail(&client, r, "applied, but cannot read what headgated answered");

        r = get_applied(&client, paths, &applied);
        if (r != 0)
                return r;

        return ctl->json ? view_json(applied, /* one_line= */ false) : view_allocations(ctl, applied, "");
}

/* A line for each that does not fit, or only at somebody's cost. */
static int print_words(const json_t *checks) {
        uint64_t now = (uint64_t) time(NULL) * 1000000;
        const char *separator = "\n";
        json_t *check;
        size_t i;
        int r;

        json_array_foreach (checks, i, check) {
                _cleanup_free_ char *words = NULL;

                r = check_words_format(check, now, &words);
                if (r < 0)
                        return ctl_fail_errno(r, "cannot say what is missing");
                if (words)
                        printf("%s%s\n", separator, words);
                if (words)
                        separator = "";
        }

        return CTL_OK;
}

static int print_checks(const Ctl *ctl, const json_t *checks) {
        static const char *const titles[] = { "ALLOCATION", "FITS", "FITS FROM", "MISSING", "REASON", NULL };
        _cleanup_table_ Table *table = NULL;
        json_t *check;
        size_t i;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        json_array_foreach (checks, i, check) {
                _cleanup_free_ char *missing = view_missing(json_object_get(check, "Missing"), "free");
                const char *fits = json_is_true(json_object_get(check, "Fits")) ? "yes" : "no";
                const json_t *earliest = json_object_get(check, "EarliestStart");
                char from[UNITS_SIZE];

                table_add(table, variant_get_string(check, "AllocationId"));
                table_add_styled(table, view_state_style(fits), fits);
                table_add(table, earliest ? units_format_time(variant_u64_value(earliest), from) : "-");
                table_add(table, missing ?: "?");
                table_add(table, variant_get_string(check, "Reason"));
        }

        r = view_table(ctl, table, "");
        return r == 0 && ctl->legend ? print_words(checks) : r;
}

int verb_check(const Ctl *ctl) {
        _cleanup_bus_message_ sd_bus_message *reply = NULL;
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_json_ json_t *checks = NULL;
        json_t *check;
        size_t i;
        int r;

        r = send_requests(ctl, "Check", /* issuer= */ NULL, CLIENT_TIMEOUT_READ, &client, &reply);
        if (r != 0)
                return r;

        r = variant_read(reply, &checks);
        if (r < 0)
                return client_fail(&client, r, "cannot read what headgated answered");

        r = ctl->json ? view_json(checks, /* one_line= */ false) : print_checks(ctl, checks);
        if (r != 0)
                return r;

        json_array_foreach (checks, i, check)
                if (!json_is_true(json_object_get(check, "Fits")))
                        return CTL_FAILED;

        return CTL_OK;
}
