/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line of headgated, and nothing else: see headgated(8). */

#include "config.h"
#include "manager.h"
#include "util/log.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <sysexits.h>

#define PEER_SOCKET_SIZE sizeof(((struct sockaddr_un *) NULL)->sun_path)
#define CONFIG_DEFAULT "/etc/headgate/headgated.conf"

static const char help[] =
                "Usage: headgated [OPTION…]\n"
                "Meters and isolates the tenants of this node, and keeps their allocations.\n\n"
                "  --config=FILE          configuration, and its drop-ins in FILE.d (" CONFIG_DEFAULT ")\n"
                "  --check-config         read it, say what is wrong, and exit\n"
                "  --bus=BUS              system, session, or a D-Bus address (system)\n"
                "  --peer-socket=PATH     serve schedulers at this socket, too (none)\n"
                "  --state-dir=DIR        the durable calendar (/var/lib/headgate)\n"
                "  --pin-dir=DIR          BPF programs and counters outlive the daemon here "
                "(/sys/fs/bpf/headgate)\n"
                "  --cgroup-driver=NAME   auto, systemd or cgroupfs (auto)\n"
                "  --cgroup-root=PATH     cgroupfs: the group below which ours is made (/)\n"
                "  --dry-run              decide and answer, but change nothing\n"
                "  --release              take everything of ours off this node, and exit\n"
                "  --log-level=LEVEL      error, warning, info or debug (info)\n"
                "  --help, --version\n";

typedef struct Arguments {
        ManagerOptions options;
        const char *config;
        bool config_given, check_config, release;
} Arguments;

enum {
        ARG_CONFIG,
        ARG_CHECK_CONFIG,
        ARG_BUS,
        ARG_PEER_SOCKET,
        ARG_STATE_DIR,
        ARG_PIN_DIR,
        ARG_CGROUP_DRIVER,
        ARG_CGROUP_ROOT,
        ARG_DRY_RUN,
        ARG_RELEASE,
        ARG_LOG_LEVEL,
        ARG_HELP,
        ARG_VERSION
};

static const struct option long_options[] = {
        { "config", required_argument, NULL, ARG_CONFIG },
        { "check-config", no_argument, NULL, ARG_CHECK_CONFIG },
        { "bus", required_argument, NULL, ARG_BUS },
        { "peer-socket", required_argument, NULL, ARG_PEER_SOCKET },
        { "state-dir", required_argument, NULL, ARG_STATE_DIR },
        { "pin-dir", required_argument, NULL, ARG_PIN_DIR },
        { "cgroup-driver", required_argument, NULL, ARG_CGROUP_DRIVER },
        { "cgroup-root", required_argument, NULL, ARG_CGROUP_ROOT },
        { "dry-run", no_argument, NULL, ARG_DRY_RUN },
        { "release", no_argument, NULL, ARG_RELEASE },
        { "log-level", required_argument, NULL, ARG_LOG_LEVEL },
        { "help", no_argument, NULL, ARG_HELP },
        { "version", no_argument, NULL, ARG_VERSION },
        {},
};

static int parse_log_level(const char *text) {
        static const struct {
                const char *name;
                int priority;
        } levels[] = { { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "info", LOG_INFO },
                { "debug", LOG_DEBUG } };

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (strcmp(levels[i].name, text) == 0)
                        return levels[i].priority;
        return -EINVAL;
}

static int wrong(const char *option, const char *value, const char *bound) {
        fprintf(stderr, "headgated: --%s '%s' must be %s\n", option, value, bound);
        return -EINVAL;
}

/* 0: go on; 1: done, successfully; negative: said what is wrong. */
static int parse_arguments(int argc, char **argv, Arguments *arguments) {
        ManagerOptions *options = &arguments->options;
        int c, level;

        while ((c = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
                switch (c) {
                case ARG_CONFIG:
                        arguments->config = optarg;
                        arguments->config_given = true;
                        break;
                case ARG_CHECK_CONFIG:
                        arguments->check_config = true;
                        break;
                case ARG_BUS:
                        options->bus = optarg;
                        break;
                case ARG_PEER_SOCKET:
                        if (*optarg != '/' || strlen(optarg) >= PEER_SOCKET_SIZE)
                                return wrong("peer-socket", optarg, "an absolute path of at most 107 bytes");
                        options->peer_socket = optarg;
                        break;
                case ARG_STATE_DIR:
                        options->state_dir = optarg;
                        break;
                case ARG_PIN_DIR:
                        options->pin_dir = *optarg ? optarg : NULL;
                        break;
                case ARG_CGROUP_DRIVER:
                        options->cgroup_driver = cgroup_driver_kind_from_string(optarg);
                        if (options->cgroup_driver < 0)
                                return wrong("cgroup-driver", optarg, "auto, systemd or cgroupfs");
                        break;
                case ARG_CGROUP_ROOT:
                        options->cgroup_root = optarg;
                        break;
                case ARG_DRY_RUN:
                        options->dry_run = true;
                        break;
                case ARG_RELEASE:
                        arguments->release = true;
                        break;
                case ARG_LOG_LEVEL:
                        level = parse_log_level(optarg);
                        if (level < 0)
                                return wrong("log-level", optarg, "error, warning, info or debug");
                        log_set_level(level);
                        break;
                case ARG_HELP:
                        fputs(help, stdout);
                        return 1;
                case ARG_VERSION:
                        puts("headgated " HEADGATE_VERSION);
                        return 1;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "headgated: unexpected argument '%s'; see headgated --help\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

/* A tenant's directory, value and counter files, and links stay open: the soft limit of 1024 (kept low for
 * select(2)) is some 35 tenants. */
static void raise_file_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static int run(const Arguments *arguments) {
        _cleanup_(manager_free_p) Manager *manager = NULL;
        int r;

        raise_file_limit();
        /* Ignored by who started us, our children's ends would be lost. */
        (void) signal(SIGCHLD, SIG_DFL);
        /* What is large is a page of samples, or the kernel's types while programs are loaded: it goes back
         * at once. */
        (void) mallopt(M_MMAP_THRESHOLD, 128 * 1024);
        /* 2 MB at a time would be resident, used or not. */
        (void) prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
        /* Zones are read by it (util/zone.h) while threads may ask the user database: where it is there, only
         * its value is another meanwhile, and the environment does not move under them. */
        if (setenv("TZ", ":/etc/localtime", /* overwrite= */ 0) < 0)
                return -ENOMEM;
        r = manager_new(&arguments->options, &manager);
        /* Its state, or its group of tenants, is another's that runs. */
        if (arguments->release && (r == -EBUSY || r == -EWOULDBLOCK))
                return EX_TEMPFAIL;
        /* Of all that is opened there the state alone has versions. It does not get better by itself. */
        if (r == -EPROTONOSUPPORT)
                return EX_CONFIG;
        if (r >= 0)
                r = arguments->release ? manager_release_node(manager) : manager_run(manager);
        return r;
}

int main(int argc, char **argv) {
        _cleanup_(config_deinit) Config config;
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        Arguments arguments = {
                .options = {
                        .config = &config,
                        .bus = "system",
                        .state_dir = "/var/lib/headgate",
                        .pin_dir = "/sys/fs/bpf/headgate",
                        .cgroup_driver = cgroup_driver_kind_from_string("auto"),
                },
                .config = CONFIG_DEFAULT,
        };
        int r;

        config_init(&config);
        r = parse_arguments(argc, argv, &arguments);
        if (r != 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        r = config_read(&config, arguments.config, arguments.config_given, &failure);
        if (r != 0) {
                fprintf(stderr, "headgated: %s\n", r > 0 ? failure.message : strerror(-r));
                if (!arguments.release || arguments.check_config)
                        return EX_CONFIG;
                /* What is ours is known by its marks, too. */
                config_deinit(&config);
                config_init(&config);
        }
        if (arguments.check_config) {
                printf("%s: ok\n", arguments.config);
                return EXIT_SUCCESS;
        }
        r = run(&arguments);
        return r < 0 ? EXIT_FAILURE : r;
}
