/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Observe, diff, apply: brings control groups, uplinks and meters to the plan, and reads back. One path for a
 * start, a new allocation, a window's end and drift. It reads no clock, answers no one and keeps nothing on
 * disk.
 */

#include "config.h"
#include "decide/admission.h"
#include "enforce/arrival-watch.h"
#include "enforce/cgroup.h"
#include "model/finding.h"
#include "enforce/cgroup-watch.h"
#include "enforce/link-watch.h"
#include "model/drift.h"

typedef struct Reconciler Reconciler;

typedef struct ReconcilerOptions {
        const Config *config; /* must live as long */
        CgroupDriverKind cgroup_driver;
        const char *cgroup_root; /* for cgroupfs: the group below which ours is made; NULL: the mount */
        const char *pin_dir;     /* below a bpffs; NULL: nothing is pinned */
        const char *keep_dir;    /* on disk; what uplinks took the place of is kept there */
        bool dry_run;            /* plans and says, changes nothing */
} ReconcilerOptions;

/* Opens what limits need, and says in `features` what this node has not. */
int reconciler_new(const ReconcilerOptions *options, FeatureSet *features,
                const ResourceSet *operator_capacity, Reconciler **ret);
Reconciler *reconciler_free(Reconciler *reconciler); /* what is enforced stays */
DEFINE_CLEANUP(Reconciler *, reconciler_free);

/* Loads the program that guards devices, once, as below: in milliseconds. Until then what an earlier run made
 * holds. The next apply looks at who is guarded, or should be. */
int reconciler_open_devices(Reconciler *reconciler, FeatureSet *features);

/*
 * Opens the meters, once: their programs take a while to load, seconds on a busy node, and limits come first.
 * Until then what an earlier run pinned goes on counting, and classing packets, as it did; nothing is added
 * to it or taken from it. The next apply looks at everything, and meters it.
 */
int reconciler_open_meter(Reconciler *reconciler, FeatureSet *features);

/* What can be reserved, by resource; the reconciler's. Changes when CPUs or uplinks come and go. */
const Capacity *reconciler_capacity(const Reconciler *reconciler);
typedef enum CapacityNews {
        CAPACITY_NEWS_NONE,
        CAPACITY_NEWS_TARGETS, /* limits can name other devices than before: there is no more or less to
                                  promise */
        CAPACITY_NEWS_PROMISE,
} CapacityNews;

/*
 * Reads it anew, within what an operator lets be promised (its limits), in some 10 µs: a CapacityNews, and
 * with any the next apply looks at everything.
 */
int reconciler_refresh_capacity(
                Reconciler *reconciler, FeatureSet *features, const ResourceSet *operator_capacity);

/*
 * Makes all that is planned for the node's tenants hold, and writes Desired, Effective, Problems,
 * ControlGroup into them. It looks at those who are marked in the node's calendar, at the others where it has
 * reason to, and leaves marked who is not as planned. A tenant that could not be given its share is marked
 * failed, and the others go on: negative only where nothing could be done at all. `ret_written` counts what
 * was written.
 */
int reconciler_apply(Reconciler *reconciler, Node *node, unsigned *ret_written);
/* What of our parent group is not as planned, in words: then every floor below it is in doubt, nothing was
 * given, and the last apply failed. NULL where all is. */
const char *reconciler_parent_problem(const Reconciler *reconciler);
/* Reads the kernel and compares it with the plan of now, of one tenant, or with NULL of all and of the node
 * itself. Writes nothing. -EOPNOTSUPP in a dry run. */
int reconciler_diff(Reconciler *reconciler, const Node *node, const char *only_tenant, DifferenceList *ret);
/* Why a tenant's values, or with NULL the node's own, are what they are: those of that name, or that serve
 * the resource of that name; "" is all. What no value has adds nothing. */
int reconciler_explain(Reconciler *reconciler, const Node *node, const char *tenant_id, const char *name,
                ExplanationList *ret);
/* cgroup_driver_order_units(). */
int reconciler_order_units(Reconciler *reconciler);
/* To be called when a turn of the loop is over: cgroup_driver_rest(), meter_rest(). */
void reconciler_rest(Reconciler *reconciler);
/* Believe nothing of what was read back before: the next apply looks at every group and uplink. */
void reconciler_look_again(Reconciler *reconciler);

/* The next apply tries again what the kernel refused to make a partition of. */
void reconciler_retry_partitions(Reconciler *reconciler);

/* Where drift is looked for: each place is compared, put back and, where somebody fights over it, spaced out
 * by itself. */
typedef struct DriftPlace {
        enum {
                DRIFT_PLACE_TENANT, /* `index`: its slot */
                DRIFT_PLACE_PARENT,
                DRIFT_PLACE_PINS,
                DRIFT_PLACE_UPLINK, /* `index`: in the configuration */
        } kind;
        uint32_t index;
} DriftPlace;

typedef void (*DriftTell)(const DriftPlace *place, DriftCause cause, const char *key, const char *have,
                const char *want, void *userdata);
/* Where drift is told from now on, by reconciler_check(), which needs it, and, of uplinks that were taken out
 * or are others, by reconciler_refresh_capacity(). */
void reconciler_tell_drift(Reconciler *reconciler, DriftTell tell, void *userdata);
/* Compares the place with what was last read back there as planned, which no change of plan since can touch,
 * and tells each difference: how many. Pins are put back as they are found gone. With `only_untold` of a
 * tenant only what no watch tells of: that its group is there, its programs and its devices. */
unsigned reconciler_check(
                Reconciler *reconciler, const Node *node, const DriftPlace *place, bool only_untold);
/* Whether the place's device names mean others by now, which is nobody's drift: the next apply looks at it.
 */
bool reconciler_devices_changed(Reconciler *reconciler, const DriftPlace *place);
/* The next apply looks at the place. */
void reconciler_look_again_at(Reconciler *reconciler, const DriftPlace *place);
/* Whether that file of the slot's group holds the setting that was last read back there as planned. */
bool reconciler_file_holds(const Reconciler *reconciler, uint32_t slot, const char *file);
/* Whether it was last read back as planned. */
bool reconciler_is_verified(const Reconciler *reconciler, const DriftPlace *place);
/* Its group, interface, or directory of pins; NULL where there is none. */
const char *reconciler_place_name(const Reconciler *reconciler, const DriftPlace *place);
/* NULL: nothing is pinned. */
const char *reconciler_pin_dir(const Reconciler *reconciler);
const char *reconciler_device_pin_dir(const Reconciler *reconciler);
const char *reconciler_uplink_pin_dir(const Reconciler *reconciler);
/* Whether the change is of an uplink of ours, and not ours. */
bool reconciler_find_uplink(const Reconciler *reconciler, const LinkChange *change, uint32_t *ret_index);
/* The change is of none. */
void reconciler_note_other_link(Reconciler *reconciler, const LinkChange *change);
/* The same of all, as news were lost, or there may have been none. */
void reconciler_look_again_at_other_links(Reconciler *reconciler);
/* Veths into network namespaces that have come: uplinks.h. */
void reconciler_follow_namespaces(Reconciler *reconciler, FeatureSet *features);
/* Watches the groups that there are now, and no others. */
int reconciler_follow_groups(Reconciler *reconciler, const Node *node, CgroupWatch *watch);
/* Groups that are configured to ride the control class, and are there, do from now on; with an apply they do,
 * too. */
void reconciler_meter_control_groups(Reconciler *reconciler);
/* Says when one of them may have come. */
int reconciler_watch_control(const Reconciler *reconciler, ArrivalWatch **ret);

/* uplinks_look_for_overruns(): the next apply tells tenants of it. */
bool reconciler_look_for_overruns(Reconciler *reconciler, uint64_t boot_usec);
/* Reads every tenant's counters into the node, and with `all` what takes turns, as meter_refresh() does, the
 * blames and the latencies of block devices: 1 where a group is gone. */
int reconciler_sample(Reconciler *reconciler, Node *node, bool all);
/* The blames, where they are from before the last sample. */
int reconciler_refresh_blames(Reconciler *reconciler, Node *node);
/* A DurationSource's, whose userdata is the Reconciler. */
bool reconciler_read_duration(void *userdata, const Tenant *tenant, Duration duration, Histogram *ret);

/* One tenant's, all of them: before its group may go. */
int reconciler_sample_tenant(Reconciler *reconciler, Tenant *tenant);

/* Finds again what an earlier run has kept of what was delivered, of those that ended, too. */
void reconciler_find_delivered(Reconciler *reconciler, Node *node);
/* Adds what was delivered of each tenant's promises since its last sample to the sums of its allocations.
 * `monotonic_usec`: of the samples. -ENOSPC where there are more allocations than sums can be kept of. */
int reconciler_note_delivery(Reconciler *reconciler, Node *node, uint64_t monotonic_usec);

/* Whether cpuset files of the slot's group were last read back to hold what is planned of them. */
bool reconciler_slot_is_placed(const Reconciler *reconciler, uint32_t slot);
/* Whether the slot's group is there and has no process. */
bool reconciler_slot_is_empty(const Reconciler *reconciler, uint32_t slot);
/* Whether it had a group, and somebody took that away. */
bool reconciler_slot_is_gone(const Reconciler *reconciler, uint32_t slot);

/* The tenant's group, which stays the reconciler's: 1 where it was made just now, and has no limits before
 * the next apply. */
int reconciler_group(Reconciler *reconciler, const Tenant *tenant, TenantGroup **ret);

/* What may be adopted here; -EOPNOTSUPP in a dry run. What it points to is the reconciler's. */
int reconciler_adoption_rules(const Reconciler *reconciler, AdoptionRules *ret);
/* The id of a group by its path below the mount; -ENOENT. */
int reconciler_find_foreign(Reconciler *reconciler, const char *path, uint64_t *ret_id);
/* Counts an adopted group, and all below it, as its tenant's, and gives its packets the tenant's class.
 * -ENOENT: it is gone, or another of its path is there; -EBUSY: another's group is above or below it. */
int reconciler_hold_adopted(Reconciler *reconciler, const Tenant *tenant, const AdoptedGroup *group);
/* 1 where PID 1, headgated or a process of root's is in it or below it: which. */
int reconciler_find_system_process(const Reconciler *reconciler, const char *path, pid_t *ret);
bool reconciler_adopted_lives(const Reconciler *reconciler, const AdoptedGroup *group);
/* What it was counted stays its tenant's: up to now where it lives, up to the last sample where it is gone.
 */
void reconciler_drop_adopted(Reconciler *reconciler, const AdoptedGroup *group);

/* Sockets that a process of the tenant's opened elsewhere: meter_count_sockets(). */
int reconciler_count_sockets(Reconciler *reconciler, const Tenant *tenant, int pidfd, unsigned *ret);

/* Takes the tenant's group, class and meter (which is open by now) away: -EBUSY where processes are in it,
 * and then nothing is taken. */
int reconciler_remove_tenant(Reconciler *reconciler, const Tenant *tenant);

/* Forgets the counters and programs of slots that are no tenant's: pins that outlived what they counted. */
void reconciler_drop_slots(Reconciler *reconciler, const Node *node);

/* Ids of tenants that have a group here, known to the calendar or not; the caller frees. */
int reconciler_list_groups(Reconciler *reconciler, char ***ret_tenant_ids);

/* Takes everything of ours off the node, pins too where the meter is open. Groups that hold processes are
 * left to them, without limits: the ids of their tenants, which the caller frees. Only to be freed then. */
int reconciler_release(Reconciler *reconciler, char ***ret_left);
