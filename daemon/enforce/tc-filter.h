/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A filter of ours on an interface's clsact: a BPF program with direct action, at a handle and priority of
 * our own. clsact, not TCX: it is there on every kernel that we support, outlives us without a pin, and is
 * replaced in one message. What else hangs on the hook is never looked into, changed or removed; the hook
 * itself goes only where we made it and nothing is on it.
 */

#include "bpf/pin.h"
#include "enforce/netlink.h"

#include <bpf/libbpf.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>

typedef struct TcFilter {
        unsigned ifindex;
        bool ingress;
        const char *program; /* its name, our mark on the filter: libbpf puts it, with the program's id, into
                                TCA_BPF_NAME */
        unsigned rank;       /* among ours at the same hook: they run in this order, from 0 on */
        bool last;           /* behind all others at the hook, of others too */
} TcFilter;

/* What is there. */
typedef struct TcSight {
        bool has_hook;
        bool has_ours;       /* a filter at our handle and priority, of our program's name */
        bool has_foreign;    /* a filter there of another name */
        uint32_t program_id; /* what ours runs; 0: the kernel does not say */
        int to_ifindex;      /* where ours sends to (tc-redirect.h); 0: nowhere */
        unsigned n;          /* filters in both directions, ours among them */
} TcSight;

/* For messages: where it is. */
struct tcmsg tc_filter_place(const TcFilter *filter);
int tc_filter_look(Netlink *netlink, const TcFilter *filter, TcSight *ret);
/* The same where it is known whether the interface has a clsact, in two steps for many interfaces: one dump
 * of all qdiscs tells of each that has one, or twice where it was asked for again. */
int tc_filter_look_behind(Netlink *netlink, const TcFilter *filter, bool has_hook, TcSight *ret);
int tc_hooks_list(Netlink *netlink, void (*tell)(unsigned ifindex, void *userdata), void *userdata);
/* Whether one of these programs hangs on the clsact that the interface has, at our handle. */
int tc_hook_bears(Netlink *netlink, unsigned ifindex, const char *const *programs, size_t n);
/* Puts ours in its place, an earlier one of ours replaced in one step. 1 where it made the clsact.
 * -EOPNOTSUPP: this kernel has none. */
int tc_filter_attach(const TcFilter *filter, const TcSight *sight, int program_fd);
/* Takes ours away, and the clsact where nothing is on it and we made it. */
int tc_filter_detach(Netlink *netlink, const TcFilter *filter, bool made);

/* Whether `pinned_fd`, of a pin of ours, has this id and does what the program just loaded would, with this
 * map: then what hangs there is left as it is. Only CAP_SYS_ADMIN opens a program by its id. */
bool tc_program_runs(uint32_t id, int pinned_fd, int program_fd, int map_fd);
uint32_t tc_program_id(int program_fd);

/*
 * What stays with an interface, as pins in our directory on bpffs, which keeps nothing but programs and their
 * like: "<name><ifindex>". TC_MADE says that its clsact is of our making.
 */
#define TC_MADE "net-class-made-clsact-"

/* Makes the directory. NULL where `pin_dir` is NULL, or is not on bpffs; all below then do nothing. */
int tc_pins_open(const char *pin_dir, char **ret_dir);
/* What says something of interfaces that are no more, by the name. */
void tc_pins_drop_stale(const char *dir, const char *name);
const char *tc_pin_name(const char *name, unsigned ifindex, char buffer[static PIN_NAME_SIZE]);
void tc_pin_put(const char *dir, const char *name, unsigned ifindex, int program_fd);
int tc_pin_get(const char *dir, const char *name, unsigned ifindex);
bool tc_pin_is_there(const char *dir, const char *name, unsigned ifindex);
/* Whether it was there. */
bool tc_pin_remove(const char *dir, const char *name, unsigned ifindex);

/* What libbpf would print is in its return values. */
int tc_print_nothing(enum libbpf_print_level level, const char *format, va_list arguments);
void tc_restore_print(libbpf_print_fn_t *print);
#define _libbpf_silent_ \
        _cleanup_(tc_restore_print) _unused_ libbpf_print_fn_t saved = libbpf_set_print(tc_print_nothing)
