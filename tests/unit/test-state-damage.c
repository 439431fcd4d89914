/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A state as a kill leaves it, with its log, and as a stop leaves it, without: cut off at every byte, and
 * with every byte changed. It opens each time; what is read was written, never something else; what is not
 * there is said, the damaged file kept; and the next start has nothing to say.
 */

#include "state-row.h"
#include "state.h"

#include "util/strv.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NOW_USEC 1800000000000000ULL
#define SLOT_MAX 400
#define TENANTS 2

typedef struct Bytes {
        uint8_t *data;
        size_t size;
} Bytes;

enum { FILE_MAIN, FILE_LOG, FILE_MARK, FILES };
static const char *const file_names[FILES] = { "state.sqlite", "state.sqlite-wal", "state.mark" };

/* So that its row takes pages of its own. */
static const char long_text[] =
                "Because of a long story, of which this is the first half, and this is the second; then "
                "there "
                "is more of it, for a row must not fit where it begins, which is a fifth of a page.";

static char directory[64];
static Bytes files[FILES];     /* as they were before any damage */
static char **now_there;       /* every row of it, as a line */
static char **ever_there;      /* and every row that there was before */
static char **current, **lost; /* what an opening gave */

/* --- files --- */

static void path_of(const char *name, char path[128]) {
        snprintf(path, 128, "%s/%s", directory, name);
}

static void read_file(int which) {
        char path[128];
        struct stat st;
        int fd;

        path_of(file_names[which], path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        cr_assert_eq(fstat(fd, &st), 0);
        files[which] = (Bytes){ malloc((size_t) st.st_size + 1), (size_t) st.st_size };
        cr_assert_eq(read(fd, files[which].data, files[which].size), st.st_size);
        close(fd);
}

static void write_file(int which, const uint8_t *data, size_t size) {
        char path[128];
        int fd;

        path_of(file_names[which], path);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        cr_assert_geq(fd, 0);
        cr_assert_eq(write(fd, data, size), (ssize_t) size);
        close(fd);
}

static void empty_directory(void) {
        DIR *dir = opendir(directory);
        struct dirent *entry;
        char path[384];

        while ((entry = readdir(dir))) {
                snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
                if (entry->d_name[0] != '.')
                        cr_assert_eq(unlink(path), 0);
        }
        closedir(dir);
}

/* In memory where that is to be had: hundreds of thousands of files are written and synced. */
static void make_directory(void) {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR") ?: "/tmp";

        snprintf(directory, sizeof directory, "%s/headgate-damage-XXXXXX", base);
        cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void) {
        empty_directory();
        rmdir(directory);
}

TestSuite(state_damage, .init = make_directory, .fini = remove_directory, .timeout = 280);

/* --- what is in it --- */

static void add_line(char ***lines, const char *kind, const char *id, const char *text) {
        cr_assert_geq(strv_pushf(lines, "%s %s %s", kind, id, text), 0);
}

static void put_allocation(State *state, int i, uint64_t generation) {
        _cleanup_allocation_ Allocation *a = NULL;
        _cleanup_free_ char *text = NULL;
        char id[32], tenant[32];

        snprintf(id, sizeof id, "a-%d", i);
        snprintf(tenant, sizeof tenant, "t-%d", i % TENANTS);
        cr_assert_eq(allocation_new(&a), 0);
        a->id = strdup(id);
        a->tenant_id = strdup(tenant);
        a->generation = generation;
        a->start_usec = NOW_USEC + (uint64_t) i;
        a->window = (Window){ a->start_usec, a->end_usec }; /* as the calendar gives it */
        cr_assert_eq(resource_set_put(&a->resources, RESOURCE_CPU, "", (Amount){ 100, 200 + generation }), 0);
        a->reason = strdup("for the test");
        text = state_row_print_allocation(a);
        add_line(&ever_there, "allocation", id, text);
        cr_assert_eq(state_put_allocation(state, a), 0);
}

static void put_tenant(State *state, int i, uint64_t residual) {
        char id[32];
        Tenant tenant = { .id = id, .slot = SLOT_FIRST + (uint32_t) i, .residual_memory_bytes = residual };
        _cleanup_free_ char *text = state_row_print_tenant(&tenant);

        snprintf(id, sizeof id, "t-%d", i);
        add_line(&ever_there, "tenant", id, text);
        cr_assert_eq(state_put_tenant(state, &tenant), 0);
}

static void put_released(State *state, const char *id, uint64_t generation) {
        char text[24];

        snprintf(text, sizeof text, "%d", (int) generation);
        add_line(&ever_there, "released", id, text);
        cr_assert_eq(state_put_released(state, id, generation, NOW_USEC), 0);
}

static void put_text(State *state, const char *name, const char *value) {
        add_line(&ever_there, "text", name, value);
        cr_assert_eq(state_put_text(state, name, value), 0);
}

/* Everything that can be asked of it, a line each. */
static void describe(const State *state, const Node *node, char ***lines) {
        static const char *const released[] = { "b-1", "b-2" }, *const names[] = { "boot-id",
                "drain-reason" };

        for (size_t i = 0; i < node->calendar.n; i++) {
                _cleanup_free_ char *text = state_row_print_allocation(node->calendar.allocations[i]);

                add_line(lines, "allocation", node->calendar.allocations[i]->id, text);
        }
        for (size_t i = 0; i < node->n_tenants; i++) {
                _cleanup_free_ char *text = state_row_print_tenant(node->tenants[i]);

                add_line(lines, "tenant", node->tenants[i]->id, text);
        }
        for (size_t i = 0; i < ELEMENTSOF(released); i++) {
                uint64_t generation;
                char text[24];

                cr_assert_eq(state_released_generation(state, released[i], &generation), 0);
                snprintf(text, sizeof text, "%d", (int) generation);
                if (generation > 0)
                        add_line(lines, "released", released[i], text);
        }
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *value = NULL;

                cr_assert_eq(state_get_text(state, names[i], &value), 0);
                if (value)
                        add_line(lines, "text", names[i], value);
        }
}

/* Opens it, and what it has into `current`; with `write` a change more, which must be there at the next. */
static void read_state(const char *what, size_t at, bool write) {
        Node node = {};
        State *state = NULL;
        int r;

        lost = strv_free(lost);
        current = strv_free(current);
        r = state_open(directory, false, SLOT_MAX, &node, &state, &lost);
        if (r < 0)
                cr_assert_fail("%s %zu: it does not open: %s", what, at, strerror(-r));
        if (write) {
                r = state_begin(state);
                if (r >= 0)
                        r = state_put_text(state, "boot-id", "after");
                if (r >= 0)
                        r = state_delete_allocation(state, "a-0");
                if (r >= 0)
                        r = state_put_text(state, "drain-reason", long_text);
                if (r >= 0)
                        r = state_commit(state);
                if (r < 0)
                        cr_assert_fail("%s %zu: it cannot be written: %s", what, at, strerror(-r));
                allocation_free(calendar_take(&node.calendar, "a-0"));
        }
        describe(state, &node, &current);
        state_free(state);
        node_deinit(&node);
}

static State *open_state(Node *node) {
        State *state = NULL;

        cr_assert_eq(state_open(directory, false, SLOT_MAX, node, &state, &lost), 0);
        cr_assert_null(lost);
        return state;
}

static void put_first(State *state, int n) {
        cr_assert_eq(state_begin(state), 0);
        for (int i = 0; i < TENANTS; i++)
                put_tenant(state, i, 4096);
        for (int i = 0; i < n; i++)
                put_allocation(state, i, 1);
        put_released(state, "b-1", 7);
        put_text(state, "boot-id", "first");
        put_text(state, "drain-reason", long_text);
        cr_assert_eq(state_commit(state), 0);
        cr_assert_eq(state_put_text(state, "drain-reason", NULL), 0); /* its pages are free now */
}

static void put_later(State *state, int n, int i) {
        cr_assert_eq(state_begin(state), 0);
        if (i == 1) {
                cr_assert_eq(state_delete_allocation(state, "a-1"), 0);
                put_tenant(state, 1, 8192);
                put_text(state, "drain-reason", "because");
                put_released(state, "b-2", 3);
        } else {
                put_allocation(state, i * 7 % n, (uint64_t) i + 2);
                put_allocation(state, n + i, 1);
        }
        cr_assert_eq(state_commit(state), 0);
}

/* As a stop leaves it where `n_later` is 0; else with so many changes in the log, as a kill leaves it. */
static void make_state(int n, int n_later) {
        Node node = {}, again = {};
        State *state = open_state(&node);

        put_first(state, n);
        state_free(state);
        state = open_state(&again);
        for (int i = 0; i < n_later; i++)
                put_later(state, n, i);
        if (n_later == 0)
                state = state_free(state);
        for (int i = 0; i < FILES; i++)
                read_file(i);
        cr_assert_eq(files[FILE_LOG].size > 0, n_later > 0);
        state_free(state);
        node_deinit(&node);
        node_deinit(&again);
        read_state("undamaged", 0, false);
        cr_assert_null(lost);
        now_there = TAKE_PTR(current);
}

/* --- damage --- */

static const char *first_absent(char *const *of, char *const *in) {
        for (; of && *of; of++)
                if (!strv_contains(in, *of))
                        return *of;
        return NULL;
}

static bool set_aside(void) {
        char path[128];

        for (int i = 0; i < FILE_MARK; i++) {
                snprintf(path, sizeof path, "%s/state.sqlite.bad-1%s", directory,
                                i == FILE_LOG ? "-wal" : "");
                if (access(path, F_OK) == 0)
                        return true;
        }
        return false;
}

static void lay_files(void) {
        empty_directory();
        for (int i = 0; i < FILES; i++)
                if (files[i].size > 0)
                        write_file(i, files[i].data, files[i].size);
}

/* It takes a change, and the next opening has all of it and nothing to say. */
static void judge_later(const char *what, size_t at) {
        _cleanup_strv_ char **before = NULL;

        for (int i = 0; i < 2; i++) {
                read_state(what, at, /* write= */ i == 0);
                if (lost)
                        cr_assert_fail("%s %zu: said again: %s", what, at, lost[0]);
                if (i == 0)
                        cr_assert_eq(strv_copy(current, &before), 0);
        }
        if (!strv_equal(before, current))
                cr_assert_fail("%s %zu: a change of then is gone", what, at);
}

/* Opens what lies there. How many of the rows are not as they were last. */
static int judge(const char *what, size_t at) {
        const char *wrong;
        int n_lost = 0;

        read_state(what, at, false);
        wrong = first_absent(current, ever_there);
        if (wrong)
                cr_assert_fail("%s %zu: never written: %s", what, at, wrong);
        for (char **line = now_there; *line; line++)
                n_lost += !strv_contains(current, *line);
        if (!lost && (n_lost > 0 || first_absent(current, now_there)))
                cr_assert_fail("%s %zu: %d rows lost, and nothing said", what, at, n_lost);
        if (lost && !set_aside())
                cr_assert_fail("%s %zu: the damaged file is gone (%s)", what, at, lost[0]);
        if (at % 11 == 0) /* so that each of the eight bits has its turn */
                judge_later(what, at);
        return n_lost;
}

#define EVERY_BYTE 1
#define ALL_BITS 0xff
#define ONE_BIT 0 /* another one in each byte */

typedef struct Damage {
        size_t n, n_lossy, rows; /* how many there were; cost rows; and how many in all */
} Damage;

static void count(Damage *damage, int n_lost) {
        damage->n++;
        damage->n_lossy += n_lost > 0;
        damage->rows += (size_t) n_lost;
}

static Damage cut_every_byte(int which) {
        Damage damage = {};

        for (size_t at = 0; at < files[which].size; at++) {
                lay_files();
                write_file(which, files[which].data, at);
                count(&damage, judge("cut", at));
        }
        return damage;
}

static Damage change_bytes(int which, uint8_t mask, size_t step) {
        Damage damage = {};

        for (size_t at = 0; at < files[which].size; at += step) {
                const uint8_t bits = mask ?: (uint8_t) (1 << at % 8);

                lay_files();
                files[which].data[at] ^= bits;
                write_file(which, files[which].data, files[which].size);
                files[which].data[at] ^= bits;
                count(&damage, judge(mask == ALL_BITS ? "changed" : "one bit changed", at));
        }
        return damage;
}

static void expect_damage(const Damage *damage, size_t n) {
        cr_expect_eq(damage->n, n);
        cr_expect_gt(damage->n_lossy, 0U, "nothing was lost by any of %zu damages", damage->n);
        cr_expect_lt(damage->n_lossy, damage->n, "something was lost by each of %zu damages", damage->n);
}

Test(state_damage, a_file_cut_at_every_byte) {
        make_state(2, 0);
        cr_expect_gt(cut_every_byte(FILE_MAIN).n_lossy, files[FILE_MAIN].size / 2);
}

/* A changed byte costs a row at most, wherever it is: the header, a page's type, the way to it. */
Test(state_damage, a_file_with_every_byte_changed) {
        Damage damage;

        make_state(2, 0);
        damage = change_bytes(FILE_MAIN, ALL_BITS, EVERY_BYTE);
        expect_damage(&damage, files[FILE_MAIN].size);
        cr_expect_eq(damage.rows, damage.n_lossy);
        damage = change_bytes(FILE_MAIN, ONE_BIT, EVERY_BYTE);
        expect_damage(&damage, files[FILE_MAIN].size);
        cr_expect_eq(damage.rows, damage.n_lossy);
}

Test(state_damage, a_file_cut_at_every_byte_below_its_log) {
        Damage damage;

        make_state(3, 2);
        damage = cut_every_byte(FILE_MAIN);
        expect_damage(&damage, files[FILE_MAIN].size);
}

Test(state_damage, a_file_with_every_byte_changed_below_its_log) {
        Damage damage;

        make_state(3, 2);
        damage = change_bytes(FILE_MAIN, ALL_BITS, EVERY_BYTE);
        expect_damage(&damage, files[FILE_MAIN].size);
        cr_expect_eq(damage.rows, damage.n_lossy);
}

/* Wherever it is cut, the change whose frames are not all there is not there, and the mark says so. */
Test(state_damage, a_log_cut_at_every_byte) {
        make_state(2, 2);
        cr_expect_eq(cut_every_byte(FILE_LOG).n_lossy, files[FILE_LOG].size);
}

Test(state_damage, a_log_with_every_byte_changed) {
        Damage damage;

        make_state(2, 2);
        damage = change_bytes(FILE_LOG, ALL_BITS, EVERY_BYTE);
        expect_damage(&damage, files[FILE_LOG].size);
}

Test(state_damage, a_log_with_a_bit_of_every_byte_changed) {
        Damage damage;

        make_state(2, 2);
        damage = change_bytes(FILE_LOG, ONE_BIT, EVERY_BYTE);
        expect_damage(&damage, files[FILE_LOG].size);
}

Test(state_damage, a_damaged_mark_costs_nothing) {
        make_state(2, 2);
        cr_expect_eq(cut_every_byte(FILE_MARK).n_lossy, 0U);
        cr_expect_eq(change_bytes(FILE_MARK, ALL_BITS, EVERY_BYTE).n_lossy, 0U);
}

/* From one to 64 bytes of the file and of its log, anywhere; the same ones at each run. */
Test(state_damage, many_bytes_changed_at_once) {
        Damage damage = {};
        uint64_t random = 1;

        make_state(3, 2);
        for (size_t round = 0; round < 500; round++) {
                lay_files();
                for (int which = 0; which < FILE_MARK; which++) {
                        _cleanup_free_ uint8_t *changed = malloc(files[which].size);

                        memcpy(changed, files[which].data, files[which].size);
                        for (size_t i = 0; i < (size_t) 1 << round % 7; i++) {
                                random = random * 6364136223846793005ULL + 1442695040888963407ULL;
                                changed[(random >> 33) % files[which].size] = (uint8_t) (random >> 24);
                        }
                        write_file(which, changed, files[which].size);
                }
                count(&damage, judge("many changed, round", round));
        }
        expect_damage(&damage, 500);
}

/* Many tenants, whose rows are short enough to stand on one page each. */
static void put_tenants(uint64_t residual) {
        Node node = {};
        State *state = open_state(&node);

        for (int i = 0; i < 30; i++)
                put_tenant(state, i, residual);
        state_free(state);
        node_deinit(&node);
        read_file(FILE_MAIN);
        read_file(FILE_MARK);
}

/* A page that the disk did not write: each row on it is whole, but not the last. */
Test(state_damage, a_page_as_it_was_before) {
        Damage damage = {};
        Bytes before;

        make_state(2, 0);
        put_tenants(4096);
        before = files[FILE_MAIN];
        put_tenants(8192);
        read_state("undamaged", 0, false);
        now_there = TAKE_PTR(current);
        cr_assert_eq(before.size, files[FILE_MAIN].size);
        for (size_t at = 0; at < before.size; at += STATE_PAGE_SIZE) {
                _cleanup_free_ uint8_t *mixed = malloc(before.size);

                memcpy(mixed, files[FILE_MAIN].data, before.size);
                memcpy(mixed + at, before.data + at, STATE_PAGE_SIZE);
                lay_files();
                write_file(FILE_MAIN, mixed, before.size);
                count(&damage, judge("as before", at));
        }
        cr_expect_geq(damage.rows, 20U, "%zu", damage.rows);
}

/* Pages over pages, some of them only in the log; not every byte of so many. */
Test(state_damage, a_large_file_and_its_log) {
        Damage damage;

        make_state(300, 40);
        damage = change_bytes(FILE_MAIN, ALL_BITS, 1999);
        expect_damage(&damage, (files[FILE_MAIN].size + 1998) / 1999);
        cr_expect_eq(damage.rows, damage.n_lossy);
        damage = change_bytes(FILE_LOG, ALL_BITS, 1999);
        expect_damage(&damage, (files[FILE_LOG].size + 1998) / 1999);
}
