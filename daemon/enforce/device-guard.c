/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rules are a value of the attachment (cgroup storage): written as a whole, and replaced by the kernel
 * with one exchange of a pointer. So the program is the same for every group, and is loaded once. The link's
 * pin says in its name whose it is and which program it runs.
 */

#include "enforce/device-guard.h"

#include "bpf/group-link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/types.h>
#include <string.h>

#include "bpf/device-guard.h"
#include "bpf/device-guard.skel.h"

/* A layout of another number is another map: an upgrade puts its own guards beside the old ones, then takes
 * those away. */
#define RULES_NAME "device_rules_" STRINGIFY(DEVICE_GUARD_LAYOUT)

static const TableShape rules_shape = {
        .name = RULES_NAME,
        .type = BPF_MAP_TYPE_CGROUP_STORAGE,
        .key_bytes = sizeof(__u64),
        .row_bytes = sizeof(struct device_rules),
};

struct DeviceGuard {
        int program_fd; /* attached nowhere by itself */
        char *pin_dir;
        Table rules;
        char tag[PIN_TAG_SIZE]; /* of the program that we have */
        GroupLinks links;
};

/* "group-<id>-<slot>-<tag>" */
static void print_name(const GroupLink *link, char ret[static PIN_NAME_SIZE]) {
        snprintf(ret, PIN_NAME_SIZE, "group-%016" PRIx64 "-%" PRIu32 "-%s", link->group_id, link->slot,
                        link->tag);
}

static bool scan_name(const char *name, GroupLink *ret) {
        return sscanf(name, "group-%16" SCNx64 "-%" SCNu32 "-%16[0-9a-f]", &ret->group_id, &ret->slot,
                               ret->tag) == 3;
}

static const GroupLinkNames names = { print_name, scan_name };

static void adopt_pin(const char *name, void *userdata) {
        DeviceGuard *guard = userdata;

        if (strcmp(name, RULES_NAME) != 0)
                group_links_adopt(&guard->links, name, !guard->rules.adopted);
}

static GroupLink *find_link(const DeviceGuard *guard, uint64_t group_id) {
        return group_links_find(&guard->links, /* way= */ 0, group_id);
}

static int load(DeviceGuard *guard) {
        struct device_guard_bpf *skeleton = device_guard_bpf__open();
        int r;

        if (!skeleton)
                return -errno;
        r = bpf_map__reuse_fd(skeleton->maps.device_rules, guard->rules.fd);
        if (r == 0)
                r = device_guard_bpf__load(skeleton);
        if (r == 0)
                r = guard->program_fd = pin_keep_program(skeleton->progs.device_guard);
        device_guard_bpf__destroy(skeleton);
        return r;
}

/* `ret_words`: what could not be done. */
static int set_up(DeviceGuard *guard, const char *pin_dir, const char **ret_words) {
        int r = 0;

        *ret_words = "nothing can be pinned";
        if (pin_dir)
                r = pin_dir_make(pin_dir, "devices", &guard->pin_dir);
        if (r < 0)
                return r;
        guard->links.pin_dir = guard->pin_dir;
        *ret_words = "there is no map for the rules";
        r = table_open(guard->pin_dir, &rules_shape, &guard->rules);
        if (r < 0)
                return r;
        *ret_words = "the program does not load";
        r = load(guard);
        if (r >= 0)
                r = pin_program_tag(guard->program_fd, guard->tag);
        if (r < 0)
                return r;
        pin_list(guard->pin_dir, "", adopt_pin, guard);
        return 0;
}

int device_guard_new(const char *pin_dir, FeatureSet *features, DeviceGuard **ret) {
        _cleanup_(device_guard_free_p) DeviceGuard *guard = calloc(1, sizeof(*guard));
        const char *words;
        int r, k;

        if (!guard)
                return -ENOMEM;
        guard->program_fd = -EBADF;
        guard->rules = (Table) TABLE_NULL;
        guard->links.names = &names;
        pin_words_begin();
        r = set_up(guard, pin_dir, &words);
        if (r < 0)
                k = feature_set_put(features, "devices", false, "%s (%s): Devices is not enforced", words,
                                pin_words_why(r));
        else
                k = feature_set_put(features, "devices", true,
                                "a BPF program at the group of each tenant that is held to its devices, "
                                "at most %d rules%s",
                                DEVICE_RULES_MAX, pin_dir ? "" : "; not pinned: it ends with the daemon");
        if (r == -ENOMEM || k < 0)
                return -ENOMEM;
        if (r < 0)
                return -EOPNOTSUPP;
        *ret = TAKE_PTR(guard);
        return 0;
}

DeviceGuard *device_guard_free(DeviceGuard *guard) {
        if (!guard)
                return NULL;

        group_links_deinit(&guard->links);
        cleanup_close(&guard->program_fd);
        table_deinit(&guard->rules);
        free(guard->pin_dir);
        free(guard);
        return NULL;
}

int device_guard_get(DeviceGuard *guard, uint32_t slot, uint64_t group_id, struct device_rules **ret) {
        _cleanup_device_rules_ struct device_rules *rules = NULL;
        const GroupLink *link = find_link(guard, group_id);

        if (!link || link->stray || link->slot != slot || !group_link_lives(link))
                return -ENOENT;
        rules = calloc(1, sizeof(*rules));
        if (!rules)
                return -ENOMEM;
        if (bpf_map_lookup_elem(guard->rules.fd, &group_id, rules) < 0)
                return -errno;
        if (!rules->closed)
                return -ENOENT;
        *ret = TAKE_PTR(rules);
        return 0;
}

bool device_guard_holds(
                DeviceGuard *guard, uint32_t slot, uint64_t group_id, const struct device_rules *rules) {
        _cleanup_device_rules_ struct device_rules *have = NULL;
        char name[PIN_NAME_SIZE];
        const GroupLink *link;

        if (device_guard_get(guard, slot, group_id, &have) < 0)
                return false;
        link = find_link(guard, group_id);
        print_name(link, name);
        return device_rules_equal(have, rules) && strcmp(link->tag, guard->tag) == 0 &&
               pin_is(guard->pin_dir, name, link->fd) && pin_is(guard->pin_dir, RULES_NAME, guard->rules.fd);
}

/* The rules before the pin: what is found pinned after an interruption has them. */
static int make_link(
                DeviceGuard *guard, const GroupLink *wanted, int group_fd, const struct device_rules *rules) {
        GroupLink link = *wanted;
        int r = 0;

        link.fd = bpf_link_create(guard->program_fd, group_fd, BPF_CGROUP_DEVICE, NULL);
        if (link.fd < 0)
                return -errno;
        if (bpf_map_update_elem(guard->rules.fd, &wanted->group_id, rules, BPF_ANY) < 0)
                r = -errno;
        if (r >= 0)
                r = group_links_add(&guard->links, &link);
        if (r < 0)
                close(link.fd);
        return r;
}

/* One of ours, pinned, with our program, and with these rules. */
static int renew_link(DeviceGuard *guard, GroupLink *link, const GroupLink *wanted,
                const struct device_rules *rules) {
        char name[PIN_NAME_SIZE];
        int r;

        if (bpf_map_update_elem(guard->rules.fd, &link->group_id, rules, BPF_ANY) < 0)
                return -errno;
        if (strcmp(link->tag, wanted->tag) != 0 && bpf_link_update(link->fd, guard->program_fd, NULL) < 0)
                return -errno;
        r = group_links_rename(&guard->links, link, wanted);
        print_name(wanted, name);
        return r >= 0 && pin_is(guard->pin_dir, name, link->fd) ? 0 : pin_put(guard->pin_dir, name, link->fd);
}

void device_guard_sweep(DeviceGuard *guard) {
        for (size_t i = guard->links.n; i-- > 0;)
                if (!group_link_lives(guard->links.links + i))
                        group_links_drop(&guard->links, guard->links.links + i);
}

int device_guard_put(DeviceGuard *guard, uint32_t slot, int group_fd, uint64_t group_id,
                const struct device_rules *rules) {
        GroupLink wanted = { .fd = -EBADF, .group_id = group_id, .slot = slot }, *link;
        size_t at;
        int r;

        memcpy(wanted.tag, guard->tag, sizeof(wanted.tag));
        if (!pin_is(guard->pin_dir, RULES_NAME, guard->rules.fd)) {
                r = pin_put(guard->pin_dir, RULES_NAME, guard->rules.fd);
                if (r < 0)
                        return r;
        }
        link = find_link(guard, group_id);
        if (!link)
                return make_link(guard, &wanted, group_fd, rules);
        if (group_link_lives(link) && !link->stray)
                return renew_link(guard, link, &wanted, rules);
        at = link - guard->links.links; /* it refuses until ours does, too */
        r = make_link(guard, &wanted, group_fd, rules);
        if (r >= 0)
                group_links_drop(&guard->links, guard->links.links + at);
        return r;
}

bool device_guard_has_slot(const DeviceGuard *guard, uint32_t slot) {
        for (size_t i = 0; i < guard->links.n; i++)
                if (guard->links.links[i].slot == slot)
                        return true;
        return false;
}

int device_guard_remove(DeviceGuard *guard, uint64_t group_id) {
        static const struct device_rules open = {};
        GroupLink *link = find_link(guard, group_id);

        if (!link)
                return 0;
        /* The kernel keeps a value until the group goes, and gives it to the group's next guard. */
        (void) bpf_map_update_elem(guard->rules.fd, &group_id, &open, BPF_ANY);
        group_links_drop(&guard->links, link);
        return 1;
}

void device_guard_remove_slot(DeviceGuard *guard, uint32_t slot) {
        for (size_t i = guard->links.n; i-- > 0;)
                if (guard->links.links[i].slot == slot)
                        (void) device_guard_remove(guard, guard->links.links[i].group_id);
}

void device_guard_keep_pins(const DeviceGuard *guard, PinTell tell, void *userdata) {
        if (!guard->pin_dir)
                return;
        pin_dir_keep(guard->pin_dir);
        table_keep_pin(guard->pin_dir, &guard->rules, tell, userdata);
        group_links_keep_pins(&guard->links, tell, userdata);
}

const char *device_guard_pin_dir(const DeviceGuard *guard) {
        return guard->pin_dir;
}

int device_guard_release(DeviceGuard *guard) {
        while (guard->links.n > 0)
                (void) device_guard_remove(guard, guard->links.links[guard->links.n - 1].group_id);
        return guard->pin_dir ? pin_dir_remove(guard->pin_dir) : 0;
}
