/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The verbs: what each takes, and what its help says. The one list of them. */

#include "options.h"

const Verb verbs[] = {
        {
                        .name = "status",
                        .synopsis = "",
                        .summary = "The node in short: state, capacity, tenants",
                        .help = "Exits 3 where the node's State is degraded.\n",
                        .options = "",
                        .run = verb_status,
        },
        {
                        .name = "doctor",
                        .synopsis = "",
                        .summary = "What this node can do and cannot, and what is wrong",
                        .help = "Names every feature and every problem of a tenant. Exits 3 where the node's "
                                "State is degraded.\n",
                        .options = "",
                        .run = verb_doctor,
        },
        {
                        .name = "list",
                        .synopsis = "[allocations|tenants]",
                        .summary = "All allocations, or all tenants",
                        .help = "",
                        .options = "",
                        .args_max = 1,
                        .run = verb_list,
        },
        {
                        .name = "show",
                        .synopsis = "[--histograms] TENANT|ALLOCATION",
                        .summary = "Everything about one tenant or allocation",
                        .help = "Where both have the id, the tenant is shown; tenant/ID and allocation/ID "
                                "say which.\n",
                        .options = "i",
                        .args_min = 1,
                        .args_max = 1,
                        .run = verb_show,
        },
        {
                        .name = "apply",
                        .synopsis = "[--sync ISSUER] FILE|-",
                        .summary = "Create or change allocations, all or none",
                        .help = "The file holds one allocation, {\"AllocationId\": ...}, or a list of them, "
                                "as "
                                "JSON with the names\n"
                                "of D-Bus: \"Resources\": {\"cpu\": [reserved, limit]}, times in µs UTC, "
                                "\"max\" for unlimited.\n"
                                "With --sync they become all that the issuer has here: what it has besides "
                                "is released.\n",
                        .options = "DS",
                        .args_min = 1,
                        .args_max = 1,
                        .run = verb_apply,
        },
        {
                        .name = "check",
                        .synopsis = "FILE|-",
                        .summary = "Ask whether allocations would fit, together; change nothing",
                        .help = "Takes what 'apply' takes. Says what is missing and from when to when, "
                                "when it would fit,\n"
                                "and who would be preempted. Exits 1 where one of them does not fit.\n",
                        .options = "",
                        .args_min = 1,
                        .args_max = 1,
                        .run = verb_check,
        },
        {
                        .name = "renew",
                        .synopsis = "ALLOCATION DURATION",
                        .summary = "Extend an allocation's lease, from now",
                        .help = "The duration is 90s, 30min, 2h, 1d, 1h30min; a number alone is seconds.\n",
                        .options = "",
                        .args_min = 2,
                        .args_max = 2,
                        .run = verb_renew,
        },
        {
                        .name = "release",
                        .synopsis = "ALLOCATION|--all",
                        .summary = "End an allocation now, or take all that is headgated's off this node",
                        .help = "With --all no limit is left, no queue and no counter; processes go on, in "
                                "groups that are\n"
                                "left to them, without limits. What is allocated is kept: it is in force "
                                "again once\n"
                                "headgated is started (systemctl start headgated), which nothing but you "
                                "does.\n",
                        .options = "agr",
                        .args_max = 1,
                        .run = verb_release,
        },
        {
                        .name = "run",
                        .synopsis = "TENANT -- COMMAND...",
                        .summary = "Run a command inside a tenant",
                        .help = "The command takes headgatectl's place: standard input and output, signals "
                                "and the exit code\n"
                                "are its own. Exits 125 where it cannot be placed, 126 where it cannot be "
                                "executed, 127 where\n"
                                "there is no such command. Refused while no allocation of the tenant is "
                                "active or held.\n",
                        .options = "R",
                        .args_min = 1,
                        .args_max = 1,
                        .takes_command = true,
                        .failed = CTL_RUN_FAILED,
                        .run = verb_run,
        },
        {
                        .name = "attach",
                        .synopsis = "TENANT PID...|UNIT...",
                        .summary = "Place running processes, or systemd units, in a tenant",
                        .help = "A unit is named with its suffix (web.service) and moves at its next start; "
                                "its "
                                "present group is\n"
                                "adopted until then. Sockets that a process has open and memory that it has "
                                "stay counted where\n"
                                "they were: 'show' names them while they last.\n",
                        .options = "",
                        .args_min = 2,
                        .args_max = SIZE_MAX,
                        .run = verb_attach,
        },
        {
                        .name = "adopt",
                        .synopsis = "TENANT GROUP",
                        .summary = "Count and shape a control group of someone else's as a tenant's",
                        .help = "The group is a path below the cgroup mount, as /proc/PID/cgroup has it: a "
                                "pod, a job, a user's\n"
                                "session. Its limits stay its owner's. It holds until the group is gone.\n",
                        .options = "",
                        .args_min = 2,
                        .args_max = 2,
                        .run = verb_adopt,
        },
        {
                        .name = "abandon",
                        .synopsis = "TENANT GROUP",
                        .summary = "Give up a group that was adopted",
                        .help = "What it was counted stays the tenant's.\n",
                        .options = "",
                        .args_min = 2,
                        .args_max = 2,
                        .run = verb_abandon,
        },
        {
                        .name = "drain",
                        .synopsis = "[REASON]",
                        .summary = "Take no new allocations; those that are here go on",
                        .help = "'status' shows it, with the reason, until 'resume'.\n",
                        .options = "",
                        .args_max = 1,
                        .run = verb_drain,
        },
        {
                        .name = "resume",
                        .synopsis = "",
                        .summary = "Take new allocations again",
                        .help = "",
                        .options = "",
                        .run = verb_resume,
        },
        {
                        .name = "capacity",
                        .synopsis = "[set NAME=VALUE...]",
                        .summary = "What there is to allocate, or an operator's bound on it",
                        .help = "Values are cpu=3500m or cpu=3.5, memory=8G (by 1024), net.egress@eth1=500M "
                                "(bit/s, by 1000);\n"
                                "'max' takes a bound off. All are set in one step; what is not named "
                                "stays.\n",
                        .options = "",
                        .args_max = SIZE_MAX,
                        .run = verb_capacity,
        },
        {
                        .name = "clock",
                        .synopsis = "[accept]",
                        .summary = "Whether the clock is trusted, and why; or trust it as it is",
                        .help = "While it is not, nothing is killed, released or preempted by it.\n",
                        .options = "",
                        .args_max = 1,
                        .run = verb_clock,
        },
        {
                        .name = "mode",
                        .synopsis = "TENANT [enforce|observe]",
                        .summary = "Whether a tenant's limits are enforced, or only observed",
                        .help = "Observed, it is metered and its allocations go on, but nothing is enforced; "
                                "'diff' shows what\n"
                                "would be.\n",
                        .options = "",
                        .args_min = 1,
                        .args_max = 2,
                        .run = verb_mode,
        },
        {
                        .name = "diff",
                        .synopsis = "[TENANT]",
                        .summary = "What differs from the plan, value by value",
                        .help = "Reads the kernel and changes nothing. What has no word under LEFT AS IT IS "
                                "is about to be changed.\n",
                        .options = "",
                        .args_max = 1,
                        .run = verb_diff,
        },
        {
                        .name = "explain",
                        .synopsis = "[TENANT|ALLOCATION [NAME]]",
                        .summary = "Why a value is what it is",
                        .help = "NAME is a value's (cpu.max, State) or a resource's (cpu, "
                                "net.egress@eth1); without it all are\n"
                                "explained, without an object those of the node. tenant/ID and "
                                "allocation/ID say which is meant.\n",
                        .options = "",
                        .args_max = 2,
                        .run = verb_explain,
        },
        {
                        .name = "calendar",
                        .synopsis = "[--from T] [--until T]",
                        .summary = "What is reserved in the coming hours and days, drawn",
                        .help = "A block a resource: how much of its capacity is reserved, then each "
                                "tenant's "
                                "part; a cell shows\n"
                                "the peak within its time. T is RFC 3339, '2026-11-22 10:00' in local time, "
                                "now, +2h, -30min,\n"
                                "or µs UTC.\n",
                        .options = "fu",
                        .run = verb_calendar,
        },
        {
                        .name = "drift",
                        .synopsis = "",
                        .summary = "What others changed behind headgated's back, and whether it is put back",
                        .help = "The last of it, and how much there was since headgated started, by cause.\n",
                        .options = "",
                        .run = verb_drift,
        },
        {
                        .name = "top",
                        .synopsis = "",
                        .summary = "What each tenant uses, again and again",
                        .help = "What ends with % is a share of time: of CPU time, of one CPU; /S is a "
                                "second. "
                                "Keys: q quit,\n"
                                "space now, o c m i n p the views overview, cpu, memory, io, network, "
                                "promises, s or the arrows\n"
                                "the column to sort by, r the other way round.\n",
                        .options = "bndvsx",
                        .run = verb_top,
        },
        {
                        .name = "watch",
                        .synopsis = "",
                        .summary = "What happens, line by line, until interrupted",
                        .help = "",
                        .options = "n",
                        .run = verb_watch,
        },
        {
                        .name = "help",
                        .synopsis = "[VERB]",
                        .summary = "This text, or a verb's",
                        .help = "",
                        .options = "",
                        .args_max = 1,
        },
        { .name = NULL },
};
