/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#define OPTIONS_CONFIG_DEFAULT "/etc/headgate/exporter.conf"
#define OPTIONS_LISTEN_DEFAULT "127.0.0.1:9464"
#define OPTIONS_BUS_DEFAULT "system"
#define OPTIONS_TIMEOUT_DEFAULT_SEC 5U
#define OPTIONS_TIMEOUT_MAX_SEC 60U
#define OPTIONS_LISTEN_MAX 16U

/* What was asked for, on the command line or else in the configuration, or else by default. */
typedef struct Options {
        char **listen; /* owned; address_parse() finds none to be -EINVAL */
        char *bus;     /* owned; "system", "session" or a D-Bus address */
        uint64_t timeout_usec;
} Options;

#define OPTIONS_NULL \
        { NULL, NULL, 0 }

void options_deinit(Options *options);

/*
 * Reads the command line, and the configuration that it names or the default one where that exists.
 * OPTIONS_DONE: --help or --version was answered, there is nothing more to do. -EINVAL and other negative
 * errnos: what is wrong was said in one line on standard error.
 */
enum { OPTIONS_DONE = 1 };
int options_read(int argc, char **argv, Options *ret);
