/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bpf/lockdown.h"
#include "util/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCKDOWN_FILE "/sys/kernel/security/lockdown"

bool lockdown_hides_memory(void) {
        _cleanup_fclose_ FILE *f = fopen(LOCKDOWN_FILE, "re");
        char line[128];

        /* "none integrity [confidentiality]" */
        return f && fgets(line, sizeof(line), f) && strstr(line, "[confidentiality]");
}
