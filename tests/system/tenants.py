# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Tenants with a load, for the system tests of what is metered: one allocation each, their tasks, samples taken now. All
of it goes with the case. It judges nothing.
"""
import urllib.request
from pathlib import Path

import guest

METRICS = "http://127.0.0.1:9464/metrics"
HOUR_USEC = 3600 * guest.SECOND


def add_tenant(stem, resources):
    """A tenant with these resources for an hour from now; its id."""
    tenant = guest.new_id(stem)
    guest.apply(guest.request(tenant, resources, Duration=HOUR_USEC))
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
