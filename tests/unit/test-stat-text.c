/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "meter/stat-text.h"
#include "util/cleanup.h"

#include <criterion/criterion.h>

#define ABSENT UINT64_MAX

static uint64_t figure(const Sample *sample, Metric metric) {
        return sample_has(sample, metric) ? sample->value[metric] : ABSENT;
}

Test(stat_text, memory) {
        Sample sum = {};

        stat_text_add_memory(
                        "anon 4096\nfile 8192\nkernel 100\nkernel_stack 7\nfile_mapped "
                        "9\nworkingset_refault_anon 2\n"
                        "workingset_refault_file 3\npgsteal 5\npgsteal_kswapd 4\npgfault 11\npgmajfault 1\n",
                        4096, &sum);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_ANON), 4096);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_FILE), 8192);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_KERNEL), 100);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_REFAULTS), 5);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_RECLAIMED), 5 * 4096);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_FAULTS), 11);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_MAJOR_FAULTS), 1);

        stat_text_add_memory("anon 1\n", 4096, &sum); /* another group of the slot */
        cr_expect_eq(figure(&sum, METRIC_MEMORY_ANON), 4097);
}

Test(stat_text, what_is_no_figure_is_absent) {
        static const char *const texts[] = { "", "anon", "anon \n", "anon -1\n", "anon 5x\n", "anonymous 5\n",
                "anon 18446744073709551616\n", " anon 5\n" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                Sample sum = {};

                stat_text_add_memory(texts[i], 4096, &sum);
                cr_expect_eq(sum.present, 0, "'%s'", texts[i]);
        }
}

Test(stat_text, pressure) {
        Sample sum = {};

        stat_text_add_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=12345\n"
                               "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
                        METRIC_MEMORY_PRESSURE, METRIC_MEMORY_STALL, &sum);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_PRESSURE), 12345000);
        cr_expect_eq(figure(&sum, METRIC_MEMORY_STALL), 7000);

        sum = (Sample){};
        stat_text_add_pressure("some avg10=0.00\nfull avg10=0.00 total=7\n", METRIC_CPU_PRESSURE,
                        METRIC_INVALID, &sum); /* the total of another line is not its own */
        cr_expect_eq(sum.present, 0);
}

static bool is_mapper(unsigned major, unsigned minor, void *userdata) {
        return major == 253;
}

Test(stat_text, io) {
        static const char text[] = "253:0 rbytes=100 wbytes=100 rios=1 wios=1 dbytes=0 dios=0\n"
                                   "259:0 rbytes=4096 wbytes=8192 rios=2 wios=3 dbytes=9 dios=9\n"
                                   "8:16 rbytes=1 wbytes=2 rios=3 wios=4 cost.usage=5\n"
                                   "7:0 \n";
        StatDevices devices = {};
        Sample sum = {}, lost = {};

        stat_text_add_io(text, is_mapper, NULL, &devices, &sum, &lost);
        cr_expect_eq(figure(&sum, METRIC_IO_READ_BYTES), 4097);
        cr_expect_eq(figure(&sum, METRIC_IO_WRITE_BYTES), 8194);
        cr_expect_eq(figure(&sum, METRIC_IO_READ_OPERATIONS), 5);
        cr_expect_eq(figure(&sum, METRIC_IO_WRITE_OPERATIONS), 7);
        stat_devices_deinit(&devices);

        sum = (Sample){};
        stat_text_add_io("", NULL, NULL, &devices, &sum, &lost); /* has done none */
        cr_expect_eq(figure(&sum, METRIC_IO_READ_BYTES), 0);
        cr_expect_eq(figure(&sum, METRIC_IO_WRITE_OPERATIONS), 0);
        cr_expect_eq(lost.present, 0);
}

/* What was of a device is told as lost once: where it went, or came again and counts anew. */
Test(stat_text, devices_that_go) {
        static const struct {
                const char *text;
                uint64_t sum, lost;
        } turns[] = {
                { "8:0 rbytes=100 rios=1\n8:16 rbytes=50\n", 150, ABSENT },
                { "8:0 rbytes=1000 rios=10\n", 1000, 50 },
                { "8:0 rbytes=1000 rios=10\n8:16 rbytes=7\n", 1007, ABSENT },
                { "8:0 rbytes=1001 rios=2\n8:16 rbytes=7\n", 1008, 1000 },
                { "8:16 rbytes=7\n8:0 rbytes=1001 rios=2\n", 1008, ABSENT },
                { "", 0, 1008 },
                { "", 0, ABSENT },
        };
        StatDevices devices = {};

        for (size_t i = 0; i < ELEMENTSOF(turns); i++) {
                Sample sum = {}, lost = {};

                stat_text_add_io(turns[i].text, NULL, NULL, &devices, &sum, &lost);
                cr_expect_eq(figure(&sum, METRIC_IO_READ_BYTES), turns[i].sum, "turn %zu", i);
                cr_expect_eq(figure(&lost, METRIC_IO_READ_BYTES), turns[i].lost, "turn %zu", i);
        }
        stat_devices_deinit(&devices);
}
