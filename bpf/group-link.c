/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bpf/group-link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_TAG "0" /* no program has so short a one */

void group_links_deinit(GroupLinks *links) {
        for (size_t i = 0; i < links->n; i++) {
                close(links->links[i].fd);
                if (!links->pin_dir)
                        pin_pace();
        }
        free(links->links);
        links->links = NULL;
        links->n = 0;
}

static bool is_before(const GroupLink *link, uint32_t way, uint64_t group_id) {
        return link->group_id != group_id ? link->group_id < group_id : link->way < way;
}

/* The first that is not before it. */
static size_t find_place(const GroupLinks *links, uint32_t way, uint64_t group_id) {
        size_t low = 0, high = links->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (is_before(links->links + middle, way, group_id))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Behind another of the same place. */
static int insert_link(GroupLinks *links, const GroupLink *link) {
        GroupLink *grown = reallocarray(links->links, links->n + 1, sizeof(*grown));
        size_t i;

        if (!grown)
                return -ENOMEM;
        links->links = grown;
        i = find_place(links, link->way + 1, link->group_id);
        memmove(grown + i + 1, grown + i, (links->n - i) * sizeof(*grown));
        grown[i] = *link;
        links->n++;
        return 0;
}

static bool scan_name(const GroupLinks *links, const char *name, GroupLink *ret) {
        char again[PIN_NAME_SIZE];

        if (!links->names->scan(name, ret))
                return false;
        links->names->print(ret, again);
        return strcmp(name, again) == 0;
}

/* Which of two names of a link says what it runs is not known: neither, then. */
static void forget_tag(GroupLinks *links, GroupLink *link) {
        GroupLink unknown = *link;

        strcpy(unknown.tag, UNKNOWN_TAG);
        (void) group_links_rename(links, link, &unknown);
}

void group_links_adopt(GroupLinks *links, const char *name, bool stray) {
        GroupLink link = { .fd = -EBADF, .stray = stray }, *held;

        if (scan_name(links, name, &link))
                link.fd = pin_open(links->pin_dir, name);
        if (link.fd < 0 || !group_link_lives(&link)) {
                cleanup_close(&link.fd);
                pin_remove(links->pin_dir, name);
                return;
        }
        held = group_links_find(links, link.way, link.group_id);
        if (held && pin_same_object(held->fd, link.fd)) {
                close(link.fd);
                pin_remove(links->pin_dir, name);
                forget_tag(links, held);
                return;
        }
        if (insert_link(links, &link) < 0)
                close(link.fd);
}

int group_links_add(GroupLinks *links, const GroupLink *link) {
        char name[PIN_NAME_SIZE];
        int r;

        links->names->print(link, name);
        r = pin_put(links->pin_dir, name, link->fd);
        if (r < 0)
                return r;
        r = insert_link(links, link);
        if (r < 0)
                pin_remove(links->pin_dir, name);
        return r;
}

GroupLink *group_links_find(const GroupLinks *links, uint32_t way, uint64_t group_id) {
        GroupLink *link = links->links + find_place(links, way, group_id);

        return link < links->links + links->n && link->way == way && link->group_id == group_id ? link : NULL;
}

int group_links_rename(GroupLinks *links, GroupLink *link, const GroupLink *wanted) {
        char name[PIN_NAME_SIZE], new_name[PIN_NAME_SIZE];
        int r;

        links->names->print(link, name);
        links->names->print(wanted, new_name);
        r = pin_rename(links->pin_dir, name, new_name);
        if (r < 0) { /* its pin was taken away, or cannot be moved: no link has two */
                r = pin_put(links->pin_dir, new_name, link->fd);
                if (r >= 0 && strcmp(name, new_name) != 0)
                        pin_remove(links->pin_dir, name);
        }
        if (r < 0)
                return r;
        link->slot = wanted->slot;
        link->classid = wanted->classid;
        memcpy(link->tag, wanted->tag, sizeof(link->tag));
        return 0;
}

static bool is_anothers(const GroupLinks *links, const GroupLink *link, const char *name) {
        for (size_t i = 0; i < links->n; i++) {
                const GroupLink *other = links->links + i;
                char other_name[PIN_NAME_SIZE];

                if (other == link || other->group_id != link->group_id)
                        continue;
                links->names->print(other, other_name);
                if (strcmp(name, other_name) == 0)
                        return true;
        }
        return false;
}

/* Whose one is that cannot be opened, for want of a descriptor perhaps, the names say. */
static bool is_pinned_as(const GroupLinks *links, const GroupLink *link, const char *name) {
        _cleanup_close_ int pinned = pin_open(links->pin_dir, name);

        if (pinned >= 0)
                return pin_same_object(pinned, link->fd);
        return pinned != -ENOENT && !is_anothers(links, link, name);
}

void group_links_drop(GroupLinks *links, GroupLink *link) {
        char name[PIN_NAME_SIZE];

        links->names->print(link, name);
        (void) bpf_link_detach(link->fd);
        if (!links->pin_dir)
                pin_pace();
        else if (is_pinned_as(links, link, name))
                pin_remove(links->pin_dir, name);
        close(link->fd);
        links->n--;
        memmove(link, link + 1, (size_t) (links->links + links->n - link) * sizeof(*link));
}

bool group_link_lives(const GroupLink *link) {
        struct bpf_link_info info = {};
        uint32_t size = sizeof(info);

        return bpf_obj_get_info_by_fd(link->fd, &info, &size) == 0 && info.cgroup.cgroup_id == link->group_id;
}

void group_links_keep_pins(const GroupLinks *links, PinTell tell, void *userdata) {
        for (size_t i = 0; i < links->n; i++) {
                char name[PIN_NAME_SIZE];

                if (!group_link_lives(links->links + i))
                        continue;
                links->names->print(links->links + i, name);
                pin_keep(links->pin_dir, name, links->links[i].fd, tell, userdata);
        }
}
