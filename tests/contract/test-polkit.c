/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who is nobody to headgated is asked of polkit: the real daemon, run dry, on a bus of the test's own, and
 * the test as polkit, which notes each question and gives the answer that the case wants, when the case wants
 * it.
 */

#include "own-bus.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WAIT_USEC 30000000ULL
#define NODE "org.headgate.Node1"
#define NODE_PATH "/org/headgate/Node1"
#define MANAGER NODE ".Manager"
#define DENIED "org.headgate.Error.AccessDenied"
#define STRANGER 65534U
#define ANOTHER 2U
#define QUESTIONS_OF_ONE 16U /* that wait at once, daemon/api/api-polkit.c */

static char directory[] = "/tmp/headgate-polkit-XXXXXX";
static pid_t daemon_pid;
static sd_bus *root, *stranger, *another, *polkit;

/* polkit's part: what it was asked, and, until it shall answer, of what. */
static struct {
        unsigned n;
        char subject[64], action[64];
        uint32_t flags;
        bool grants, keeps_silent;
        sd_bus_message *kept[64];
        unsigned n_kept;
} asked;

static int answer_question(sd_bus_message *m, bool grants) {
        return sd_bus_reply_method_return(m, "(bba{ss})", (int) grants, 0, 0);
}

static int check_authorization(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *kind, *key, *name, *action;
        int r;

        r = sd_bus_message_read(m, "(sa{sv})", &kind, 1, &key, "s", &name);
        cr_assert_geq(r, 0);
        cr_expect_str_eq(kind, "system-bus-name");
        cr_expect_str_eq(key, "name");
        cr_assert_geq(sd_bus_message_read(m, "sa{ss}u", &action, 0, &asked.flags), 0);
        snprintf(asked.subject, sizeof(asked.subject), "%s", name);
        snprintf(asked.action, sizeof(asked.action), "%s", action);
        asked.n++;
        if (!asked.keeps_silent)
                return answer_question(m, asked.grants);
        cr_assert_lt(asked.n_kept, ELEMENTSOF(asked.kept));
        asked.kept[asked.n_kept++] = sd_bus_message_ref(m);
        return 1;
}

static void answer_what_was_kept(bool grants) {
        asked.keeps_silent = false;
        for (unsigned i = 0; i < asked.n_kept; i++) {
                cr_assert_geq(answer_question(asked.kept[i], grants), 0);
                sd_bus_message_unref(asked.kept[i]);
        }
        asked.n_kept = 0;
}

static const sd_bus_vtable polkit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", check_authorization,
                        SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void start_polkit(bool grants) {
        memset(&asked, 0, sizeof(asked));
        asked.grants = grants;
        polkit = own_bus_open(directory, 0);
        cr_assert_geq(sd_bus_add_object_vtable(polkit, NULL, "/org/freedesktop/PolicyKit1/Authority",
                                      "org.freedesktop.PolicyKit1.Authority", polkit_vtable, NULL),
                        0);
        cr_assert_geq(sd_bus_request_name(polkit, "org.freedesktop.PolicyKit1", 0), 0);
}

/* One call, and how often polkit was asked of it. */
typedef struct Call {
        bool is_answered;
        char error[96];
} Call;

static int take_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Call *call = userdata;

        call->is_answered = true;
        if (sd_bus_message_is_method_error(m, NULL))
                snprintf(call->error, sizeof(call->error), "%s", sd_bus_message_get_error(m)->name);
        return 1;
}

/* All that are open get what has come; false: nothing had. */
static bool turn(void) {
        sd_bus *const all[] = { root, stranger, another, polkit };
        bool any = false;

        for (unsigned i = 0; i < ELEMENTSOF(all); i++)
                any |= all[i] && sd_bus_process(all[i], NULL) > 0;
        return any;
}

/* Until what is waited for holds: `*flag`, or `*count` of at least `n`. */
static void run_until(const char *what, const bool *flag, const unsigned *count, unsigned n) {
        uint64_t left_usec = WAIT_USEC;

        while (!(flag ? *flag : *count >= n)) {
                if (turn())
                        continue;
                cr_assert_gt(left_usec, 0, "%s: not in time", what);
                (void) sd_bus_wait(polkit ?: root, 10000);
                left_usec -= 10000;
        }
}

static sd_bus_message *new_call(sd_bus *bus, const char *path, const char *interface, const char *member) {
        sd_bus_message *m;

        cr_assert_geq(sd_bus_message_new_method_call(bus, &m, NODE, path, interface, member), 0);
        return m;
}

/* Takes the message. */
static void send(sd_bus *bus, sd_bus_message *m, Call *ret) {
        *ret = (Call){};
        cr_assert_geq(sd_bus_call_async(bus, NULL, m, take_answer, ret, WAIT_USEC), 0);
        cr_assert_geq(sd_bus_flush(bus), 0);
        sd_bus_message_unref(m);
}

static void expect(const char *what, sd_bus *bus, sd_bus_message *m, const char *error, unsigned n_asked) {
        unsigned before = asked.n;
        Call call;

        send(bus, m, &call);
        run_until(what, &call.is_answered, NULL, 0);
        cr_expect_str_eq(call.error, error, "%s: '%s' is not '%s'", what, call.error, error);
        cr_expect_eq(asked.n - before, n_asked, "%s: asked %u times", what, asked.n - before);
}

static sd_bus_message *all_objects(sd_bus *bus) {
        return new_call(bus, NODE_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
}

static sd_bus_message *snapshot(sd_bus *bus) {
        sd_bus_message *m = new_call(bus, NODE_PATH, MANAGER, "Snapshot");

        cr_assert_geq(sd_bus_message_append(m, "s", "json"), 0);
        return m;
}

static sd_bus_message *explain(sd_bus *bus) {
        sd_bus_message *m = new_call(bus, NODE_PATH, MANAGER, "Explain");

        cr_assert_geq(sd_bus_message_append(m, "ss", "tenant/a", "cpu.max"), 0);
        return m;
}

static sd_bus_message *properties(sd_bus *bus, const char *path, const char *interface) {
        sd_bus_message *m = new_call(bus, path, "org.freedesktop.DBus.Properties", "GetAll");

        cr_assert_geq(sd_bus_message_append(m, "s", interface), 0);
        return m;
}

static sd_bus_message *apply(sd_bus *bus, const char *user) {
        sd_bus_message *m = new_call(bus, NODE_PATH, MANAGER, "Apply");

        cr_assert_geq(sd_bus_message_append(m, "aa{sv}", 1, 5, "AllocationId", "s", "a", "Generation", "t",
                                      (uint64_t) 1, "TenantId", "s", "a", "Users", "as", 1, user, "Resources",
                                      "a{s(tt)}", 1, "cpu", (uint64_t) 0, (uint64_t) 100),
                        0);
        return m;
}

static void exec_daemon(void) {
        _cleanup_fclose_ FILE *config = fopen("conf", "we");
        _cleanup_free_ char *bus = NULL, *peer = NULL;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (config && fputs("[clock]\nrequire-sync=no\n", config) >= 0 && fflush(config) == 0 &&
                        asprintf(&bus, "--bus=unix:path=%s/bus", directory) > 0 &&
                        asprintf(&peer, "--peer-socket=%s/peer", directory) > 0)
                execl(getenv("HEADGATED"), "headgated", "--dry-run", "--config=conf", "--state-dir=state",
                                "--pin-dir=", bus, peer, "--cgroup-driver=cgroupfs", NULL);
        _exit(125);
}

static int note_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *) userdata = true;
        return 0;
}

static void set_up(void) {
        static bool is_there;

        if (geteuid() != 0)
                cr_skip_test("skipped: only root can be somebody else");
        if (system("command -v dbus-daemon >/dev/null") != 0)
                cr_skip_test("skipped: no dbus-daemon here (Debian: dbus-daemon)");
        cr_assert_not_null(mkdtemp(directory));
        cr_assert_eq(chmod(directory, 0755), 0);
        cr_assert_eq(chdir(directory), 0);
        own_bus_start(directory);
        root = own_bus_open(directory, 0);
        stranger = own_bus_open(directory, STRANGER);
        another = own_bus_open(directory, ANOTHER);
        cr_assert_geq(sd_bus_add_match(root, NULL, "type='signal',member='NameOwnerChanged',arg0='" NODE "'",
                                      note_owner, &is_there),
                        0);
        daemon_pid = fork();
        cr_assert_geq(daemon_pid, 0);
        if (daemon_pid == 0)
                exec_daemon();
        run_until("the daemon", &is_there, NULL, 0);
        expect("root applies", root, apply(root, "bin"), "", 0); /* uid 2 on every Debian */
}

static void tear_down(void) {
        _cleanup_free_ char *remove = NULL;

        if (daemon_pid <= 0)
                return;
        (void) kill(daemon_pid, SIGKILL);
        (void) waitpid(daemon_pid, NULL, 0);
        own_bus_stop();
        if (asprintf(&remove, "rm -rf %s", directory) > 0)
                cr_assert_eq(system(remove), 0);
}

TestSuite(polkit, .init = set_up, .fini = tear_down, .timeout = 120);

Test(polkit, without_it_strangers_are_denied) {
        expect("all objects", stranger, all_objects(stranger), DENIED, 0);
        expect("a snapshot", stranger, snapshot(stranger), DENIED, 0);
}

Test(polkit, whom_it_lets_read_reads_and_no_more) {
        const char *name;

        start_polkit(/* grants= */ true);
        cr_assert_geq(sd_bus_get_unique_name(stranger, &name), 0);
        expect("all objects", stranger, all_objects(stranger), "", 1);
        cr_expect_str_eq(asked.subject, name);
        cr_expect_str_eq(asked.action, "org.headgate.node1.read");
        cr_expect_eq(asked.flags, 0);
        expect("once more", stranger, all_objects(stranger), "", 1);
        expect("a snapshot", stranger, snapshot(stranger), "", 1);
        expect("an explanation", stranger, explain(stranger), "", 1);
        expect("a tenant", stranger, properties(stranger, NODE_PATH "/tenant/a", NODE ".Tenant"), "", 1);
        expect("a change", stranger, apply(stranger, "bin"), DENIED, 0);
        expect("what is not in the table", stranger,
                        new_call(stranger, NODE_PATH, "org.freedesktop.DBus.Properties", "Set"), DENIED, 0);
}

Test(polkit, whom_it_does_not_is_denied) {
        start_polkit(/* grants= */ false);
        expect("all objects", stranger, all_objects(stranger), DENIED, 1);
        expect("a snapshot", stranger, snapshot(stranger), DENIED, 1);
        expect("an explanation", stranger, explain(stranger), DENIED, 1);
}

Test(polkit, who_has_the_right_is_not_asked_of) {
        start_polkit(/* grants= */ false);
        expect("root", root, all_objects(root), "", 0);
        expect("a tenant's user", another, properties(another, NODE_PATH "/tenant/a", NODE ".Tenant"), "", 0);
        expect("a tenant's user, explained", another, explain(another), "", 0);
        expect("a tenant's user, of all", another, all_objects(another), DENIED, 1);
}

Test(polkit, nobody_is_asked_for_a_password) {
        sd_bus_message *m = all_objects(stranger);

        start_polkit(/* grants= */ true);
        cr_assert_geq(sd_bus_message_set_allow_interactive_authorization(m, true), 0);
        expect("interactively", stranger, m, "", 1);
        cr_expect_eq(asked.flags, 0);
}

/* It is kept while polkit is asked. */
Test(polkit, what_is_large_is_denied_at_once) {
        static char text[1 << 20], path[4096];
        sd_bus_message *m;

        start_polkit(/* grants= */ true);
        memset(text, 'a', sizeof(text) - 1);
        expect("a long name", stranger, properties(stranger, NODE_PATH, text), DENIED, 0);
        snprintf(path, sizeof(path), NODE_PATH "/tenant/%.2000s", text);
        expect("a long path", stranger, properties(stranger, path, NODE ".Tenant"), DENIED, 0);
        m = new_call(stranger, NODE_PATH, MANAGER, "Snapshot");
        cr_assert_geq(sd_bus_message_append(m, "h", STDIN_FILENO), 0);
        expect("a descriptor", stranger, m, "org.freedesktop.DBus.Error.InvalidArgs", 0);
        m = new_call(stranger, NODE_PATH, MANAGER, "Diff");
        cr_assert_geq(sd_bus_message_append(m, "h", STDIN_FILENO), 0);
        expect("a descriptor of a reader's call", stranger, m, DENIED, 0);
        expect("and a small one", stranger, all_objects(stranger), "", 1);
}

Test(polkit, nobody_keeps_others_out_and_nothing_is_lost) {
        Call calls[QUESTIONS_OF_ONE], other;

        start_polkit(/* grants= */ true);
        asked.keeps_silent = true;
        for (unsigned i = 0; i < QUESTIONS_OF_ONE; i++)
                send(stranger, all_objects(stranger), &calls[i]);
        run_until("the questions", NULL, &asked.n, QUESTIONS_OF_ONE);
        expect("one more", stranger, all_objects(stranger), DENIED, 0);
        expect("root meanwhile", root, all_objects(root), "", 0);
        send(another, all_objects(another), &other);
        run_until("another's question", NULL, &asked.n, QUESTIONS_OF_ONE + 1);
        answer_what_was_kept(/* grants= */ true);
        run_until("another's answer", &other.is_answered, NULL, 0);
        cr_expect_str_empty(other.error);
        for (unsigned i = 0; i < QUESTIONS_OF_ONE; i++) {
                run_until("an answer", &calls[i].is_answered, NULL, 0);
                cr_expect_str_empty(calls[i].error, "%u: %s", i, calls[i].error);
        }
        expect("and again", stranger, all_objects(stranger), "", 1);
}

Test(polkit, who_asks_may_leave_and_polkit_too) {
        Call call;

        start_polkit(/* grants= */ true);
        asked.keeps_silent = true;
        send(stranger, all_objects(stranger), &call);
        run_until("the question", NULL, &asked.n, 1);
        stranger = sd_bus_flush_close_unref(stranger);
        answer_what_was_kept(/* grants= */ true);
        expect("root", root, all_objects(root), "", 0);

        asked.keeps_silent = true;
        send(another, all_objects(another), &call);
        run_until("another's question", NULL, &asked.n, 2);
        polkit = sd_bus_flush_close_unref(polkit);
        run_until("its answer", &call.is_answered, NULL, 0);
        cr_expect_str_eq(call.error, DENIED);
}
