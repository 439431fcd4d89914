/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "util/printable.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

Test(printable, what_is_no_text) {
        static const struct {
                const char *name, *text, *made;
        } cases[] = {
                { "plain", "a b~", "a b~" },
                { "empty", "", "" },
                { "two, three and four bytes", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
                { "control characters", "a\nb\x1b[2J\x7f", "a?b?[2J?" },
                { "C1", "\xc2\x9b", "??" },
                { "a byte of no text", "\xff", "?" },
                { "a second byte alone", "a\xa4", "a?" },
                { "cut", "\xe2\x82", "??" },
                { "cut before a letter", "\xf0\x9f\x98z", "???z" },
                { "longer than need be", "\xc0\xaf\xe0\x80\xaf", "?????" },
                { "a surrogate", "\xed\xa0\x80", "???" },
                { "past the last", "\xf4\x90\x80\x80\xf8\x88\x80\x80\x80", "?????????" },
                { "noncharacters", "\xef\xb7\x90\xef\xbf\xbe\xf0\x9f\xbf\xbf", "??????????" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].text);

                cr_expect_eq(is_printable(text), strcmp(text, cases[i].made) == 0, "%s", cases[i].name);
                make_printable(text);
                cr_expect_str_eq(text, cases[i].made, "%s", cases[i].name);
                cr_expect(is_printable(text), "%s", cases[i].name);
        }
}

static size_t encode(uint32_t point, char ret[static 5]) {
        const size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

        memset(ret, 0, 5);
        ret[0] = (char) (n == 1 ? point : (0xf00U >> n) | point >> (6 * (n - 1)));
        for (size_t i = 1; i < n; i++)
                ret[i] = (char) (0x80 | (point >> (6 * (n - 1 - i)) & 0x3f));
        return n;
}

/* Of each code point, on a bus where nobody reads: what sd-bus does not take is not left, and what it takes
 * is, but for control characters. */
Test(printable, as_sd_bus_takes_it) {
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
        int pair[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        cr_assert_geq(sd_bus_new(&bus), 0);
        cr_assert_geq(sd_bus_set_fd(bus, pair[0], pair[0]), 0);
        cr_assert_geq(sd_bus_start(bus), 0);
        cr_assert_geq(sd_bus_message_new_signal(bus, &message, "/a", "a.a", "A"), 0);
        for (uint32_t point = 1; point < 0x110000; point++) {
                char text[5], before[5];
                bool takes, control = point < 0x20 || (point >= 0x7f && point < 0xa0);

                (void) encode(point, text);
                memcpy(before, text, sizeof(text));
                takes = sd_bus_message_append_basic(message, 's', text) >= 0;
                make_printable(text);
                cr_assert_eq(strcmp(before, text) == 0, takes && !control, "U+%04X", point);
                if (point % 4096 == 0) { /* it would be too long */
                        message = sd_bus_message_unref(message);
                        cr_assert_geq(sd_bus_message_new_signal(bus, &message, "/a", "a.a", "A"), 0);
                }
        }
        close(pair[1]);
}
