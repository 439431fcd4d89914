/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The text of control groups, without a file being opened: what each setting is called, how its value is
 * printed and parsed, what the kernel makes of it, and where the hierarchies are mounted.
 */

#include "model/settings.h"

typedef enum CgroupController {
        CONTROLLER_CPU,
        CONTROLLER_MEMORY,
        CONTROLLER_PIDS,
        CONTROLLER_IO, /* block IO is charged to a group only while it is enabled */
        CONTROLLER_HUGETLB,
        CONTROLLER_RDMA,
        CONTROLLER_MISC,
        CONTROLLER_MAX,
        CONTROLLER_INVALID = -EINVAL,
} CgroupController;

#define CONTROLLERS_ALL ((1U << CONTROLLER_MAX) - 1)

const char *controller_to_string(CgroupController controller);
/* Bits (1U << CgroupController) of the names in `text`, a cgroup.controllers; others are passed over. */
uint32_t controllers_parse(const char *text);
/* The names of `controllers` with a '+' before each, for cgroup.subtree_control; `ret` has this size. */
#define CONTROLLERS_TEXT_SIZE 96
void controllers_format(uint32_t controllers, char *ret);

typedef enum SettingShape {
        SHAPE_NUMBER,
        SHAPE_NUMBER_OR_MAX, /* UNLIMITED is "max" */
        SHAPE_QUOTA,         /* "QUOTA PERIOD" in µs of a period, "max PERIOD" */
        SHAPE_DEFAULT,       /* "default NUMBER", and then what devices have */
} SettingShape;

typedef struct SettingInfo {
        const char *file; /* "cpu.max" */
        CgroupController controller;
        SettingShape shape;
        uint64_t page;     /* the kernel counts it in pages of so many bytes, and drops what is over; 1: the
                              system's pages; 0: not in pages */
        uint64_t min, max; /* what the kernel (and systemd) take; more than `max` is UNLIMITED where there is
                              one */
        const char *property; /* of a systemd unit, of D-Bus type t; UINT64_MAX is infinity there too */
        const char *feature;  /* "cpu.limit" */
        const char *effect;   /* what is not done where it is missing: "CPU limits are not enforced" */
} SettingInfo;

const SettingInfo *setting_info(Setting setting);

/* SETTING_INVALID: the file holds none. */
Setting setting_from_file(const char *file);

/* Whether a group's file of this name carries what we set: what a watch on the group is for. */
bool cgroup_file_is_set(const char *file);

/*
 * The value that the kernel shows after `value` was written: pages, µs of a period, bounds. Compare what is
 * desired with what is in force only after this. Idempotent.
 */
uint64_t setting_round(Setting setting, uint64_t value);

/* Long enough for two 64-bit numbers, a space and the NUL. */
#define SETTING_TEXT_SIZE 44
/* What is written for `value`, without a newline, after rounding; `ret` has SETTING_TEXT_SIZE. */
void setting_format(Setting setting, uint64_t value, char *ret);
/* What a file says. -EBADMSG: not of the setting's form. */
int setting_parse(Setting setting, const char *text, uint64_t *ret);

/*
 * Rounds what is present, and leaves out what cannot hold: cpu.weight of a group that is (`idle_now`) or
 * becomes idle, which the kernel refuses (kernel/sched/core.c, sched_group_set_shares), and an end of
 * idleness where there is none.
 */
Settings settings_settle(const Settings *changes, bool idle_now);

/* Bits of the settled changes that have no property: to be written to files, after the properties. */
uint32_t settings_beside(const Settings *settled);

/* The order of writing to files: the idle class ends before a weight is written. */
extern const Setting settings_order[SETTING_MAX];

typedef struct SettingProperty {
        const char *name;
        uint64_t value;
} SettingProperty;

/*
 * settle()d changes as properties of a systemd unit; `ret` has SETTING_MAX. CPUWeight=0 is "idle"
 * (systemd.resource-control(5), since 252). Returns how many.
 */
size_t settings_properties(const Settings *settled, SettingProperty *ret);

typedef struct CgroupMounts {
        char *unified;           /* owned; where cgroup2 is mounted, NULL where it is not */
        uint32_t controllers_v1; /* bits of the controllers that a cgroup v1 hierarchy holds */
} CgroupMounts;

/* Reads the text of /proc/self/mountinfo. Of several cgroup2 mounts the first that shows the whole tree. */
int cgroup_mounts_parse(const char *mountinfo, CgroupMounts *ret);
void cgroup_mounts_deinit(CgroupMounts *mounts);
#define _cleanup_cgroup_mounts_ _cleanup_(cgroup_mounts_deinit)

/* The path in the unified hierarchy of a /proc/PID/cgroup: "/headgate.slice/…". -ENODATA: none there. */
int cgroup_path_parse(const char *text, char **ret);
/* "1" of "populated 1" in a cgroup.events; -ENODATA where there is no such key. */
int cgroup_events_parse(const char *text, const char *key, uint64_t *ret);
