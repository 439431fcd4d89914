/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/class-meter.h"
#include "meter/group-carried.h"
#include "meter/slot-figures.h"

#include <assert.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *carried_pin, *gone_pin, *uplinks_pin;
} pins[CLASS_WAY_MAX] = {
        [CLASS_WAY_OUT] = { "class_carried_1", "class_gone_1", "class_uplinks_1" },
        [CLASS_WAY_IN] = { "class_in_carried_1", "class_in_gone_1", "class_in_uplinks_1" },
};

#define PLACE_NONE UINT32_MAX

/* A row of a table that outlives us: by its number in it the classes of an uplink are known. All zeroes:
 * free. */
typedef struct Uplink {
        char name[RESOURCE_TARGET_SIZE];
        int32_t ifindex; /* of the interface that was last read under it */
        uint32_t reserved;
} Uplink;
_Static_assert(sizeof(Uplink) == 32, "no holes");

typedef struct Link {
        bool is_read;     /* in this run */
        uint32_t *places; /* owned, [slots]: the class's row among those of group-carried; NULL before */
} Link;

struct ClassMeter {
        ClassWay way;
        GroupCarried *carried; /* of a slot the classes on one uplink, one after another, are to it a group */
        SlotFigures *figures;  /* as of the last run */
        bool *held;            /* [slots] */
        uint32_t slots;
        Table uplinks_table;
        Uplink *uplinks; /* [CLASS_METER_LINKS_MAX]; malloc()ed without BPF */
        Link links[CLASS_METER_LINKS_MAX];
};

/* Set in all that class_id() makes, and in none from when they were named by interface. */
#define ID_OF_UPLINK (1ULL << 63)

/* Without the names, whose the rows are is not known; and where an earlier version ran meanwhile, what it
 * counted in rows of its own would be counted in ours again: what all have counted stays their slots'. */
static int open_uplinks(const char *pin_dir, ClassMeter *meter) {
        const TableShape shape = { pins[meter->way].uplinks_pin, BPF_MAP_TYPE_ARRAY, sizeof(uint32_t),
                sizeof(Uplink), CLASS_METER_LINKS_MAX };

        meter->uplinks_table = (Table) TABLE_NULL;
        if (table_open(pin_dir, &shape, &meter->uplinks_table) >= 0)
                meter->uplinks = meter->uplinks_table.rows;
        else
                meter->uplinks = calloc(CLASS_METER_LINKS_MAX, sizeof(Uplink));
        if (!meter->uplinks)
                return -ENOMEM;
        if (!meter->uplinks_table.adopted || group_carried_has_below(meter->carried, ID_OF_UPLINK))
                group_carried_leave_all(meter->carried);
        return 0;
}

int class_meter_new(const char *pin_dir, ClassWay way, uint32_t slots, uint32_t places, ClassMeter **ret) {
        _cleanup_(class_meter_free_p) ClassMeter *meter = malloc(sizeof(*meter));
        int r;

        if (!meter)
                return -ENOMEM;
        *meter = (ClassMeter){ .way = way, .slots = slots, .uplinks_table = TABLE_NULL };
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
        if (r >= 0)
                r = open_uplinks(pin_dir, meter);
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
        if (meter->uplinks_table.fd < 0)
                free(meter->uplinks);
        table_deinit(&meter->uplinks_table);
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
static uint64_t class_id(size_t uplink, uint32_t slot) {
        return ID_OF_UPLINK | (uint64_t) uplink << 32 | slot;
}

/* The number that the uplink had; CLASS_METER_LINKS_MAX: none. */
static size_t find_number(const ClassMeter *meter, const char *name) {
        size_t i = 0;

        while (i < CLASS_METER_LINKS_MAX && strcmp(meter->uplinks[i].name, name) != 0)
                i++;
        return i;
}

/* The uplink's number: the one it had, else a free one, else that of one which is no more, and whose classes'
 * counts stay their slots'. There are as many as can be read in a run. */
static size_t number_of(ClassMeter *meter, const char *name) {
        size_t unread = CLASS_METER_LINKS_MAX, i = find_number(meter, name);

        if (i < CLASS_METER_LINKS_MAX)
                return i;
        for (i = 0; i < CLASS_METER_LINKS_MAX; i++) {
                const bool is_free = !meter->uplinks[i].name[0];

                if (!meter->links[i].is_read && (unread == CLASS_METER_LINKS_MAX ||
                                                                (is_free && meter->uplinks[unread].name[0])))
                        unread = i;
        }
        assert(unread < CLASS_METER_LINKS_MAX);
        for (uint32_t slot = 0; meter->uplinks[unread].name[0] && slot < meter->slots; slot++)
                group_carried_leave(meter->carried, class_id(unread, slot));
        meter->uplinks[unread] = (Uplink){};
        strncpy(meter->uplinks[unread].name, name, sizeof(meter->uplinks[unread].name) - 1);
        return unread;
}

/* Where another interface has the name, all its classes are new. */
static int follow_link(ClassMeter *meter, size_t uplink, int ifindex) {
        Link *link = &meter->links[uplink];
        uint32_t place;

        link->is_read = true;
        if (!link->places) {
                link->places = malloc(meter->slots * sizeof(uint32_t));
                if (!link->places)
                        return -ENOMEM;
                memset(link->places, 0xff, meter->slots * sizeof(uint32_t)); /* PLACE_NONE */
        }
        if (meter->uplinks[uplink].ifindex != ifindex)
                for (uint32_t slot = 0; slot < meter->slots; slot++)
                        if (group_carried_find(meter->carried, slot, class_id(uplink, slot), &place))
                                group_carried_begin_anew(meter->carried, place);
        meter->uplinks[uplink].ifindex = ifindex;
        return 0;
}

static void note_class(ClassMeter *meter, size_t uplink, const NetClassStats *stats) {
        uint32_t *place = &meter->links[uplink].places[stats->slot];
        uint64_t values[NET_CLASS_FIGURES];
        Sample now;

        if (*place == PLACE_NONE && group_carried_place(meter->carried, stats->slot,
                                                    class_id(uplink, stats->slot), !stats->anew, place) < 0)
                return;
        if (stats->anew)
                group_carried_begin_anew(meter->carried, *place);
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
        /* Before a new one is given the number of one that is no more. */
        for (size_t i = 0; i < n; i++) {
                size_t known = links[i].ifindex != 0 ? find_number(meter, links[i].uplink)
                                                     : CLASS_METER_LINKS_MAX;

                if (known < CLASS_METER_LINKS_MAX)
                        meter->links[known].is_read = true;
        }
        for (size_t i = 0; i < n; i++) {
                size_t uplink;

                if (links[i].ifindex == 0)
                        continue;
                uplink = number_of(meter, links[i].uplink);
                if (follow_link(meter, uplink, links[i].ifindex) < 0)
                        continue;
                for (size_t k = 0; k < links[i].n; k++)
                        if (links[i].classes[k].slot < meter->slots && meter->held[links[i].classes[k].slot])
                                note_class(meter, uplink, &links[i].classes[k]);
        }
}

void class_meter_read(const ClassMeter *meter, uint32_t slot, Sample *sample) {
        if (meter) {
                uint64_t present = slot_figures_read(meter->figures, slot, sample);

                group_carried_sum(meter->carried, slot, present, sample);
        }
}

const char *class_meter_uplink(const ClassMeter *meter, size_t uplink) {
        return meter && uplink < CLASS_METER_LINKS_MAX && meter->uplinks[uplink].name[0]
                               ? meter->uplinks[uplink].name
                               : NULL;
}

bool class_meter_read_uplink(const ClassMeter *meter, size_t uplink, uint32_t slot,
                uint64_t ret[static NET_CLASS_COUNTERS]) {
        return group_carried_read(meter->carried, slot, class_id(uplink, slot), ret);
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
        if (!meter)
                return;
        group_carried_keep_pins(meter->carried, pin_dir, tell, userdata);
        table_keep_pin(pin_dir, &meter->uplinks_table, tell, userdata);
}

void class_meter_unpin(const char *pin_dir, ClassWay way) {
        pin_remove(pin_dir, pins[way].carried_pin);
        pin_remove(pin_dir, pins[way].gone_pin);
        pin_remove(pin_dir, pins[way].uplinks_pin);
}
