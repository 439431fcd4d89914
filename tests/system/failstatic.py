# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What holds under load while the daemon goes and comes: kill -9 at random moments, of a daemon that something starts again,
is what test-fail-static asks in a guest, with each driver, and its namesake in tests/netns of the machine that builds, as far
as that has the controllers. A node has `pins`, group_of(), main_pid() (0: none just now) and ready(). HEADGATE_ROUNDS kills
(3), from HEADGATE_SEED.
"""
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import bpf
import guest
from guest import BOUND, MIB, check, cleanup, equal, note, read, run, wait

ROUNDS = int(os.environ.get("HEADGATE_ROUNDS", 3))
SEED = int(os.environ.get("HEADGATE_SEED", 4847))
LATEST_KILL = 1.2  # seconds after the last: also while the next daemon starts
SHARE = {"cpu": [100, 300], "memory": [16 * MIB, 64 * MIB], "tasks": [0, 40], "net.egress": [2_000_000, 7_000_000]}
CPU_MILLICORES, PERIOD = 300, 0.1
CAPS = ("cpu.max", "memory.max", "memory.high", "memory.low", "pids.max", "cgroup.freeze")
UPLINK = "hgt0"
# One packet every 10 ms to everybody on the uplink, until SIGTERM; then how many it has sent.
SENDER = f"""
import signal, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"{UPLINK}")
ended, sent = [], 0
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
print("sending", flush=True)
while not ended:
    sent += s.sendto(bytes(100), ("255.255.255.255", 9)) > 0
    time.sleep(0.01)
print(sent)
"""


class SystemdNode:
    """headgated as it is installed."""
    unit, pins = guest.SERVICE, guest.PINS

    def group_of(self, tenant):
        return guest.group_of(tenant)

    def main_pid(self):
        return int(guest.show_unit(self.unit, "MainPID"))

    def ready(self):
        return guest.state_of(self.unit) == "active"


class Sampler:
    """Looks at values over and over, each in a thread, and keeps what was not as it was at first."""

    def __init__(self):
        self.looks, self.strange = {}, []
        self._ended = threading.Event()
        self._threads = []
        cleanup(self.end)

    def add(self, name, look, pause):
        expected = look()
        self.looks[name] = 0

        def loop():
            while not self._ended.wait(pause):
                try:
                    found = look()
                except Exception as e:
                    found = f"{type(e).__name__}: {e}"
                self.looks[name] += 1
                if found != expected and len(self.strange) < 20:
                    self.strange.append(f"{name} at {time.monotonic():.3f}: {found!r}, and not {expected!r}")
        self._threads.append(threading.Thread(target=loop, daemon=True))
        self._threads[-1].start()

    def wait_looked(self):
        """Until each was looked at three times more: the first may have begun before."""
        wanted = {name: looks + 3 for name, looks in self.looks.items()}
        wait(lambda: all(self.looks[name] >= looks for name, looks in wanted.items()), BOUND, "everything to be looked at")

    def end(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()


class Openings:
    """
    Every counter and histogram that is told of two tenants, by whichever daemon there is: of the one that rests they are
    as they were, to the last digit, and of the other none is less than the last daemon closed with.
    """
    LINE = re.compile(r'(headgate_(?!delivered)\w+(?:_total|_bucket|_sum|_count)\{.*tenant="([^"]*)".*\}) (\S+)')

    def __init__(self, resting, loaded):
        self._bus, self._resting, self._loaded = guest.Bus(), resting, loaded
        self._last = self._told() or {}
        check(len(self._last) > 20, f"no more is told than {self._last}")

    def _told(self):
        error, text = self._bus.call(guest.BUS_PATH, guest.MANAGER, "Snapshot", "s", "openmetrics", result="h")
        return None if error else {head: value for head, tenant, value in self.LINE.findall(text)
                                   if tenant in (self._resting, self._loaded)}

    def look(self):
        """What is told otherwise, and None where nobody answers."""
        told, last = self._told(), self._last
        if told is None:
            return None
        self._last = told
        return [f"{head} was {last[head]} and is {told.get(head)}" for head in last
                if head not in told or (told[head] != last[head] if f'tenant="{self._resting}"' in head
                                        else float(told[head]) < float(last[head]))]


def classes():
    """Queue, floors and ceilings, in no order."""
    text = run("tc", "qdisc", "show", "dev", UPLINK, "root").stdout + run("tc", "class", "show", "dev", UPLINK).stdout
    return sorted(re.findall(r"^(?:qdisc htb 4847:|class htb .*rate .*ceil \S+)", text, re.M))


def check_pace(group, begun, used):
    """Over all the kills no more than its quota. A stretch that the host took from a guest is charged at once, and paid back."""
    now, at = guest.cpu_used(group), time.monotonic()
    allowed = 1.1 * CPU_MILLICORES / 1000 * (at - begun + PERIOD)
    note(f"it used {(now - used) / 1e6:.3f} s of CPU in {at - begun:.3f} s")
    check((now - used) / 1e6 <= allowed, f"it used {(now - used) / 1e6:.3f} s of CPU in {at - begun:.3f} s: over its cap")


def await_next(node, killed):
    """The daemon after that one; it may be on its way yet."""
    return wait(lambda: (pid := node.main_pid()) not in (0, killed) and pid, BOUND, "the next daemon")


def usage(tenant):
    error, text = guest.Bus().call(guest.BUS_PATH, guest.MANAGER, "Snapshot", "s", "json", result="h")
    check(error is None, f"no snapshot: {error} {text}")
    return guest.show("tenant", tenant)["Usage"]


def kill_rounds(node):
    hold_under_load(node, kill_at_random)


def kill_at_random(node, sampler):
    chance, killed = random.Random(SEED), 0
    for _ in range(ROUNDS):
        pid = await_next(node, killed)
        time.sleep(chance.uniform(0, LATEST_KILL))  # what is waited for is the random moment
        os.kill(pid, signal.SIGKILL)
        killed = pid
        sampler.wait_looked()
    await_next(node, killed)


def hold_under_load(node, disturb):
    """Whatever disturb(node, sampler) does, of a tenant under load nothing is loosened, and no count is lost."""
    requests = [guest.request(guest.new_id(name), SHARE) for name in ("static", "resting")]
    guest.ctl("apply", "-", stdin=json.dumps(requests))
    try:
        under_load(node, *[request["TenantId"] for request in requests], disturb)
    finally:  # of this daemon: there may be another at the end of the case
        wait(node.ready, BOUND, "the daemon")
        for request in requests:
            guest.release(request["AllocationId"])


def start_sender(tenant):
    sender = guest.start_in(tenant, "python3", "-c", SENDER, stdout=subprocess.PIPE, text=True)
    check(sender.stdout.readline() == "sending\n", "the sender did not begin")
    return sender


def end_sender(sender):
    """How many packets it has sent."""
    sender.send_signal(signal.SIGTERM)
    return int(sender.communicate(timeout=BOUND)[0])


def wait_empty(group):
    wait(lambda: "populated 0" in read(group / "cgroup.events"), BOUND, f"{group} to be empty")


def under_load(node, tenant, resting, disturb):
    group = node.group_of(tenant)
    sender = start_sender(resting)
    wait(lambda: usage(resting)["net.egress.packets"] > 10, BOUND, "some packets")
    sent = end_sender(sender)
    wait_empty(node.group_of(resting))
    equal(usage(resting)["net.egress.packets"], sent, "net.egress.packets of the tenant that rests")
    sender = start_sender(tenant)
    burners = [guest.start_in(tenant, "sh", "-c", "while :; do :; done") for _ in range(2)]
    begun = guest.cpu_used(group)
    wait(lambda: guest.cpu_used(group) > begun + 300_000, BOUND, "the load to use some CPU")

    ids, inode = bpf.pinned_ids(node.pins), os.stat(group).st_ino
    check(sum("net-egress" in name or "sched-switch" in name for name in ids) >= 2, f"pins: {list(ids)}")
    sampler = Sampler()
    capped = (group / "cpu.max").exists()
    for path in [group / name for name in CAPS] + [group.parent / "memory.low"]:
        if path.exists():
            sampler.add(str(path), lambda path=path: read(path), 0.005)
    sampler.add("classes of the uplink", classes, 0.02)
    openings = Openings(resting, tenant)
    sampler.add("counters", lambda: openings.look() or [], 0.1)
    at, used = time.monotonic(), guest.cpu_used(group)
    disturb(node, sampler)
    wait(node.ready, BOUND, "the daemon after all that")
    if capped:
        check_pace(group, at, used)
    sampler.end()
    note(f"looked at {sampler.looks}")
    check(not sampler.strange, "\n".join(sampler.strange))
    equal(openings.look(), [], "counters that the last daemon did not open with as they were")
    guest.same(ids, bpf.pinned_ids(node.pins), "ids of what is pinned")
    equal(os.stat(group).st_ino, inode, "the group's id")
    check_counts(tenant, group, burners, sender)


# "w0 = 0" and "w0 = 1" before an exit, and the same with 64 bits: of one meaning, but the kernel's tag of a program is another.
RETURNS = [[bytes([code, 0, 0, 0, value, 0, 0, 0, 0x95]) + bytes(7) for code in (0xb4, 0xb7)] for value in (0, 1)]


def with_other_programs(daemon):
    """Its binary, as another version's is in which every BPF program that counts is another."""
    binary = daemon.read_bytes()
    for old, new in RETURNS:
        check(old in binary, "its BPF programs do not end as they are expected to")
        binary = binary.replace(old, new)
    return binary


# What hangs by links of its own, and what stubs that hang go on to.
COUNTING = ("/net-egress-", "/net-ingress-", "/tcp-", "/sched_switch_", "/sched_migrate_", "/oom_")


def untagged(pins):
    """By the names without what changes with the program."""
    return {re.sub("-[0-9a-f]{16}$", "", name): value for name, value in pins.items()}


def look_at_links(node):
    try:
        return {name: number for name, number in untagged(bpf.pinned_ids(node.pins)).items()
                if any(word in name for word in ("/net-egress-", "/net-ingress-", "/tcp-", "-stub-"))}
    except FileNotFoundError:
        return None


def links(node):
    """The ids of what counts and classes, and outlives the daemon: read twice, as a pin may get another name meanwhile."""
    while (found := look_at_links(node)) is None or found != look_at_links(node):
        pass
    return found


def exchange(node, sampler, install, versions):
    """Installs one after the other, which are in turn of other programs and of those that hang now."""
    check(len(links(node)) >= 3, f"links: {links(node)}")
    sampler.add("ids of links", lambda: links(node), 0.02)
    here = untagged(bpf.pinned_tags(node.pins))
    for i, version in enumerate(versions):
        pid, begun = node.main_pid(), time.monotonic()
        install(version)
        await_next(node, pid)
        wait(node.ready, BOUND, "the daemon")
        note(f"{version} is there after {time.monotonic() - begun:.1f} s")
        sampler.wait_looked()
        tags = untagged(bpf.pinned_tags(node.pins))
        for name in here if i % 2 else [name for name in here if any(word in name for word in COUNTING)]:
            equal(tags.get(name) == here[name], bool(i % 2), f"that the program behind {name} is the one that was")


def check_counts(tenant, group, burners, sender):
    """Of all that ran and was sent from the first moment on, nothing is missing and nothing is counted twice."""
    sent = end_sender(sender)
    for process in burners:
        guest.end_process(process)
    wait_empty(group)
    now, kernel = usage(tenant), guest.cpu_used(group) * 1000
    note(f"sent {sent} packets; CPU metered {now['cpu.time'] / 1e9:.6f} s, cpu.stat {kernel / 1e9:.6f} s")
    equal(now["net.egress.packets"], sent, "net.egress.packets")
    check(abs(now["cpu.time"] - kernel) <= 0.005 * kernel, f"cpu.time is {now['cpu.time']}, cpu.stat {kernel}")
