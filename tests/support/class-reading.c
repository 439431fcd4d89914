/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "class-reading.h"

#include <string.h>

void class_run_at(ClassMeter *meter, const char *uplink, int ifindex, bool anew, uint64_t bytes) {
        NetClassStats class = { .slot = READING_SLOT, .anew = anew, .bytes = bytes };
        NetStats link = { uplink, ifindex, &class, 1 };

        class_meter_run(meter, &link, 1);
}

uint64_t class_bytes_at(const ClassMeter *meter, const char *uplink) {
        for (size_t i = 0; i < CLASS_METER_LINKS_MAX; i++) {
                const char *name = class_meter_uplink(meter, i);
                uint64_t counters[NET_CLASS_COUNTERS];

                if (name && strcmp(name, uplink) == 0)
                        return class_meter_read_uplink(meter, i, READING_SLOT, counters) ? counters[0]
                                                                                         : UINT64_MAX;
        }
        return UINT64_MAX;
}
