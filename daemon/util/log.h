/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The journal, with the fields by which an operator searches: HEADGATE_TENANT, HEADGATE_ALLOCATION,
 * HEADGATE_OBJECT. Where standard error is not the journal's, a line goes there instead. Whoever handles an
 * error logs it, once.
 */

#include "cleanup.h"

#include <stdbool.h>

#include <syslog.h>

typedef struct LogFields {
        const char *tenant;     /* tenant id, or NULL */
        const char *allocation; /* allocation id, or NULL */
        const char *object;     /* the file, class, unit or program that the line is about, or NULL */
} LogFields;

/* Lines less urgent than this (a syslog priority) are dropped; LOG_INFO at start. */
void log_set_level(int priority);

void log_write(int priority, const LogFields *fields, const char *format, ...) _printf_(3, 4);

/* As log_write(), with ": <strerror(error)>" at the end, a field ERRNO=, and `error` (negative errno)
 * returned. */
int log_write_errno(int priority, const LogFields *fields, int error, const char *format, ...) _printf_(4, 5);

#define log_error_errno(error, ...) log_write_errno(LOG_ERR, NULL, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_write_errno(LOG_WARNING, NULL, error, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, NULL, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, NULL, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, NULL, __VA_ARGS__)
