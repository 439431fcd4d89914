/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How many TCP and UDP sockets each tenant has open, by bpf/socket-meter.bpf.c: marked where they are made,
 * by one program at the root of all control groups, and counted in one pass over those that are marked. The
 * marks and the program are pinned.
 */

#include "bpf/pin.h"
#include "model/sample.h"
#include "util/cleanup.h"

typedef struct SocketMeter SocketMeter;

/* Arguments as sched_meter_new()'s; `root_fd`: of the root of cgroup2. */
int socket_meter_new(const char *pin_dir, uint32_t slots, int groups_fd, int root_fd, SocketMeter **ret);
/* What is pinned goes on marking. */
SocketMeter *socket_meter_free(SocketMeter *meter);
DEFINE_CLEANUP(SocketMeter *, socket_meter_free);

/* Sockets made before are marked, too. */
bool socket_meter_adopted(const SocketMeter *meter);
void socket_meter_keep_pins(const SocketMeter *meter, const char *pin_dir, PinTell tell, void *userdata);

/* A group was added that may have sockets already: they are looked for with the next run. */
void socket_meter_groups_changed(SocketMeter *meter);
/*
 * Counts, or leaves out a turn: a pass over n sockets is followed by n / SOCKETS_A_RUN runs without one, and
 * so is a search through n files, so that neither takes more of a CPU than that, however many there are.
 */
void socket_meter_run(SocketMeter *meter);
#define SOCKETS_A_RUN 2500U

/* As of the last pass; nothing before the first. */
void socket_meter_read(const SocketMeter *meter, uint32_t slot, Sample *sample);
void socket_meter_clear(SocketMeter *meter, uint32_t slot);

/* As tcp_meter_unpin(). */
void socket_meter_unpin(const char *pin_dir);
