/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Netlink messages of this program, counted where they pass: its send() and recv() are wrapped, by the
 * arguments that meson.build gives the linker. Acknowledgements are none.
 */

extern unsigned asked; /* to the kernel */
extern unsigned told;  /* from it */
