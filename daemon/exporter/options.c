/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The command line and /etc/headgate/exporter.conf of headgate-exporter. What stands on the command line
 * replaces what stands in the file. A key, a value or an argument that it does not know is an error, never
 * ignored.
 */

#include "options.h"

#include "address.h"

#include "util/ini.h"
#include "util/strv.h"

#include <getopt.h>
#include <string.h>

typedef struct Reading {
        const char *path;
        bool given; /* by --config: then it must be there */
        Options config, line;
        char *error; /* owned; the first error in the file, without the file's name */
} Reading;

void options_deinit(Options *options) {
        strv_free(options->listen);
        free(options->bus);
        *options = (Options) OPTIONS_NULL;
}

static void reading_deinit(Reading *reading) {
        options_deinit(&reading->config);
        options_deinit(&reading->line);
        free(reading->error);
}

static int set_listen(Options *options, const char *value) {
        static const char separators[] = " \t,";

        for (const char *p = value + strspn(value, separators); *p; p += strspn(p, separators)) {
                size_t n = strcspn(p, separators);
                _cleanup_free_ char *word = strndup(p, n);
                Address address;
                int r;

                if (!word)
                        return -ENOMEM;
                r = address_parse(word, &address);
                if (r < 0 && r != -ENODEV) /* an interface may come yet: no error of the configuration */
                        return r;
                if (strv_length(options->listen) >= OPTIONS_LISTEN_MAX)
                        return -E2BIG;
                r = strv_push(&options->listen, word);
                if (r < 0)
                        return r;
                p += n;
        }
        return 0;
}

static int set_bus(Options *options, const char *value) {
        char *bus;

        if (strcmp(value, "system") != 0 && strcmp(value, "session") != 0 && !strchr(value, ':'))
                return -EINVAL;
        bus = strdup(value);
        if (!bus)
                return -ENOMEM;
        free(options->bus);
        options->bus = bus;
        return 0;
}

static int set_timeout(Options *options, const char *value) {
        unsigned long sec;

        if (*value == '\0' || strspn(value, "0123456789") != strlen(value) || strlen(value) > 4)
                return -EINVAL;
        sec = strtoul(value, NULL, 10);
        if (sec < 1 || sec > OPTIONS_TIMEOUT_MAX_SEC)
                return -EINVAL;
        options->timeout_usec = sec * 1000000U;
        return 0;
}

/* One name for the key of the file and, with two dashes, for the argument. */
static const struct {
        const char *name;
        int (*set)(Options *options, const char *value);
        const char *expected;
} keys[] = {
        { "listen", set_listen, "ADDRESS:PORT in numbers, [ADDRESS]:PORT for IPv6, at most 16" },
        { "bus", set_bus, "system, session or a D-Bus address" },
        { "timeout", set_timeout, "whole seconds from 1 to 60" },
};

/* 0, or the error in words in *ret_error: NULL there where memory ran out. */
static int set_key(Options *options, const char *name, const char *value, char **ret_error) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                int r;

                if (strcmp(keys[i].name, name) != 0)
                        continue;
                r = keys[i].set(options, value);
                if (r < 0 && asprintf(ret_error, "%s: \"%s\" is not %s", name, value, keys[i].expected) < 0)
                        *ret_error = NULL;
                return r;
        }
        if (asprintf(ret_error, "unknown key \"%s\"", name) < 0)
                *ret_error = NULL;
        return -EINVAL;
}

static int handle_line(void *userdata, const char *section, const char *name, const char *value) {
        Reading *reading = userdata;

        if (strcmp(section, "exporter") == 0)
                return name ? set_key(&reading->config, name, value, &reading->error) : 0;
        if (asprintf(&reading->error, "unknown section \"%s\"", section) < 0)
                reading->error = NULL;
        return -EINVAL;
}

static int read_config(Reading *reading) {
        _cleanup_fclose_ FILE *file = NULL;
        const char *why = NULL;
        unsigned line;
        int r;

        file = fopen(reading->path, "re");
        if (!file) {
                int error = errno;

                if (error == ENOENT && !reading->given)
                        return 0;
                fprintf(stderr, "headgate-exporter: %s: %s\n", reading->path, strerror(error));
                return -error;
        }
        r = ini_read(file, handle_line, reading, &line, &why);
        if (r < 0)
                fprintf(stderr, "headgate-exporter: %s:%u: %s\n", reading->path, line,
                                reading->error ?: why ?: strerror(-r));
        return r;
}

static void print_help(void) {
        printf("headgate-exporter [OPTION…]\n"
               "Serves the samples of headgated as OpenMetrics over HTTP, at /metrics.\n\n"
               "  --config FILE           default %s\n"
               "  --listen ADDRESS:PORT   [ADDRESS]:PORT for IPv6; may be repeated; default %s\n"
               "  --bus BUS               system, session or a D-Bus address; default %s\n"
               "  --timeout SECONDS       how long headgated may take to answer, 1 to %u; default %u\n"
               "  --version\n"
               "  --help\n",
                        OPTIONS_CONFIG_DEFAULT, OPTIONS_LISTEN_DEFAULT, OPTIONS_BUS_DEFAULT,
                        OPTIONS_TIMEOUT_MAX_SEC, OPTIONS_TIMEOUT_DEFAULT_SEC);
}

static int read_line(Reading *reading, int argc, char **argv) {
        enum { ARG_CONFIG = 256, ARG_KEY, ARG_VERSION, ARG_HELP };
        static const struct option long_options[] = {
                { "config", required_argument, NULL, ARG_CONFIG },
                { "listen", required_argument, NULL, ARG_KEY },
                { "bus", required_argument, NULL, ARG_KEY },
                { "timeout", required_argument, NULL, ARG_KEY },
                { "version", no_argument, NULL, ARG_VERSION },
                { "help", no_argument, NULL, ARG_HELP },
                {},
        };
        int c, index = 0, r;

        while ((c = getopt_long(argc, argv, "", long_options, &index)) >= 0) {
                _cleanup_free_ char *error = NULL;

                switch (c) {
                case ARG_CONFIG:
                        reading->path = optarg;
                        reading->given = true;
                        break;
                case ARG_KEY:
                        r = set_key(&reading->line, long_options[index].name, optarg, &error);
                        if (r < 0) {
                                fprintf(stderr, "headgate-exporter: --%s\n", error ?: strerror(-r));
                                return r;
                        }
                        break;
                case ARG_VERSION:
                        printf("headgate-exporter %s\n", HEADGATE_VERSION);
                        return OPTIONS_DONE;
                case ARG_HELP:
                        print_help();
                        return OPTIONS_DONE;
                default: /* getopt_long() said what is wrong */
                        return -EINVAL;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "headgate-exporter: unexpected argument \"%s\"\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

/* Fills in from `more` what `options` does not have yet. */
static void options_complete(Options *options, Options *more) {
        if (!options->listen)
                options->listen = TAKE_PTR(more->listen);
        if (!options->bus)
                options->bus = TAKE_PTR(more->bus);
        if (options->timeout_usec == 0)
                options->timeout_usec = more->timeout_usec;
}

int options_read(int argc, char **argv, Options *ret) {
        _cleanup_(reading_deinit) Reading reading = { .path = OPTIONS_CONFIG_DEFAULT };
        _cleanup_(options_deinit) Options defaults = OPTIONS_NULL;
        int r;

        r = read_line(&reading, argc, argv);
        if (r != 0)
                return r;
        r = read_config(&reading);
        if (r < 0)
                return r;
        defaults.timeout_usec = OPTIONS_TIMEOUT_DEFAULT_SEC * 1000000U;
        r = set_listen(&defaults, OPTIONS_LISTEN_DEFAULT);
        if (r >= 0)
                r = set_bus(&defaults, OPTIONS_BUS_DEFAULT);
        if (r < 0)
                return r;
        options_complete(&reading.line, &reading.config);
        options_complete(&reading.line, &defaults);
        *ret = reading.line;
        reading.line = (Options) OPTIONS_NULL;
        return 0;
}
