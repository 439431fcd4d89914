/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one way in which headgatectl says that something failed: one line on standard error. */

#include "headgatectl.h"
#include "table.h"

#include "util/printable.h"

#include <stdarg.h>
#include <string.h>

int ctl_fail(int code, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);

        if (n < 0)
                text = NULL;
        else
                make_printable(text);

        fprintf(stderr, "headgatectl: %s\n", text ?: "out of memory");
        return code;
}

int ctl_fail_errno(int error, const char *what) {
        return ctl_fail(CTL_FAILED, "%s: %s", what, strerror(-error));
}
