/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "edt-message.h"

#include "tc-message.h"
#include "netlink.h"
#include "uplink.h"
#include "util/cleanup.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

/* What is to be dropped the pacer drops, by time; so neither all packets together nor one socket's are to
 * reach a limit of fq's before. */
#define PACKETS_MAX 200000U
#define FLOW_PACKETS_MAX 100000U
#define BUCKETS_LOG 10U

/* Since Linux 6.7 (TCA_FQ_PRIOMAP); before, there are no bands, and the attribute is passed over. */
#define FQ_PRIOMAP 16
#define FQ_BANDS 3
#define BAND_FIRST 0
#define BAND_OTHERS 1

int fq_bands_put(struct nl_msg *message, int first) {
        struct tc_prio_qopt bands = { .bands = FQ_BANDS };

        memset(bands.priomap, BAND_OTHERS, sizeof(bands.priomap));
        if (first >= 0)
                bands.priomap[first & TC_PRIO_MAX] = BAND_FIRST;
        return nla_put(message, FQ_PRIOMAP, sizeof(bands), &bands);
}

int fq_options_put(struct nl_msg *message, uint32_t buckets_log) {
        struct nlattr *nest = nla_nest_start(message, TCA_OPTIONS);

        if (!nest || nla_put_u32(message, TCA_FQ_BUCKETS_LOG, buckets_log) < 0 ||
                        nla_put_u32(message, TCA_FQ_PLIMIT, PACKETS_MAX) < 0 ||
                        nla_put_u32(message, TCA_FQ_FLOW_PLIMIT, FLOW_PACKETS_MAX) < 0 ||
                        /* The pacer leaves 0 of tenants there, and of the control class its minor's. */
                        fq_bands_put(message, (UPLINK_MINOR_SLOT_BASE + SLOT_CONTROL) & TC_PRIO_MAX) < 0)
                return -ENOMEM;
        nla_nest_end(message, nest);
        return 0;
}

static int queue_message(uint16_t flags, int ifindex, uint32_t parent, uint32_t handle, const char *kind,
                struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *message = NULL;
        int r;

        r = tc_message_new(RTM_NEWQDISC, flags, ifindex, parent, handle, kind, &message);
        if (r >= 0 && strcmp(kind, "fq") == 0)
                r = fq_options_put(message, BUCKETS_LOG);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(message);
        return 0;
}

int edt_message_root_add(int ifindex, const char *kind, struct nl_msg **ret) {
        return queue_message(NLM_F_CREATE | NLM_F_EXCL, ifindex, TC_H_ROOT, UPLINK_HANDLE, kind, ret);
}

int edt_message_queue_add(int ifindex, uint32_t queue, struct nl_msg **ret) {
        return queue_message(NLM_F_CREATE | NLM_F_REPLACE, ifindex, UPLINK_HANDLE | queue, 0, "fq", ret);
}
