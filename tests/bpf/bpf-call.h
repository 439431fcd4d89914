/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What libbpf asks the kernel goes by the test, which may change it, or refuse it. */

#include <linux/bpf.h>
#include <stdbool.h>

/* Before each call of bpf(2): false, and errno, where the kernel is not to be asked. The test's. */
bool bpf_call_passes(enum bpf_cmd command, union bpf_attr *attr);
