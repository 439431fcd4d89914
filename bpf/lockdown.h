/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* For who is told of something that does not load. */
#define LOCKDOWN_WORDS "the kernel is locked down to confidentiality: BPF programs may not read its memory"

/* Whether it is (kernel_lockdown(7)); false, too, where securityfs is not there to say so. */
bool lockdown_hides_memory(void);
