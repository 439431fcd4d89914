/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/class-meter.h"
#include "meter/group-carried.h"
#include "meter/slot-figures.h"

#include <assert.h>
#include <string.h>

static const struct {
        const char *carried_pin, *gone_pin;
} pins[CLASS_WAY_MAX] = {
        [CLASS_WAY_OUT] = { "class_carried_1", "class_gone_1" },
        [CLASS_WAY_IN] = { "class_in_carried_1", "class_in_gone_1" },
};

#define PLACE_NONE UINT32_MAX

typedef struct Link {
        int ifindex;      /* of the interface that its places are of; 0: none */
        uint32_t *places; /* owned, [slots]: the class's row among those of group-carried; NULL before */
} Link;

struct ClassMeter {
        ClassWay way;
        GroupCarried *carried; /* a class is to it what a group is */
        SlotFigures *figures;  /* as of the last run */
        bool *held;            /* [slots] */
        uint32_t slots;
        Link links[CLASS_METER_LINKS_MAX];
};

int class_meter_new(const char *pin_dir, ClassWay way, uint32_t slots, uint32_t places, ClassMeter **ret) {
        _cleanup_(class_meter_free_p) ClassMeter *meter = malloc(sizeof(*meter));
        int r;

        if (!meter)
                return -ENOMEM;
        *meter = (ClassMeter){ .way = way, .slots = slots };
        r = slot_figures_new(net_class_metrics(way) + NET_CLASS_COUNTERS, NET_CLASS_GAUGES, slots,
                        &meter->figures);
        if (r < 0)
                return r;
        meter->held = calloc(slots, sizeof(bool));
        if (!meter->held)
                return -ENOMEM;
        for (uint32_t slot = 0; slot < SLOT_FIRST && slot < slots; slot++)
                meter->held[slot] = true;
        r = group_carried_new(&(GroupCarriedOptions){ pin_dir, pins[way].carried_pin, pins[way].gone_pin,
                                              net_class_metrics(way), NET_CLASS_COUNTERS, slots, places },
                        &meter->carried);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(meter);
        return 0;
}

ClassMeter *class_meter_free(ClassMeter *meter) {
        if (!meter)
                return NULL;

        for (size_t i = 0; i < CLASS_METER_LINKS_MAX; i++)
                free(meter->links[i].places);
        free(meter->held);
        slot_figures_free(meter->figures);
        group_carried_free(meter->carried);
        free(meter);
        return NULL;
}

void class_meter_add(ClassMeter *meter, uint32_t slot) {
        if (meter)
                meter->held[slot] = true;
}

/* Never 0, which is no group's id. */
static uint64_t class_id(int ifindex, uint32_t slot) {
        return (uint64_t) ifindex << 32 | slot;
}

/* Another interface has the name: what its classes counted up to the last run stays. False: no memory. */
static bool follow_link(ClassMeter *meter, Link *link, int ifindex) {
        if (!link->places) {
                link->places = malloc(meter->slots * sizeof(uint32_t));
                if (!link->places)
                        return false;
                memset(link->places, 0xff, meter->slots * sizeof(uint32_t)); /* PLACE_NONE */
        }
        for (uint32_t slot = 0; link->ifindex != 0 && slot < meter->slots; slot++)
                if (link->places[slot] != PLACE_NONE) {
                        group_carried_leave(meter->carried, class_id(link->ifindex, slot));
                        link->places[slot] = PLACE_NONE;
                }
        link->ifindex = ifindex;
        return true;
}

static void note_class(ClassMeter *meter, Link *link, const NetClassStats *stats) {
        const uint64_t id = class_id(link->ifindex, stats->slot);
        uint32_t *place = &link->places[stats->slot];
        uint64_t values[NET_CLASS_FIGURES];
        Sample now;

        if (stats->anew) {
                group_carried_leave(meter->carried, id);
                *place = PLACE_NONE;
        }
        if (*place == PLACE_NONE &&
                        group_carried_place(meter->carried, stats->slot, id, !stats->anew, place) < 0)
                return;
        sample_begin(&now);
        net_class_values(stats, values);
        for (size_t i = 0; i < NET_CLASS_FIGURES; i++)
                sample_put(&now, net_class_metrics(meter->way)[i], values[i]);
        group_carried_note(meter->carried, *place, &now);
        slot_figures_add(meter->figures, stats->slot, &now);
}

void class_meter_run(ClassMeter *meter, const NetStats *links, size_t n) {
        assert(n <= CLASS_METER_LINKS_MAX);

        if (!meter)
                return;
        for (uint32_t slot = 0; slot < meter->slots; slot++)
                slot_figures_empty(meter->figures, slot);
        for (size_t i = 0; i < n; i++) {
                Link *link = &meter->links[i];

                if (links[i].ifindex == 0)
                        continue;
                if (link->ifindex != links[i].ifindex && !follow_link(meter, link, links[i].ifindex))
                        continue;
                for (size_t k = 0; k < links[i].n; k++)
                        if (links[i].classes[k].slot < meter->slots && meter->held[links[i].classes[k].slot])
                                note_class(meter, link, &links[i].classes[k]);
        }
}

void class_meter_read(const ClassMeter *meter, uint32_t slot, Sample *sample) {
        if (meter) {
                uint64_t present = slot_figures_read(meter->figures, slot, sample);

                group_carried_sum(meter->carried, slot, present, sample);
        }
}

void class_meter_clear(ClassMeter *meter, uint32_t slot) {
        if (!meter)
                return;
        group_carried_clear(meter->carried, slot);
        slot_figures_clear(meter->figures, slot);
        for (size_t i = 0; i < CLASS_METER_LINKS_MAX; i++)
                if (meter->links[i].places)
                        meter->links[i].places[slot] = PLACE_NONE;
        meter->held[slot] = slot < SLOT_FIRST;
}

void class_meter_keep_pins(const ClassMeter *meter, const char *pin_dir, PinTell tell, void *userdata) {
        if (meter)
                group_carried_keep_pins(meter->carried, pin_dir, tell, userdata);
}

void class_meter_unpin(const char *pin_dir, ClassWay way) {
        pin_remove(pin_dir, pins[way].carried_pin);
        pin_remove(pin_dir, pins[way].gone_pin);
}
