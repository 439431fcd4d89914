/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Block devices, and what else limits can name behind an '@': found, matched with what the configuration says
 * of them, and divided by weight where it asks for that. Cheap where none came or went.
 */

#include "reconcile-internal.h"

#include "enforce/block-device.h"
#include "enforce/io-cost.h"
#include "util/log.h"

#include <inttypes.h>

static const ConfigDevice *find_config(const Config *config, const BlockDevice *device) {
        for (size_t i = 0; i < config->n_devices; i++)
                if (strcmp(config->devices[i].name, device->name) == 0 ||
                                strcmp(config->devices[i].name, device->number) == 0)
                        return &config->devices[i];
        return NULL;
}

static const BlockDevice *find_device(const Reconciler *reconciler, const ConfigDevice *config) {
        for (size_t i = 0; i < reconciler->n_block_devices; i++)
                if (find_config(reconciler->options.config, &reconciler->block_devices[i]) == config)
                        return &reconciler->block_devices[i];
        return NULL;
}

static IoCostModel make_model(const ConfigDevice *config, const BlockDevice *device) {
        return (IoCostModel){ device->number, config->read_bytes, config->write_bytes };
}

/* What the configuration says of the device, and what io.cost does with it: -errno where it cannot be turned
 * on. */
static int prepare_device(Reconciler *reconciler, const char *qos, BlockDevice *device) {
        const ConfigDevice *config = find_config(reconciler->options.config, device);
        int r = 0;

        if (config)
                device->latency_usec = config->latency_usec;
        if (qos && io_cost_is_on(qos, device->number))
                device->policy = IO_POLICY_COST;
        else if (config && config->weighted && reconciler->driver) {
                const IoCostModel model = make_model(config, device);

                r = io_cost_enable(reconciler->driver, &model);
                if (r > 0)
                        log_info("io.cost divides block device %s (%s) by weight", device->number,
                                        device->name);
                if (r >= 0)
                        device->policy = IO_POLICY_COST;
        }
        return r;
}

static int put_feature(const Reconciler *reconciler, FeatureSet *features, const ConfigDevice *config,
                const BlockDevice *device, int error) {
        static const char *const policies[] = {
                [IO_POLICY_NONE] = "by nothing: neither io.cost (weighted=yes) nor BFQ has it",
                [IO_POLICY_COST] = "by io.cost",
                [IO_POLICY_BFQ] = "by BFQ",
        };
        char name[BLOCK_NAME_SIZE + 8];

        snprintf(name, sizeof name, "device@%s", config->name);
        if (!device)
                return feature_set_put(features, name, false,
                                "there is no such block device now: nothing of it can be reserved");
        if (error < 0)
                return feature_set_put(features, name, false,
                                "%s: io.cost cannot be turned on (%s): reserved IO is not guaranteed",
                                device->number, strerror(-error));
        if (config->latency_usec > 0 && reconciler->driver &&
                        !(cgroup_driver_limits(reconciler->driver) & (1U << LIMIT_IO_LATENCY)))
                return feature_set_put(features, name, false,
                                "%s: this kernel has no io.latency: its latency target is not kept",
                                device->number);
        return feature_set_put(features, name, true,
                        "%s: %" PRIu64 " bytes/s of reading and %" PRIu64
                        " of writing can be reserved; divided %s",
                        device->number, config->read_bytes, config->write_bytes, policies[device->policy]);
}

static bool devices_equal(const BlockDevice *a, const BlockDevice *b, size_t n) {
        bool equal = true;

        for (size_t i = 0; equal && i < n; i++)
                equal = strcmp(a[i].number, b[i].number) == 0 && strcmp(a[i].name, b[i].name) == 0 &&
                        a[i].leaf == b[i].leaf && a[i].policy == b[i].policy;
        return equal;
}

static int list_targets(const Reconciler *reconciler, ResourceSet *ret) {
        static const ResourceKind kinds[] = { RESOURCE_IO_READ, RESOURCE_IO_WRITE, RESOURCE_IOPS_READ,
                RESOURCE_IOPS_WRITE };
        int r = 0;

        for (size_t i = 0; i < reconciler->n_block_devices; i++)
                for (size_t k = 0; r >= 0 && k < ELEMENTSOF(kinds); k++)
                        r = resource_set_put(ret, kinds[k], reconciler->block_devices[i].number, (Amount){});
        if (r >= 0 && reconciler->driver)
                r = cgroup_driver_add_targets(reconciler->driver, ret);
        return r;
}

/* What nothing can stand in need not be read of every tenant. */
static uint32_t find_limit_files(const Reconciler *reconciler) {
        uint32_t files = (1U << LIMIT_IO_MAX) | (1U << LIMIT_IO_LATENCY);

        for (size_t i = 0; i < reconciler->n_block_devices; i++)
                files |= reconciler->block_devices[i].policy == IO_POLICY_COST  ? 1U << LIMIT_IO_WEIGHT
                         : reconciler->block_devices[i].policy == IO_POLICY_BFQ ? 1U << LIMIT_IO_BFQ_WEIGHT
                                                                                : 0;
        for (size_t i = 0; i < reconciler->capacity.targets.n; i++)
                files |= 1U << plan_limit_file(reconciler->capacity.targets.entries[i].kind);
        return reconciler->driver ? files & cgroup_driver_limits(reconciler->driver) : 0;
}

static int read_devices(Reconciler *reconciler, FeatureSet *features, const char *text) {
        const Config *config = reconciler->options.config;
        _cleanup_resource_set_ ResourceSet targets = RESOURCE_SET_NULL;
        _cleanup_free_ BlockDevice *devices = NULL;
        int errors[CONFIG_DEVICES_MAX] = {};
        _cleanup_free_ char *qos = NULL;
        size_t n = 0;
        bool changed;
        int r;

        r = block_devices_read("", text, &devices, &n);
        if (r < 0)
                return r;
        if (reconciler->driver)
                (void) io_cost_read(reconciler->driver, &qos);
        for (size_t i = 0; i < n; i++) {
                const ConfigDevice *configured = find_config(config, &devices[i]);
                int error = prepare_device(reconciler, qos, &devices[i]);

                if (configured)
                        errors[configured - config->devices] = error;
        }
        changed = n != reconciler->n_block_devices || !devices_equal(devices, reconciler->block_devices, n);
        free(reconciler->block_devices);
        reconciler->block_devices = TAKE_PTR(devices);
        reconciler->n_block_devices = n;
        for (size_t i = 0; r >= 0 && i < config->n_devices; i++)
                r = put_feature(reconciler, features, &config->devices[i],
                                find_device(reconciler, &config->devices[i]), errors[i]);
        if (r >= 0)
                r = list_targets(reconciler, &targets);
        if (r < 0)
                return r;
        changed = changed || !resource_set_equal(&targets, &reconciler->capacity.targets);
        resource_set_deinit(&reconciler->capacity.targets);
        reconciler->capacity.targets = targets;
        targets = (ResourceSet) RESOURCE_SET_NULL;
        reconciler->limit_files = find_limit_files(reconciler);
        return changed;
}

static int add_abilities(const Reconciler *reconciler, ResourceSet *total) {
        const Config *config = reconciler->options.config;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < reconciler->n_block_devices; i++) {
                const BlockDevice *device = &reconciler->block_devices[i];
                const ConfigDevice *configured = find_config(config, device);

                if (configured && configured->read_bytes > 0)
                        r = resource_set_put(total, RESOURCE_IO_READ, device->number,
                                        (Amount){ 0, configured->read_bytes });
                if (r >= 0 && configured && configured->write_bytes > 0)
                        r = resource_set_put(total, RESOURCE_IO_WRITE, device->number,
                                        (Amount){ 0, configured->write_bytes });
        }
        return r;
}

int reconciler_refresh_block_devices(Reconciler *reconciler, FeatureSet *features, ResourceSet *total) {
        _cleanup_free_ char *text = NULL;
        bool changed = false;
        int r;

        r = block_devices_text("", &text);
        if (r < 0)
                return r == -ENOMEM ? r : 0; /* a container that is shown none */
        if (!reconciler->partitions || reconciler->look_at_devices ||
                        strcmp(reconciler->partitions, text) != 0) {
                r = read_devices(reconciler, features, text);
                if (r < 0)
                        return r;
                changed = r > 0;
                reconciler->look_at_devices = false;
                free(reconciler->partitions);
                reconciler->partitions = TAKE_PTR(text);
        }
        r = add_abilities(reconciler, total);
        return r < 0 ? r : changed;
}

void reconciler_release_block_devices(Reconciler *reconciler) {
        const Config *config = reconciler->options.config;

        for (size_t i = 0; i < config->n_devices; i++) {
                const BlockDevice *device = find_device(reconciler, &config->devices[i]);
                IoCostModel model;
                int r;

                if (!device || !config->devices[i].weighted || !reconciler->driver)
                        continue;
                model = make_model(&config->devices[i], device);
                r = io_cost_disable(reconciler->driver, &model);
                if (r < 0)
                        (void) log_error_errno(
                                        r, "io.cost of block device %s cannot be turned off", device->number);
        }
}
