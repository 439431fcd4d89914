/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A file is taken as it is only where SQLite's own check, every row's sum, the digest of all rows and the
 * mark agree. Else a new one is written beside it from what is whole, synced, and put in its place, the old
 * one set aside under a name of its own, so that a crash at any point leaves one or the other.
 *
 * What cannot be noticed: a log that was cut just behind a transaction is an older state, whole in itself.
 * The mark notices it, but is not synced: where a power cut took its last seconds too, nobody can.
 */

#include "state-file.h"

#include "state-check.h"
#include "state-rebuild.h"
#include "state-salvage.h"
#include "state-sql.h"

#include "util/strv.h"

#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ASIDE_MAX 99 /* damaged files that are kept; the last number is used again */

/* --- opened --- */

/* "<path><suffix>"; the caller frees. */
static char *beside(const char *path, const char *suffix) {
        char *name;

        return asprintf(&name, "%s%s", path, suffix) < 0 ? NULL : name;
}

/* A log that turns out to be damaged must not be written into the file: only once all is well may closing do
 * so. */
static void set_checkpoint_on_close(sqlite3 *db, bool on) {
        (void) sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !on, NULL);
}

/* Each transaction is synced, and what was deleted is overwritten: a salvage must not find it. The empty one
 * shows whether it can be written at all. */
static int prepare_to_write(sqlite3 *db) {
        int r = state_sql_run(db, "COMMIT; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON");

        if (r >= 0)
                r = state_sql_expect(db, "PRAGMA journal_mode=WAL", "wal");
        return r < 0 ? r : state_sql_run(db, "BEGIN IMMEDIATE; COMMIT");
}

/* As check_database(); the file is left open where it is one of those versions. */
static int open_checked(const char *path, bool read_only, StateFile *file) {
        int r, outcome;

        r = state_sql_open(path, read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, &file->db);
        if (r < 0)
                return r;
        set_checkpoint_on_close(file->db, false);
        r = outcome = state_sql_run(file->db, "BEGIN"); /* one instant for all that is read */
        if (r >= 0)
                r = outcome = check_database(file->db, &file->digest);
        if (r >= 0 && !read_only)
                r = prepare_to_write(file->db);
        return r < 0 ? r : outcome;
}

static void close_database(StateFile *file) {
        sqlite3_close(file->db);
        file->db = NULL;
}

/* How long the file is, 0 where there is none; -EBADMSG: it is something else; else the disk's refusal. */
static int look_at(const char *path, int flags, off_t *ret_size) {
        _cleanup_close_ int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
        struct stat st = {};

        if (fd < 0 && errno != ENOENT)
                return errno == EISDIR || errno == ENXIO || errno == ELOOP ? -EBADMSG : -errno;
        if (fd >= 0 && fstat(fd, &st) < 0)
                return -errno;
        if (fd >= 0 && !S_ISREG(st.st_mode))
                return -EBADMSG;
        *ret_size = st.st_size;
        return 0;
}

/* 1: there is a file to be opened; 0: there is nothing. A log with no file is a damaged one. */
static int look(const char *path, bool read_only) {
        _cleanup_free_ char *log = beside(path, "-wal");
        const int flags = read_only ? O_RDONLY : O_RDWR;
        off_t size = 0, log_size = 0;
        int r = log ? look_at(path, flags, &size) : -ENOMEM;

        if (r >= 0)
                r = look_at(log, flags, &log_size);
        if (r < 0)
                return r;
        return size > 0 ? 1 : log_size > 0 ? -EBADMSG : 0;
}

/* --- a new one in its place --- */

/* "state.sqlite.bad-1" */
static char *number_aside(const char *path, int n) {
        char suffix[16];

        snprintf(suffix, sizeof suffix, ".bad-%d", n);
        return beside(path, suffix);
}

static int count_aside(const char *path) {
        for (int n = 0;; n++) {
                _cleanup_free_ char *next = number_aside(path, n + 1);

                if (n == ASIDE_MAX || !next || access(next, F_OK) < 0)
                        return n;
        }
}

/* The first name that is free. */
static char *name_aside(const char *path) {
        const int n = count_aside(path);

        return number_aside(path, n < ASIDE_MAX ? n + 1 : n);
}

/* The file and what SQLite keeps beside it, as far as it is there. The file itself is last: while it is
 * there, its name aside is free. */
static int move_aside(const char *path, const char *aside) {
        static const char *const suffixes[] = { "-wal", "-shm", "-journal", "" };

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *from = beside(path, suffixes[i]), *to = beside(aside, suffixes[i]);

                if (!from || !to)
                        return -ENOMEM;
                if (rename(from, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        return 0;
}

/* `made` is the state from when it has that name: a crash in here is made up for at the next start. */
static int take_place(const char *path, const char *made, const char *aside, int directory_fd) {
        int r = move_aside(path, aside);

        if (r < 0)
                return r;
        return rename(made, path) < 0 || fsync(directory_fd) < 0 ? -errno : 0;
}

/* 0 or REBUILD_UNCOUNTED. */
static int fill_database(sqlite3 *db, const RebuildSource *source, Digest *ret, char ***lost) {
        char settings[256];
        int r, outcome = 0;

        snprintf(settings, sizeof settings,
                        "PRAGMA page_size=%d; PRAGMA auto_vacuum=NONE; PRAGMA encoding='UTF-8';"
                        "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; BEGIN; PRAGMA "
                        "application_id=%d; PRAGMA user_version=%d",
                        STATE_PAGE_SIZE, STATE_APPLICATION_ID, STATE_VERSION);
        r = state_sql_run(db, settings);
        if (r >= 0)
                r = outcome = rebuild_rows(db, source, ret, lost);
        if (r >= 0)
                r = state_sql_run(db, "COMMIT");
        return r < 0 ? r : outcome;
}

/* On disk when it returns; 0 or REBUILD_UNCOUNTED. */
static int write_database(const char *path, const RebuildSource *source, char ***lost) {
        _cleanup_close_ int fd = -EBADF;
        sqlite3 *db = NULL;
        int r, outcome = 0;
        Digest digest;

        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        r = state_sql_open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db);
        if (r >= 0)
                r = outcome = fill_database(db, source, &digest, lost);
        if (r >= 0)
                r = state_sql_expect(db, "PRAGMA journal_mode=WAL", "wal");
        sqlite3_close(db);
        if (r < 0) {
                (void) unlink(path); /* on a full disk it would be in the way */
                return r;
        }
        fd = open(path, O_RDWR | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : outcome;
}

/* What is at `path` goes to `aside`; 0 or REBUILD_UNCOUNTED. */
static int replace_file(StateFile *file, const char *path, const char *aside, const RebuildSource *source,
                char ***lost) {
        _cleanup_free_ char *unfinished = beside(path, ".tmp"), *made = beside(path, ".new");
        int r, outcome;

        r = outcome = unfinished && made ? write_database(unfinished, source, lost) : -ENOMEM;
        if (r < 0)
                return r;
        if (rename(unfinished, made) < 0 || fsync(file->directory_fd) < 0)
                return -errno;
        close_database(file);
        r = take_place(path, made, aside, file->directory_fd);
        if (r >= 0)
                r = open_checked(path, /* read_only= */ false, file);
        if (r < 0)
                return r == -EBADMSG ? -EIO : r; /* what was written is not what is read */
        return outcome;
}

static int replace_in_memory(StateFile *file, const RebuildSource *source, char ***lost) {
        sqlite3 *db = NULL;
        int r = state_sql_open(":memory:", SQLITE_OPEN_READWRITE, &db);

        if (r >= 0)
                r = fill_database(db, source, &file->digest, lost);
        close_database(file);
        file->db = db;
        return r;
}

/* Whether all is told: `n` losses were before. */
static const char *rest_words(int outcome, size_t n, char *const *lost) {
        return outcome == REBUILD_UNCOUNTED ? "; how much it held is not known"
               : strv_length(lost) == n     ? "; nothing that it held is lost"
                                            : "";
}

static int tell_aside(const char *aside, const char *rest, char ***lost) {
        _cleanup_free_ char *log = beside(aside, "-wal");

        if (!log)
                return -ENOMEM;
        if (access(aside, F_OK) < 0 && access(log, F_OK) < 0)
                return strv_push(lost, "the state file was gone");
        return strv_pushf(lost, "the state file was damaged and is set aside as %s%s", aside, rest);
}

/* A start that a crash cut short told nobody what it had found: it is looked for again, where it was set
 * aside by then, under the last of those names, or is now. */
static int finish_replacing(const char *path, const StateFile *file, char ***lost) {
        _cleanup_free_ char *made = beside(path, ".new"), *log = beside(path, "-wal"), *aside = NULL;
        StateFile again = STATE_FILE_NULL;
        const size_t n = strv_length(*lost);
        RebuildSource source = {};
        bool was_there;
        Digest mark;
        int r;

        if (!made || !log)
                return -ENOMEM;
        if (access(made, F_OK) < 0)
                return 0;
        was_there = access(path, F_OK) >= 0 || access(log, F_OK) >= 0;
        aside = !was_there && count_aside(path) > 0 ? number_aside(path, count_aside(path))
                                                    : name_aside(path);
        r = aside ? take_place(path, made, aside, file->directory_fd) : -ENOMEM;
        if (r < 0)
                return r;
        if (digest_read_mark(file->mark_fd, &mark) >= 0)
                source.mark = &mark;
        else if (!was_there && access(aside, F_OK) < 0)
                return 0; /* it was the first */
        source.damaged = aside;
        r = replace_in_memory(&again, &source, lost);
        close_database(&again);
        return tell_aside(aside, rest_words(r < 0 ? REBUILD_UNCOUNTED : r, n, *lost), lost);
}

static int begin_new(StateFile *file, const char *path, char ***lost) {
        const RebuildSource nothing = {};
        /* For what SQLite keeps beside a file, should it be there without one. */
        _cleanup_free_ char *aside = name_aside(path);

        return aside ? replace_file(file, path, aside, &nothing, lost) : -ENOMEM;
}

/* The file of version 1 is kept: it costs nothing, and is the way back. */
static int upgrade(StateFile *file, const char *path, bool read_only, char ***lost) {
        const RebuildSource source = { .version_1 = file->db };
        _cleanup_free_ char *aside = beside(path, ".version-1");

        if (!aside)
                return -ENOMEM;
        set_checkpoint_on_close(file->db, !read_only); /* so that it is one file, with no log */
        return read_only ? replace_in_memory(file, &source, lost)
                         : replace_file(file, path, aside, &source, lost);
}

/* What is whole of a damaged file. */
static int repair(StateFile *file, const char *path, bool read_only, const Digest *mark, char ***lost) {
        const RebuildSource source = { .damaged = path, .mark = mark };
        _cleanup_free_ char *aside = name_aside(path);
        size_t n = strv_length(*lost);
        const char *rest;
        int r;

        if (!aside)
                return -ENOMEM;
        close_database(file);
        r = read_only ? replace_in_memory(file, &source, lost)
                      : replace_file(file, path, aside, &source, lost);
        if (r < 0)
                return r;
        rest = rest_words(r, n, *lost);
        return read_only ? strv_pushf(lost, "the state file is damaged%s", rest)
                         : tell_aside(aside, rest, lost);
}

/* --- all of it --- */

/* One process writes, or the digest that each keeps would be wrong. */
static int lock_directory(const char *directory, int *ret_fd) {
        _cleanup_close_ int fd = -EBADF, parent_fd = -EBADF;
        bool made = mkdir(directory, 0700) >= 0;

        if (!made && errno != EEXIST)
                return -errno;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (made) {
                parent_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (parent_fd < 0 || fsync(parent_fd) < 0)
                        return -errno;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int open_mark(const char *directory, bool read_only) {
        _cleanup_free_ char *path = beside(directory, "/state.mark");

        if (!path)
                return -EBADF;
        return read_only ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
                         : open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Whole, or made so. */
static int open_path(StateFile *file, const char *path, bool read_only, char ***lost) {
        Digest mark;
        bool marked = digest_read_mark(file->mark_fd, &mark) >= 0;
        int r = look(path, read_only);

        if (r < 0 && r != -EBADMSG)
                return r;
        if (r == 0 && !marked)
                return read_only ? -ENOENT : begin_new(file, path, lost);
        r = r > 0 ? open_checked(path, read_only, file) : -EBADMSG;
        if (r == CHECK_VERSION_1)
                return upgrade(file, path, read_only, lost);
        if (r == 0 && marked && mark.change > file->digest.change)
                r = -EBADMSG;
        if (r == 0 || r == -ENOMEM || r == -EBUSY || r == -EPROTONOSUPPORT)
                return r;
        return repair(file, path, read_only, marked ? &mark : NULL, lost);
}

int state_file_open(const char *directory, bool read_only, StateFile *ret, char ***lost) {
        _cleanup_(state_file_close) StateFile file = STATE_FILE_NULL;
        _cleanup_free_ char *path = beside(directory, "/state.sqlite");
        int r = path ? 0 : -ENOMEM;

        if (r >= 0 && sodium_init() < 0)
                r = -EIO;
        if (r >= 0 && !read_only)
                r = lock_directory(directory, &file.directory_fd);
        if (r < 0)
                return r;
        file.mark_fd = open_mark(directory, read_only);
        if (!read_only)
                r = finish_replacing(path, &file, lost);
        if (r >= 0)
                r = open_path(&file, path, read_only, lost);
        if (r < 0)
                return r;
        if (!read_only) {
                set_checkpoint_on_close(file.db, true);
                digest_write_mark(&file.digest, file.mark_fd);
        }
        *ret = file;
        file = (StateFile) STATE_FILE_NULL;
        return 0;
}

void state_file_close(StateFile *file) {
        close_database(file);
        cleanup_close(&file->directory_fd);
        cleanup_close(&file->mark_fd);
        *file = (StateFile) STATE_FILE_NULL;
}
