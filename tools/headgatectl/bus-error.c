/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* D-Bus errors to exit codes and sentences, from one table. Prints nothing. */

#include "bus-error.h"

#include <string.h>

typedef enum Kind {
        KIND_REFUSED, /* headgated said so, in its own words */
        KIND_UNREACHABLE,
        KIND_SILENT,
        KIND_DENIED,
        KIND_OLDER,
} Kind;

typedef struct BusError {
        const char *name; /* ends in '*' where all that begin so are meant */
        Kind kind;
        CtlExit exit;
        const char *next; /* what to do, after headgated's own words; or NULL */
} BusError;

/* The first that fits. */
static const BusError bus_errors[] = {
        { "org.headgate.Error.AccessDenied", KIND_REFUSED, CTL_DENIED, NULL },
        { "org.headgate.Error.NoSuchProcess", KIND_REFUSED, CTL_NOT_FOUND, NULL },
        { "org.headgate.Error.NoSuchUnit", KIND_REFUSED, CTL_NOT_FOUND, NULL },
        { "org.headgate.Error.NoSuchGroup", KIND_REFUSED, CTL_NOT_FOUND, NULL },
        { "org.headgate.Error.NoSuch*", KIND_REFUSED, CTL_NOT_FOUND,
                        "'headgatectl list' names what there is" },
        { "org.headgate.Error.InsufficientResources", KIND_REFUSED, CTL_FAILED,
                        "'headgatectl status' shows what is free" },
        { "org.headgate.Error.Draining", KIND_REFUSED, CTL_FAILED,
                        "'headgatectl status' says why; 'headgatectl resume' ends it" },
        { "org.headgate.Error.NotEnforced", KIND_REFUSED, CTL_FAILED,
                        "'headgatectl doctor' says what is missing" },
        { "org.headgate.Error.*", KIND_REFUSED, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.AccessDenied", KIND_DENIED, CTL_DENIED, NULL },
        { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", KIND_DENIED, CTL_DENIED, NULL },
        { "System.Error.EACCES", KIND_DENIED, CTL_DENIED, NULL },
        { "System.Error.EPERM", KIND_DENIED, CTL_DENIED, NULL },
        { "org.freedesktop.DBus.Error.ServiceUnknown", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.NameHasNoOwner", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.FileNotFound", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.Spawn.*", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "org.freedesktop.systemd1.*", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.Disconnected", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "System.Error.ENOENT", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "System.Error.ECONN*", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "System.Error.ENOTCONN", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "System.Error.EPIPE", KIND_UNREACHABLE, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.NoReply", KIND_SILENT, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.Timeout", KIND_SILENT, CTL_FAILED, NULL },
        { "System.Error.ETIMEDOUT", KIND_SILENT, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.UnknownMethod", KIND_OLDER, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.UnknownInterface", KIND_OLDER, CTL_FAILED, NULL },
        { "org.freedesktop.DBus.Error.UnknownProperty", KIND_OLDER, CTL_FAILED, NULL },
        { "*", KIND_REFUSED, CTL_FAILED, NULL },
};

static bool name_matches(const char *pattern, const char *name) {
        size_t n = strlen(pattern);

        if (pattern[n - 1] == '*')
                return strncmp(pattern, name, n - 1) == 0;

        return strcmp(pattern, name) == 0;
}

CtlExit bus_error_explain(const sd_bus_error *error, int r, const char *where, char **ret_sentence) {
        sd_bus_error own = SD_BUS_ERROR_NULL;
        const BusError *found = bus_errors;
        const char *message;
        char *sentence = NULL;
        int n;

        if (!sd_bus_error_is_set(error)) {
                sd_bus_error_set_errno(&own, r);
                error = &own;
        }

        /* Always there, as the last fits all. */
        while (!name_matches(found->name, error->name))
                found++;

        message = error->message ?: error->name;
        switch (found->kind) {
        case KIND_UNREACHABLE:
                n = asprintf(&sentence, "cannot reach headgated on %s: %s (is headgated.service running?)",
                                where, message);
                break;
        case KIND_SILENT:
                n = asprintf(&sentence,
                                "no answer from headgated on %s: %s (it may still do it: look with "
                                "'headgatectl list')",
                                where, message);
                break;
        case KIND_DENIED:
                n = asprintf(&sentence,
                                "access denied on %s: %s (try as root, or as a member of the group headgate)",
                                where, message);
                break;
        case KIND_OLDER:
                n = asprintf(&sentence,
                                "headgated on %s does not know this: %s (is it older than headgatectl %s?)",
                                where, message, HEADGATE_VERSION);
                break;
        default:
                n = asprintf(&sentence, found->next ? "%s (%s)" : "%s", message, found->next);
        }

        sd_bus_error_free(&own);
        *ret_sentence = n < 0 ? NULL : sentence;
        return found->exit;
}
