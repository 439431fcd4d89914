/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bpf-call.h"

#include "util/cleanup.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>

/* In place of libc's, by which libbpf asks the kernel. */
long syscall(long number, ...) {
        static long (*real)(long, ...);
        long arguments[6];
        va_list ap;

        va_start(ap, number);
        for (size_t i = 0; i < ELEMENTSOF(arguments); i++)
                arguments[i] = va_arg(ap, long);
        va_end(ap);
        if (number == SYS_bpf &&
                        !bpf_call_passes((enum bpf_cmd) arguments[0], (union bpf_attr *) arguments[1]))
                return -1;
        if (!real)
                real = (long (*)(long, ...)) dlsym(RTLD_NEXT, "syscall");
        return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                        arguments[5]);
}
