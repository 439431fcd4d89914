/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* explain: why a value is what it is. */

#include "client.h"
#include "view.h"

#include "util/printable.h"

/* "cpu.max is 60000 100000, in force max 100000", and below it why. */
static int print(const json_t *entry) {
        const char *value = variant_get_string(entry, "Value"),
                   *in_force = variant_get_string(entry, "InForce");
        _cleanup_free_ char *text = NULL;
        char *rest = NULL;
        int r;

        if (*in_force && strcmp(in_force, value) != 0)
                r = asprintf(&text, "%s is %s, in force %s\n    %s", variant_get_string(entry, "Name"), value,
                                in_force, variant_get_string(entry, "Why"));
        else
                r = asprintf(&text, "%s is %s\n    %s", variant_get_string(entry, "Name"), value,
                                variant_get_string(entry, "Why"));
        if (r < 0) {
                text = NULL;
                return ctl_fail_errno(-ENOMEM, "cannot print reasons");
        }

        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                make_printable(line);
                puts(line);
        }

        return CTL_OK;
}

int verb_explain(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        _cleanup_json_ json_t *reasons = NULL;
        json_t *entry;
        size_t i;
        int r;

        r = client_open(ctl, &client);
        if (r == 0)
                r = client_ask(&client, "Explain", &reasons, "ss", ctl->n_args > 0 ? ctl->args[0] : "",
                                ctl->n_args > 1 ? ctl->args[1] : "");
        if (r != 0)
                return r;

        if (ctl->json)
                return view_json(reasons, /* one_line= */ false);

        json_array_foreach (reasons, i, entry) {
                r = print(entry);
                if (r != 0)
                        return r;
        }

        return CTL_OK;
}
