/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long reads and writes past the page cache take, beside what they took by the clock of who asked. */

#include "host.h"

#include "meter/block-meter.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "bpf/block-meter.h"
#include "bpf/pin.h"

TestSuite(block_meter, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define SLOTS 16U
#define BLOCK_BYTES 65536
#define BLOCKS 64

/* Whose bios are whose is the io controller's to say: where cgroup2 has none, it is on a hierarchy of its
 * own. */
#define OLD_HIERARCHY "/sys/fs/cgroup/blkio"

static TestGroup make_io_group(void) {
        TestGroup group = { .fd = -EBADF };
        struct stat st;

        if (access(OLD_HIERARCHY "/tasks", F_OK) < 0) {
                char path[PATH_MAX];
                _cleanup_close_ int fd = -EBADF;

                snprintf(path, sizeof(path), "%s/cgroup.subtree_control", group_parent());
                fd = open(path, O_WRONLY | O_CLOEXEC);
                if (fd < 0 || write(fd, "+io", 3) < 0)
                        cr_skip_test("no hierarchy has an io controller");
                return group_make("a");
        }
        snprintf(group.path, sizeof(group.path), OLD_HIERARCHY "/headgate-test-%d", getpid());
        cr_assert(mkdir(group.path, 0755) == 0, "%s: %m", group.path);
        group.fd = open(group.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert(group.fd >= 0 && fstat(group.fd, &st) == 0);
        group.id = st.st_ino;
        return group;
}

typedef struct Ways {
        char file[64];
        bool tmpfs; /* nothing goes past the page cache here */
        uint64_t nsec[2], fastest_nsec;
} Ways;

static uint64_t now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

static void write_and_read(void *userdata) {
        Ways *ways = userdata;
        _cleanup_close_ int fd = open(ways->file, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
        void *block = NULL;

        ways->tmpfs = fd < 0;
        if (fd < 0)
                return;
        cr_assert(posix_memalign(&block, 4096, BLOCK_BYTES) == 0);
        memset(block, 'x', BLOCK_BYTES);
        for (size_t write = 2; write-- > 0;) {
                ways->nsec[write] = 0;
                for (off_t i = 0; i < BLOCKS; i++) {
                        uint64_t begin = now_nsec(), nsec;

                        cr_assert((write ? pwrite(fd, block, BLOCK_BYTES, i * BLOCK_BYTES)
                                         : pread(fd, block, BLOCK_BYTES, i * BLOCK_BYTES)) == BLOCK_BYTES,
                                        "%m");
                        nsec = now_nsec() - begin;
                        ways->nsec[write] += nsec;
                        if (nsec < ways->fastest_nsec)
                                ways->fastest_nsec = nsec;
                }
        }
        free(block);
        unlink(ways->file);
}

/*
 * What the kernel keeps for a group and a device it makes at the first request, and as long as it has no
 * memory at hand for that the request is the group's above.
 */
static void work_until_counted(BlockMeter *meter, Worker *worker, const Ways *ways) {
        for (unsigned i = 0; i < 100 && !ways->tmpfs; i++) {
                BlockLatencies latencies = BLOCK_LATENCIES_NULL;
                size_t n;

                worker_run(worker);
                cr_assert_eq(block_meter_read(meter, SLOT, &latencies), 0);
                n = latencies.n;
                block_latencies_deinit(&latencies);
                if (n == 2)
                        break;
        }
        block_meter_clear(meter, SLOT);
}

Test(block_meter, reads_and_writes) {
        TestGroup group = make_io_group();
        uint32_t slot = SLOT;
        int groups_fd = bpf_map_create(
                        BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), SLOTS, NULL);
        Ways *ways = mmap(NULL, sizeof(*ways), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        BlockLatencies latencies = BLOCK_LATENCIES_NULL;
        uint64_t all = 0, at_once = 1, clock, least;
        BlockMeter *meter;
        Worker worker;
        int r;

        cr_assert(ways != MAP_FAILED && groups_fd >= 0);
        cr_assert(bpf_map_update_elem(groups_fd, &group.id, &slot, BPF_ANY) == 0, "%m");
        r = block_meter_new(NULL, SLOTS, groups_fd, &meter);
        cr_assert(r == 0, "%s", strerror(-r));
        snprintf(ways->file, sizeof(ways->file), "/var/tmp/headgate-test-%d", getpid());
        worker = worker_start(&group, write_and_read, ways);
        work_until_counted(meter, &worker, ways);
        ways->fastest_nsec = UINT64_MAX;
        worker_run(&worker);
        worker_stop(&worker);
        group_remove(&group);
        if (ways->tmpfs)
                cr_skip_test("/var/tmp is not on a disk");

        cr_assert_eq(block_meter_read(meter, SLOT, &latencies), 0);
        cr_assert_eq(latencies.n, 2, "%zu histograms", latencies.n);
        for (size_t write = 0; write < 2; write++) {
                const BlockLatency *latency = &latencies.entries[write];
                char name[BLOCK_LATENCY_NAME_SIZE];
                uint64_t count = histogram_count(&latency->histogram), sum = latency->histogram.sum_nsec;

                cr_log_info("%s: %" PRIu64 " in %" PRIu64 " us, by the clock %" PRIu64 " us",
                                block_latency_name(latency, name), count, sum / 1000,
                                ways->nsec[write] / 1000);
                cr_expect_eq(latency->write, write);
                /* What the file system writes of its own beside it is the tenant's, too; a block may be cut.
                 */
                cr_expect(count >= BLOCKS && count <= 2 * BLOCKS, "%" PRIu64 " requests", count);
                all += sum;
                if (count > BLOCKS)
                        at_once = 2;
        }
        /*
         * One block after the other; the pieces of one that was cut, or what the file system writes, at once
         * with it. Who asked may have waited for a CPU besides, but hardly for the fastest of them.
         */
        clock = ways->nsec[0] + ways->nsec[1];
        least = (uint64_t) 2 * BLOCKS * ways->fastest_nsec / 4;
        cr_expect(all <= at_once * clock && all >= least,
                        "%" PRIu64 " ns, by the clock %" PRIu64 ", and the fastest %" PRIu64, all, clock,
                        ways->fastest_nsec);
        block_meter_clear(meter, SLOT);
        block_latencies_deinit(&latencies);
        cr_assert_eq(block_meter_read(meter, SLOT, &latencies), 0);
        cr_expect_eq(latencies.n, 0, "what a slot had is gone with it");
        block_meter_free(meter);
}

/* A loop device of the file's, that goes with its last user; -1 where the host has none. */
static int open_loop(const char *file) {
        _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
        _cleanup_close_ int fd = open(file, O_RDWR | O_CLOEXEC);
        int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
        char path[32];
        int loop;

        if (number < 0 || fd < 0)
                return -1;
        snprintf(path, sizeof(path), "/dev/loop%d", number);
        loop = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        config.fd = (__u32) fd;
        if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
                close(loop);
                return -1;
        }
        return loop;
}

typedef struct LoopFile {
        char path[64];
        bool done;
} LoopFile;

static void read_loop(void *userdata) {
        LoopFile *file = userdata;
        _cleanup_close_ int fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), loop = -EBADF;
        void *block = NULL;

        cr_assert(fd >= 0 && ftruncate(fd, BLOCK_BYTES) == 0 &&
                        posix_memalign(&block, 4096, BLOCK_BYTES) == 0);
        loop = open_loop(file->path);
        unlink(file->path);
        file->done = loop >= 0 && pread(loop, block, BLOCK_BYTES, 0) == BLOCK_BYTES;
        free(block);
}

/* A device over another takes no place of those that are told apart. */
Test(block_meter, loop_devices_take_no_place) {
        TestGroup group = make_io_group();
        const char *pin_dir = host_bpffs();
        uint32_t slot = SLOT, key = 0;
        struct block_devices devices;
        int groups_fd = bpf_map_create(
                        BPF_MAP_TYPE_HASH, "groups", sizeof(uint64_t), sizeof(uint32_t), SLOTS, NULL);
        LoopFile *file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        _cleanup_close_ int devices_fd = -EBADF;
        BlockMeter *meter;
        Worker worker;

        cr_assert(file != MAP_FAILED && groups_fd >= 0);
        cr_assert(bpf_map_update_elem(groups_fd, &group.id, &slot, BPF_ANY) == 0, "%m");
        cr_assert(block_meter_new(pin_dir, SLOTS, groups_fd, &meter) == 0);
        snprintf(file->path, sizeof(file->path), "/var/tmp/headgate-test-%d", getpid());
        worker = worker_start(&group, read_loop, file);
        worker_run(&worker);
        worker_stop(&worker);
        group_remove(&group);
        if (!file->done)
                cr_skip_test("no loop device can be had");

        devices_fd = pin_open(pin_dir, "block_devices_" STRINGIFY(BLOCK_METER_LAYOUT));
        cr_assert(devices_fd >= 0 && bpf_map_lookup_elem(devices_fd, &key, &devices) == 0, "%m");
        for (size_t i = 0; i < BLOCK_DEVICES; i++)
                cr_expect_neq(devices.number[i] >> BLOCK_MINOR_BITS, LOOP_MAJOR, "place %zu", i);
        block_meter_free(meter);
}
