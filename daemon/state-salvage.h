/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rows out of a damaged file. SQLite gives up at the first page that is not as it should be, and with the
 * file's header all of it is gone; here each page is read for itself, and each row's checksum says whether it
 * is to be believed.
 */

#include "state-digest.h"

/* SQLite's page, of every file that this daemon writes; a test that damages each byte has smaller ones. */
#ifndef STATE_PAGE_SIZE
#define STATE_PAGE_SIZE 4096
#endif

/* `whole`: its sum is right; else only its kind and id were read, and may be wrong. Negative: no further. */
typedef int (*SalvageFound)(void *userdata, const Row *row, bool whole);

/*
 * Calls `found` for each row in the pages of `path` and of its log (`path`-wal), in no order. One that was
 * moved between pages may come twice, the older one too. What is missing or cannot be read has no rows.
 * -ENOMEM, or what `found` returned.
 */
int salvage_rows(const char *path, SalvageFound found, void *userdata);
