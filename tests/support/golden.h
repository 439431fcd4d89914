/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Compares with tests/golden/<name>, byte for byte; a difference is printed, with the first line that
 * differs. Where HEADGATE_GOLDEN_UPDATE is set in the environment, the file is written instead: review it
 * before it is kept.
 */
bool golden_equal(const char *name, const char *text, size_t size);
