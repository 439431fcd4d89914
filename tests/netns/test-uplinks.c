/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A change of one tenant on an uplink that is shaped both ways: every message to the kernel and from it,
 * those that only look included, and every program that is loaded, counted where they pass. And that filters
 * are looked for again when there is news of them.
 */

#include "uplinks.h"

#include "counted.h"
#include "four.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define MANY 200U

int __real_bpf_object__load_skeleton(struct bpf_object_skeleton *skeleton);
int __wrap_bpf_object__load_skeleton(struct bpf_object_skeleton *skeleton);

static unsigned loaded; /* programs */

int __wrap_bpf_object__load_skeleton(struct bpf_object_skeleton *skeleton) {
        loaded++;
        return __real_bpf_object__load_skeleton(skeleton);
}

/* One uplink that is shaped both ways, and what it is to hold. */
typedef struct Both {
        Config config;
        FeatureSet features;
        Uplinks *uplinks;
        int groups_fd;
        NetClass classes[2][MANY];
        NetPlan plans[2];
        unsigned told_of_filters;
} Both;

static void tell_nobody(uint32_t index, const char *have, const char *want, void *userdata) {
}

static void both_apply(Both *both) {
        NetPlan observed[UPLINK_PLANS_MAX] = {};
        unsigned changes = 0;

        uplinks_apply(both->uplinks, both->plans, both->groups_fd, &both->features, &changes);
        uplinks_read_back(both->uplinks, &both->features, observed);
        for (size_t i = 0; i < 2; i++) {
                cr_expect_null(uplinks_refusal(both->uplinks, i), "%s", uplinks_refusal(both->uplinks, i));
                free(observed[i].classes);
        }
}

static void both_begin(Both *both) {
        _cleanup_resource_set_ ResourceSet total = RESOURCE_SET_NULL;
        ConfigUplink *uplink = both->config.uplinks;
        const UplinkCapacity *capacity;
        size_t n;

        *both = (Both){ .features = FEATURE_SET_NULL };
        config_init(&both->config);
        both->config.n_uplinks = 1;
        *uplink = (ConfigUplink){
                .capacity_bps = 10000 * MBPS,
                .ingress_bps = 10000 * MBPS,
                .overhead_bytes = UINT64_MAX,
                .control_floor_bps = UINT64_MAX,
                .control_ceil_bps = UINT64_MAX,
                .default_floor_bps = UINT64_MAX,
                .discipline = NET_DISCIPLINE_HTB,
                .is_default = true,
        };
        strcpy(uplink->name, UPLINK);
        both->groups_fd = bpf_map_create(
                        BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), MANY, NULL);
        cr_assert_geq(both->groups_fd, 0, "%m");
        cr_assert_eq(uplinks_new(&both->config, /* pin_dir= */ NULL, /* keep_dir= */ NULL, &both->uplinks),
                        0);
        cr_assert_eq(uplinks_refresh(both->uplinks, &both->features, &total, tell_nobody, NULL), 1);
        capacity = uplinks_capacity(both->uplinks, &n);
        cr_assert_eq(n, 2);
        for (size_t i = 0; i < n; i++) {
                for (uint32_t slot = 0; slot < MANY; slot++)
                        both->classes[i][slot] = (NetClass){ slot, 1, MBPS, UNLIMITED };
                both->plans[i] = (NetPlan){ capacity[i].device, capacity[i].capacity_bps, both->classes[i],
                        MANY };
        }
}

static void both_end(Both *both) {
        uplinks_release(both->uplinks);
        uplinks_free(both->uplinks);
        feature_set_deinit(&both->features);
        config_deinit(&both->config);
        close(both->groups_fd);
}

static void expect_filters(const char *hook, const char *program, bool there) {
        _cleanup_free_ char *filters = run("tc filter show dev " UPLINK " %s", hook);

        cr_expect_eq(strstr(filters, program) != NULL, there, "%s: %s", program, filters);
}

static void note_filter(const char *key, const char *have, const char *want, void *userdata) {
        ((Both *) userdata)->told_of_filters += strcmp(key, "filter") == 0;
}

Test(uplinks, a_change_of_one_tenant) {
        _cleanup_pair_ Pair pair = pair_new();
        Both both;

        both_begin(&both);
        both_apply(&both);
        expect_filters("egress", "headgate_class:[", true);
        expect_filters("ingress", "headgate_ingress:[", true);
        for (unsigned ways = 0; ways <= 2; ways++) {
                for (size_t i = 0; i < ways; i++)
                        both.classes[i][MANY / 2].floor_bps += MBPS;
                asked = told = loaded = 0;
                both_apply(&both);
                cr_expect_eq(asked, ways, "%u ways, %u messages to the kernel", ways, asked);
                cr_expect_eq(told, ways, "%u ways, %u messages from it", ways, told);
                cr_expect_eq(loaded, 0, "%u ways, %u programs loaded", ways, loaded);
        }
        both_end(&both);
}

Test(uplinks, filters_that_went) {
        static const struct {
                const char *hook, *program;
        } filters[] = { { "egress", "headgate_class:[" }, { "ingress", "headgate_ingress:[" } };
        _cleanup_pair_ Pair pair = pair_new();
        Both both;

        both_begin(&both);
        both_apply(&both);
        for (size_t i = 0; i < ELEMENTSOF(filters); i++) {
                free(run("tc filter del dev " UPLINK " %s", filters[i].hook));
                both.told_of_filters = 0;
                uplinks_check(both.uplinks, 0, note_filter, &both);
                cr_expect_eq(both.told_of_filters, 1, "%s", filters[i].program);
                uplinks_look_again_at(both.uplinks, 0);
                both_apply(&both);
                expect_filters(filters[i].hook, filters[i].program, true);
        }
        both_end(&both);
}

/* One that cannot be attached is not loaded again with each change, and is tried again after news. */
Test(uplinks, a_classifier_whose_place_is_taken) {
        _cleanup_pair_ Pair pair = pair_new();
        Both both;

        free(run("tc qdisc add dev " UPLINK " clsact && "
                 "tc filter add dev " UPLINK " egress protocol ip prio 72 u32 match u32 0 0"));
        both_begin(&both);
        both_apply(&both);
        for (unsigned round = 0; round < 2; round++) {
                asked = loaded = 0;
                both.classes[0][MANY / 2].floor_bps += MBPS;
                both_apply(&both);
                cr_expect_eq(asked, 1, "round %u: %u messages to the kernel", round, asked);
                cr_expect_eq(loaded, 0, "round %u: %u programs loaded", round, loaded);
                expect_filters("egress", "headgate_class:[", false);
        }
        free(run("tc filter del dev " UPLINK " egress prio 72"));
        uplinks_check(both.uplinks, 0, note_filter, &both);
        both.classes[0][MANY / 2].floor_bps += MBPS;
        both_apply(&both);
        expect_filters("egress", "headgate_class:[", true);
        both_end(&both);
}
