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
    request = guest.request(guest.new_id("static"), SHARE)
    guest.ctl("apply", "-", stdin=json.dumps(request))
    try:
        under_load(node, request["TenantId"], disturb)
    finally:  # of this daemon: there may be another at the end of the case
        wait(node.ready, BOUND, "the daemon")
        guest.release(request["AllocationId"])


def under_load(node, tenant, disturb):
    group = node.group_of(tenant)
    sender = guest.start_in(tenant, "python3", "-c", SENDER, stdout=subprocess.PIPE, text=True)
    check(sender.stdout.readline() == "sending\n", "the sender did not begin")
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
    at, used = time.monotonic(), guest.cpu_used(group)
    disturb(node, sampler)
    wait(node.ready, BOUND, "the daemon after all that")
    if capped:
        check_pace(group, at, used)
    sampler.end()
    note(f"looked at {sampler.looks}")
    check(not sampler.strange, "\n".join(sampler.strange))
    guest.same(ids, bpf.pinned_ids(node.pins), "ids of what is pinned")
    equal(os.stat(group).st_ino, inode, "the group's id")
    check_counts(tenant, group, burners, sender)


def check_counts(tenant, group, burners, sender):
    """Of all that ran and was sent from the first moment on, nothing is missing and nothing is counted twice."""
    sender.send_signal(signal.SIGTERM)
    sent = int(sender.communicate(timeout=BOUND)[0])
    for process in burners:
        guest.end_process(process)
    wait(lambda: "populated 0" in read(group / "cgroup.events"), BOUND, "the load to be over")
    now, kernel = usage(tenant), guest.cpu_used(group) * 1000
    note(f"sent {sent} packets; CPU metered {now['cpu.time'] / 1e9:.6f} s, cpu.stat {kernel / 1e9:.6f} s")
    equal(now["net.egress.packets"], sent, "net.egress.packets")
    check(abs(now["cpu.time"] - kernel) <= 0.005 * kernel, f"cpu.time is {now['cpu.time']}, cpu.stat {kernel}")
