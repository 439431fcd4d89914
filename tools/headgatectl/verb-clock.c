/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* clock: whether headgated trusts it, and why; or that it shall. Reads no clock itself. */

#include "client.h"
#include "view.h"

#include <string.h>

/* ClockTrusted, and of Features the entry "clock" alone. */
static int print_json(const json_t *trusted, const json_t *feature) {
        _cleanup_json_ json_t *json =
                        json_pack("{sO s{sO?}}", "ClockTrusted", trusted, "Features", "clock", feature);

        if (!json)
                return ctl_fail_errno(-ENOMEM, "cannot print JSON");

        return view_json(json, /* one_line= */ false);
}

static int print_words(const Ctl *ctl, bool trusted, const char *why) {
        static const char *const titles[] = { "", "", NULL };
        _cleanup_table_ Table *table = NULL;
        int r;

        r = table_new(titles, &table);
        if (r < 0)
                return ctl_fail_errno(r, "cannot print a table");

        table_add(table, "Clock:");
        table_add_styled(table, trusted ? TABLE_GOOD : TABLE_BAD, trusted ? "trusted" : "not trusted");
        table_add(table, "Why:");
        table_add(table, *why ? why : "-");

        r = view_table(ctl, table, "");
        if (r == 0 && !trusted && ctl->legend)
                printf("\nKills, releases and preemptions wait until it is synchronised, or until "
                       "'headgatectl clock accept'.\n");

        return r;
}

int verb_clock(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        const json_t *trusted, *feature;
        _cleanup_json_ json_t *node = NULL;
        int r;

        if (ctl->n_args > 0 && strcmp(ctl->args[0], "accept") != 0)
                return ctl_fail(CTL_USAGE, "'clock' does not take '%s': headgatectl clock [accept]",
                                ctl->args[0]);
        if (ctl->n_args > 0)
                return client_change(ctl, "AcceptClock", "");

        r = client_open_node(ctl, &client, &node);
        if (r != 0)
                return r;

        trusted = json_object_get(node, "ClockTrusted");
        if (!trusted)
                return ctl_fail(CTL_FAILED, "headgated on %s does not say (is it older than headgatectl %s?)",
                                client.where, HEADGATE_VERSION);

        feature = json_object_get(json_object_get(node, "Features"), "clock");
        if (ctl->json)
                return print_json(trusted, feature);

        return print_words(ctl, json_is_true(trusted), json_string_value(json_array_get(feature, 1)) ?: "");
}
