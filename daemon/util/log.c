/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* To the journal where standard error is the journal's (JOURNAL_STREAM), else to standard error as "<level>:
 * line". */

#include "log.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

static int log_level = LOG_INFO;

void log_set_level(int priority) {
        log_level = priority;
}

static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
               fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void field_add(struct iovec *fields, size_t *n, char *buffer, size_t size, const char *name,
                const char *value) {
        if (!value)
                return;
        snprintf(buffer, size, "%s=%s", name, value);
        fields[(*n)++] = (struct iovec){ buffer, strlen(buffer) };
}

static void log_send(int priority, const LogFields *fields, int error, const char *line) {
        static const char *const level_names[] = { "emergency", "alert", "critical", "error", "warning",
                "notice", "info", "debug" };
        char priority_field[16], errno_field[24], message[2048 + 8], tenant[256], allocation[256],
                        object[512];
        struct iovec iov[6];
        size_t n = 0;

        if (!stderr_is_journal()) {
                fprintf(stderr, "%s: %s\n", level_names[priority & 7], line);
                return;
        }
        snprintf(priority_field, sizeof priority_field, "PRIORITY=%d", priority);
        iov[n++] = (struct iovec){ priority_field, strlen(priority_field) };
        field_add(iov, &n, message, sizeof message, "MESSAGE", line);
        if (error) {
                snprintf(errno_field, sizeof errno_field, "ERRNO=%d", -error);
                iov[n++] = (struct iovec){ errno_field, strlen(errno_field) };
        }
        if (fields) {
                field_add(iov, &n, tenant, sizeof tenant, "HEADGATE_TENANT", fields->tenant);
                field_add(iov, &n, allocation, sizeof allocation, "HEADGATE_ALLOCATION", fields->allocation);
                field_add(iov, &n, object, sizeof object, "HEADGATE_OBJECT", fields->object);
        }
        (void) sd_journal_sendv(iov, (int) n);
}

void log_write(int priority, const LogFields *fields, const char *format, ...) {
        char line[2048];
        va_list args;

        if (priority > log_level)
                return;
        va_start(args, format);
        vsnprintf(line, sizeof line, format, args);
        va_end(args);
        log_send(priority, fields, 0, line);
}

int log_write_errno(int priority, const LogFields *fields, int error, const char *format, ...) {
        char line[2048];
        va_list args;
        int n;

        if (priority > log_level)
                return error;
        va_start(args, format);
        n = vsnprintf(line, sizeof line, format, args);
        va_end(args);
        if (n >= 0 && (size_t) n < sizeof line)
                snprintf(line + n, sizeof line - (size_t) n, ": %s", strerror(-error));
        log_send(priority, fields, error, line);
        return error;
}
