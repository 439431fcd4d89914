/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What schedulers ask for: allocations made, changed, renewed, ended, or asked about. */

#include "api-internal.h"
#include "codec.h"

#include "util/strv.h"

#include <string.h>

typedef struct Requests {
        Allocation **list; /* owned, but for what an operation took */
        size_t n;
        uid_t caller;
} Requests;

static int read_requests(Api *api, sd_bus_message *message, Requests *ret, Failure *failure) {
        int r = api_caller(api, message, &ret->caller);

        return r < 0 ? r : codec_read_requests(message, &ret->list, &ret->n, failure);
}

static int append_ids(const Api *api, sd_bus_message *reply, char *const *ids) {
        int r = sd_bus_message_open_container(reply, 'a', "o");

        for (; r >= 0 && ids && *ids; ids++) {
                _cleanup_free_ char *path = api_allocation_path(*ids);

                r = path ? sd_bus_message_append_basic(reply, 'o', path) : -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int list_ids(const Requests *requests, char ***ret) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < requests->n; i++)
                r = strv_push(ret, requests->list[i]->id ?: "");
        return r;
}

/* Apply where there is no issuer, else Sync: both take the requests and answer with their objects. */
static int apply(Api *api, sd_bus_message *message, const char *issuer, sd_bus_error *ret_error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_strv_ char **ids = NULL;
        Requests requests = {};
        int r;

        r = read_requests(api, message, &requests, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        r = list_ids(&requests, &ids);
        if (r < 0) {
                codec_requests_free(requests.list, requests.n);
                return r;
        }
        r = issuer ? api->operations->sync(api->userdata, requests.caller, issuer, requests.list, requests.n,
                                     &failure)
                   : api->operations->apply(
                                     api->userdata, requests.caller, requests.list, requests.n, &failure);
        free(requests.list);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        r = sd_bus_message_new_method_return(message, &reply);
        if (r >= 0)
                r = append_ids(api, reply, ids);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int api_method_apply(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        return apply(userdata, message, /* issuer= */ NULL, ret_error);
}

int api_method_sync(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        const char *issuer;
        int r = sd_bus_message_read_basic(message, 's', &issuer);

        return r < 0 ? r : apply(userdata, message, issuer, ret_error);
}

/* Each once, in the order of the loans. */
static int append_preempted(sd_bus_message *reply, const Verdict *verdict) {
        int r = sd_bus_message_open_container(reply, 'e', "sv");

        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', "Preempts");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "as");
        if (r >= 0)
                r = api_append_lenders(reply, NULL, verdict->loans, verdict->n_loans);
        for (int i = 0; r >= 0 && i < 2; i++) /* the variant, the entry */
                r = sd_bus_message_close_container(reply);
        return r;
}

/* Of each request a verdict. */
typedef struct Judged {
        Allocation *const *requests;
        const Verdict *verdicts;
} Judged;

static int append_verdict(sd_bus_message *reply, const void *list, size_t i) {
        const Judged *judged = list;
        const Verdict *verdict = &judged->verdicts[i];
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "{sv}{sv}{sv}", "AllocationId", "s",
                                judged->requests[i]->id ?: "", "Fits", "b", (int) verdict->fits, "Reason",
                                "s", verdict->failure.message ?: "");
        if (r >= 0 && verdict->missing.n > 0)
                r = sd_bus_message_append(reply, "{sv}{sv}", "MissingFrom", "t", verdict->shortage.start_usec,
                                "MissingUntil", "t", verdict->shortage.end_usec);
        if (r >= 0 && verdict->missing.n > 0 && verdict->earliest_usec != UINT64_MAX)
                r = sd_bus_message_append(reply, "{sv}", "EarliestStart", "t", verdict->earliest_usec);
        if (r >= 0)
                r = append_preempted(reply, verdict);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(reply, 's', "Missing");
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'v', "a{s(tt)}");
        if (r >= 0)
                r = codec_append_amounts(reply, &verdict->missing);
        for (int k = 0; r >= 0 && k < 3; k++) /* the variant, the entry, the dictionary */
                r = sd_bus_message_close_container(reply);
        return r;
}

int api_method_check(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        _cleanup_free_ Verdict *verdicts = NULL;
        Requests requests = {};
        Api *api = userdata;
        int r;

        r = read_requests(api, message, &requests, &failure);
        if (r != 0)
                return api_fail(r, &failure, ret_error);
        verdicts = calloc(requests.n + 1, sizeof(Verdict));
        r = verdicts ? api->operations->check(api->userdata, requests.caller, requests.list, requests.n,
                                       verdicts, &failure)
                     : -ENOMEM;
        r = r != 0 ? api_fail(r, &failure, ret_error)
                   : api_reply_list(message, &(Judged){ requests.list, verdicts }, requests.n,
                                     append_verdict);
        for (size_t i = 0; verdicts && i < requests.n; i++)
                verdict_deinit(&verdicts[i]);
        codec_requests_free(requests.list, requests.n);
        return r;
}

int api_method_release(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const char *id, *reason;
        Api *api = userdata;
        uint64_t generation;
        uid_t caller;
        int r;

        r = sd_bus_message_read(message, "sts", &id, &generation, &reason);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = api->operations->release(api->userdata, caller, id, generation, reason, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}

int api_method_renew(sd_bus_message *message, void *userdata, sd_bus_error *ret_error) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Api *api = userdata;
        uint64_t lease_usec;
        const char *id;
        uid_t caller;
        int r;

        r = sd_bus_message_read(message, "st", &id, &lease_usec);
        if (r >= 0)
                r = api_caller(api, message, &caller);
        if (r >= 0)
                r = api->operations->renew(api->userdata, caller, id, lease_usec, &failure);
        return r != 0 ? api_fail(r, &failure, ret_error) : sd_bus_reply_method_return(message, "");
}
