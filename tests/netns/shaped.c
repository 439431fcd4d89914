/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "shaped.h"

#include "enforce/net-local.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOT_OF(tenant) (SLOT_FIRST + (uint32_t) (tenant))

/* A reading that took long says nothing of when: it is taken again. */
#define READING_MAX_USEC 1000U

const ShapedLink link_100_mbps = { 100 * MBPS, NET_DISCIPLINE_HTB };

uint64_t now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static void hold(Shaped *shaped, const char *device) {
        const uint64_t part = shaped->link.capacity_bps / 100;
        NetClass classes[] = {
                { SLOT_DEFAULT, 1, part, UNLIMITED },
                { SLOT_CONTROL, 0, part, 10 * MBPS },
                { SLOT_OF(FIRST), 1, 30 * part, UNLIMITED },
                { SLOT_OF(SECOND), 1, 60 * part, UNLIMITED },
                { SLOT_OF(THIRD), 1, 5 * part, 60 * part },
        };
        const NetPlan plan = { device, shaped->link.capacity_bps, classes, ELEMENTSOF(classes) };
        const UplinkOptions options = {
                .ifname = device,
                .discipline = shaped->link.discipline,
                .pin_dir = shaped->pin_dir,
                .guarded_slots = shaped->way == WAY_OUT ? SLOT_OF(TENANTS) : 0,
        };
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;

        cr_assert_eq(uplink_new(&options, &features, &shaped->uplink), 0);
        cr_assert_eq(uplink_apply(shaped->uplink, &plan, NULL), 0, "%s", uplink_words(shaped->uplink));
}

static void hold_what_goes_out(Shaped *shaped) {
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        int r;

        hold(shaped, UPLINK);
        shaped->groups_fd = bpf_map_create(
                        BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), TENANTS, NULL);
        cr_assert_geq(shaped->groups_fd, 0, "%m");
        r = net_classifier_new(UPLINK, shaped->groups_fd, uplink_floods_fd(shaped->uplink),
                        /* pin_dir= */ NULL, &features, &shaped->classifier);
        cr_assert_eq(r, 0, "%s", strerror(-r));
}

static void hold_what_comes_in(Shaped *shaped) {
        static const char *const names[TENANTS] = { "first", "second", "third" };
        const char *words = NULL;

        shaped->groups_fd = bpf_map_create(
                        BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), TENANTS, NULL);
        cr_assert_geq(shaped->groups_fd, 0, "%m");
        for (size_t i = 0; i < TENANTS; i++) {
                uint32_t slot = SLOT_OF(i);

                shaped->groups[i] = group_make(names[i]);
                cr_assert_eq(bpf_map_update_elem(shaped->groups_fd, &shaped->groups[i].id, &slot, BPF_ANY),
                                0);
        }
        cr_assert_eq(net_addresses_open(/* pin_dir= */ NULL, &shaped->addresses), 0);
        cr_assert_eq(net_ingress_new(UPLINK, /* pin_dir= */ NULL, &shaped->ingress), 0);
        hold(shaped, net_ingress_device(shaped->ingress));
        free(run("tc qdisc add dev " UPLINK " clsact"));
        cr_assert_eq(net_ingress_attach(shaped->ingress, shaped->groups_fd, shaped->addresses.fd, &words), 0,
                        "%s", words);
}

Shaped *shaped_new_on(Pair pair, Way way, const ShapedLink *link) {
        Shaped *shaped = calloc(1, sizeof(Shaped));

        cr_assert_not_null(shaped);
        *shaped = (Shaped){
                .way = way, .link = *link, .pair = pair, .groups_fd = -EBADF, .addresses = TABLE_NULL
        };
        /* Pins are by the number of an interface, and each Pair's are of one. */
        if (link->discipline == NET_DISCIPLINE_EDT) {
                shaped->pin_dir = strdup("/sys/fs/bpf/shaped-XXXXXX");
                cr_assert(shaped->pin_dir && mkdtemp(shaped->pin_dir), "%m");
        }
        shaped->has_ipv6 = pair_add_ipv6(&shaped->pair);
        if (way == WAY_IN)
                hold_what_comes_in(shaped);
        else
                hold_what_goes_out(shaped);
        return shaped;
}

Shaped *shaped_new(Way way) {
        return shaped_new_on(pair_new(), way, &link_100_mbps);
}

/* Qdiscs and filters go with their namespaces; pins do not. */
Shaped *shaped_free(Shaped *shaped) {
        if (!shaped)
                return NULL;
        if (shaped->pin_dir) {
                cr_assert_eq(setns(shaped->pair.node, CLONE_NEWNET), 0);
                cr_assert_eq(uplink_release(shaped->uplink), 0, "%s", uplink_words(shaped->uplink));
                pin_remove_all(shaped->pin_dir, "");
                cr_assert_eq(rmdir(shaped->pin_dir), 0, "%s: %m", shaped->pin_dir);
        }
        free(shaped->pin_dir);
        net_classifier_free(shaped->classifier);
        uplink_free(shaped->uplink);
        net_ingress_free(shaped->ingress);
        table_deinit(&shaped->addresses);
        cleanup_close(&shaped->groups_fd);
        for (size_t i = 0; shaped->way == WAY_IN && i < TENANTS; i++)
                group_remove(&shaped->groups[i]);
        pair_close(&shaped->pair);
        free(shaped);
        return NULL;
}

Load *shaped_load(const Shaped *shaped, size_t tenant, LoadKind kind, unsigned flows, uint64_t bps) {
        return load_new(&shaped->pair,
                        &(LoadOptions){
                                        .kind = kind,
                                        .flows = flows,
                                        .port = (uint16_t) (5000 + tenant),
                                        .class_id = shaped->way == WAY_OUT ? UPLINK_CLASSID(SLOT_OF(tenant))
                                                                           : 0,
                                        .comes_in_for = shaped->way == WAY_IN ? &shaped->groups[tenant]
                                                                              : NULL,
                                        .bps = bps,
                        });
}

void shaped_read(const Shaped *shaped, Readings *readings) {
        cr_assert_eq(setns(shaped->pair.node, CLONE_NEWNET), 0);
        for (;;) {
                _cleanup_net_stats_ NetStats stats = {};
                uint64_t before = now_usec(), after;
                Reading *reading = &readings->at[readings->n];

                cr_assert_eq(uplink_read_stats(shaped->uplink, &stats), 0);
                after = now_usec();
                if (after - before > READING_MAX_USEC)
                        continue;
                cr_assert_lt(readings->n, ELEMENTSOF(readings->at));
                cr_assert_eq(stats.n, SLOT_OF(TENANTS));
                reading->usec = (before + after) / 2;
                for (size_t i = 0; i < TENANTS; i++) {
                        reading->bytes[i] = stats.classes[SLOT_OF(i)].bytes;
                        reading->waiting[i] = stats.classes[SLOT_OF(i)].backlog_packets > 0;
                }
                readings->n++;
                return;
        }
}

double readings_mbps(const Readings *readings, size_t tenant, size_t from, size_t to) {
        const Reading *a = &readings->at[from], *b = &readings->at[to];

        return (double) (b->bytes[tenant] - a->bytes[tenant]) * 8 / (double) (b->usec - a->usec);
}

size_t readings_at(const Readings *readings, uint64_t usec) {
        size_t i = 0;

        while (i + 1 < readings->n && readings->at[i].usec < usec)
                i++;
        return i;
}

static double larger(double a, double b) {
        return a > b ? a : b;
}

double readings_most_in_a_second(const Readings *readings, size_t tenant) {
        double most = 0;

        for (size_t i = 0, k = 0; i < readings->n; i++) {
                while (k < readings->n && readings->at[k].usec < readings->at[i].usec + USEC_PER_SEC)
                        k++;
                if (k < readings->n)
                        most = larger(most, readings_mbps(readings, tenant, i, k));
                if (k > i + 1)
                        most = larger(most, (double) (readings->at[k - 1].bytes[tenant] -
                                                            readings->at[i].bytes[tenant]) *
                                                            8 / USEC_PER_SEC);
        }
        return most;
}

uint64_t readings_longest_gap_usec(const Readings *readings, uint64_t from_usec, uint64_t to_usec) {
        uint64_t longest = 0;

        for (size_t i = readings_at(readings, from_usec); i < readings_at(readings, to_usec); i++)
                if (readings->at[i + 1].usec - readings->at[i].usec > longest)
                        longest = readings->at[i + 1].usec - readings->at[i].usec;
        return longest;
}
