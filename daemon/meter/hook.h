/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A program at a tracepoint, or where a function begins, that outlives us and can be replaced without an
 * event in between. What hangs there is a stub that goes on to the one place of a map: a link at a tracepoint
 * cannot be given another program, a place in a map can, from one event to the next.
 */

#include "bpf/pin.h"

/*
 * The stub's link and the map that it calls through, both pinned, are adopted together or made anew together.
 * The number at the end of their names changes where the two of another version would not fit; what begins
 * with `prefix` and is not `link` is an older version's.
 */
typedef struct HookNames {
        const char *calls, *link, *prefix;
} HookNames;

typedef struct Hook {
        const HookNames *names;
        Table calls;
        int link; /* negative: nothing is attached */
} Hook;

#define HOOK_NULL \
        { NULL, TABLE_NULL, -EBADF }

/* `dir`: of the pins, as in bpf/pin.h. `names` must outlive the hook. */
int hook_open(const char *dir, const HookNames *names, Hook *ret);
void hook_close(Hook *hook); /* what is pinned goes on */

/* The stub hangs there already, from an earlier run: it need not be loaded. */
bool hook_hangs(const Hook *hook);
/* From here on `program` is what counts, whichever did before: not one event is missed in between. `stub` is
 * attached where nothing hangs yet. */
int hook_set(Hook *hook, const char *dir, int program_fd, int stub_fd);
/* Whatever hangs there, of whichever version, does no longer. */
void hook_take_off(Hook *hook, const char *dir);
void hook_keep_pins(const Hook *hook, const char *dir, PinTell tell, void *userdata);
