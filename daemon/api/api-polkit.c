/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who is neither a reader nor a tenant's user is asked of polkit, where that is on the bus: the site's rules
 * may let them read. The call waits meanwhile and then comes a second time, through the guard like any other,
 * with the verdict. Nothing is granted but reading, nothing of an answer is remembered beyond the one call
 * that it was for, and a peer is never asked of: polkit knows names of the bus only.
 */

#include "api-internal.h"

#include <string.h>

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define READ_ACTION "org.headgate.node1.read" /* packaging/polkit */

/* What is held while it is asked is the whole call: of those that read, the longest has two names. */
#define STRING_MAX 1024U

/* What waits at once: of one user, so that nobody keeps the others out, and in all. */
#define USER_QUESTIONS_MAX 16U
#define QUESTIONS_MAX 256U

struct ApiQuestion {
        Api *api;
        sd_bus_message *call; /* owned */
        sd_bus_slot *slot;    /* the pending answer */
        uid_t uid;
        bool is_answered, is_granted;
        ApiQuestion *next;
};

static ApiQuestion *question_free(ApiQuestion *question) {
        if (!question)
                return NULL;
        sd_bus_slot_unref(question->slot);
        sd_bus_message_unref(question->call);
        free(question);
        return NULL;
}
DEFINE_CLEANUP(ApiQuestion *, question_free);

static void unlink_question(ApiQuestion *question) {
        for (ApiQuestion **q = &question->api->questions; *q; q = &(*q)->next)
                if (*q == question) {
                        *q = question->next;
                        return;
                }
}

void api_polkit_forget(Api *api, const sd_bus *bus) {
        for (ApiQuestion *q = api->questions, *next; q; q = next) {
                next = q->next;
                if (sd_bus_message_get_bus(q->call) == bus) {
                        unlink_question(q);
                        question_free(q);
                }
        }
}

ApiVerdict api_polkit_take_verdict(Api *api, const sd_bus_message *call) {
        for (ApiQuestion *q = api->questions; q; q = q->next)
                if (q->call == call && q->is_answered) {
                        ApiVerdict verdict = q->is_granted ? API_VERDICT_GRANTED : API_VERDICT_DENIED;

                        unlink_question(q);
                        question_free(q);
                        return verdict;
                }
        return API_VERDICT_NONE;
}

/* No polkit, or none that answers in time, grants nothing. */
static int handle_answer(sd_bus_message *answer, void *userdata, sd_bus_error *ret_error) {
        ApiQuestion *question = userdata;
        int is_granted = 0, is_challenge, r;

        if (!sd_bus_message_is_method_error(answer, NULL) &&
                        sd_bus_message_enter_container(answer, 'r', "bba{ss}") > 0)
                (void) sd_bus_message_read(answer, "bb", &is_granted, &is_challenge);
        question->is_answered = true;
        question->is_granted = is_granted;
        r = sd_bus_message_rewind(question->call, /* complete= */ true);
        if (r >= 0)
                r = sd_bus_enqueue_for_read(sd_bus_message_get_bus(question->call), question->call);
        if (r < 0) {
                (void) sd_bus_reply_method_errno(question->call, r, NULL);
                unlink_question(question);
                question_free(question);
        }
        return 0;
}

static bool is_room_for(const Api *api, uid_t uid) {
        unsigned n = 0, of_user = 0;

        for (const ApiQuestion *q = api->questions; q; q = q->next) {
                n++;
                of_user += q->uid == uid;
        }
        return n < QUESTIONS_MAX && of_user < USER_QUESTIONS_MAX;
}

/* The bus lets a message of many megabytes through, with descriptors, and its arguments are not looked at
 * yet. */
static bool is_small(sd_bus_message *call) {
        const char *signature = sd_bus_message_get_signature(call, /* complete= */ true), *s;
        bool small = strlen(sd_bus_message_get_path(call)) <= STRING_MAX;

        if (!signature || sd_bus_message_rewind(call, /* complete= */ true) < 0)
                return false;
        if (strcmp(signature, "tt") == 0)
                return small;
        for (; small && *signature; signature++)
                small = *signature == 's' && sd_bus_message_read_basic(call, 's', &s) > 0 &&
                        strlen(s) <= STRING_MAX;
        return sd_bus_message_rewind(call, /* complete= */ true) >= 0 && small;
}

static int send_question(sd_bus *bus, const char *sender, ApiQuestion *question) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(
                        bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s", sender,
                                READ_ACTION, 0, /* flags= */ 0U, "");
        if (r < 0)
                return r;
        return sd_bus_call_async(bus, &question->slot, m, handle_answer, question, /* usec= */ 0);
}

int api_polkit_ask(Api *api, sd_bus_message *call, uid_t uid) {
        _cleanup_(question_free_p) ApiQuestion *question = NULL;
        const char *sender = sd_bus_message_get_sender(call);
        sd_bus *bus = sd_bus_message_get_bus(call);
        int r;

        if (api->verdict != API_VERDICT_NONE || !sender || api_is_peer(api, bus) || !is_room_for(api, uid) ||
                        !is_small(call))
                return 0;
        question = calloc(1, sizeof(ApiQuestion));
        if (!question)
                return -ENOMEM;
        question->api = api;
        question->uid = uid;
        question->call = sd_bus_message_ref(call);
        r = send_question(bus, sender, question);
        if (r < 0)
                return r;
        question->next = api->questions;
        api->questions = TAKE_PTR(question);
        return 1;
}
