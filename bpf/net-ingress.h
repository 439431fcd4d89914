/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the classifier of inbound packets shares with the daemon. The program's name is our mark on the
 * filter.
 */

#define NET_INGRESS_PROGRAM headgate_ingress
#define NET_INGRESS_PROGRAM_NAME "headgate_ingress"

/* Datagrams of which the first fragment has come, and not yet all. */
#define NET_INGRESS_FRAGMENTS 4096
