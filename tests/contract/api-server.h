/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The D-Bus interface over a pair of sockets, for the tests of it: no bus, no root, and operations that only
 * write down what they were asked. A test has it to itself; calls that cannot be made end the test.
 */

#include "api/api.h"

#include <systemd/sd-bus.h>

typedef struct Asked {
        unsigned applied, checked, released, attached;
        Allocation *first; /* of the last apply */
        size_t n;
        FailureCode answer; /* refuse with this */
        char *id, *reason;
        uint64_t generation;
        size_t n_pidfds;
} Asked;

extern Asked asked;
extern Node node; /* the sample's tenants, and one allocation */

/* A suite's .init and .fini. */
void api_server_set_up(void);
void api_server_tear_down(void);

const Api *api_server(void);
sd_bus_message *method(const char *path, const char *interface, const char *member);
sd_bus_message *manager_method(const char *member);
/* Sends the call, which it takes, and lets both ends run until it is answered. */
sd_bus_message *call(sd_bus_message *m);
void expect_success(sd_bus_message *reply);
/* Takes the reply. `what` names the case. */
void expect_error(sd_bus_message *reply, const char *name, const char *words, const char *what);
