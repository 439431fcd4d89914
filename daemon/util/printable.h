/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* In place: whatever the bytes, it is then one line that sd-bus takes as a string, and that no terminal takes
 * as anything but text. What is not becomes '?', byte by byte. */
void make_printable(char *text);
/* Whether it is that already. */
bool is_printable(const char *text);
