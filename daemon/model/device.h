/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Devices by the names that people give them, and what may be done with them. Which device nodes a name means
 * on this node now is not asked here; enforce/device-rule.h answers it.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits, with the kernel's numbers (BPF_DEVCG_ACC_*). */
typedef enum DeviceAccess {
        DEVICE_MKNOD = 1 << 0,
        DEVICE_READ = 1 << 1,
        DEVICE_WRITE = 1 << 2,
} DeviceAccess;

/* "rwm" and its NUL. */
#define DEVICE_ACCESS_SIZE 4

/* A subset of "rwm", not the empty one, in any order: -EINVAL. Printed in that order. */
int device_access_parse(const char *text, uint32_t *ret);
const char *device_access_format(uint32_t access, char ret[static DEVICE_ACCESS_SIZE]);

/* Of a name, each. */
#define DEVICE_NAME_LENGTH_MAX 255
/* Of majors or minors, every one. */
#define DEVICE_NUMBER_ANY UINT32_MAX
#define DEVICE_MAJOR_MAX 4095U
#define DEVICE_MINOR_MAX 1048575U

typedef enum DeviceForm {
        DEVICE_FORM_NODE,   /* /dev/nvidia0 */
        DEVICE_FORM_GROUP,  /* char-drm, block-*: drivers by their names in /proc/devices, as a glob(7) */
        DEVICE_FORM_NUMBER, /* c 195:0, b 8:*, char-195, block-8:0; 195:0 */
} DeviceForm;

typedef enum DeviceKind {
        DEVICE_KIND_EITHER, /* of a node, and of a number that was given alone: the one that the node has */
        DEVICE_KIND_CHARACTER,
        DEVICE_KIND_BLOCK,
} DeviceKind;

typedef struct DeviceName {
        DeviceForm form;
        DeviceKind kind;
        const char *text;      /* the path, or the driver; within the name that was parsed */
        uint32_t major, minor; /* of a number */
} DeviceName;

/* What the bound of a name is, for people. */
#define DEVICE_NAME_FORMS                                                                     \
        "a device node (/dev/nvidia0), a driver of /proc/devices (char-drm, block-loop), or " \
        "MAJOR:MINOR (c 195:0, b 8:*)"

/* -EINVAL: it is none of these. */
int device_name_parse(const char *name, DeviceName *ret);

typedef struct Device {
        char *name;      /* owned */
        uint32_t access; /* DeviceAccess */
} Device;

/* Ordered by name, one of each. */
typedef struct DeviceSet {
        Device *entries; /* owned */
        size_t n;
} DeviceSet;

#define DEVICE_SET_NULL \
        { NULL, 0 }

/* Where the name is there already, it is given the access too. */
int device_set_put(DeviceSet *set, const char *name, uint32_t access);
bool device_set_has(const DeviceSet *set, const char *name);
bool device_set_equal(const DeviceSet *a, const DeviceSet *b);
int device_set_copy(const DeviceSet *set, DeviceSet *ret);
void device_set_deinit(DeviceSet *set);
#define _cleanup_device_set_ _cleanup_(device_set_deinit)
