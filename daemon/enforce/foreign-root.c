/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "foreign-root.h"
#include "util/cleanup.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE (FOREIGN_ROOT_OPTIONS_MAX + 128U)

/*
 * What the kernel dumps of these is what it takes (net/sched/sch_*.c). Of red and netem it dumps less; htb,
 * prio, hfsc and their like are nothing without their classes and filters.
 */
static const char *const kinds[] = { "bfifo", "cake", "codel", "fq", "fq_codel", "mq", "pfifo", "pfifo_fast",
        "pfifo_head_drop", "sfq", "tbf" };

static bool kind_is_kept(const char *kind) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(kinds[i], kind) == 0)
                        return true;
        return false;
}

/*
 * CoDel holds times in units of 1024 ns, and gives and takes µs, each time rounded down: what it gave, one µs
 * more, is the least that becomes what it holds.
 */
static void undo_rounding(ForeignRoot *root) {
        const bool is_codel = strcmp(root->kind, "codel") == 0;
        const int times[] = { is_codel ? TCA_CODEL_TARGET : TCA_FQ_CODEL_TARGET,
                is_codel ? TCA_CODEL_INTERVAL : TCA_FQ_CODEL_INTERVAL,
                is_codel ? TCA_CODEL_CE_THRESHOLD : TCA_FQ_CODEL_CE_THRESHOLD };

        if (!is_codel && strcmp(root->kind, "fq_codel") != 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                struct nlattr *time = nla_find(
                                (struct nlattr *) root->options, (int) root->options_bytes, times[i]);
                uint32_t usec;

                if (!time || nla_len(time) != sizeof(usec))
                        continue;
                usec = nla_get_u32(time) + 1;
                memcpy(nla_data(time), &usec, sizeof(usec));
        }
}

/* SFQ has no more flows than a limit that it is given: one below its flows is its own, and is not to be
 * given. */
static void undo_limit(ForeignRoot *root) {
        struct tc_sfq_qopt options;

        if (strcmp(root->kind, "sfq") != 0 || root->options_bytes < sizeof(options))
                return;
        memcpy(&options, root->options, sizeof(options));
        if (options.limit < options.flows)
                options.limit = 0;
        memcpy(root->options, &options, sizeof(options));
}

static int refuse(const char **ret_words, const char *words) {
        *ret_words = words;
        return -EOPNOTSUPP;
}

int foreign_root_parse(const struct nlmsghdr *header, int ifindex, ForeignRoot *ret, const char **ret_words) {
        struct nlattr *attributes[TCA_MAX + 1];
        const struct tcmsg *body;
        ForeignRoot root = { .ifindex = ifindex };

        if (header->nlmsg_type == RTM_NEWTFILTER)
                return refuse(ret_words, "it has filters");
        if (header->nlmsg_type != RTM_NEWQDISC)
                return 0;
        if (nlmsg_parse((struct nlmsghdr *) header, sizeof(*body), attributes, TCA_MAX, NULL) < 0 ||
                        !attributes[TCA_KIND])
                return -EBADMSG;
        body = nlmsg_data(header);
        if (body->tcm_ifindex != ifindex || body->tcm_handle == 0 || body->tcm_parent == TC_H_INGRESS)
                return 0;
        if (body->tcm_parent != TC_H_ROOT)
                return refuse(ret_words, "it has other qdiscs in it");

        nla_strlcpy(root.kind, attributes[TCA_KIND], sizeof(root.kind));
        if (!kind_is_kept(root.kind))
                return refuse(ret_words,
                                "one of its kind cannot be made again from what the kernel tells of it");
        if (attributes[TCA_STAB])
                return refuse(ret_words, "it has a table of sizes");
        if (attributes[TCA_OPTIONS]) {
                root.options_bytes = (size_t) nla_len(attributes[TCA_OPTIONS]);
                if (root.options_bytes > sizeof(root.options))
                        return refuse(ret_words, "its options are too long");
                memcpy(root.options, nla_data(attributes[TCA_OPTIONS]), root.options_bytes);
        }
        root.handle = body->tcm_handle;
        undo_rounding(&root);
        undo_limit(&root);
        *ret = root;
        return 1;
}

int foreign_root_message(const ForeignRoot *root, struct nl_msg **ret) {
        const struct tcmsg body = {
                .tcm_ifindex = root->ifindex, .tcm_parent = TC_H_ROOT, .tcm_handle = root->handle
        };
        struct nl_msg *message = nlmsg_alloc_size(MESSAGE_SIZE);

        if (!message)
                return -ENOMEM;
        if (!nlmsg_put(message, NL_AUTO_PORT, 0, RTM_NEWQDISC, 0,
                            NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL) ||
                        nlmsg_append(message, (void *) &body, sizeof(body), NLMSG_ALIGNTO) < 0 ||
                        nla_put_string(message, TCA_KIND, root->kind) < 0 ||
                        (root->options_bytes > 0 && nla_put(message, TCA_OPTIONS, (int) root->options_bytes,
                                                                    root->options) < 0)) {
                nlmsg_free(message);
                return -ENOMEM;
        }
        *ret = message;
        return 0;
}

void foreign_root_format(
                const ForeignRoot *root, const char *boot_id, char ret[static FOREIGN_ROOT_TEXT_SIZE]) {
        int n = snprintf(ret, FOREIGN_ROOT_TEXT_SIZE, "boot %s\ninterface %d\nkind %s\nhandle %x\noptions ",
                        boot_id, root->ifindex, root->kind, root->handle);

        for (size_t i = 0; i < root->options_bytes; i++)
                n += snprintf(ret + n, FOREIGN_ROOT_TEXT_SIZE - (size_t) n, "%02x", root->options[i]);
        snprintf(ret + n, FOREIGN_ROOT_TEXT_SIZE - (size_t) n, ".\n"); /* the whole text is there */
}

int foreign_root_from_text(const char *text, const char *boot_id, ForeignRoot *ret) {
        ForeignRoot root = {};
        char boot[64];
        int at = 0;

        if (sscanf(text, "boot %63s\ninterface %d\nkind %15s\nhandle %x\noptions %n", boot, &root.ifindex,
                            root.kind, &root.handle, &at) != 4 ||
                        at == 0 || root.ifindex <= 0 || root.handle == 0 || !kind_is_kept(root.kind))
                return -EBADMSG;
        for (text += at; *text != '.'; text += 2) {
                unsigned byte;

                if (root.options_bytes == sizeof(root.options) || strspn(text, "0123456789abcdef") < 2 ||
                                sscanf(text, "%2x", &byte) != 1)
                        return -EBADMSG;
                root.options[root.options_bytes++] = (uint8_t) byte;
        }
        if (strcmp(text, ".\n") != 0)
                return -EBADMSG;
        if (strcmp(boot, boot_id) != 0)
                return -ESTALE;
        *ret = root;
        return 0;
}
