/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "state-check.h"
#include "state-directory.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

TestSuite(state, .init = make_directory, .fini = remove_directory);

/* With something in every field, so that one that is forgotten shows. */
static Allocation *full_allocation(void) {
        Allocation *a;

        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup("a-1");
        a->tenant_id = strdup("acme");
        a->generation = UINT64_MAX - 1;
        a->issuer = strdup("central 算力");
        cr_assert_eq(string_map_put(&a->external_ids, "slurm", "42"), 0);
        a->project_id = strdup("p");
        a->reservation_id = strdup("r");
        a->start_usec = 5;
        a->start_given = true;
        a->end_usec = UINT64_MAX;
        a->duration_usec = 9;
        a->end_signal = 1;
        a->grace_usec = 8;
        a->on_end = ON_END_KILL;
        a->qos_class = QOS_CLASS_BURSTABLE;
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_NET_EGRESS, "eth1", (Amount){ 7, UNLIMITED }),
                        0);
        a->cpu_set = strdup("0-3,8");
        a->cpu_set_mode = PLACEMENT_EXCLUSIVE;
        a->numa_nodes = strdup("1");
        a->numa_mode = PLACEMENT_EXCLUSIVE;
        a->assigned_cpus = strdup("6-7");
        a->node_memory_bytes = UINT64_MAX - 2;
        cr_assert_eq(strv_push(&a->users, "alice"), 0);
        cr_assert_eq(device_set_put(&a->devices, "/dev/nvidia0", DEVICE_READ | DEVICE_WRITE), 0);
        cr_assert_eq(string_map_put(&a->labels, "k", "v"), 0);
        cr_assert_eq(string_map_put(&a->extensions, "x_k", "v"), 0);
        a->owner = 1234;
        a->state = ALLOCATION_ENDING;
        a->reason = strdup("its window closed");
        a->actual_start_usec = 6;
        a->actual_end_usec = 7;
        return a;
}

Test(state, what_was_committed_comes_back_whole) {
        _cleanup_allocation_ Allocation *a = full_allocation();
        const Allocation *back;
        Node node = {}, again = {};
        Tenant *tenant;
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(node_add_tenant(&node, "zeta", 100, &tenant), 0);
        cr_assert_eq(state_put_tenant(state, tenant), 0);
        cr_assert_eq(node_add_tenant(&node, "acme", 100, &tenant), 0);
        tenant->residual_memory_bytes = 4096;
        tenant->throttled = true;
        cr_assert_eq(adopted_groups_add(&tenant->adopted, "/a pod/ü", UINT64_MAX, "b007"), 0);
        cr_assert_eq(adopted_groups_add(&tenant->adopted, "/job", 1, "b007"), 0);
        cr_assert_eq(state_begin(state), 0);
        cr_assert_eq(state_put_tenant(state, tenant), 0);
        cr_assert_eq(state_put_allocation(state, a), 0);
        cr_assert_eq(state_commit(state), 0);
        state_free(state);

        state = open_state(&again, &lost);
        cr_expect_null(lost);
        cr_assert_eq(again.calendar.n, 1);
        back = again.calendar.allocations[0];
        cr_expect(allocation_same_request(a, back));
        cr_expect_eq(back->owner, 1234);
        cr_expect_eq(back->state, ALLOCATION_ENDING);
        cr_expect_str_eq(back->reason, "its window closed");
        cr_expect_eq(back->actual_start_usec, 6);
        cr_expect_eq(back->actual_end_usec, 7);
        cr_expect_str_eq(back->assigned_cpus, "6-7", "a choice is kept");
        cr_expect_eq(back->node_memory_bytes, UINT64_MAX - 2);
        cr_expect_eq(node_find_tenant(&again, "zeta")->slot, SLOT_FIRST,
                        "slots name rows of counters: they must not move");
        cr_expect_eq(node_find_tenant(&again, "acme")->slot, SLOT_FIRST + 1);
        cr_expect_eq(node_find_tenant(&again, "acme")->residual_memory_bytes, 4096);
        cr_expect(node_find_tenant(&again, "acme")->throttled);
        cr_assert_eq(node_find_tenant(&again, "acme")->adopted.n, 2);
        cr_expect_str_eq(node_find_tenant(&again, "acme")->adopted.entries[0].path, "/a pod/ü");
        cr_expect_eq(node_find_tenant(&again, "acme")->adopted.entries[0].id, UINT64_MAX);
        cr_expect_str_eq(node_find_tenant(&again, "acme")->adopted.entries[1].boot_id, "b007");
        cr_expect_eq(node_find_tenant(&again, "zeta")->adopted.n, 0);
        state_free(state);
        node_deinit(&node);
        node_deinit(&again);
}

Test(state, what_was_rolled_back_does_not) {
        _cleanup_allocation_ Allocation *a = full_allocation();
        Node node = {}, again = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_begin(state), 0);
        cr_assert_eq(state_put_allocation(state, a), 0);
        state_rollback(state);
        state_free(state);
        state = open_state(&again, &lost);
        cr_expect_eq(again.calendar.n, 0);
        state_free(state);
}

Test(state, a_damaged_file_is_set_aside_and_said) {
        Node node = {};
        char path[96], **lost;
        State *state;
        int fd;

        snprintf(path, sizeof path, "%s/state.sqlite", directory);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, "this is no database, and never was one", 38), 38);
        close(fd);
        state = open_state(&node, &lost);
        cr_assert_eq(strv_length(lost), 1);
        cr_expect_not_null(strstr(lost[0], "set aside"));
        strcat(path, ".bad-1");
        cr_expect_eq(access(path, F_OK), 0);
        strv_free(lost);
        state_free(state);
}

/* --- what else it keeps, and how --- */

static void path_of(const char *name, char path[128]) {
        snprintf(path, 128, "%s/%s", directory, name);
}

static bool is_there(const char *name) {
        char path[128];

        path_of(name, path);
        return access(path, F_OK) == 0;
}

static void write_file(const char *name, const char *text, off_t at) {
        char path[128];
        int fd;

        path_of(name, path);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        cr_assert_eq(pwrite(fd, text, strlen(text), at), (ssize_t) strlen(text));
        close(fd);
}

/* To be read by another hand than the one that is tested. */
static void run_sql(const char *sql) {
        sqlite3 *db = NULL;
        char path[128];

        path_of("state.sqlite", path);
        cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
        cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
        sqlite3_close(db);
}

static void put_one(State *state, const char *id, const char *tenant_id) {
        _cleanup_allocation_ Allocation *a = full_allocation();

        free(a->id);
        free(a->tenant_id);
        a->id = strdup(id);
        a->tenant_id = strdup(tenant_id);
        cr_assert_eq(state_put_allocation(state, a), 0);
}

/* Two allocations, a tenant, a text, a released generation. */
static void make_state(void) {
        Tenant acme = { .id = (char *) "acme", .slot = SLOT_FIRST + 3, .frozen = true };
        Node node = {};
        char **lost;
        State *state = open_state(&node, &lost);

        cr_assert_null(lost);
        cr_assert_eq(state_begin(state), 0);
        put_one(state, "a-1", "acme");
        put_one(state, "a-2", "acme");
        cr_assert_eq(state_put_tenant(state, &acme), 0);
        cr_assert_eq(state_put_text(state, "boot-id", "one"), 0);
        cr_assert_eq(state_put_released(state, "b-1", 7, 1), 0);
        cr_assert_eq(state_commit(state), 0);
        state_free(state);
        node_deinit(&node);
}

/* How many of those five are there. */
static int count_state(const State *state, const Node *node) {
        _cleanup_free_ char *text = NULL;
        const Tenant *acme = node_find_tenant(node, "acme");
        uint64_t generation;

        cr_assert_eq(state_get_text(state, "boot-id", &text), 0);
        cr_assert_eq(state_released_generation(state, "b-1", &generation), 0);
        return (int) node->calendar.n + (acme && acme->slot == SLOT_FIRST + 3 && acme->frozen) +
               (text && strcmp(text, "one") == 0) + (generation == 7);
}

/* Opens it; how many of the five are there, and in `ret_lost` what was said. */
static int open_and_count(char ***ret_lost) {
        Node node = {};
        State *state = open_state(&node, ret_lost);
        int n = count_state(state, &node);

        state_free(state);
        node_deinit(&node);
        return n;
}

static bool says(char *const *lost, const char *what) {
        for (; lost && *lost; lost++)
                if (strstr(*lost, what))
                        return true;
        return false;
}

Test(state, texts_are_kept_by_name) {
        Node node = {};
        char **lost, *text;
        char name[80];
        State *state = open_state(&node, &lost);

        cr_assert_eq(state_get_text(state, "drain-reason", &text), 0);
        cr_expect_null(text, "never put");
        cr_assert_eq(state_put_text(state, "drain-reason", ""), 0);
        cr_assert_eq(state_put_text(state, "boot-id", "first"), 0);
        cr_assert_eq(state_put_text(state, "boot-id", "second"), 0);
        state_free(state);
        state = open_state(&node, &lost);
        cr_expect_null(lost);
        cr_assert_eq(state_get_text(state, "drain-reason", &text), 0);
        cr_expect_str_eq(text, "", "an empty one is not none");
        free(text);
        cr_assert_eq(state_get_text(state, "boot-id", &text), 0);
        cr_expect_str_eq(text, "second");
        free(text);
        cr_assert_eq(state_put_text(state, "boot-id", NULL), 0);
        cr_assert_eq(state_get_text(state, "boot-id", &text), 0);
        cr_expect_null(text, "taken away");
        memset(name, 'n', sizeof name);
        name[64] = '\0';
        cr_expect_eq(state_put_text(state, name, "x"), -EINVAL);
        cr_expect_eq(state_put_text(NULL, "boot-id", "x"), 0, "a dry run takes it");
        cr_expect_eq(state_get_text(NULL, "boot-id", &text), 0);
        cr_expect_null(text, "and forgets it");
        state_free(state);
}

Test(state, one_process_writes) {
        Node node = {};
        char **lost, **lost_again = NULL;
        State *state = open_state(&node, &lost), *again = NULL;

        cr_expect_eq(state_open(directory, false, 100, &node, &again, &lost_again), -EBUSY);
        cr_assert_eq(state_open(directory, true, 100, &node, &again, &lost_again), 0, "another may read");
        state_free(again);
        state_free(state);
        make_state();
}

/* The disk takes no more, in the middle of a transaction: it leaves no trace, and the next one is whole. */
Test(state, a_change_that_is_refused_fails_its_transaction) {
        const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
        struct rlimit small = { 0, RLIM_INFINITY };
        char path[128], **lost, *text;
        Node node = {}, again = {};
        struct stat st;
        State *state;

        make_state();
        state = open_state(&node, &lost);
        cr_assert_eq(state_put_text(state, "before", "1"), 0);
        path_of("state.sqlite-wal", path);
        cr_assert_eq(stat(path, &st), 0);
        small.rlim_cur = (rlim_t) st.st_size;
        signal(SIGXFSZ, SIG_IGN);
        cr_assert_eq(state_begin(state), 0);
        cr_assert_eq(state_put_text(state, "during", "1"), 0);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        cr_expect_lt(state_commit(state), 0);
        cr_expect_lt(state_put_text(state, "alone", "1"), 0);
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
        cr_expect_eq(state_put_text(state, "after", "1"), 0);
        state_free(state);
        state = open_state(&again, &lost);
        cr_expect_null(lost, "%s", lost ? lost[0] : "");
        cr_expect_eq(count_state(state, &again), 5);
        for (const char *const *name = (const char *const[]){ "before", "during", "alone", "after", NULL };
                        *name; name++) {
                cr_assert_eq(state_get_text(state, *name, &text), 0);
                cr_expect_eq(text != NULL, (*name)[0] == 'b' || strcmp(*name, "after") == 0, "%s", *name);
                free(text);
        }
        state_free(state);
}

static unsigned syncs_to_fail;

/* SQLite's, from the C library: the disk says no once all has been written. */
int fdatasync(int fd) {
        if (syncs_to_fail == 0)
                return fsync(fd);
        syncs_to_fail--;
        errno = EIO;
        return -1;
}

/* The log has all of it by then, and a crash is next. */
Test(state, a_commit_that_failed_is_none_after_a_crash_either) {
        char command[256], **lost;
        Node node = {}, again = {};
        State *state;

        make_state();
        state = open_state(&node, &lost);
        cr_assert_eq(state_put_text(state, "before", "1"), 0);
        cr_assert_eq(state_begin(state), 0);
        cr_assert_eq(state_delete_allocation(state, "a-1"), 0);
        put_one(state, "a-3", "acme");
        put_one(state, "a-4", "acme");
        syncs_to_fail = 1;
        cr_expect_lt(state_commit(state), 0);
        cr_expect_eq(syncs_to_fail, 0);
        snprintf(command, sizeof command, "cp -r %s %s.kept", directory, directory);
        cr_assert_eq(system(command), 0);
        state_free(state);
        remove_directory();
        snprintf(command, sizeof command, "mv %s.kept %s", directory, directory);
        cr_assert_eq(system(command), 0);
        state = open_state(&again, &lost);
        cr_expect_null(lost, "%s", lost ? lost[0] : "");
        cr_expect_eq(count_state(state, &again), 5);
        cr_expect_not_null(calendar_find(&again.calendar, "a-1"));
        state_free(state);
        node_deinit(&node);
        node_deinit(&again);
}

Test(state, two_tenants_never_share_a_slot) {
        static const struct {
                const char *id;
                uint32_t had, has; /* 0: none */
        } cases[] = {
                { "a", 5, 5 },
                { "b", 5, SLOT_FIRST },
                { "c", 0, SLOT_FIRST + 1 },
                { "d", SLOT_FIRST + 2, SLOT_FIRST + 2 },
                { "e", 4000, SLOT_FIRST + 4 },
                { "f", 4001, 0 },
        };
        Node node = {}, again = {};
        State *state = NULL;
        char **lost;

        cr_assert_eq(state_open(directory, false, SLOT_FIRST + 4, &node, &state, &lost), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Tenant tenant = { .id = (char *) cases[i].id,
                        .slot = cases[i].had,
                        .doomed = true,
                        .observed = true,
                        .to_be_opened = true };

                cr_assert_eq(state_put_tenant(state, &tenant), 0);
        }
        state_free(state);
        cr_assert_eq(state_open(directory, false, SLOT_FIRST + 4, &again, &state, &lost), 0);
        cr_expect_eq(strv_length(lost), 4U);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Tenant *tenant = node_find_tenant(&again, cases[i].id);

                cr_expect_eq(tenant ? tenant->slot : 0, cases[i].has, "%s", cases[i].id);
                cr_expect(!tenant || (tenant->doomed && tenant->observed && tenant->to_be_opened),
                                "%s: what it was is kept", cases[i].id);
        }
        state_free(state);
        node_deinit(&again);
        cr_assert_eq(state_open(directory, false, SLOT_FIRST + 4, &again, &state, &lost), 0);
        cr_expect_eq(strv_length(lost), 1U, "but for the one over tenants-max it is as it was then");
        state_free(state);
}

/* --- other versions --- */

/* What version 1 wrote: three tables, rows without sums, what is at rest in one number. */
static const char version_1[] =
                "PRAGMA journal_mode=WAL;"
                "CREATE TABLE allocation(id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;"
                "CREATE TABLE tenant(id TEXT PRIMARY KEY, slot INTEGER NOT NULL UNIQUE, residual_memory "
                "INTEGER NOT "
                "NULL, at_rest INTEGER NOT NULL) WITHOUT ROWID;"
                "CREATE TABLE released(id TEXT PRIMARY KEY, generation TEXT NOT NULL, at INTEGER NOT NULL) "
                "WITHOUT "
                "ROWID;"
                "PRAGMA user_version=1;"
                "INSERT INTO tenant VALUES('acme', 7, 4096, 5), ('zeta', 2, 0, 0);"
                "INSERT INTO released VALUES('b-1', '18446744073709551615', 1800000000000000);"
                "INSERT INTO allocation VALUES('a-1', "
                "'{\"AllocationId\":\"a-1\",\"Generation\":\"18446744073709551614\","
                "\"TenantId\":\"acme\",\"Issuer\":\"central\",\"ExternalIds\":{\"slurm\":\"42\"},"
                "\"ProjectId\":null,"
                "\"ReservationId\":null,\"StartTime\":\"5\",\"EndTime\":\"18446744073709551615\","
                "\"Duration\":\"9\","
                "\"EndSignal\":\"HUP\",\"GraceTime\":\"8\",\"OnEnd\":\"kill\",\"QosClass\":\"burstable\","
                "\"Resources\":"
                "{\"cpu\":[\"7\",\"18446744073709551615\"]},\"Users\":[\"alice\"],\"Labels\":{\"k\":\"v\"},"
                "\"x_\":"
                "{\"x_k\":\"v\"},\"StartGiven\":true,\"Owner\":1234,\"State\":\"ending\",\"Reason\":\"its "
                "window "
                "closed\",\"ActualStart\":\"6\",\"ActualEnd\":\"0\"}');";

Test(state, version_1_is_upgraded) {
        const Allocation *a;
        const Tenant *acme;
        uint64_t generation;
        Node node = {};
        State *state;
        char **lost;

        run_sql(version_1);
        state = open_state(&node, &lost);
        cr_expect_null(lost, "%s", lost ? lost[0] : "");
        cr_assert_eq(node.calendar.n, 1U);
        a = node.calendar.allocations[0];
        cr_expect_eq(a->generation, UINT64_MAX - 1);
        cr_expect_str_eq(a->issuer, "central");
        cr_expect_str_eq(string_map_get(&a->external_ids, "slurm"), "42");
        cr_expect_null(a->project_id);
        cr_expect(a->start_given);
        cr_expect_eq(a->end_usec, UINT64_MAX);
        cr_expect_eq(a->end_signal, SIGHUP);
        cr_expect_eq(a->on_end, ON_END_KILL);
        cr_expect_eq(a->qos_class, QOS_CLASS_BURSTABLE);
        cr_expect_eq(resource_set_get(&a->resources, RESOURCE_CPU, "")->limit, UNLIMITED);
        cr_expect(strv_contains(a->users, "alice"));
        cr_expect_str_eq(string_map_get(&a->extensions, "x_k"), "v");
        cr_expect_eq(a->owner, 1234U);
        cr_expect_eq(a->state, ALLOCATION_ENDING);
        cr_expect_str_eq(a->reason, "its window closed");
        cr_expect_eq(a->actual_start_usec, 6U);
        acme = node_find_tenant(&node, "acme");
        cr_assert_not_null(acme);
        cr_expect_eq(acme->slot, 7U);
        cr_expect_eq(acme->residual_memory_bytes, 4096U);
        cr_expect(acme->throttled && acme->doomed && !acme->frozen);
        cr_expect_not_null(node_find_tenant(&node, "zeta"));
        cr_assert_eq(state_released_generation(state, "b-1", &generation), 0);
        cr_expect_eq(generation, UINT64_MAX);
        cr_expect(is_there("state.sqlite.version-1"), "kept, for the way back");
        cr_expect_not(is_there("state.sqlite.bad-1"));
        cr_assert_eq(state_put_text(state, "boot-id", "one"), 0);
        state_free(state);
        (void) open_and_count(&lost);
        cr_expect_null(lost);
}

Test(state, what_cannot_be_read_of_version_1_is_said) {
        Node node = {};
        State *state;
        char **lost;

        run_sql(version_1);
        run_sql("INSERT INTO allocation VALUES('a-2', '{\"AllocationId\":'), ('a-3', "
                "'{\"AllocationId\":\"a-4\",\"TenantId\":"
                "\"acme\",\"State\":\"active\"}'); INSERT INTO tenant VALUES('../x', 9, 0, 0)");
        state = open_state(&node, &lost);
        cr_expect_eq(strv_length(lost), 3U);
        cr_expect(says(lost, "allocation a-2: "));
        cr_expect(says(lost, "allocation a-3: "), "an allocation in another's row");
        cr_expect(says(lost, "tenant ?: "));
        cr_expect_eq(node.calendar.n, 1U);
        cr_expect_eq(node.n_tenants, 2U);
        state_free(state);
}

/* As a later version must, it says its own in the digest. */
static void write_later_digest(void) {
        char sql[512], sum[2 * ROW_SUM_SIZE + 1];
        Row row = { .kind = ROW_DIGEST, .id = "", .change = 9, .body = "3 9 and what else it has" };

        row_sum(&row, row.sum);
        for (size_t i = 0; i < ROW_SUM_SIZE; i++)
                snprintf(sum + 2 * i, 3, "%02x", row.sum[i]);
        snprintf(sql, sizeof sql, "UPDATE row SET change = 9, body = '%s', sum = x'%s' WHERE kind = 'digest'",
                        row.body, sum);
        run_sql(sql);
}

Test(state, a_later_version_is_left_alone) {
        char **lost = NULL;
        State *state = NULL;
        Node node = {};

        make_state();
        write_later_digest();
        run_sql("PRAGMA user_version=3");
        for (int read_only = 0; read_only < 2; read_only++)
                cr_expect_eq(state_open(directory, read_only, 100, &node, &state, &lost), -EPROTONOSUPPORT);
        write_file("state.sqlite", "????????????????", 0);
        cr_expect_eq(state_open(directory, false, 100, &node, &state, &lost), -EPROTONOSUPPORT,
                        "though damaged");
        cr_expect_not(is_there("state.sqlite.tmp"));
        cr_expect_not(is_there("state.sqlite.bad-1"));
}

/* Four bytes of the header, which may be damaged like any. */
Test(state, a_later_number_alone_is_damage) {
        char **lost;

        make_state();
        run_sql("PRAGMA user_version=3");
        cr_expect_eq(open_and_count(&lost), 5);
        cr_expect(says(lost, "nothing that it held is lost"));
        cr_expect(is_there("state.sqlite.bad-1"));
        cr_expect_eq(open_and_count(&lost), 5);
        cr_expect_null(lost);
}

/* --- damage; byte by byte it is test-state-damage.c's --- */

static void stand_in(const char *name, const char *what) {
        char path[128];

        path_of(name, path);
        (void) unlink(path);
        if (strcmp(what, "directory") == 0)
                cr_assert_eq(mkdir(path, 0700), 0);
        else if (strcmp(what, "fifo") == 0)
                cr_assert_eq(mkfifo(path, 0600), 0);
        else if (strcmp(what, "link") == 0)
                cr_assert_eq(symlink(path, path), 0);
        else if (strcmp(what, "zeros") == 0) {
                write_file(name, "", 0);
                cr_assert_eq(truncate(path, 65536), 0);
        } else if (strcmp(what, "gone") != 0)
                for (int i = 0; *what && i < 100; i++)
                        write_file(name, what, i * (off_t) strlen(what));
}

Test(state, whatever_is_in_its_place_it_opens) {
        static const struct {
                const char *name, *what;
                int left; /* of the five that there were */
                bool quiet;
        } cases[] = {
                { "state.sqlite", "directory", 0 },
                { "state.sqlite", "fifo", 0 },
                { "state.sqlite", "link", 0 },
                { "state.sqlite", "zeros", 0 },
                { "state.sqlite", "this is no database, and never was one", 0 },
                { "state.sqlite", "SQLite format 3", 0 },
                { "state.sqlite", "gone", 0 },
                { "state.sqlite-wal", "directory", 5 },
                { "state.sqlite-wal", "fifo", 5 },
                { "state.sqlite-wal", "zeros", 5, true },
                { "state.sqlite-wal", "this is no log", 5, true },
                { "state.sqlite-shm", "this is no index", 5, true },
                { "state.sqlite-shm", "directory", 5 },
                { "state.sqlite-journal", "this is no journal", 5, true },
                { "state.sqlite-journal", "zeros", 5, true },
                { "state.mark", "directory", 5, true },
                { "state.mark", "fifo", 5, true },
                { "state.mark", "this is no mark", 5, true },
                { "state.mark", "gone", 5, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *name = cases[i].name, *what = cases[i].what;
                char **lost;

                make_state();
                stand_in(name, what);
                cr_expect_eq(open_and_count(&lost), cases[i].left, "%s: %s", name, what);
                cr_expect_eq(!lost, cases[i].quiet, "%s: %s: %s", name, what,
                                lost ? lost[0] : "nothing said");
                make_state();
                cr_expect_eq(open_and_count(&lost), 5, "%s: %s: then a new one", name, what);
                cr_expect_null(lost, "%s: %s: %s", name, what, lost ? lost[0] : "");
                remove_directory();
                cr_assert_eq(mkdir(directory, 0700), 0);
        }
}

Test(state, an_empty_file_is_a_new_one) {
        char **lost;

        write_file("state.sqlite", "", 0);
        (void) open_and_count(&lost);
        cr_expect_null(lost);
}

Test(state, a_database_of_others_is_set_aside) {
        char **lost;

        run_sql("CREATE TABLE moz_places(id INTEGER PRIMARY KEY); PRAGMA user_version=75");
        (void) open_and_count(&lost);
        cr_expect(says(lost, "set aside"));
        cr_expect(is_there("state.sqlite.bad-1"));
        run_sql("PRAGMA application_id=7");
        (void) open_and_count(&lost);
        cr_expect(says(lost, "set aside"));
        cr_expect(is_there("state.sqlite.bad-2"));
}

/* Everything: also that a generation was released, or a stale Apply would bring it back. */
Test(state, a_damaged_header_costs_nothing) {
        char **lost;

        make_state();
        write_file("state.sqlite", "????????????????????????????????????????", 0);
        cr_expect_eq(open_and_count(&lost), 5);
        cr_expect(says(lost, "nothing that it held is lost"));
}

Test(state, a_row_that_is_damaged_is_named) {
        char **lost;

        make_state();
        run_sql("UPDATE row SET body = replace(body, '1234', '1235') WHERE id = 'a-2'");
        cr_expect_eq(open_and_count(&lost), 4);
        cr_expect(says(lost, "allocation a-2: its row is damaged"));
        cr_expect(says(lost, "1 of 2 allocations is missing"));
        cr_expect(says(lost, "set aside"));
}

Test(state, a_row_that_is_gone_is_missed) {
        char **lost;

        make_state();
        run_sql("DELETE FROM row WHERE id LIKE 'a-%' OR kind = 'released'");
        cr_expect_eq(open_and_count(&lost), 2);
        cr_expect(says(lost, "2 of 2 allocations are missing"));
        cr_expect(says(lost, "1 of 1 released generation is missing"));
}

/* A log that is gone leaves the state of before, whole in itself: the mark alone knows of more. */
Test(state, a_log_that_is_gone_is_missed_where_there_is_a_mark) {
        char command[256], path[128];

        for (int marked = 0; marked < 2; marked++) {
                Node node = {};
                State *state;
                char **lost;

                make_state();
                state = open_state(&node, &lost);
                cr_assert_eq(state_delete_allocation(state, "a-1"), 0);
                cr_assert_eq(state_delete_allocation(state, "a-2"), 0);
                /* As a kill now would leave it. */
                snprintf(command, sizeof command, "cp -r %s %s.kept", directory, directory);
                cr_assert_eq(system(command), 0);
                state_free(state);
                remove_directory();
                snprintf(command, sizeof command, "mv %s.kept %s", directory, directory);
                cr_assert_eq(system(command), 0);
                path_of("state.sqlite-wal", path);
                cr_assert_eq(unlink(path), 0);
                path_of("state.mark", path);
                if (!marked)
                        cr_assert_eq(unlink(path), 0);
                cr_expect_eq(open_and_count(&lost), 5);
                cr_expect_eq(says(lost, "its last 2 changes are damaged or cut off"), marked == 1);
                cr_expect_eq(says(lost, "2 allocations may be back that had gone"), marked == 1);
                cr_expect_eq(lost != NULL, marked == 1);
                remove_directory();
                cr_assert_eq(mkdir(directory, 0700), 0);
                node_deinit(&node);
        }
}

Test(state, to_be_read_only_nothing_is_changed) {
        static const char damaged[] = "????????????????????????????????????????";
        char path[128], back[sizeof damaged] = "", **lost = NULL;
        State *state = NULL;
        Node node = {};
        int fd;

        cr_assert_eq(state_open(directory, true, 100, &node, &state, &lost), 0);
        cr_expect_null(state, "nothing there");
        cr_expect_not(is_there("state.sqlite"));
        make_state();
        write_file("state.sqlite", damaged, 0);
        cr_assert_eq(state_open(directory, true, 100, &node, &state, &lost), 0);
        cr_expect_eq(count_state(state, &node), 5);
        cr_expect(says(lost, "the state file is damaged"));
        cr_expect_not(is_there("state.sqlite.bad-1"));
        path_of("state.sqlite", path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_eq(read(fd, back, sizeof damaged - 1), (ssize_t) sizeof damaged - 1);
        close(fd);
        cr_expect_str_eq(back, damaged);
        state_free(state);
}

/* A damaged file, the new one that was made of what is whole of it, and the mark of before. */
static void cut_short(void) {
        char command[512], **lost;

        make_state();
        run_sql("UPDATE row SET body = replace(body, '1234', '1235') WHERE id = 'a-2'");
        snprintf(command, sizeof command, "cp -r %s %s.kept", directory, directory);
        cr_assert_eq(system(command), 0);
        cr_assert_eq(open_and_count(&lost), 4);
        snprintf(command, sizeof command,
                        "mv %s/state.sqlite %s.kept/state.sqlite.new && rm -r %s && mv %s.kept %s", directory,
                        directory, directory, directory, directory);
        cr_assert_eq(system(command), 0);
}

/* A crash between a new file and its place: it is complete, so it is the state, and what is not in it is told
 * as by the start that found it. Of what was there before so much had been set aside. */
Test(state, a_replacement_is_finished_after_a_crash) {
        static const struct {
                const char *name, *file, *log; /* where they are; NULL: they were gone before */
                bool unmarked;
                const char *told[2];
        } cases[] = {
                { "nothing", "state.sqlite", "state.sqlite-wal", false, { "a-2: its row", ".bad-2" } },
                { "its log", "state.sqlite", "state.sqlite.bad-2-wal", false, { "a-2: its row", ".bad-2" } },
                { "all", "state.sqlite.bad-2", "state.sqlite.bad-2-wal", false,
                                { "a-2: its row", ".bad-2" } },
                { "all, with no log", "state.sqlite.bad-2", NULL, false, { "a-2: its row", ".bad-2" } },
                { "all, with no mark", "state.sqlite.bad-2", NULL, true, { "a-2: its row", ".bad-2" } },
                { "there was no file", NULL, NULL, false, { "are missing", "the state file was gone" } },
                { "there was never one", NULL, NULL, true, { NULL } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *name = cases[i].name;
                char path[128], to[128], **lost;

                cut_short();
                path_of("state.sqlite", path);
                path_of(cases[i].file ?: "state.sqlite", to);
                cr_assert_eq(rename(path, to), 0);
                if (cases[i].file)
                        write_file("state.sqlite.bad-1", "one from before", 0);
                else
                        cr_assert_eq(unlink(path), 0);
                if (cases[i].log)
                        write_file(cases[i].log, "and its log", 0);
                path_of("state.mark", path);
                if (cases[i].unmarked)
                        cr_assert_eq(unlink(path), 0);
                cr_expect_eq(open_and_count(&lost), 4, "%s", name);
                for (size_t k = 0; k < ELEMENTSOF(cases[i].told) && cases[i].told[k]; k++)
                        cr_expect(says(lost, cases[i].told[k]), "%s: %s", name, cases[i].told[k]);
                cr_expect_eq(lost != NULL, cases[i].told[0] != NULL, "%s", name);
                cr_expect_eq(is_there("state.sqlite.bad-2"), cases[i].file != NULL, "%s", name);
                cr_expect_eq(is_there("state.sqlite.bad-2-wal"), cases[i].log != NULL, "%s", name);
                cr_expect_not(is_there("state.sqlite.bad-3") || is_there("state.sqlite.bad-3-wal"), "%s",
                                name);
                cr_expect_not(is_there("state.sqlite.new"), "%s", name);
                remove_directory();
                cr_assert_eq(mkdir(directory, 0700), 0);
        }
}
