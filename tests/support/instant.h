/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Instants as a test's tables have them: "2026-03-29 01:00", seconds and their fraction where they matter, in
 * UTC. */

#include "util/civil.h"

#define INSTANT_SIZE 32

/* Fails the test where it is none. */
CivilTime civil_parse(const char *text);
uint64_t instant_parse(const char *text);
/* With seconds, and six digits of them where they are not full; `ret` has INSTANT_SIZE. Returns it. */
const char *civil_format(const CivilTime *civil, char *ret);
const char *instant_format(uint64_t usec, char *ret);
