/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of CPUs from outside: what is taken has one normal form, which says the same. */

#include "model/cpu-set.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *) data, size), *normal = NULL, *again = NULL;
        CpuSet set = {}, reread = {};
        unsigned count = 0;
        int r;

        assert(text);
        r = cpu_set_parse(text, &set);
        assert(r == 0 || r == -EINVAL || r == -ERANGE);
        assert(r == 0 || cpu_set_is_empty(&set));
        normal = cpu_set_format(&set);
        assert(normal && cpu_set_parse(normal, &reread) == 0 && cpu_set_equal(&set, &reread));
        again = cpu_set_format(&reread);
        assert(again && strcmp(normal, again) == 0);
        CPU_SET_FOREACH (number, &set) {
                assert(cpu_set_has(&set, number));
                count++;
        }
        assert(count == cpu_set_count(&set));
        return 0;
}
