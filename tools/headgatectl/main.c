/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * headgatectl: shows and steers headgated over D-Bus. It enforces nothing and measures nothing itself, and
 * keeps no state: what it prints is what headgated says.
 */

#include "options.h"
#include "view.h"

#include <locale.h>

int main(int argc, char **argv) {
        const Verb *verb = NULL;
        int code = CTL_FAILED;
        Ctl ctl;

        setlocale(LC_CTYPE, ""); /* never LC_NUMERIC: a second is 0.5, whatever the language */

        if (options_parse(argc, argv, &ctl, &verb, &code) == 0) {
                code = verb->run(&ctl);
                if (code != CTL_OK && verb->failed && code < verb->failed)
                        code = verb->failed;
        }

        options_done(&ctl);
        return view_done(code);
}
