/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long the loop waits for the user database, and what it believes meanwhile: the database is this file's,
 * and so is the time. */

#include "api/authorize.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define GROUP "readers"
#define GROUP_GID 77U
#define MEMBER 1000U /* "user1000", of the group */
#define OTHER 1001U
#define ABSENT 1002U
#define USERS_MAX 64U
#define QUESTIONS_MAX 8U
#define MINUTE 61

static atomic_uint asked;
static atomic_bool is_down;
static sem_t answers;        /* one each, while it is down */
static atomic_bool has_left; /* OTHER is gone, MEMBER no member any more */
static atomic_int later_sec;

int clock_gettime(clockid_t clock, struct timespec *ts) {
        int r = (int) syscall(SYS_clock_gettime, clock, ts);

        ts->tv_sec += later_sec;
        return r;
}

int getpwuid_r(uid_t uid, struct passwd *user, char *buffer, size_t size, struct passwd **ret) {
        asked++;
        if (is_down)
                sem_wait(&answers);
        *ret = NULL;
        if (uid == ABSENT || (uid == OTHER && has_left))
                return 0;
        snprintf(buffer, size, "user%u", uid);
        *user = (struct passwd){ .pw_name = buffer, .pw_uid = uid, .pw_gid = uid };
        *ret = user;
        return 0;
}

int getgrnam_r(const char *name, struct group *group, char *buffer, size_t size, struct group **ret) {
        *group = (struct group){ .gr_gid = GROUP_GID };
        *ret = strcmp(name, GROUP) == 0 ? group : NULL;
        return 0;
}

int getgrouplist(const char *name, gid_t gid, gid_t *groups, int *n) {
        groups[0] = gid;
        groups[1] = GROUP_GID;
        *n = strcmp(name, "user1000") == 0 && !has_left ? 2 : 1;
        return *n;
}

/* Of the machine's own users there is another file by now. */
static atomic_uint changes;

int stat(const char *path, struct stat *st) {
        int r = (int) syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);

        if (strcmp(path, "/etc/passwd") == 0 || strcmp(path, "/etc/group") == 0)
                *st = (struct stat){ .st_ino = changes + 1 };
        return r;
}

static UserDatabase *users;

static void set_up(void) {
        cr_assert_eq(sem_init(&answers, 0, 0), 0);
        cr_assert_eq(user_database_new(GROUP, &users), 0);
}

static void tear_down(void) {
        user_database_free(users);
}

/* One that waits for an answer, or for what is not asked for, ends here. */
TestSuite(user_database, .init = set_up, .fini = tear_down, .timeout = 20);

static int find_at_once(uid_t uid, User *ret) {
        return user_database_find(users, uid, ret);
}

/* The machine may have other things to do for as long as is waited. */
static int find_user(uid_t uid, User *ret) {
        int r;

        while ((r = find_at_once(uid, ret)) == -EAGAIN)
                ;
        return r;
}

static int find(uid_t uid) {
        User user;

        return find_user(uid, &user);
}

static void expect_becomes(uid_t uid, int expected) {
        while (find(uid) != expected)
                ;
}

/* Threads begin when they do. */
static void expect_asked(unsigned n) {
        while (asked < n)
                sched_yield();
        cr_expect_eq(asked, n);
}

static bool is_reader(uid_t uid) {
        return authorize_user(users, uid, ACCESS_READER, NULL);
}

Test(user_database, is_asked_once_a_minute) {
        User user;

        for (int i = 0; i < 3; i++) {
                cr_assert_eq(find_user(MEMBER, &user), 0);
                cr_expect_str_eq(user.name, "user1000");
                cr_expect(user.is_member);
        }
        expect_asked(1);
        cr_assert_eq(find_user(OTHER, &user), 0);
        cr_expect_str_eq(user.name, "user1001");
        cr_expect_not(user.is_member);
        expect_asked(2);

        has_left = true;
        later_sec += MINUTE;
        while (is_reader(MEMBER))
                ;
        expect_becomes(OTHER, -ENOENT);
        expect_asked(4);
}

/* Whatever is known of users of this machine is asked for anew when they change. */
Test(user_database, a_change_of_local_users_is_seen_at_once) {
        cr_expect_eq(find(MEMBER), 0);
        cr_expect_eq(find(OTHER), 0);
        has_left = true;
        changes++;
        while (is_reader(MEMBER))
                ;
        expect_becomes(OTHER, -ENOENT);
        has_left = false;
        changes++;
        while (!is_reader(MEMBER))
                ;
        expect_becomes(OTHER, 0);
        expect_asked(6);
        cr_expect_eq(find(OTHER), 0);
        expect_asked(6);
}

Test(user_database, who_is_absent_may_come) {
        has_left = true;
        cr_expect_eq(find(ABSENT), -ENOENT);
        cr_expect_eq(find(OTHER), -ENOENT);
        cr_expect_eq(find(OTHER), -ENOENT);
        expect_asked(2);
        has_left = false;
        later_sec += 6;
        expect_becomes(OTHER, 0);
}

Test(user_database, one_that_does_not_answer_keeps_nobody_waiting) {
        User user;

        is_down = true;
        for (int i = 0; i < 1000; i++)
                cr_assert_eq(find_at_once(MEMBER, &user), -EAGAIN);
        expect_asked(1);
        cr_expect_not(is_reader(MEMBER), "who is not known is let in");
        cr_expect_not(authorize_user(
                        users, MEMBER, ACCESS_SCHEDULER, (char *[]){ (char *) "user1000", NULL }));
        cr_expect(authorize_user(users, 0, ACCESS_ROOT, NULL), "root is not asked for");

        sem_post(&answers);
        cr_assert_eq(find(MEMBER), 0);
        cr_expect(is_reader(MEMBER));

        /* What was said last counts, and is asked for anew once. */
        has_left = true;
        later_sec += MINUTE;
        for (int i = 0; i < 1000; i++)
                cr_assert_eq(find_user(MEMBER, &user), 0);
        cr_expect(user.is_member);
        expect_asked(2);
        sem_post(&answers);
        while (is_reader(MEMBER))
                ;
        expect_asked(2);
}

Test(user_database, as_many_questions_as_may_be) {
        User user;

        is_down = true;
        for (uid_t uid = MEMBER; uid < MEMBER + 2 * QUESTIONS_MAX; uid++)
                cr_expect_eq(find_at_once(uid, &user), -EAGAIN);
        expect_asked(QUESTIONS_MAX);
        is_down = false;
        for (uid_t uid = MEMBER; uid < MEMBER + QUESTIONS_MAX; uid++)
                sem_post(&answers);
        for (uid_t uid = MEMBER; uid < MEMBER + 2 * QUESTIONS_MAX; uid++)
                cr_expect_eq(find(uid), uid == ABSENT ? -ENOENT : 0);
        expect_asked(2 * QUESTIONS_MAX);
}

/* It is the oldest that is forgotten. */
Test(user_database, more_users_than_are_kept) {
        for (uid_t uid = 2000; uid < 2000 + USERS_MAX + 1; uid++)
                cr_expect_eq(find(uid), 0);
        expect_asked(USERS_MAX + 1);
        cr_expect_eq(find(2001), 0);
        expect_asked(USERS_MAX + 1);
        cr_expect_eq(find(2000), 0);
        expect_asked(USERS_MAX + 2);
}
