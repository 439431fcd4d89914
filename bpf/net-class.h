/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the uplink's classifier shares with the daemon. The program's name is our mark on the filter: libbpf
 * puts it, with the program's id, into TCA_BPF_NAME.
 */

#define NET_CLASS_PROGRAM headgate_class
#define NET_CLASS_PROGRAM_NAME "headgate_class"

/* Groups deeper than this are not looked at. */
#define NET_CLASS_DEPTH 32
