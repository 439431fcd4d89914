/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Readings of classes that are made up, for tests of meter/class-meter.h, and what it makes of them. */

#include "meter/class-meter.h"

/* Whose class it is in all of them. */
#define READING_SLOT 3U

/* One reading of one uplink, on which there is one class. */
void class_run_at(ClassMeter *meter, const char *uplink, int ifindex, bool anew, uint64_t bytes);
/* The slot's counter of bytes on that uplink; UINT64_MAX: there is none. */
uint64_t class_bytes_at(const ClassMeter *meter, const char *uplink);
