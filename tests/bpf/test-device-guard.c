/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What processes of a guarded group may open and make: by nodes of the test's own, and by those of the host.
 * A device that is let through and has no driver answers ENXIO, one that is not, EPERM.
 */

#include "enforce/device-guard.h"
#include "host.h"
#include "util/strv.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

TestSuite(device_guard, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define OTHER_SLOT 3U

/* No driver has these, here or anywhere (the first of the local and experimental majors, and its like). */
#define MAJOR 4000U

static const char *pin_dir(void) {
        static char path[80];

        if (path[0] == '\0')
                snprintf(path, sizeof(path), "%s/headgate", host_bpffs());
        return path;
}

static DeviceGuard *guard_make(const char *pins) {
        FeatureSet features = FEATURE_SET_NULL;
        DeviceGuard *guard = NULL;
        int r = device_guard_new(pins, &features, &guard);
        const Feature *feature = feature_set_get(&features, "devices");

        cr_assert(r == 0 && feature && feature->available, "%s: %s", strerror(-r),
                        feature ? feature->words : "");
        feature_set_deinit(&features);
        return guard;
}

/* The rules for these names, NULL at the end, each with the access behind it. */
static struct device_rules *rules_make(const char *const *names) {
        _cleanup_device_lookup_ DeviceLookup lookup = {};
        _cleanup_device_set_ DeviceSet devices = DEVICE_SET_NULL;
        _cleanup_strv_ char **problems = NULL;
        struct device_rules *rules;

        for (; names && *names; names += 2) {
                uint32_t access;

                cr_assert(device_access_parse(names[1], &access) == 0);
                cr_assert(device_set_put(&devices, names[0], access) == 0);
        }
        cr_assert(device_lookup_open(&lookup) == 0);
        cr_assert(device_rules_make(&lookup, &devices, &rules, &problems) == 0);
        cr_assert(strv_length(problems) == 0, "%s", problems[0]);
        return rules;
}
#define RULES(...) rules_make((const char *const[]){ __VA_ARGS__, NULL })

static void put(DeviceGuard *guard, uint32_t slot, const TestGroup *group, struct device_rules *rules) {
        int r;

        cr_expect(!device_guard_holds(guard, slot, group->id, rules), "it holds before it is put");
        r = device_guard_put(guard, slot, group->fd, group->id, rules);
        cr_assert(r == 0, "%s", strerror(-r));
        cr_expect(device_guard_holds(guard, slot, group->id, rules), "it does not hold once it is put");
        device_rules_free(rules);
}

/* What opening, or making, a node comes to; by a worker in the group. */
typedef struct Try {
        mode_t kind; /* 0: the node at `path` is there; else it is made, and with O_PATH not opened */
        unsigned major, minor;
        const char *path;
        int flags;
        int error; /* 0: it worked */
} Try;

static Try *tries_shared(void) {
        static Try *shared;

        if (!shared) {
                shared = mmap(NULL, sizeof(Try), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                cr_assert(shared != MAP_FAILED, "%m");
        }
        return shared;
}

static void try_it(void *userdata) {
        Try *try = userdata;
        const char *path = try->path ?: "node";
        int fd;

        try->error = 0;
        if (try->kind && (unlink(path), mknod(path, try->kind | 0600, makedev(try->major, try->minor))) < 0)
                try->error = errno;
        else if (!(try->flags & O_PATH)) {
                fd = open(path, try->flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                if (fd < 0)
                        try->error = errno;
                else
                        close(fd);
        }
}

/* A tmpfs on which nodes are devices, as the directory that the workers are in. */
static void make_room(void) {
        char path[64];

        (void) pin_dir();
        snprintf(path, sizeof(path), "/tmp/nodes");
        cr_assert(mkdir(path, 0700) == 0 && chdir(path) == 0, "%m");
}

static int error_of(Worker *worker, Try try) {
        *tries_shared() = try;
        worker_run(worker);
        return tries_shared()->error;
}

static int open_error(Worker *worker, const char *path, int flags) {
        return error_of(worker, (Try){ .path = path, .flags = flags });
}

static const char *error_name(int error) {
        return error ? strerrorname_np(error) : "0";
}

#define expect_error(have, want, what)                                                                   \
        do {                                                                                             \
                int have_ = (have);                                                                      \
                cr_expect(have_ == (want), "%s: %s, not %s", what, error_name(have_), error_name(want)); \
        } while (0)

/* Made outside the group, so that only the opening is tried. */
static void make_node(const char *path, mode_t kind, unsigned node_major, unsigned node_minor) {
        cr_assert(mknod(path, kind | 0600, makedev(node_major, node_minor)) == 0, "%m");
}

Test(device_guard, what_is_allotted_and_nothing_else) {
        static const struct {
                const char *name, *path;
                int flags, error;
        } cases[] = {
                { "read of what may be read", "c0", O_RDONLY, ENXIO },
                { "write of what may be read", "c0", O_WRONLY, EPERM },
                { "both of what may be read", "c0", O_RDWR, EPERM },
                { "both of what may be both", "c1", O_RDWR, ENXIO },
                { "another minor", "c2", O_RDONLY, EPERM },
                { "a block device of the number", "b0", O_RDONLY, EPERM },
                { "any minor of a major", "b7", O_RDWR, ENXIO },
                { "null", "/dev/null", O_RDWR, 0 },
                { "zero", "/dev/zero", O_RDWR, 0 },
                { "urandom", "/dev/urandom", O_RDONLY, 0 },
                { "kmsg", "/dev/kmsg", O_RDONLY, EPERM },
        };
        DeviceGuard *guard;
        TestGroup group;
        Worker worker;

        make_room();
        guard = guard_make(pin_dir());
        group = group_make("a");
        make_node("c0", S_IFCHR, MAJOR, 0);
        make_node("c1", S_IFCHR, MAJOR, 1);
        make_node("c2", S_IFCHR, MAJOR, 2);
        make_node("b0", S_IFBLK, MAJOR, 0);
        make_node("b7", S_IFBLK, MAJOR + 1, 7);
        worker = worker_start(&group, try_it, tries_shared());
        expect_error(open_error(&worker, "c2", O_RDONLY), ENXIO, "with no guard");
        put(guard, SLOT, &group, RULES("c 4000:0", "r", "c 4000:1", "rw", "b 4001:*", "rwm"));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                expect_error(open_error(&worker, cases[i].path, cases[i].flags), cases[i].error,
                                cases[i].name);

        expect_error(error_of(&worker, (Try){ S_IFBLK, MAJOR + 1, 3, NULL, O_PATH }), 0,
                        "mknod of what may be made");
        expect_error(error_of(&worker, (Try){ S_IFCHR, MAJOR, 1, NULL, O_PATH }), EPERM,
                        "mknod of what may not");

        cr_expect(device_guard_remove(guard, group.id) == 1);
        cr_expect(device_guard_remove(guard, group.id) == 0);
        expect_error(open_error(&worker, "c2", O_RDONLY), ENXIO, "with no guard any more");
        worker_stop(&worker);
        device_guard_free(guard);
}

/* Two rules of one device add up: one allocation reads, another writes. */
Test(device_guard, rules_add_up) {
        DeviceGuard *guard;
        TestGroup group;
        Worker worker;

        make_room();
        guard = guard_make(pin_dir());
        group = group_make("a");
        make_node("c0", S_IFCHR, MAJOR, 0);
        worker = worker_start(&group, try_it, tries_shared());
        put(guard, SLOT, &group, RULES("c 4000:0", "r", "c 4000:*", "w"));
        expect_error(open_error(&worker, "c0", O_RDWR), ENXIO, "both, of two rules");
        worker_stop(&worker);
        device_guard_free(guard);
}

/* As many as there is room for, and one process of the group that opens what the last of them names. */
Test(device_guard, to_the_last_rule) {
        _cleanup_device_set_ DeviceSet devices = DEVICE_SET_NULL;
        _cleanup_device_lookup_ DeviceLookup lookup = {};
        _cleanup_strv_ char **problems = NULL;
        struct device_rules *rules;
        DeviceGuard *guard;
        TestGroup group;
        Worker worker;
        char name[32];

        make_room();
        for (unsigned i = 0; i < 300; i++) {
                snprintf(name, sizeof name, "c %u:%u", MAJOR, 1000 + i);
                cr_assert(device_set_put(&devices, name, DEVICE_READ) == 0);
        }
        cr_assert(device_lookup_open(&lookup) == 0);
        cr_assert(device_rules_make(&lookup, &devices, &rules, &problems) == 1);
        guard = guard_make(pin_dir());
        group = group_make("a");
        worker = worker_start(&group, try_it, tries_shared());
        put(guard, SLOT, &group, rules);
        make_node("last", S_IFCHR, MAJOR, 1000 + 299 - (unsigned) strv_length(problems));
        make_node("beyond", S_IFCHR, MAJOR, 1000 + 300 - (unsigned) strv_length(problems));
        expect_error(open_error(&worker, "last", O_RDONLY), ENXIO, "the last that has room");
        expect_error(open_error(&worker, "beyond", O_RDONLY), EPERM, "the first that has none");
        worker_stop(&worker);
        device_guard_free(guard);
}

/* Opens what both sets of rules allow, and what neither does, until told to stop. */
typedef struct Loop {
        volatile bool stop;
        volatile unsigned long rounds;
        volatile int refused, let_through; /* each must stay 0 */
} Loop;

static void open_on_and_on(void *userdata) {
        Loop *loop = userdata;

        while (!loop->stop) {
                if (open("both", O_RDONLY) >= 0 || errno != ENXIO)
                        loop->refused = errno;
                if (open("neither", O_RDONLY) >= 0 || errno != EPERM)
                        loop->let_through = errno;
                loop->rounds++;
        }
}

Test(device_guard, a_change_has_no_between) {
        struct device_rules *rules[2];
        Loop *loop = mmap(NULL, sizeof(Loop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        DeviceGuard *guard;
        unsigned long begun;
        TestGroup group;
        Worker worker;

        make_room();
        guard = guard_make(pin_dir());
        group = group_make("a");
        make_node("both", S_IFCHR, MAJOR, 50);
        make_node("neither", S_IFCHR, MAJOR, 60);
        rules[0] = RULES("c 4000:50", "r", "c 4000:51", "r", "c 4000:52", "r");
        rules[1] = RULES("c 3999:1", "r", "c 3999:2", "r", "c 3999:3", "r", "c 4000:50", "r");
        cr_assert(device_guard_put(guard, SLOT, group.fd, group.id, rules[0]) == 0);
        worker = worker_start(&group, open_on_and_on, loop);
        worker_begin(&worker);
        while (loop->rounds == 0)
                sched_yield();
        begun = loop->rounds;
        for (unsigned i = 0; i < 20000 || loop->rounds < begun + 2000; i++)
                cr_assert(device_guard_put(guard, SLOT, group.fd, group.id, rules[i % 2]) == 0);
        loop->stop = true;
        worker_finish(&worker);
        cr_log_info("%lu rounds", loop->rounds - begun);
        cr_expect(loop->refused == 0, "what both allow: %s", error_name(loop->refused));
        cr_expect(loop->let_through == 0, "what neither allows: %s", error_name(loop->let_through));
        worker_stop(&worker);
        device_guard_free(guard);
        device_rules_free(rules[0]);
        device_rules_free(rules[1]);
}

/* Ids of the pinned links, by which they can be told from others of the same name. */
static size_t links(uint32_t *ret_ids, size_t max) {
        char dir[128], path[sizeof(dir) + 256];
        struct dirent *entry;
        size_t n = 0;
        DIR *d;

        snprintf(dir, sizeof dir, "%s/devices", pin_dir());
        d = opendir(dir);
        while (d && (entry = readdir(d))) {
                struct bpf_link_info info = {};
                uint32_t size = sizeof info;
                int fd;

                if (strncmp(entry->d_name, "group-", 6) != 0)
                        continue;
                snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
                fd = bpf_obj_get(path);
                cr_assert(fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && n < max, "%m");
                ret_ids[n++] = info.id;
                close(fd);
        }
        if (d)
                closedir(d);
        return n;
}

Test(device_guard, it_outlives_its_daemon) {
        uint32_t before[4], after[4];
        struct device_rules *rules;
        DeviceGuard *guard;
        TestGroup group;
        Worker worker;

        make_room();
        guard = guard_make(pin_dir());
        group = group_make("a");
        make_node("c0", S_IFCHR, MAJOR, 0);
        make_node("c1", S_IFCHR, MAJOR, 1);
        worker = worker_start(&group, try_it, tries_shared());
        put(guard, SLOT, &group, RULES("c 4000:0", "r"));
        cr_assert(links(before, 4) == 1);
        device_guard_free(guard);
        expect_error(open_error(&worker, "c0", O_RDONLY), ENXIO, "with no daemon");
        expect_error(open_error(&worker, "c1", O_RDONLY), EPERM, "with no daemon");

        guard = guard_make(pin_dir());
        rules = RULES("c 4000:0", "r");
        cr_expect(device_guard_holds(guard, SLOT, group.id, rules), "it is not taken up");
        cr_expect(!device_guard_holds(guard, OTHER_SLOT, group.id, rules));
        device_rules_free(rules);
        put(guard, SLOT, &group, RULES("c 4000:1", "r"));
        put(guard, OTHER_SLOT, &group, RULES("c 4000:1", "r")); /* the same group, as another's */
        cr_assert(links(after, 4) == 1);
        cr_expect(after[0] == before[0], "it is another link");
        expect_error(open_error(&worker, "c0", O_RDONLY), EPERM, "after a change");
        expect_error(open_error(&worker, "c1", O_RDONLY), ENXIO, "after a change");
        worker_stop(&worker);
        device_guard_free(guard);
}

/* Each of these is foreign to us and noticed; a put makes it good, and an open is never let through by it. */
static void remove_pin_of_link(const TestGroup *group) {
        cr_assert(system("rm /tmp/bpffs/headgate/devices/group-*") == 0);
}
static void remove_pin_of_rules(const TestGroup *group) {
        cr_assert(system("rm /tmp/bpffs/headgate/devices/device_rules_*") == 0);
}
static void write_other_rules(const TestGroup *group) {
        int map = bpf_obj_get("/tmp/bpffs/headgate/devices/device_rules_1");
        uint64_t zeroes[3080 / 8] = {};

        cr_assert(bpf_map_update_elem(map, &group->id, zeroes, BPF_ANY) == 0, "%m");
        close(map);
}
static void detach_link(const TestGroup *group) {
        char path[128];
        FILE *f = popen("ls /tmp/bpffs/headgate/devices/group-*", "re");
        int fd;

        cr_assert(f && fscanf(f, "%127s", path) == 1);
        pclose(f);
        fd = bpf_obj_get(path);
        cr_assert(bpf_link_detach(fd) == 0, "%m");
        close(fd);
}

static const struct {
        const char *name;
        void (*spoil)(const TestGroup *group);
} spoils[] = {
        { "the link's pin is removed", remove_pin_of_link },
        { "the map's pin is removed", remove_pin_of_rules },
        { "the rules are overwritten", write_other_rules },
        { "the link is detached", detach_link },
};

Test(device_guard, what_others_do_to_it_is_noticed) {
        DeviceGuard *guard;
        TestGroup group;
        Worker worker;

        make_room();
        guard = guard_make(pin_dir());
        group = group_make("a");
        make_node("c0", S_IFCHR, MAJOR, 0);
        make_node("c1", S_IFCHR, MAJOR, 1);
        worker = worker_start(&group, try_it, tries_shared());
        put(guard, SLOT, &group, RULES("c 4000:0", "r"));
        for (size_t i = 0; i < ELEMENTSOF(spoils); i++) {
                struct device_rules *rules = RULES("c 4000:0", "r");
                uint32_t ids[4];

                spoils[i].spoil(&group);
                cr_expect(!device_guard_holds(guard, SLOT, group.id, rules), "%s, and it holds",
                                spoils[i].name);
                device_rules_free(rules);
                put(guard, SLOT, &group, RULES("c 4000:0", "r"));
                expect_error(open_error(&worker, "c0", O_RDONLY), ENXIO, spoils[i].name);
                expect_error(open_error(&worker, "c1", O_RDONLY), EPERM, spoils[i].name);
                cr_expect(links(ids, 4) == 1, "%s: not one link", spoils[i].name);
        }

        /* Of a map that went while no daemon was there, the links are of no use: others take their place. */
        device_guard_free(guard);
        remove_pin_of_rules(&group);
        guard = guard_make(pin_dir());
        expect_error(open_error(&worker, "c1", O_RDONLY), EPERM, "with the map's pin gone");
        put(guard, SLOT, &group, RULES("c 4000:1", "r"));
        expect_error(open_error(&worker, "c0", O_RDONLY), EPERM, "with a new map");
        expect_error(open_error(&worker, "c1", O_RDONLY), ENXIO, "with a new map");
        worker_stop(&worker);
        device_guard_free(guard);
}

/* Its link shows no group any more; what a new group of the name gets is a new one. */
Test(device_guard, a_group_that_is_made_anew) {
        DeviceGuard *guard;
        TestGroup group;
        uint32_t ids[4];

        make_room();
        guard = guard_make(pin_dir());
        group = group_make("a");
        put(guard, SLOT, &group, RULES("c 4000:0", "r"));
        group_remove(&group);
        group = group_make("a");
        put(guard, SLOT, &group, RULES("c 4000:0", "r"));
        /* The kernel lets go of the old group a while after its directory. */
        for (unsigned i = 0; i < 1000000 && links(ids, 4) > 1; i++) {
                sched_yield();
                device_guard_sweep(guard);
        }
        cr_expect(links(ids, 4) == 1, "the old link is there still");
        cr_expect(device_guard_remove(guard, group.id) == 1, "it is the new one that went");
        device_guard_free(guard);
}

/* Several groups of a slot, a slot that is given back, and all of it. */
Test(device_guard, slots_and_release) {
        TestGroup groups[3];
        DeviceGuard *guard;
        uint32_t ids[4];
        char path[128];

        make_room();
        guard = guard_make(pin_dir());
        for (unsigned i = 0; i < 3; i++) {
                char name[] = { 'a', (char) ('0' + i), '\0' };

                groups[i] = group_make(name);
                put(guard, i < 2 ? SLOT : OTHER_SLOT, &groups[i], RULES("c 4000:0", "r"));
        }
        cr_expect(links(ids, 4) == 3);
        device_guard_remove_slot(guard, SLOT);
        cr_expect(links(ids, 4) == 1);
        cr_expect(device_guard_release(guard) == 0);
        snprintf(path, sizeof path, "%s/devices", pin_dir());
        cr_expect(access(path, F_OK) < 0 && errno == ENOENT);
        device_guard_free(guard);
}

/* Another's program at the group, or in a group below: both have to agree. */
static void attach_refusal(const TestGroup *group) {
        struct bpf_insn insns[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_DEVICE, "foreign", "GPL", insns, 2, NULL);

        cr_assert(fd >= 0 && bpf_prog_attach(fd, group->fd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI) == 0, "%m");
        close(fd);
}

Test(device_guard, others_keep_their_say) {
        TestGroup outer, inner;
        DeviceGuard *guard;
        Worker worker;

        make_room();
        guard = guard_make(pin_dir());
        outer = group_make("a");
        inner = group_make("a/b");
        make_node("c0", S_IFCHR, MAJOR, 0);
        make_node("c1", S_IFCHR, MAJOR, 1);
        put(guard, SLOT, &outer, RULES("c 4000:0", "r"));
        worker = worker_start(&inner, try_it, tries_shared());
        expect_error(open_error(&worker, "c0", O_RDONLY), ENXIO, "in a group below");
        expect_error(open_error(&worker, "c1", O_RDONLY), EPERM, "in a group below");
        attach_refusal(&inner);
        expect_error(open_error(&worker, "c0", O_RDONLY), EPERM, "refused by another");
        device_guard_remove(guard, outer.id);
        expect_error(open_error(&worker, "c0", O_RDONLY), EPERM, "refused by another still");
        worker_stop(&worker);
        device_guard_free(guard);
}
