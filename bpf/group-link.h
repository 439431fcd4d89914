/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Links of programs at control groups. Each is pinned under a name that says whose it is and which program it
 * runs: all that must be equal for it to be left as it is at the next start.
 */

#include "bpf/pin.h"

typedef struct GroupLink {
        int fd;
        uint64_t group_id;
        uint32_t way;           /* which of several links at one group; 0 where there is one */
        uint32_t slot, classid; /* as far as the name says them */
        char tag[PIN_TAG_SIZE]; /* of the program that it runs */
        bool stray;             /* that program uses a table that is no more ours */
} GroupLink;

typedef struct GroupLinkNames {
        void (*print)(const GroupLink *link, char ret[static PIN_NAME_SIZE]);
        /* False where the name is not of the form. What else print() would write need not be refused. */
        bool (*scan)(const char *name, GroupLink *ret);
} GroupLinkNames;

typedef struct GroupLinks {
        const GroupLinkNames *names;
        const char *pin_dir; /* not owned; NULL: nothing is pinned */
        GroupLink *links;    /* owned, ordered by group and way */
        size_t n;
} GroupLinks;

/* What is pinned goes on. */
void group_links_deinit(GroupLinks *links);

/* Takes the link that is pinned under that name, of a group that lives; any other pin is removed. Of a link
 * that has a second name, as an interruption leaves it, that pin is removed, too, and it has no program's
 * tag: what it runs is not known. */
void group_links_adopt(GroupLinks *links, const char *name, bool stray);
/* Pins `link` and takes its fd over; on an error neither. 0 or a negative errno. */
int group_links_add(GroupLinks *links, const GroupLink *link);
/* NULL: none. What is added or dropped makes the pointer void. */
GroupLink *group_links_find(const GroupLinks *links, uint32_t way, uint64_t group_id);
/* It runs another program by now, or for another slot: slot, class and tag become those of `wanted`, and so
 * does the pin's name. 0 or a negative errno. */
int group_links_rename(GroupLinks *links, GroupLink *link, const GroupLink *wanted);
/* Out of the kernel, at once: not when the last reference goes. With its pin, unless the name is another's
 * by now. */
void group_links_drop(GroupLinks *links, GroupLink *link);

/* A link outlives its group, and being detached, with 0 for the group's id. */
bool group_link_lives(const GroupLink *link);

/* Of those that live. */
void group_links_keep_pins(const GroupLinks *links, PinTell tell, void *userdata);
