/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which packets an uplink's classes could not take: what is in force of its tree, told to its guard. */

#include "uplink-internal.h"

static bool is_slots(const HtbClass *class) {
        return class->minor >= UPLINK_MINOR_SLOT_BASE;
}

static uint32_t slot_of(const HtbClass *class) {
        return class->minor - UPLINK_MINOR_SLOT_BASE;
}

static void guard_class(Uplink *uplink, const HtbClass *class, bool is_known) {
        flood_guard_set(&uplink->floods, slot_of(class), class->ceil_bytes,
                        is_known ? htb_leaf_most_bytes(&class->leaf, &uplink->seen.packets)
                                 : FLOOD_GUARD_NEVER);
}

int uplink_guard_open(Uplink *uplink, int ifindex) {
        return uplink->guarded_slots == 0 ? -ENOENT
                                          : flood_guard_open(&uplink->floods, uplink->pin_dir,
                                                            (unsigned) ifindex, uplink->guarded_slots);
}

/* Of what somebody put there, nobody knows the length; and what is too full to be shorter is as long as it
 * was. */
void uplink_guard_all(Uplink *uplink, const UplinkSight *before, const HtbTree *tree) {
        const HtbClass *had = before->tree.classes, *end = had + before->tree.n;

        for (size_t i = 0; i < tree->n; i++) {
                const HtbClass *class = &tree->classes[i];
                bool is_foreign;

                if (!is_slots(class))
                        continue;
                while (had < end && had->minor < class->minor)
                        had++;
                is_foreign = had < end && had->minor == class->minor && had->leaf.kind == HTB_LEAF_FOREIGN;
                guard_class(uplink, class, !is_foreign && !uplink->too_full[slot_of(class)]);
        }
}

void uplink_guard_changes(Uplink *uplink, const HtbChange *changes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const HtbClass *class = &changes[i].class;
                const bool is_new = changes[i].kind == HTB_CHANGE_ADD;

                if (!is_slots(class) || (!is_new && changes[i].kind != HTB_CHANGE_SET))
                        continue;
                if (is_new || flood_guard_has(&uplink->floods, slot_of(class)))
                        guard_class(uplink, class, /* is_known= */ true);
        }
}

void uplink_guard_forget(Uplink *uplink, const HtbChange *change) {
        if ((change->kind == HTB_CHANGE_ADD || change->kind == HTB_CHANGE_DELETE) && is_slots(&change->class))
                flood_guard_forget(&uplink->floods, slot_of(&change->class));
}

void uplink_guard_nothing(Uplink *uplink, unsigned ifindex) {
        if (uplink->guarded_slots > 0)
                flood_guard_remove(&uplink->floods, uplink->pin_dir, ifindex, uplink->guarded_slots);
}
