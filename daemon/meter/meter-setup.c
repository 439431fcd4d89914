/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Makes the meters, each of which a kernel may lack, and finds the words for what there is and is not. Where
 * there is no memory for a meter's tables or programs, which count against our unit's MemoryMax=, it is one
 * that does not load: a node without it beats a daemon that does not start.
 */

#include "meter/meter-internal.h"
#include "bpf/pin.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

static int set_up_pins(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        const char *dir = options->pin_dir;
        int r;

        if (!dir)
                return feature_set_put(features, "meter.pins", false,
                                "nothing is pinned, as asked: counters begin anew with every start");

        r = pin_dir_make(dir, "meter", &meter->pin_dir);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return feature_set_put(features, "meter.pins", false,
                                "nothing can be pinned in %s (%s): counters begin anew with every start", dir,
                                r == -EMEDIUMTYPE ? "it is not on a bpf file system" : strerror(-r));
        return feature_set_put(features, "meter.pins", true, "counters and programs are pinned in %s",
                        meter->pin_dir);
}

static int set_up_sched(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        const bool full = !options->basic;
        int r = meter->groups_map.fd < 0 ? meter->groups_map.fd
                                         : sched_meter_new(&(SchedMeterOptions){ meter->pin_dir, meter->slots,
                                                                           meter->groups_map.fd, full },
                                                           &meter->sched);

        if (r < 0)
                return feature_set_put(features, "meter.cpu", false,
                                "the scheduler's meter does not load (%s): cpu.time is read from "
                                "cpu.stat, there is no cpu.wait and no cpu.switches",
                                pin_words_why(r));
        return feature_set_put(features, "meter.cpu", true,
                        "one BPF program at sched_switch, at the %s level%s%s%s", full ? "full" : "basic",
                        sched_meter_adopted(meter->sched) ? ", adopted as it was running" : "",
                        sched_meter_splits_moves(meter->sched) ? ""
                        : sched_meter_sees_moves(meter->sched)
                                        ? "; without fentry, what a task ran since the last tick before it "
                                          "moved to another group, and of threads but the first what they "
                                          "ran since they have their CPU, can be counted with the wrong one"
                                        : "; what a task ran before it moved to another group is the new "
                                          "group's until it leaves its CPU",
                        sched_meter_follows_waits(meter->sched) ? ""
                        : !sched_meter_counts_migrations(meter->sched)
                                        ? "; what a task waited on a CPU's queue before it was taken to "
                                          "another's is not told: nor is when one is taken"
                                        : "; what a task waited on a CPU's queue before it was taken to "
                                          "another's is not told: this kernel has no CONFIG_SCHEDSTATS");
}

static int set_up_net(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r = net_meter_new(meter->pin_dir, meter->slots, options->classid_base, &meter->net);

        if (r < 0)
                return feature_set_put(features, "meter.network", false,
                                "the network meter does not load (%s): there are no figures of packets, "
                                "and they get their class at the uplink or not at all",
                                pin_words_why(r));
        return feature_set_put(features, "meter.network", true,
                        "BPF programs at each tenant's group, IP bytes before any queue%s; %zu links found "
                        "from before%s",
                        options->classid_base ? ", and the class of what it sends" : "",
                        net_meter_adopted(meter->net),
                        net_meter_reads_kernel(meter->net)
                                        ? ""
                                        : "; as BPF programs may not read the kernel's memory, what a "
                                          "network namespace sends to a process on the host over IPv4 "
                                          "counts as sent through the uplink");
}

static int set_up_tcp(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r;

        if (options->basic) {
                tcp_meter_unpin(meter->pin_dir);
                return feature_set_put(features, "meter.tcp", false,
                                "not at the basic level: there are no net.tcp.* figures");
        }
        r = tcp_meter_new(meter->pin_dir, meter->slots, &meter->tcp);
        if (r < 0)
                return feature_set_put(features, "meter.tcp", false,
                                "the meter of TCP does not load (%s): there are no net.tcp.* figures",
                                pin_words_why(r));
        return feature_set_put(features, "meter.tcp", true,
                        "one BPF program at each tenant's group, called where TCP is about connections, "
                        "round trips and what is sent again; %zu links found from before",
                        tcp_meter_adopted(meter->tcp));
}

/* The uppermost group that this process sees; our parent may not be there yet. */
static int open_cgroup_top(const char *cgroup_root) {
        _cleanup_close_ int top = -EBADF;
        _cleanup_free_ char *path = strdup(cgroup_root);
        struct statfs fs;

        while (path && path[0] == '/') {
                if (statfs(path, &fs) == 0) {
                        if (fs.f_type != CGROUP2_SUPER_MAGIC)
                                break;
                        cleanup_close(&top);
                        top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                        if (top < 0)
                                return -errno;
                }
                *strrchr(path, '/') = '\0';
        }
        return top >= 0 ? TAKE_FD(top) : -ENOENT;
}

static int set_up_open_sockets(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        _cleanup_close_ int top = -EBADF;
        int r;

        if (options->basic) {
                socket_meter_unpin(meter->pin_dir);
                return feature_set_put(features, "meter.sockets", false,
                                "not at the basic level: how many sockets are open is not told");
        }
        r = top = open_cgroup_top(options->cgroup_root);
        if (r >= 0)
                r = meter->groups_map.fd < 0
                                    ? meter->groups_map.fd
                                    : socket_meter_new(meter->pin_dir, meter->slots, meter->groups_map.fd,
                                                      top, &meter->open_sockets);
        if (r < 0)
                return feature_set_put(features, "meter.sockets", false,
                                "the meter of sockets does not load (%s): how many are open is not told",
                                pin_words_why(r));
        return feature_set_put(features, "meter.sockets", true,
                        "one BPF program where sockets are made, and a pass over those of tenants%s",
                        socket_meter_adopted(meter->open_sockets) ? "; those from before are known" : "");
}

static int set_up_classes(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        uint32_t each = options->uplinks > CLASSES_PER_SLOT ? options->uplinks : CLASSES_PER_SLOT;
        int r = class_meter_new(meter->pin_dir, CLASS_WAY_OUT, meter->slots, meter->slots * each,
                        &meter->classes[CLASS_WAY_OUT]);

        if (r < 0)
                return r;
        if (options->ingress)
                return class_meter_new(meter->pin_dir, CLASS_WAY_IN, meter->slots, meter->slots * each,
                                &meter->classes[CLASS_WAY_IN]);
        /* Whose slot it is will be another's before anybody looks there again. */
        class_meter_unpin(meter->pin_dir, CLASS_WAY_IN);
        return 0;
}

static int set_up_delay(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r;

        if (options->basic || !options->uplinks) {
                control_delay_unpin(meter->pin_dir);
                if (!options->uplinks)
                        return 0;
                return feature_set_put(features, "meter.delay", false,
                                "not at the basic level: the delay of the control class is not told");
        }
        r = control_delay_new(meter->pin_dir, options->classid_base + SLOT_CONTROL, &meter->delay);
        if (r < 0)
                return feature_set_put(features, "meter.delay", false,
                                "the meter of the control class's delay does not load (%s)",
                                pin_words_why(r));
        return feature_set_put(features, "meter.delay", true,
                        "BPF programs where an uplink's queue takes a packet and where it gives it up%s",
                        control_delay_adopted(meter->delay) ? ", adopted as they were running" : "");
}

static int set_up_block(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r;

        if (options->basic) {
                block_meter_unpin(meter->pin_dir);
                return feature_set_put(features, "meter.io-latency", false,
                                "not at the basic level: how long reads and writes take is not told");
        }
        r = meter->groups_map.fd < 0 ? meter->groups_map.fd
                                     : block_meter_new(meter->pin_dir, meter->slots, meter->groups_map.fd,
                                                       &meter->block);
        if (r < 0)
                return feature_set_put(features, "meter.io-latency", false,
                                "the meter of block devices does not load (%s): how long reads and "
                                "writes take is not told",
                                pin_words_why(r));
        return feature_set_put(features, "meter.io-latency", true,
                        "one BPF program where block devices are done with a request, for the first %d "
                        "devices one by one",
                        BLOCK_METER_DEVICES);
}

static int set_up_oom(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r = meter->groups_map.fd < 0 ? meter->groups_map.fd
                                         : oom_meter_new(meter->pin_dir, meter->slots, meter->groups_map.fd,
                                                           &meter->oom);

        if (r < 0)
                return feature_set_put(features, "meter.oom-victims", false,
                                "the meter of OOM kills does not load (%s): memory.oom-kills is told, "
                                "and not whom they were of",
                                pin_words_why(r));
        return feature_set_put(features, "meter.oom-victims", true,
                        "one BPF program where processes exit; the last %d of each tenant", OOM_VICTIMS_MAX);
}

/* Whether cgroup2 has the controller at all, as the nearest existing group above our parent says. */
static bool has_controller(const char *cgroup_root, const char *controller) {
        _cleanup_free_ char *path = strdup(cgroup_root);

        while (path && path[0] == '/') {
                _cleanup_free_ char *file = NULL, *line = NULL;
                _cleanup_fclose_ FILE *f = NULL;
                size_t size = 0;

                if (asprintf(&file, "%s/cgroup.controllers", path) < 0)
                        return false;
                f = fopen(file, "re");
                if (f) {
                        char *rest, *word;

                        if (getline(&line, &size, f) < 0)
                                return false;
                        for (word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
                                if (strcmp(word, controller) == 0)
                                        return true;
                        return false;
                }
                *strrchr(path, '/') = '\0';
        }

        return false;
}

static int set_up_iter(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        const char *how;
        int r = group_iter_new(meter->pin_dir, meter->slots, meter->slots * GROUPS_PER_SLOT,
                        /* in_kernel= */ meter->groups_map.fd >= 0, options->cgroup_root,
                        /* cpu_time= */ !meter->sched, &meter->iter);

        if (r < 0)
                return r;
        how = group_iter_in_kernel(meter->iter) ? "one pass of a BPF iterator over the groups"
              : meter->sched ? "files of each group, held open, as the BPF iterator does not load"
                             : "files of each group, held open, as cpu.time is to be had of them alone";

        if (has_controller(options->cgroup_root, "memory"))
                r = feature_set_put(features, "meter.memory", true, "%s", how);
        else
                r = feature_set_put(features, "meter.memory", false,
                                "cgroup2 has no memory controller here: there are no memory.* figures");
        if (r < 0)
                return r;
        if (has_controller(options->cgroup_root, "cpu"))
                return feature_set_put(features, "meter.throttled", true, "%s", how);
        return feature_set_put(features, "meter.throttled", false,
                        "cgroup2 has no cpu controller here: nothing is throttled by it, and there is no "
                        "cpu.throttled");
}

static int set_up_stats(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r;

        r = stat_meter_new(meter->pin_dir, meter->slots, meter->slots * GROUPS_PER_SLOT, &meter->stats);
        if (r < 0)
                return r;
        if (!has_controller(options->cgroup_root, "io"))
                r = feature_set_put(features, "meter.io", false,
                                "cgroup2 has no io controller here: there are no io.* figures of bytes and "
                                "operations");
        else
                r = feature_set_put(features, "meter.io", true,
                                "io.stat, each byte once however many layers it came through; %d groups a "
                                "sample",
                                STAT_GROUPS_A_TURN);
        if (r < 0)
                return r;
        if (access("/proc/pressure/cpu", F_OK) < 0)
                return feature_set_put(features, "meter.pressure", false,
                                "the kernel does not count pressure (%s): there are no *.pressure figures",
                                strerror(errno));
        return feature_set_put(features, "meter.pressure", true, "the pressure files of each group");
}

static int set_up_sockets(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r = meter->groups_map.fd >= 0 ? socket_iter_new(meter->groups_map.fd, &meter->sockets)
                                          : meter->groups_map.fd;

        if (r < 0)
                return feature_set_put(features, "attach.sockets", false,
                                "the iterator over sockets does not load (%s): sockets that a process "
                                "had before it was attached are not told",
                                pin_words_why(r));
        return feature_set_put(features, "attach.sockets", true,
                        "a BPF iterator over the files of a process that is attached");
}

/* An upgrade, or fewer tenants. */
static int note_lost(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        meter->carried = pin_tables_carried();
        if (!*pin_tables_gone())
                return 0;
        meter->lost = strdup(pin_tables_gone());
        return !meter->lost ? -ENOMEM
                            : feature_set_put(features, "meter.pins", true,
                                              "counters and programs are pinned in %s; with this start "
                                              "counters began anew that an earlier one had in another layout "
                                              "or for more tenants: %s",
                                              meter->pin_dir, meter->lost);
}

static int set_up_delivered(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        uint32_t rows = meter->slots * DELIVERED_PER_SLOT;
        int r = delivered_new(meter->pin_dir, rows, &meter->delivered);

        if (r < 0)
                return feature_set_put(features, "meter.delivered", false,
                                "there is no table to keep it in (%s): what was delivered of what was "
                                "promised is not told",
                                strerror(-r));
        return feature_set_put(features, "meter.delivered", true,
                        "summed at each sample, of %" PRIu32 " allocations at most", rows);
}

/* Without it there is no program that looks up whose a group is. */
static int open_groups(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        int r = table_open(meter->pin_dir,
                        &(TableShape){ "groups_1", BPF_MAP_TYPE_HASH, sizeof(uint64_t), sizeof(uint32_t),
                                        meter->slots * GROUPS_PER_SLOT, .is_index = true },
                        &meter->groups_map);

        if (r < 0)
                meter->groups_map.fd = r;
        return 0;
}

int meter_set_up(Meter *meter, const MeterOptions *options, FeatureSet *features) {
        /* Each says what there is, and fails where there is nothing to say it with. In this order: all are
         * pinned, most look up groups, and what the others do not count is the iterator's. */
        static int (*const parts[])(Meter *, const MeterOptions *, FeatureSet *) = {
                set_up_pins,
                open_groups,
                set_up_sched,
                set_up_net,
                set_up_tcp,
                set_up_open_sockets,
                set_up_delay,
                set_up_block,
                set_up_oom,
                set_up_delivered,
                set_up_iter,
                set_up_stats,
                set_up_classes,
                set_up_sockets,
                note_lost,
        };

        pin_tables_begin(meter->slots);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                int r;

                pin_words_begin(); /* why its programs do not load is its own */
                r = parts[i](meter, options, features);
                if (r < 0)
                        return r;
        }
        pin_tables_begin(/* slots= */ 0); /* others' tables have no rows by these */
        return 0;
}
