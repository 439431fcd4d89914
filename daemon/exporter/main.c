/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * headgate-exporter: the process that speaks IP for headgated, which opens no IP socket itself. It needs no
 * privilege but to call Snapshot() on D-Bus. It keeps no state and no samples: what it serves is what
 * headgated answers then.
 */

#include "http.h"
#include "options.h"

#include "util/log.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

enum { EXIT_USAGE = 2 };

static int event_new(sd_event **ret) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        r = sd_event_new(&event);
        if (r < 0)
                return r;
        r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r < 0)
                return r;
        r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r < 0)
                return r;
        r = sd_event_set_watchdog(event, /* b= */ true);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(event);
        return 0;
}

int main(int argc, char **argv) {
        _cleanup_(options_deinit) Options options = OPTIONS_NULL;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(snapshot_source_free_p) SnapshotSource *source = NULL;
        _cleanup_(http_server_free_p) HttpServer *server = NULL; /* the last: what it uses goes after it */
        int r;

        r = options_read(argc, argv, &options);
        if (r < 0)
                return EXIT_USAGE;
        if (r == OPTIONS_DONE)
                return EXIT_SUCCESS;

        /* A client that is gone must not end the others. */
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return EXIT_FAILURE;
        r = event_new(&event);
        if (r >= 0)
                r = snapshot_source_new(event, options.bus, options.timeout_usec, &source);
        if (r < 0) {
                log_error_errno(r, "Cannot start");
                return EXIT_FAILURE;
        }
        r = http_server_new(event, source, options.listen, &server);
        if (r < 0)
                return EXIT_FAILURE;

        log_info("Serving /metrics on %s", http_server_addresses(server));
        sd_notifyf(/* unset_environment= */ false, "READY=1\nSTATUS=Serving /metrics on %s",
                        http_server_addresses(server));
        r = sd_event_loop(event);
        sd_notify(/* unset_environment= */ false, "STOPPING=1");
        if (r < 0) {
                log_error_errno(r, "The event loop failed");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
