/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The meters where the kernel is locked down to confidentiality. It can't be unlocked again: so here the
 * programs ask for a helper that there is not where they would ask for one that is refused, and the kernel
 * finds out for itself which of them come to that.
 */

#include "bpf-call.h"
#include "host.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

TestSuite(lockdown, .init = host_init, .fini = host_deinit, .timeout = 120);

#define SLOT 2U
#define SLOTS 16U
#define CLASSID_BASE 0x48470010U

static bool is_locked;

/* By bpf_base_func_proto() and bpf_tracing_func_proto(); libbpf tries the older where it has not the newer.
 */
static bool is_refused(const struct bpf_insn *insn) {
        static const int helpers[] = { BPF_FUNC_probe_read_kernel, BPF_FUNC_probe_read_kernel_str,
                BPF_FUNC_probe_read, BPF_FUNC_probe_read_str };

        for (size_t i = 0; i < ELEMENTSOF(helpers); i++)
                if (insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == 0 && insn->imm == helpers[i])
                        return true;
        return false;
}

bool bpf_call_passes(enum bpf_cmd command, union bpf_attr *attr) {
        struct bpf_insn *insns;

        if (!is_locked || command != BPF_PROG_LOAD)
                return true;
        insns = (struct bpf_insn *) (uintptr_t) attr->insns;
        for (uint32_t i = 0; i < attr->insn_cnt; i++)
                if (is_refused(&insns[i]))
                        insns[i].imm = INT32_MAX;
        return true;
}

/* In a mount namespace of the test's own. */
static void lock_down(void) {
        static const char said[] = "none integrity [confidentiality]\n";
        _cleanup_close_ int fd = -EBADF;

        cr_assert(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
                        "%m");
        cr_assert(mount("none", "/sys/kernel/security", "tmpfs", 0, NULL) == 0, "%m");
        fd = open("/sys/kernel/security/lockdown", O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
        cr_assert(fd >= 0 && write(fd, said, strlen(said)) == (ssize_t) strlen(said), "%m");
        is_locked = true;
}

static void burn(void *userdata) {
        burn_msec(30);
}

static void expect_words(const FeatureSet *features, const char *name, bool available, const char *words) {
        const Feature *feature = feature_set_get(features, name);

        cr_assert_not_null(feature, "%s", name);
        cr_expect_eq(feature->available, available, "%s: %s", name, feature->words);
        cr_expect(strstr(feature->words, words), "%s: %s", name, feature->words);
}

/* What does not need the kernel's memory goes on, and of all else it is said why it does not. */
Test(lockdown, confidentiality) {
        static const char *const lacking[] = { "meter.cpu", "meter.sockets", "meter.io-latency",
                "meter.oom-victims", "attach.sockets" };
        _cleanup_(feature_set_deinit) FeatureSet features = FEATURE_SET_NULL;
        MeterOptions options = {
                .slots = SLOTS, .cgroup_root = group_parent(), .classid_base = CLASSID_BASE
        };
        TestGroup group = group_make("a");
        Worker worker = worker_start(&group, burn, NULL);
        Meter *meter;

        lock_down();
        cr_assert_eq(meter_new(&options, &features, &meter), 0);
        for (size_t i = 0; i < ELEMENTSOF(lacking); i++)
                expect_words(&features, lacking[i], false, "the kernel is locked down");
        expect_words(&features, "meter.network", true, "IPv4");
        expect_words(&features, "meter.tcp", true, "");

        meter_must_add(meter, SLOT, &group);
        worker_run(&worker);
        cr_expect(meter_must_read(meter, SLOT).value[METRIC_CPU_TIME] >= 30000000);
        worker_stop(&worker);
        meter_free(meter);
}
