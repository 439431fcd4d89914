# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tenants with a load, for the system tests of what is metered: one allocation each, their tasks, samples taken now. All
of it goes with the case. It judges nothing.
"""
import re
import urllib.request
from pathlib import Path

import guest

METRICS = "http://127.0.0.1:9464/metrics"
HOUR_USEC = 3600 * guest.SECOND


def add_tenant(stem, resources, duration_usec=HOUR_USEC):
    """A tenant with these resources, from now; its id."""
    tenant = guest.new_id(stem)
    guest.apply(guest.request(tenant, resources, Duration=duration_usec))
    guest.equal(guest.show("tenant", tenant)["Problems"], [], f"Problems of {tenant}")
    guest.cleanup(kill, tenant)
    return tenant


def kill(tenant):
    """All of its processes, and what they are parents of."""
    group = guest.group_of(tenant)
    if group.exists():
        (group / "cgroup.kill").write_text("1")
        guest.wait(lambda: "populated 0" in guest.read(group / "cgroup.events"), guest.BOUND, f"{tenant} to be empty")


def scrape():
    with urllib.request.urlopen(METRICS, timeout=guest.BOUND) as answer:
        return answer.read().decode()


def usage(tenant):
    """From a sample that was taken after the call: a scrape takes one."""
    scrape()
    return guest.show("tenant", tenant)["Usage"]


def cpu_nsec(tenant):
    return guest.cpu_used(guest.group_of(tenant)) * 1000


def run_delay_nsec(tenant):
    """What the tasks that are there now have waited, ever."""
    total = 0
    for threads in guest.group_of(tenant).rglob("cgroup.threads"):
        for task in threads.read_text().split():
            try:
                total += int(Path(f"/proc/{task}/schedstat").read_text().split()[1])
            except OSError:
                pass  # ended meanwhile
    return total


# Which figure is which key of which file; keys of one figure add up.
MEMORY_STAT = {"memory.anon": ["anon"], "memory.file": ["file"], "memory.kernel": ["kernel"],
               "memory.faults": ["pgfault"], "memory.major-faults": ["pgmajfault"],
               "memory.refaults": ["workingset_refault_anon", "workingset_refault_file"]}
IO_STAT = {"io.read.bytes": "rbytes", "io.write.bytes": "wbytes", "io.read.operations": "rios", "io.write.operations": "wios"}


def kernel_figures(group):
    """What the files say, of a disk alone: nothing in the guest is stacked."""
    memory = dict(line.split() for line in guest.read(group / "memory.stat").splitlines())
    figures = {name: sum(int(memory[key]) for key in keys if key in memory) for name, keys in MEMORY_STAT.items()}
    figures["memory.reclaimed"] = int(memory["pgsteal"]) * 4096
    lines = guest.read(group / "io.stat").splitlines()
    for name, key in IO_STAT.items():
        figures[name] = sum(int(value) for line in lines for value in re.findall(rf" {key}=(\d+)", line))
    for stem in ("cpu", "memory", "io"):
        totals = dict(re.findall(r"^(some|full) .*total=(\d+)", guest.read(group / f"{stem}.pressure"), re.M))
        figures[f"{stem}.pressure"] = int(totals["some"]) * 1000
        if stem != "cpu":
            figures[f"{stem}.stall"] = int(totals["full"]) * 1000
    return figures
