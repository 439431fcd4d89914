/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "enforce/io-cost.h"

#include "enforce/cgroup-driver.h"

#include <errno.h>

#define QOS "io.cost.qos"
#define MODEL "io.cost.model"

int io_cost_read(const CgroupDriver *driver, char **ret_qos) {
        return group_read_text(driver->mount_fd, QOS, ret_qos);
}

int io_cost_enable(const CgroupDriver *driver, const IoCostModel *model) {
        _cleanup_free_ char *qos = NULL;
        char text[IO_COST_TEXT_SIZE];
        int r;

        r = io_cost_read(driver, &qos);
        if (r < 0)
                return r;
        if (io_cost_is_on(qos, model->number))
                return 0;
        io_cost_format_model(model, text);
        r = group_write_file(driver->mount_fd, MODEL, text);
        if (r < 0)
                return r;
        io_cost_format_qos(model, /* on= */ true, text);
        r = group_write_file(driver->mount_fd, QOS, text);
        return r < 0 ? r : 1;
}

int io_cost_disable(const CgroupDriver *driver, const IoCostModel *model) {
        _cleanup_free_ char *qos = NULL, *model_text = NULL;
        char text[IO_COST_TEXT_SIZE];
        int r;

        r = io_cost_read(driver, &qos);
        if (r >= 0)
                r = group_read_text(driver->mount_fd, MODEL, &model_text);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (!io_cost_is_ours(qos, model_text, model))
                return 0;
        io_cost_format_qos(model, /* on= */ false, text);
        return group_write_file(driver->mount_fd, QOS, text);
}
