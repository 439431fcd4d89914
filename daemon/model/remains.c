/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "remains.h"

#include "util/printable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

int remains_format(const Remains *remains, char **ret) {
        bool tell_memory = remains->memory_bytes >= REMAINS_MEMORY_MIN_BYTES;
        char sockets[64] = "", memory[96] = "", *words;

        if (remains->sockets == 0 && !tell_memory)
                return 0;
        if (remains->sockets > 0)
                snprintf(sockets, sizeof sockets, "%u %s", remains->sockets,
                                remains->sockets == 1 ? "socket, until it is closed"
                                                      : "sockets, until they are closed");
        if (tell_memory)
                snprintf(memory, sizeof memory, "up to %" PRIu64 " MiB of memory, until it is freed",
                                remains->memory_bytes >> 20);
        if (asprintf(&words, "process %d (%s) left with %s: %s%s%s", remains->pid, remains->name,
                            remains->group, sockets, *sockets && *memory ? "; " : "", memory) < 0)
                return -ENOMEM;
        make_printable(words); /* a group's name is whatever its maker chose */
        *ret = words;
        return 1;
}
