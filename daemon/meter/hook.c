/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/hook.h"

#include <bpf/bpf.h>
#include <string.h>

int hook_open(const char *dir, const HookNames *names, Hook *ret) {
        Hook hook = { .names = names, .calls = TABLE_NULL, .link = -EBADF };
        int r = table_open(dir,
                        &(TableShape){ names->calls, BPF_MAP_TYPE_PROG_ARRAY, sizeof(uint32_t),
                                        sizeof(uint32_t), 1 },
                        &hook.calls);

        if (r < 0)
                return r;
        if (hook.calls.adopted)
                hook.link = pin_open(dir, names->link);
        *ret = hook;
        return 0;
}

void hook_close(Hook *hook) {
        cleanup_close(&hook->link);
        table_deinit(&hook->calls);
        *hook = (Hook) HOOK_NULL;
}

bool hook_hangs(const Hook *hook) {
        return hook->link >= 0;
}

typedef struct Outdated {
        const char *dir, *wanted;
} Outdated;

static void remove_outdated(const char *name, void *userdata) {
        const Outdated *outdated = userdata;

        if (strcmp(name, outdated->wanted) != 0)
                pin_remove(outdated->dir, name);
}

int hook_set(Hook *hook, const char *dir, int program_fd, int stub_fd) {
        int place = 0;

        if (bpf_map_update_elem(hook->calls.fd, &place, &program_fd, BPF_ANY) < 0)
                return -errno;
        pin_pace(); /* the one before is let go of */
        pin_list(dir, hook->names->prefix, remove_outdated,
                        &(Outdated){ dir, hook_hangs(hook) ? hook->names->link : "" });
        if (hook_hangs(hook))
                return 0;
        hook->link = bpf_raw_tracepoint_open(NULL, stub_fd);
        return hook->link < 0 ? -errno : pin_put(dir, hook->names->link, hook->link);
}

void hook_take_off(Hook *hook, const char *dir) {
        int place = 0;

        cleanup_close(&hook->link);
        hook->link = -EBADF;
        pin_remove_all(dir, hook->names->prefix);
        (void) bpf_map_delete_elem(hook->calls.fd, &place);
}

void hook_keep_pins(const Hook *hook, const char *dir, PinTell tell, void *userdata) {
        table_keep_pin(dir, &hook->calls, tell, userdata);
        if (hook_hangs(hook))
                pin_keep(dir, hook->names->link, hook->link, tell, userdata);
}
