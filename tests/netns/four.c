/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "four.h"

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

NetClass four[4] = {
        { SLOT_DEFAULT, 1, MBPS, UNLIMITED },
        { SLOT_CONTROL, 0, MBPS, 5 * MBPS },
        { 2, 1, 10 * MBPS, 20 * MBPS },
        { 3, 2, 0, UNLIMITED },
};
const NetPlan plan_of_four = { UPLINK, CAPACITY, four, ELEMENTSOF(four) };

uint64_t now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

Uplink *open_uplink(const char **ret_queue) {
        _cleanup_features_ FeatureSet features = FEATURE_SET_NULL;
        Uplink *uplink = NULL;
        const Feature *feature;

        cr_assert_eq(uplink_new(&(UplinkOptions){ UPLINK }, &features, &uplink), 0);
        feature = feature_set_get(&features, "net.egress@" UPLINK);
        cr_assert_not_null(feature);
        cr_assert(feature->available, "%s", feature->words);
        if (ret_queue)
                *ret_queue = strstr(feature->words, "fq_codel in each class") ? "fq_codel"
                             : strstr(feature->words, "fq in each class")     ? "fq"
                                                                              : "bfifo";
        return uplink;
}

void apply_expecting(Uplink *uplink, const NetPlan *plan, unsigned expected) {
        _cleanup_close_ int listener = tc_listener();
        unsigned changes = 999, told;
        int r = uplink_apply(uplink, plan, &changes);

        cr_assert_eq(r, 0, "%s: %s", strerror(-r), uplink_words(uplink));
        cr_expect_eq(changes, expected, "%u messages, not %u", changes, expected);
        told = tc_listener_count(listener);
        cr_expect_eq(told, expected, "the kernel told of %u changes, not %u", told, expected);
}

void expect_class(unsigned minor, const char *const *parts, size_t n) {
        _cleanup_free_ char *line = show_class(minor);

        for (size_t i = 0; i < n; i++)
                cr_expect(strstr(line, parts[i]), "class %x has no '%s': %s", minor, parts[i], line);
}
const NetClassStats *stats_of(const NetStats *stats, uint32_t slot) {
        for (size_t i = 0; i < stats->n; i++)
                if (stats->classes[i].slot == slot)
                        return &stats->classes[i];
        cr_assert_fail("no statistics of slot %u", slot);
        abort();
}
