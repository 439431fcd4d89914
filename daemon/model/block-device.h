/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A block device of this node, and what divides it between control groups. */

#include "resource.h"

/* What divides a device by weight. */
typedef enum IoPolicy { IO_POLICY_NONE, IO_POLICY_COST, IO_POLICY_BFQ } IoPolicy;

#define BLOCK_NAME_SIZE 32 /* DISK_NAME_LEN */

typedef struct BlockDevice {
        char number[RESOURCE_TARGET_SIZE]; /* "8:0" */
        char name[BLOCK_NAME_SIZE];        /* "sda" */
        bool leaf; /* nothing of this node is below it: what passes through a stack of devices counts here
                      alone */
        IoPolicy policy;
        uint64_t latency_usec; /* what who reserves some of it is to wait for an operation; 0: not given */
} BlockDevice;
