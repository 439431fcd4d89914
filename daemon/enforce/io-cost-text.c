/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model is by bytes alone: as many operations as there are pages in the bytes cost nothing beside them
 * (block/blk-iocost.c, calc_lcoefs). The device is never driven over what it was said to do, and down to half
 * of that where its queue says that it cannot.
 */

#include "enforce/io-cost.h"

#include <inttypes.h>
#include <string.h>

#define PAGE_BYTES 4096U /* IOC_PAGE_SIZE */
#define QOS_MARK "enable=1 ctrl=user rpct=0.00 rlat=25000 wpct=0.00 wlat=25000 min=50.00 max=100.00"

/* The line of the device, behind its number; NULL: it has none. */
static const char *find_line(const char *text, const char *number) {
        size_t n = strlen(number);

        for (const char *line = text; *line; line = *line ? line + 1 : line) {
                if (strncmp(line, number, n) == 0 && line[n] == ' ')
                        return line + n + 1;
                line = strchrnul(line, '\n');
        }
        return NULL;
}

static bool line_begins(const char *line, const char *text) {
        size_t n = strlen(text);

        return line && strncmp(line, text, n) == 0 && (line[n] == '\n' || line[n] == '\0');
}

bool io_cost_is_on(const char *qos, const char *number) {
        const char *line = find_line(qos, number);

        return line && strncmp(line, "enable=1", strlen("enable=1")) == 0;
}

void io_cost_format_qos(const IoCostModel *model, bool on, char *ret) {
        (void) snprintf(ret, IO_COST_TEXT_SIZE, "%s %s", model->number, on ? QOS_MARK : "enable=0");
}

void io_cost_format_model(const IoCostModel *model, char *ret) {
        const uint64_t read = model->read_bytes ?: model->write_bytes, write = model->write_bytes ?: read,
                       reads = read / PAGE_BYTES ?: 1, writes = write / PAGE_BYTES ?: 1;

        (void) snprintf(ret, IO_COST_TEXT_SIZE,
                        "%s ctrl=user model=linear rbps=%" PRIu64 " rseqiops=%" PRIu64 " rrandiops=%" PRIu64
                        " wbps=%" PRIu64 " wseqiops=%" PRIu64 " wrandiops=%" PRIu64,
                        model->number, read, reads, reads, write, writes, writes);
}

bool io_cost_is_ours(const char *qos, const char *model_text, const IoCostModel *model) {
        char expected[IO_COST_TEXT_SIZE];

        io_cost_format_model(model, expected);
        return line_begins(find_line(qos, model->number), QOS_MARK) &&
               line_begins(find_line(model_text, model->number), strchr(expected, ' ') + 1);
}
