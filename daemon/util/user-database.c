/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A thread has nothing in common with the loop but a pipe: what it is to ask is its own, what it was told it
 * writes there, and ends. Who does not wait any more has closed the other end.
 */

#include "user-database.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define USERS_MAX 64
#define QUESTIONS_MAX 8
#define GROUPS_MAX 256
#define RECORD_MAX (64U << 10) /* a user's, or a group's with its members */
#define STACK_BYTES (512U << 10)
#define WAIT_MSEC 500
#define NSEC_PER_SEC 1000000000ULL
#define FRESH_NSEC (60 * NSEC_PER_SEC)
/* Who is unknown, or could not be asked for, may be there soon. */
#define FRESH_FAILURE_NSEC (5 * NSEC_PER_SEC)

typedef struct Answer {
        int r; /* 0, or why there is no name */
        bool is_member;
        char name[LOGIN_NAME_MAX];
} Answer;
_Static_assert(sizeof(Answer) <= PIPE_BUF, "it is written and read in one go");

/* The thread's. */
typedef struct Task {
        uid_t uid;
        char *group; /* NULL: none */
        int fd;
} Task;

typedef struct Question {
        uid_t uid;
        unsigned files; /* as in Known */
        int fd;         /* where the answer comes; negative: nothing is asked */
} Question;

typedef struct Known {
        uid_t uid;
        uint64_t at_nsec; /* when it was told; 0: nothing is known */
        unsigned files;   /* how often those had changed when it was asked */
        Answer answer;
} Known;

/* Of users and groups of this machine, which are changed by another file in its place. */
static const char *const local_files[] = { "/etc/passwd", "/etc/group" };

struct UserDatabase {
        const char *readers_group;
        Question questions[QUESTIONS_MAX];
        Known known[USERS_MAX];
        unsigned next;
        struct stat stat[ELEMENTSOF(local_files)];
        unsigned files; /* times that they changed */
};

static uint64_t now_nsec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * NSEC_PER_SEC + (uint64_t) ts.tv_nsec;
}

static int find_membership(const struct passwd *user, const char *group_name, char *buffer, bool *ret) {
        struct group entry, *group = NULL;
        gid_t groups[GROUPS_MAX];
        int n = GROUPS_MAX, r;

        r = group_name ? getgrnam_r(group_name, &entry, buffer, RECORD_MAX, &group) : 0;
        if (!group)
                return -r;
        if (getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
                return 0; /* of more than anybody is in */
        for (int i = 0; i < n; i++)
                *ret = *ret || groups[i] == entry.gr_gid;
        return 0;
}

static int look_up(const Task *task, Answer *answer) {
        _cleanup_free_ char *buffer = malloc(2 * (size_t) RECORD_MAX);
        struct passwd entry, *user = NULL;
        int r;

        if (!buffer)
                return -ENOMEM;
        r = getpwuid_r(task->uid, &entry, buffer, RECORD_MAX, &user);
        if (!user)
                return r > 0 ? -r : -ENOENT;
        if (strlen(user->pw_name) >= sizeof(answer->name))
                return -ENAMETOOLONG;
        strcpy(answer->name, user->pw_name);
        return find_membership(user, task->group, buffer + RECORD_MAX, &answer->is_member);
}

static Task *task_free(Task *task) {
        if (!task)
                return NULL;
        cleanup_close(&task->fd);
        free(task->group);
        free(task);
        return NULL;
}
DEFINE_CLEANUP(Task *, task_free);

static void *run_task(void *userdata) {
        _cleanup_(task_free_p) Task *task = userdata;
        Answer answer = {};

        answer.r = look_up(task, &answer);
        while (write(task->fd, &answer, sizeof(answer)) < 0 && errno == EINTR)
                ;
        return NULL;
}

static int task_new(uid_t uid, const char *group, int *fd, Task **ret) {
        _cleanup_(task_free_p) Task *task = calloc(1, sizeof(Task));

        if (!task)
                return -ENOMEM;
        task->uid = uid;
        task->fd = TAKE_FD(*fd);
        task->group = group ? strdup(group) : NULL;
        if (group && !task->group)
                return -ENOMEM;
        *ret = TAKE_PTR(task);
        return 0;
}

/* Signals are the loop's, SIGPIPE among them: it gets none. */
static int start_thread(Task *task) {
        pthread_attr_t attributes;
        sigset_t all, before;
        pthread_t thread;
        int r;

        sigfillset(&all);
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&thread, &attributes, run_task, task);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return -r;
}

/* Who is of this machine is not taken for who he was: files are looked at each time. */
static void look_at_files(UserDatabase *database) {
        for (size_t i = 0; i < ELEMENTSOF(local_files); i++) {
                struct stat *before = &database->stat[i], now = {};

                (void) stat(local_files[i], &now);
                if (now.st_ino != before->st_ino || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
                                now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
                        database->files++;
                *before = now;
        }
}

static int ask(const UserDatabase *database, uid_t uid, Question *question) {
        _cleanup_(task_free_p) Task *task = NULL;
        _cleanup_close_ int fd = -EBADF, thread_fd = -EBADF;
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        fd = fds[0];
        thread_fd = fds[1];
        r = task_new(uid, database->readers_group, &thread_fd, &task);
        if (r >= 0)
                r = start_thread(task);
        if (r < 0)
                return r;
        task = NULL; /* the thread's */
        *question = (Question){ uid, database->files, TAKE_FD(fd) };
        return 0;
}

static Known *find_known(UserDatabase *database, uid_t uid) {
        for (unsigned i = 0; i < USERS_MAX; i++)
                if (database->known[i].at_nsec > 0 && database->known[i].uid == uid)
                        return &database->known[i];
        return NULL;
}

static bool is_fresh(const UserDatabase *database, const Known *known) {
        return known->files == database->files &&
               now_nsec() - known->at_nsec < (known->answer.r < 0 ? FRESH_FAILURE_NSEC : FRESH_NSEC);
}

/* What it was answered with, by now or within the time, is known from then on. True: it is no question any
 * more. */
static bool take_answer(UserDatabase *database, Question *question, int wait_msec) {
        struct pollfd p = { .fd = question->fd, .events = POLLIN };
        Known *known;
        Answer answer;

        if (poll(&p, 1, wait_msec) <= 0)
                return false;
        if (read(question->fd, &answer, sizeof(answer)) == (ssize_t) sizeof(answer)) {
                known = find_known(database, question->uid) ?: &database->known[database->next++ % USERS_MAX];
                *known = (Known){ question->uid, now_nsec(), question->files, answer };
        }
        close(TAKE_FD(question->fd));
        return true;
}

/* Unless that is asked already, or as much is as may be. */
static void begin_question(UserDatabase *database, uid_t uid) {
        Question *free_place = NULL;

        for (unsigned i = 0; i < QUESTIONS_MAX; i++)
                if (database->questions[i].fd < 0)
                        free_place = &database->questions[i];
                else if (database->questions[i].uid == uid)
                        return;
        if (free_place && ask(database, uid, free_place) >= 0 &&
                        !take_answer(database, free_place, WAIT_MSEC))
                log_warning("The user database does not say in time who user %d is", (int) uid);
}

int user_database_find(UserDatabase *database, uid_t uid, User *ret) {
        const Known *known;

        look_at_files(database);
        for (unsigned i = 0; i < QUESTIONS_MAX; i++)
                if (database->questions[i].fd >= 0)
                        (void) take_answer(database, &database->questions[i], /* wait_msec= */ 0);
        known = find_known(database, uid);
        if (!known || !is_fresh(database, known)) {
                begin_question(database, uid);
                known = find_known(database, uid);
        }
        if (!known)
                return -EAGAIN;
        if (known->answer.r < 0)
                return known->answer.r;
        *ret = (User){ known->answer.name, known->answer.is_member };
        return 0;
}

int user_database_new(const char *readers_group, UserDatabase **ret) {
        UserDatabase *database = calloc(1, sizeof(UserDatabase));

        if (!database)
                return -ENOMEM;
        database->readers_group = readers_group;
        for (unsigned i = 0; i < QUESTIONS_MAX; i++)
                database->questions[i].fd = -EBADF;
        *ret = database;
        return 0;
}

UserDatabase *user_database_free(UserDatabase *database) {
        if (!database)
                return NULL;
        for (unsigned i = 0; i < QUESTIONS_MAX; i++)
                cleanup_close(&database->questions[i].fd);
        free(database);
        return NULL;
}
