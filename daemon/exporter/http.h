/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "snapshot.h"

/*
 * Serves GET and HEAD of /metrics and of a page at / over HTTP on the addresses given (as for
 * address_parse()), in the thread of `event`, which must not run before this returns. `source` must outlive
 * it.
 */
typedef struct HttpServer HttpServer;

int http_server_new(sd_event *event, SnapshotSource *source, char *const *listen, HttpServer **ret);
HttpServer *http_server_free(HttpServer *server);
DEFINE_CLEANUP(HttpServer *, http_server_free);

/* Where it listens in fact, a port of 0 replaced by the one that was free: separated by spaces; it owns the
 * string. */
const char *http_server_addresses(const HttpServer *server);
