/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the reconciler's files alone: what it holds, and the steps that stand in files of their own. */

#include "reconcile.h"

#include "enforce/cgroup-text.h"
#include "enforce/limit-text.h"
#include "enforce/uplink.h"
#include "meter/meter.h"
#include "uplinks.h"

#include <string.h>

/* What was last read back as planned; no setting present: look again. */
typedef struct Verified {
        Settings settings;
        LimitSet limits; /* owned */
        bool frozen, observed;
        bool look_again; /* found otherwise since, and not yet read back as it was */
} Verified;

static inline void verified_forget(Verified *verified) {
        limit_set_deinit(&verified->limits);
        *verified = (Verified){};
}

/* Where a tenant was last read back to be. */
typedef struct Placed {
        Placement planned;
        bool available; /* there is a controller that holds it there */
        bool refused;   /* planned to be alone, and the kernel makes no partition of it */
} Placed;

typedef struct Devices Devices;

/* What holds now of what was promised to a tenant: of reconcile-delivery.c alone, as the next. */
typedef struct Promise {
        uint64_t floor[DELIVERY_FLOOR_MAX];
        size_t n_sums; /* allocations whose promise it is */
} Promise;

/* Of all tenants, made anew with each change of the calendar. */
typedef struct Promises {
        Promise *entries;  /* owned, in the order of the node's tenants; NULL: not yet made */
        Delivery **sums;   /* owned; of one tenant's allocations after another's */
        uint64_t n_marked; /* the calendar's, as of when they were made */
} Promises;

struct Reconciler {
        ReconcilerOptions options;
        CgroupDriver *driver;
        Meter *meter;
        TenantGroup **groups;     /* by slot */
        Verified *verified;       /* by slot */
        Placed **placed;          /* by slot, owned; NULL: anywhere */
        CpuSet given_alone;       /* what the parent was last to give to partitions */
        int given_error;          /* and why it could not */
        Settings parent;          /* the same of our parent group */
        char parent_problem[128]; /* what of it is not as planned; "" where all is */
        SiblingWeights siblings;  /* beside it, as of then */
        int parent_fd;            /* held locked: one headgated a parent group */
        uint64_t samples, blamed; /* how many there were, and as of which of them the blames are */
        uint64_t victims;         /* of all tenants, as of the last sample; UINT64_MAX: none was yet */
        uint32_t n_slots;
        Uplinks *uplinks;
        Promises promises;
        Devices *devices; /* NULL in a dry run */
        DriftTell tell_drift;
        void *tell_userdata;
        bool pins_missing;          /* some could not be made again */
        BlockDevice *block_devices; /* owned, by reconcile-block.c */
        size_t n_block_devices;
        char *partitions; /* owned; the text that they were read from; NULL: not yet */
        bool look_at_devices;
        Plan plan;            /* kept, rounded as the kernel rounds */
        bool look_at_all;     /* whoever is not as planned may not be marked */
        bool groups_changed;  /* some came or went since they were last followed */
        bool adopted_changed; /* so did adopted ones */
        uint32_t limit_files; /* bits of those of the LimitFiles here that something can stand in */
        Capacity capacity;
        uint64_t cpu_millicores;
        int topology_error; /* why the CPUs could not be read last, as was said; or 0 */
};

static inline bool settings_equal(const Settings *a, const Settings *b) {
        return a->present == b->present && memcmp(a->value, b->value, sizeof a->value) == 0;
}

/* As in enforce/net-class.h; negative before the meter is open. */
int reconciler_metered_groups_fd(const Reconciler *reconciler);

/* One tenant's way through one reconcile. */
typedef struct TenantChange {
        const TenantPlan *plan;
        Tenant *tenant;
        bool settled;    /* passed over: planned as it was when it was last read back */
        bool troubled;   /* it had problems */
        bool refused;    /* something could not be taken: nothing is given */
        bool unheld;     /* a group that it adopted could not be metered: it stays unsettled */
        char **problems; /* what was said of it before; owned */
        Verified before; /* what it was last read back as, where nothing has been found otherwise since; owned
                          */
        uint32_t written; /* bits of the settings that were written */
        Settings give;    /* what the take left for the give */
        bool give_limits; /* and whether it left some of what is held by device */
} TenantChange;

/*
 * Everything that is taken, from all tenants, comes before anything that is given to any: so nothing is
 * promised twice on the way, and nobody is below what both the old plan and the new one grant. What is no
 * floor goes with either.
 */
typedef enum ChangePhase {
        PHASE_TAKE,
        PHASE_GIVE,
} ChangePhase;

/* reconcile-parent.c: the group of all tenants. */
/* It is there (1: made anew) and locked: two daemons over one group would each undo the other. The second is
 * refused, -EWOULDBLOCK, before it has touched anything in it. */
int reconciler_hold_parent(Reconciler *reconciler);
/* Before the plan: it is there, and its children have the controllers again that somebody took from them, and
 * are looked at then, since what was set went with them. What cannot be given they lack, and say so. */
int reconciler_look_at_parent(Reconciler *reconciler);
/* Whether they have all that they are to have; the texts, of CONTROLLERS_TEXT_SIZE, are as one would write
 * them. */
bool reconciler_has_controllers(const Reconciler *reconciler, char *ret_have, char *ret_want);
/* Makes it as planned, where it is not known to be; with `raise_only` never less than it has. Says what it is
 * refused. */
int reconciler_apply_parent(
                Reconciler *reconciler, const Settings *planned, bool raise_only, unsigned *written);
/* What no order of writing can help: beside much weight, the kernel's greatest is too little for the floors.
 */
int reconciler_note_weight(const Reconciler *reconciler, FeatureSet *features);

/* reconcile-tenant.c: one tenant's group. */
/* It has one, which is metered once the meter is open. Problems say why it could not be. */
int reconciler_prepare_tenant(Reconciler *reconciler, TenantChange *change);
/* Whether what it carries is known, and only what is planned otherwise is to be looked at. */
static inline bool tenant_change_is_known(const TenantChange *change) {
        return change->before.settings.present != 0;
}

/* One phase, of each part of what a tenant has, by the table there. `written` counts up what was written. */
int reconciler_change_tenant(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written);
/* Whether nothing needs to be looked at: planned as it was when it was last read back. */
bool reconciler_is_settled(const Reconciler *reconciler, const TenantPlan *plan);

/* Of what is known: the settings as the kernel would show them, and whether its lines by device are as
 * planned. */
Settings reconciler_known_settings(const Reconciler *reconciler, const TenantChange *change);
bool reconciler_limits_are_so(const TenantChange *change);
/* reconcile-read-back.c: 7. Where it is known what was there before, what was written is read, and no more.
 */
int reconciler_read_back(Reconciler *reconciler, Node *node, const PlanInput *input,
                const TenantChange *change, const NetPlan *observed_uplinks);

/* Takes off what the group holds by device. */
int reconciler_open_limits(const Reconciler *reconciler, TenantGroup *group);
/* What the group holds; the caller deinits. */
int reconciler_observe(const Reconciler *reconciler, TenantGroup *group, GroupState *ret);
static inline void group_state_deinit(GroupState *state) {
        limit_set_deinit(&state->limits);
}

/* reconcile-block.c: as uplinks_refresh(). */
int reconciler_refresh_block_devices(Reconciler *reconciler, FeatureSet *features, ResourceSet *total);
/* Turns off what was turned on of io.cost. */
void reconciler_release_block_devices(Reconciler *reconciler);

/* reconcile-sample.c: what classes counted that an apply or a refresh took away goes into the meter at once,
 * while their slots are their tenants'; the next sample, by which we may have ended, tells it. Before the
 * meter is open it waits. */
void reconciler_note_left(Reconciler *reconciler, Node *node);

/* reconcile-drift.c: the slot's group is not as it was, or may not be: the next apply looks at it. */
void reconciler_look_again_at_slot(Reconciler *reconciler, uint32_t slot);
/* What is planned otherwise than it was last read back is not compared with that any more: what differs may
 * be what we wrote. Gives what that was, where a change may begin from it; the caller gives it back. */
Verified reconciler_take_verified(Reconciler *reconciler, const TenantPlan *plan);
/* Where it is planned still, and was not read back so, checks for drift go on by it. Forgets it else. */
void reconciler_give_back_verified(Reconciler *reconciler, const TenantPlan *plan, Verified *before);

/* reconcile-diff.c: what each part that it asks is given. */
typedef struct ReconcilerDiff {
        const Plan *plan;
        const PlanInput *input;
        const char *only_tenant; /* NULL: all, and the node itself */
        DifferenceList *list;
} ReconcilerDiff;

/* Of a tenant: held back where it is observed alone. */
int reconciler_put_difference(const ReconcilerDiff *diff, const TenantPlan *tenant, const char *object,
                const char *name, const char *have, const char *want);

/* reconcile-placement.c: its CPUs and NUMA nodes. */
int reconciler_change_placement(
                Reconciler *reconciler, TenantChange *change, ChangePhase phase, unsigned *written);
/* Of CPUs that tenants have alone, when all else is given. -ENOMEM alone is an error. */
int reconciler_make_partitions(
                Reconciler *reconciler, const TenantChange *changes, size_t n, unsigned *written);
/* AssignedCpus, and what is not as planned, into Problems: 1 where the former are others. */
int reconciler_read_placement(Reconciler *reconciler, const PlanInput *input, const FeatureSet *features,
                const TenantChange *change);
/* Whether it was last read back where it is planned to be, or as near as the kernel lets it. */
bool reconciler_is_placed(const Reconciler *reconciler, const TenantPlan *plan);
/* What differs from where it was last read back. */
void reconciler_check_placement(const Reconciler *reconciler, uint32_t slot,
                void (*differs)(const char *file, const char *have, const char *want, void *userdata),
                void *userdata);
int reconciler_diff_placement(const ReconcilerDiff *diff, const TenantPlan *plan, TenantGroup *group);
/* reconcile-devices.c: what tenants may open. */
int devices_new(uint32_t n_slots, Devices **ret);
Devices *devices_free(Devices *devices);
DEFINE_CLEANUP(Devices *, devices_free);
/* Observe, compare, write, read back. Problems say what is not as planned; -ENOMEM alone is an error. */
int devices_apply(Reconciler *reconciler, const TenantPlan *plan, Tenant *tenant, unsigned *written);
/* Whether nothing needs to be looked at, as reconciler_is_settled(). */
bool devices_settled(const Devices *devices, const TenantPlan *plan);
void devices_look_again(Devices *devices);
void devices_look_again_at(Devices *devices, uint32_t slot);
/* Whether what was last read back is in force at the group still; writes nothing. */
bool devices_hold(const Devices *devices, uint32_t slot, uint64_t group_id);
/* Whether the names of who is guarded mean other devices than when they were last read back: the next apply
 * looks at it then. */
bool devices_mean_others(Devices *devices, uint32_t slot);
void devices_keep_pins(const Devices *devices, PinTell tell, void *userdata);
/* NULL: nothing is pinned. */
const char *devices_pin_dir(const Devices *devices);
/* A group that is the tenant's no more. */
void devices_drop(Devices *devices, uint64_t group_id);
/* No group of the slot is guarded any more. */
void devices_remove(Devices *devices, uint32_t slot);
int devices_release(Devices *devices);
int devices_diff(Devices *devices, const ReconcilerDiff *diff, const TenantPlan *plan, TenantGroup *group);

#define NET_CLASS_TEXT_SIZE 96
/* As the kernel would show it; "" where there is none. `ret` has this size. */
void reconciler_format_class(const NetPlan *plan, const NetClass *class, char *ret);

/* reconcile-release.c: what a group carries that nobody limits. */
Settings reconciler_open_settings(const Reconciler *reconciler);

/* reconcile.c: the plan as of now, rounded as the kernel rounds. The input holds what the plan points to. */
int reconciler_make_plan(Reconciler *reconciler, const Node *node, const SiblingWeights *siblings,
                PlanInput *input, Plan *ret);
/* `path` below the mount. */
int reconciler_meter_group(Reconciler *reconciler, uint32_t slot, const char *path, int fd, uint64_t id,
                MeterGroup kind);

/* reconcile-adopted.c: all that the tenant has adopted. -ENOMEM alone is an error; what else fails is a
 * problem, and 1 is returned. */
int reconciler_hold_all_adopted(Reconciler *reconciler, Tenant *tenant);

/* reconcile-problems.c: what is not as planned, in words, into the tenant's Problems. -ENOMEM alone is an
 * error. */
/* The resource that the setting serves. */
ResourceKind reconciler_setting_resource(Setting setting);
/* What this node cannot do at all, and what the share names that is not there now. */
int reconciler_note_missing(const Reconciler *reconciler, const PlanInput *input, const FeatureSet *features,
                const TenantPlan *plan, Tenant *tenant);
/* Whether the setting may be above what is planned: who has huge pages when a window ends keeps them. */
bool reconciler_is_held(const TenantPlan *plan, Setting setting);
/* What was observed otherwise than planned: the tenant is failed. */
int reconciler_note_problems(Reconciler *reconciler, const PlanInput *input, const TenantPlan *plan,
                const GroupState *observed, Tenant *tenant);
