/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Text from outside: what callers sent, and names that anybody may give, of groups and files, where the
 * kernel refuses hardly any byte. One string that is none makes sd-bus refuse the whole message it is put
 * into.
 */

#include "printable.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The code point at `s` (RFC 3629); its bytes are returned, 0 where it is none. */
static size_t utf8_decode(const unsigned char *s, uint32_t *ret) {
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = *s < 0x80 ? 1 : *s < 0xc0 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf8 ? 4 : 0;
        uint32_t point = n == 1 ? *s : *s & (0x7fU >> n);

        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | (s[i] & 0x3f);
        }
        if (n == 0 || point < least[n])
                return 0;
        *ret = point;
        return n;
}

/* Neither a control character (C0, DEL, C1), nor a surrogate, nor one of the noncharacters, which sd-bus
 * refuses as well. */
static bool is_text(uint32_t point) {
        return point >= 0x20 && !(point >= 0x7f && point < 0xa0) && !(point >= 0xd800 && point < 0xe000) &&
               !(point >= 0xfdd0 && point < 0xfdf0) && (point & 0xfffe) != 0xfffe && point <= 0x10ffff;
}

void make_printable(char *text) {
        for (unsigned char *s = (unsigned char *) text; *s;) {
                uint32_t point = 0;
                size_t n = utf8_decode(s, &point);

                if (!is_text(point)) {
                        n = n == 0 ? 1 : n;
                        memset(s, '?', n);
                }
                s += n;
        }
}

bool is_printable(const char *text) {
        for (const unsigned char *s = (const unsigned char *) text; *s;) {
                uint32_t point = 0;
                size_t n = utf8_decode(s, &point);

                if (!is_text(point))
                        return false;
                s += n;
        }
        return true;
}
