/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses to listen on: what is one, what is none, what may become one, and that what was parsed prints as
 * it was written. */

#include "exporter/address.h"

#include "util/cleanup.h"

#include <criterion/criterion.h>

Test(exporter_address, parse_and_format) {
        static const struct {
                const char *text;
                const char *formatted; /* NULL: refused */
        } cases[] = {
                { "127.0.0.1:9464", "127.0.0.1:9464" },
                { "0.0.0.0:0", "0.0.0.0:0" },
                { "255.255.255.255:65535", "255.255.255.255:65535" },
                { "[::1]:9464", "[::1]:9464" },
                { "[::]:1", "[::]:1" },
                { "[2001:DB8:0:0::1]:80", "[2001:db8::1]:80" },
                { "[fe80::1%lo]:80", "[fe80::1%lo]:80" },
                { "", NULL },
                { ":", NULL },
                { ":9464", NULL },
                { "127.0.0.1", NULL },
                { "127.0.0.1:", NULL },
                { "127.0.0.1:65536", NULL },
                { "127.0.0.1:99999999999999999999", NULL },
                { "127.0.0.1:-1", NULL },
                { "127.0.0.1:+1", NULL },
                { "127.0.0.1: 1", NULL },
                { "127.0.0.1:http", NULL },
                { "127.1:80", NULL },
                { "1:80", NULL },
                { "127.0.0.256:80", NULL },
                { "localhost:80", NULL },
                { "::1:80", NULL },
                { "[::1]80", NULL },
                { "[::1", NULL },
                { "[]:80", NULL },
                { "[127.0.0.1]:80", NULL },
                { "[::1]x:80", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;
                Address address;
                int r = address_parse(cases[i].text, &address);

                if (!cases[i].formatted) {
                        cr_expect_eq(r, -EINVAL, "\"%s\": %d", cases[i].text, r);
                        continue;
                }
                cr_assert_eq(r, 0, "\"%s\": %d", cases[i].text, r);
                cr_assert_eq(address_format(&address, &text), 0);
                cr_expect_str_eq(text, cases[i].formatted);
        }
}

Test(exporter_address, of_an_interface_that_is_not_there) {
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                { "[fe80::1%nosuch0]:80", -ENODEV },
                { "[fe80::1%]:80", -EINVAL },
                { "[fe80::1%a/b]:80", -EINVAL },
                { "[fe80::1%longer-than-a-name]:80", -EINVAL },
                { "[fe80::x%nosuch0]:80", -EINVAL },
                { "[2001:db8::1%nosuch0]:80", -EINVAL },
                { "[2001:db8::1%lo]:80", -EINVAL },
                { "[fe80::1%nosuch0]:http", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Address address;
                int r = address_parse(cases[i].text, &address);

                cr_expect_eq(r, cases[i].r, "\"%s\": %d", cases[i].text, r);
        }
}
