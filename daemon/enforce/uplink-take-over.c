/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Keeps, on disk, the root qdisc of another whose place ours is to take, and gives it back. It changes no
 * qdisc itself. What could not be put back as it was is not taken away.
 */

#include "foreign-root.h"
#include "uplink-internal.h"

#include <fcntl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <string.h>

typedef struct Search {
        ForeignRoot root;
        bool found;
        const char *words; /* why it can't be kept */
} Search;

static int take_message(const struct nlmsghdr *header, void *userdata) {
        Search *search = userdata;
        ForeignRoot root;
        int r;

        r = foreign_root_parse(header, search->root.ifindex, &root, &search->words);
        if (r <= 0)
                return r;
        search->root = root;
        search->found = true;
        return 0;
}

static int find_root(Uplink *uplink, int ifindex, Search *ret) {
        Search search = { .root.ifindex = ifindex, .words = "it can't be read" };
        struct nl_msg *message = NULL;
        int r;

        r = tc_message_qdisc_dump(&message);
        r = uplink_request(uplink, r, message, take_message, &search);
        if (r >= 0 && !search.found)
                r = -EAGAIN; /* it has gone meanwhile */
        if (r >= 0) {
                r = tc_message_filter_dump(ifindex, search.root.handle, &message);
                r = uplink_request(uplink, r, message, take_message, &search);
        }
        *ret = search;
        return r;
}

static int keeping_path(const Uplink *uplink, const char *suffix, char **ret) {
        *ret = NULL;
        if (!uplink->keep_dir)
                return -EOPNOTSUPP;
        return asprintf(ret, "%s/root-%s%s", uplink->keep_dir, uplink->name, suffix) < 0 ? -ENOMEM : 0;
}

static int read_boot_id(char ret[static 64]) {
        _cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

        if (!file)
                return -errno;
        return fscanf(file, "%63s", ret) == 1 ? 0 : -EIO;
}

static int write_whole(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, text, strlen(text));
        if (n < 0 || fsync(fd) < 0)
                return -errno;
        return (size_t) n == strlen(text) ? 0 : -ENOSPC;
}

/* There before anything is taken away, whatever happens to the machine in between. */
static int keep(const Uplink *uplink, const ForeignRoot *root) {
        _cleanup_free_ char *path = NULL, *fresh = NULL;
        char boot_id[64], text[FOREIGN_ROOT_TEXT_SIZE];
        _cleanup_close_ int dir = -EBADF;
        int r;

        r = keeping_path(uplink, "", &path);
        if (r >= 0)
                r = keeping_path(uplink, ".new", &fresh);
        if (r >= 0)
                r = read_boot_id(boot_id);
        if (r < 0)
                return r;
        foreign_root_format(root, boot_id, text);
        r = write_whole(fresh, text);
        if (r < 0)
                return r;
        dir = open(uplink->keep_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || rename(fresh, path) < 0 || fsync(dir) < 0)
                return -errno;
        return 0;
}

int uplink_take_over_root(Uplink *uplink, int ifindex, uint32_t *ret_handle) {
        Search search;
        int r;

        r = find_root(uplink, ifindex, &search);
        if (r == -EOPNOTSUPP) {
                uplink_set_words(uplink,
                                "the root qdisc is not ours, and was left alone although take-over = yes, "
                                "since "
                                "it could not be put back as it is: %s; 'tc qdisc del dev %s root' takes it "
                                "away",
                                search.words, uplink->name);
                return -EBUSY;
        }
        if (r < 0)
                return r;
        r = keep(uplink, &search.root);
        if (r < 0) {
                uplink_set_words(uplink,
                                "the root qdisc is %s %x:, which is not ours and was left alone although "
                                "take-over "
                                "= yes, since it cannot be kept in %s (%s)",
                                search.root.kind, TC_H_MAJ(search.root.handle) >> 16,
                                uplink->keep_dir ?: "a directory", strerror(-r));
                return -EBUSY;
        }
        *ret_handle = search.root.handle;
        return 0;
}

int uplink_kept_root(const Uplink *uplink, int ifindex, ForeignRoot *ret) {
        char boot_id[64], text[FOREIGN_ROOT_TEXT_SIZE + 1];
        _cleanup_fclose_ FILE *file = NULL;
        _cleanup_free_ char *path = NULL;
        ForeignRoot root;
        size_t n;
        int r;

        r = keeping_path(uplink, "", &path);
        if (r < 0)
                return r;
        file = fopen(path, "re");
        if (!file)
                return -errno;
        n = fread(text, 1, FOREIGN_ROOT_TEXT_SIZE, file);
        text[n] = '\0';
        r = read_boot_id(boot_id);
        if (r >= 0)
                r = foreign_root_from_text(text, boot_id, &root);
        if (r < 0)
                return r;
        if (root.ifindex != ifindex)
                return -ESTALE;
        *ret = root;
        return 0;
}

void uplink_forget_root(const Uplink *uplink) {
        _cleanup_free_ char *path = NULL;

        if (keeping_path(uplink, "", &path) >= 0)
                (void) unlink(path);
}
