/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Identifiers of tenants and allocations: [a-z0-9]+(-[a-z0-9]+)*, at most 63 characters and 16 dashes. So an
 * id is at once a path segment, a unit name once escaped, and a label, and can be none of "..", "/" and
 * "cgroup.procs".
 */

#include <stdbool.h>

#define IDENTIFIER_LENGTH_MAX 63
#define IDENTIFIER_DASHES_MAX 16
/* Room for an identifier escaped as systemd does ('-' as "\x2d"), and its NUL. */
#define IDENTIFIER_ESCAPED_SIZE (IDENTIFIER_LENGTH_MAX + 3 * IDENTIFIER_DASHES_MAX + 1)

bool identifier_valid(const char *id);

/* "a-b" to "a\x2db", as systemd.unit(5) escapes. `id` must be valid, `ret` has IDENTIFIER_ESCAPED_SIZE. */
void identifier_escape(const char *id, char *ret);
/* The reverse: false where `escaped` is not what identifier_escape() gives for a valid id; `ret` has
 * LENGTH_MAX + 1. */
bool identifier_unescape(const char *escaped, char *ret);
