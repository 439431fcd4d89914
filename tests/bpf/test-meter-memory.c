/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The meters where the kernel has no memory for their tables, as in a unit whose MemoryMax= is reached. */

#include "bpf-call.h"
#include "host.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(meter_memory, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define SLOTS 16U
#define CLASSID_BASE 0x48470010U

static uint64_t bytes_max = UINT64_MAX; /* of a map */

bool bpf_call_passes(enum bpf_cmd command, union bpf_attr *attr) {
        if (command != BPF_MAP_CREATE || (uint64_t) attr->value_size * attr->max_entries <= bytes_max)
                return true;
        errno = ENOMEM;
        return false;
}

static Meter *make(const char *pin_dir, FeatureSet *features) {
        MeterOptions options = {
                .pin_dir = pin_dir,
                .slots = SLOTS,
                .cgroup_root = group_parent(),
                .classid_base = CLASSID_BASE,
        };
        Meter *meter = NULL;

        cr_assert(meter_new(&options, features, &meter) == 0);
        return meter;
}

static void burn(void *userdata) {
        burn_msec(30);
}

static bool is_lacking(const FeatureSet *features, const char *name) {
        const Feature *feature = feature_set_get(features, name);

        cr_assert_not_null(feature, "%s", name);
        cr_expect(feature->available || strstr(feature->words, "Cannot allocate memory"), "%s: %s", name,
                        feature->words);
        return !feature->available;
}

/* Each is named, and what is read of files is there. */
Test(meter_memory, none_at_all) {
        static const char *const lacking[] = { "meter.cpu", "meter.network", "meter.tcp", "meter.sockets",
                "meter.io-latency", "meter.oom-victims", "meter.delivered", "attach.sockets" };
        TestGroup group = group_make("a");
        Worker worker = worker_start(&group, burn, NULL);
        FeatureSet features = FEATURE_SET_NULL;
        Meter *meter;
        Sample sample;

        bytes_max = 64; /* libbpf's own, by which it asks what the kernel can */
        meter = make(NULL, &features);
        for (size_t i = 0; i < ELEMENTSOF(lacking); i++)
                cr_expect(is_lacking(&features, lacking[i]), "%s", lacking[i]);
        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        sample = meter_must_read(meter, SLOT);
        cr_expect(sample.value[METRIC_CPU_TIME] >= 30000000);
        feature_set_deinit(&features);
        meter_free(meter);
}

/* What is small is made; the next start, with more of it, makes the rest. */
Test(meter_memory, not_for_the_largest) {
        TestGroup group = group_make("a");
        FeatureSet features = FEATURE_SET_NULL, after = FEATURE_SET_NULL;
        char dir[128];
        Meter *meter;

        snprintf(dir, sizeof(dir), "%s/headgate", host_bpffs());
        bytes_max = SLOTS * 16 * 64;
        meter = make(dir, &features);
        cr_expect(is_lacking(&features, "meter.io-latency"));
        cr_expect(!is_lacking(&features, "meter.network"));
        meter_must_add(meter, SLOT, &group);
        (void) meter_must_read(meter, SLOT);
        feature_set_deinit(&features);
        meter_free(meter);

        bytes_max = UINT64_MAX;
        meter = make(dir, &after);
        cr_expect(!is_lacking(&after, "meter.io-latency"));
        cr_expect(!is_lacking(&after, "meter.network"));
        meter_must_add(meter, SLOT, &group);
        feature_set_deinit(&after);
        meter_free(meter);
}
