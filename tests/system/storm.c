/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * So many processes of a moment, one after the other: each tenth is /bin/true, the others fork and end. Once
 * the last has ended well it prints how many there were, and how often they and it were given a CPU, at
 * least; it judges nothing. A shell does the same for three times the page faults: its children touch what a
 * shell is.
 *
 *     storm N
 */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t begin(int executes) {
        static char path[] = "/bin/true";
        char *const words[] = { path, NULL };
        pid_t pid;

        if (executes)
                return posix_spawn(&pid, path, NULL, NULL, words, environ) == 0 ? pid : -1;
        pid = fork();
        if (pid == 0)
                _exit(0);
        return pid;
}

/* How often this process and its children that have ended gave their CPU away: all but the last time of those
 * whose end was heard of before they had. */
static long count_switches(void) {
        struct rusage self, children;

        getrusage(RUSAGE_SELF, &self);
        getrusage(RUSAGE_CHILDREN, &children);
        return self.ru_nvcsw + self.ru_nivcsw + children.ru_nvcsw + children.ru_nivcsw;
}

int main(int argc, char **argv) {
        const unsigned long n = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
        const long before = count_switches();

        for (unsigned long i = 0; i < n; i++) {
                pid_t pid = begin(i % 10 == 0);
                int status;

                if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
                        fprintf(stderr, "storm: process %lu: %s\n", i, strerror(errno));
                        return EXIT_FAILURE;
                }
        }
        printf("%lu %ld\n", n, count_switches() - before);
        return EXIT_SUCCESS;
}
