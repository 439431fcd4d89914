/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Links at a control group, and their pins: a program that lets everything through, under names of the test's
 * own. A rename is refused where the test says so. */

#include "bpf/group-link.h"
#include "host.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

TestSuite(group_link, .init = host_init, .fini = host_deinit, .timeout = 60);

static bool rename_refused;

/* In place of libc's. */
int rename(const char *path, const char *new_path) {
        if (rename_refused) {
                errno = EPERM;
                return -1;
        }
        return (int) syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

static void print_name(const GroupLink *link, char ret[static PIN_NAME_SIZE]) {
        snprintf(ret, PIN_NAME_SIZE, "test-%016" PRIx64 "-%" PRIu32 "-%s", link->group_id, link->slot,
                        link->tag);
}

static bool scan_name(const char *name, GroupLink *ret) {
        return sscanf(name, "test-%16" SCNx64 "-%" SCNu32 "-%16[0-9a-f]", &ret->group_id, &ret->slot,
                               ret->tag) == 3;
}

static const GroupLinkNames names = { print_name, scan_name };

static GroupLinks links_make(void) {
        static char *dir;

        if (!dir)
                cr_assert_eq(pin_dir_make(host_bpffs(), "links", &dir), 0);
        return (GroupLinks){ .names = &names, .pin_dir = dir };
}

static int attach(const TestGroup *group) {
        const struct bpf_insn let_through[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        _cleanup_close_ int program = bpf_prog_load(
                        BPF_PROG_TYPE_CGROUP_SKB, "test", "GPL", let_through, ELEMENTSOF(let_through), NULL);
        int fd;

        cr_assert_geq(program, 0, "%m");
        fd = bpf_link_create(program, group->fd, BPF_CGROUP_INET_EGRESS, NULL);
        cr_assert_geq(fd, 0, "%m");
        return fd;
}

static void add(GroupLinks *links, const TestGroup *group, uint32_t slot, const char *tag) {
        GroupLink link = { .fd = attach(group), .group_id = group->id, .slot = slot };

        strcpy(link.tag, tag);
        cr_assert_eq(group_links_add(links, &link), 0);
}

typedef struct Pins {
        char names[4][PIN_NAME_SIZE];
        size_t n;
} Pins;

static void note_pin(const char *name, void *userdata) {
        Pins *pins = userdata;

        cr_assert_lt(pins->n, ELEMENTSOF(pins->names));
        strcpy(pins->names[pins->n++], name);
}

static Pins list_pins(const GroupLinks *links) {
        Pins pins = {};

        pin_list(links->pin_dir, "", note_pin, &pins);
        return pins;
}

static bool is_pinned_as_named(const GroupLinks *links, const GroupLink *link) {
        char name[PIN_NAME_SIZE];

        print_name(link, name);
        return pin_is(links->pin_dir, name, link->fd);
}

/* No descriptor more: nothing can be opened. What was allowed. */
static struct rlimit exhaust_descriptors(void) {
        _cleanup_close_ int next = dup(STDERR_FILENO); /* the lowest that is free */
        struct rlimit limit, none;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = (struct rlimit){ (rlim_t) next, limit.rlim_max };
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
        return limit;
}

Test(group_link, a_pin_that_cannot_be_opened_goes_with_its_link) {
        TestGroup group = group_make("a");
        GroupLinks links = links_make();
        struct rlimit limit;
        char name[PIN_NAME_SIZE];

        add(&links, &group, 1, "aa");
        print_name(links.links, name);
        limit = exhaust_descriptors();
        cr_assert_eq(pin_open(links.pin_dir, name), -EMFILE);
        group_links_drop(&links, links.links);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        cr_expect_eq(list_pins(&links).n, 0, "it is left");
        cr_expect_eq(links.n, 0);
        group_links_deinit(&links);
}

Test(group_link, a_name_that_is_anothers_stays) {
        TestGroup group = group_make("a");

        for (int exhausted = 0; exhausted < 2; exhausted++) {
                GroupLinks links = links_make();
                struct rlimit limit;

                add(&links, &group, 1, "aa");
                add(&links, &group, 1, "aa");
                if (exhausted)
                        limit = exhaust_descriptors();
                group_links_drop(&links, links.links);
                if (exhausted)
                        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
                cr_assert_eq(links.n, 1);
                cr_expect(is_pinned_as_named(&links, links.links), "the other's pin is gone");
                group_links_drop(&links, links.links);
                cr_expect_eq(list_pins(&links).n, 0);
                group_links_deinit(&links);
        }
}

static void adopt(const char *name, void *userdata) {
        group_links_adopt(userdata, name, /* stray= */ false);
}

/* As a daemon leaves it that is killed when it has put a new name, and not yet removed the old one. */
Test(group_link, a_link_with_two_names_has_one) {
        TestGroup group = group_make("a"), other = group_make("b");
        GroupLinks before = links_make(), links = links_make();
        char name[PIN_NAME_SIZE];
        GroupLink *link, two;

        add(&before, &group, 1, "aa");
        add(&before, &other, 2, "aa");
        two = *before.links;
        strcpy(two.tag, "bb");
        two.slot = 3;
        print_name(&two, name);
        cr_assert_eq(pin_put(before.pin_dir, name, two.fd), 0);
        cr_assert_eq(list_pins(&before).n, 3);
        group_links_deinit(&before);

        pin_list(links.pin_dir, "", adopt, &links);
        cr_assert_eq(links.n, 2);
        cr_expect_eq(list_pins(&links).n, 2);
        link = group_links_find(&links, 0, group.id);
        cr_assert_not_null(link);
        cr_expect(strcmp(link->tag, "aa") != 0 && strcmp(link->tag, "bb") != 0, "it is taken to run %s",
                        link->tag);
        cr_expect(group_link_lives(link) && is_pinned_as_named(&links, link));
        cr_expect_str_eq(group_links_find(&links, 0, other.id)->tag, "aa");
        while (links.n > 0)
                group_links_drop(&links, links.links);
        cr_expect_eq(list_pins(&links).n, 0);
        group_links_deinit(&links);
}

Test(group_link, a_pin_that_cannot_be_renamed_is_put_anew) {
        GroupLinks links = links_make();
        TestGroup group = group_make("a");
        GroupLink wanted;
        Pins pins;

        add(&links, &group, 1, "aa");
        wanted = *links.links;
        wanted.slot = 2;
        rename_refused = true;
        cr_expect_eq(group_links_rename(&links, links.links, &wanted), 0);
        rename_refused = false;
        pins = list_pins(&links);
        cr_expect_eq(pins.n, 1, "it has %zu names", pins.n);
        cr_expect_eq(links.links->slot, 2);
        cr_expect(is_pinned_as_named(&links, links.links));
        group_links_drop(&links, links.links);
        group_links_deinit(&links);
}

/* Nor can it be put anew: a directory has the name. */
Test(group_link, what_is_not_pinned_so_is_not_so) {
        char name[PIN_NAME_SIZE], path[PATH_MAX];
        GroupLinks links = links_make();
        TestGroup group = group_make("a");
        GroupLink wanted;

        add(&links, &group, 1, "aa");
        wanted = *links.links;
        wanted.slot = 2;
        print_name(&wanted, name);
        snprintf(path, sizeof(path), "%s/%s", links.pin_dir, name);
        cr_assert_eq(mkdir(path, 0700), 0, "%m");
        cr_expect_lt(group_links_rename(&links, links.links, &wanted), 0);
        cr_expect_eq(links.links->slot, 1);
        cr_expect(is_pinned_as_named(&links, links.links), "it lost its pin");
        cr_expect_eq(list_pins(&links).n, 2, "beside the directory");
        group_links_drop(&links, links.links);
        group_links_deinit(&links);
}

/* Two ways at each of three groups; none of them is a link of the kernel's. */
Test(group_link, each_is_found_in_whatever_order_they_come_and_go) {
        static const uint64_t ids[] = { 50, 7, 90, 7, 90, 50 };
        static const uint32_t ways[] = { 1, 0, 0, 1, 1, 0 };
        GroupLinks links = { .names = &names };

        for (uint32_t i = 0; i < ELEMENTSOF(ids); i++) {
                GroupLink link = { .fd = -EBADF, .group_id = ids[i], .way = ways[i], .slot = i };

                cr_assert_null(group_links_find(&links, ways[i], ids[i]));
                cr_assert_eq(group_links_add(&links, &link), 0);
                for (uint32_t k = 0; k <= i; k++)
                        cr_assert(group_links_find(&links, ways[k], ids[k]) &&
                                                        group_links_find(&links, ways[k], ids[k])->slot == k,
                                        "%" PRIu32 " of %" PRIu32, k, i);
        }
        cr_expect_null(group_links_find(&links, 0, 8));
        cr_expect_null(group_links_find(&links, 2, 90));
        for (uint32_t i = 0; i < ELEMENTSOF(ids); i++) {
                group_links_drop(&links, group_links_find(&links, ways[i], ids[i]));
                cr_assert_null(group_links_find(&links, ways[i], ids[i]));
                for (uint32_t k = i + 1; k < ELEMENTSOF(ids); k++)
                        cr_assert(group_links_find(&links, ways[k], ids[k]) &&
                                                        group_links_find(&links, ways[k], ids[k])->slot == k,
                                        "%" PRIu32 " after %" PRIu32, k, i);
        }
        group_links_deinit(&links);
}
