# SPDX-License-Identifier: LGPL-2.1-or-later
"""
headgated on the machine that builds, for native tests in Python that are run as TEST HEADGATED HEADGATECTL [CASE…]: in a
network and a mount namespace, below a control group and with a bus, a state and pins of its own, all of which goes with the
case. To be imported first: it runs the test again inside the namespaces. What tests/system/guest.py offers works on it.
"""
import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

if os.geteuid() != 0:
    print("1..0 # SKIP needs root")
    sys.exit(77)
HEADGATED, HEADGATECTL = map(os.path.abspath, sys.argv[1:3])
if sys.argv[3:4] != ["inside"]:
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.argv[0], HEADGATED, HEADGATECTL, "inside", *sys.argv[3:]])
sys.argv[1:] = sys.argv[4:]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
FOLDER = Path(tempfile.mkdtemp(prefix="headgate-test."))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
BUS = f"unix:path={FOLDER}/bus"
os.environ.update(HEADGATE_BUS=BUS, DBUS_SYSTEM_BUS_ADDRESS=BUS, PATH=f"{os.path.dirname(HEADGATECTL)}:{os.environ['PATH']}")

import guest  # noqa: E402
from guest import BOUND, check, cleanup, run  # noqa: E402

TIME_ERROR = 5  # adjtimex(2): not synchronised
RELEASED = 79  # the exit status after which nothing starts it again
MOUNT = Path(next(line.split()[1] for line in open("/proc/mounts") if line.split()[2] == "cgroup2"))


class Node:
    """With the driver for nodes without systemd, and a thread that starts it again at once. `wrap`: what it is run by."""

    def __init__(self, config, prepare=lambda node: None, wrap=()):
        self.root = MOUNT / f"headgate-test-{os.getpid()}"
        self.pins = FOLDER / "bpf/headgate"
        self._program = HEADGATED
        self._command = [*wrap, HEADGATED, f"--config={FOLDER}/conf", f"--bus={BUS}", f"--state-dir={FOLDER}/state",
                         f"--pin-dir={self.pins}", "--cgroup-driver=cgroupfs", f"--cgroup-root=/{self.root.name}"]
        self.root.mkdir()
        cleanup(self._remove)
        (FOLDER / "bpf").mkdir(exist_ok=True)
        run("mount", "-t", "bpf", "bpf", str(FOLDER / "bpf"))
        (FOLDER / "conf").write_text(f"{config}\n[clock]\nrequire-sync = no\n")
        self._bus = subprocess.Popen(["dbus-daemon", "--session", f"--address={BUS}", "--nofork", "--print-address"],
                                     stdout=subprocess.PIPE)
        cleanup(guest.end_process, self._bus)
        check(self._bus.stdout.readline(), "no bus")
        self._log = open(FOLDER / "log", "w")
        prepare(self)
        self._process, self._ended = None, False
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        cleanup(self.end)
        guest.wait(self.ready, BOUND, "the daemon")

    def _keep(self):
        while not self._ended:
            self._process = subprocess.Popen(self._command, stderr=self._log)
            if self._process.wait() == RELEASED:
                self._ended = True
            self._process = None

    def wait_ended(self):
        self._keeper.join(BOUND)
        check(not self._keeper.is_alive(), "the daemon is still there")

    def replace(self, program):
        """Ends the daemon; what is started next is that one."""
        self._command[self._command.index(self._program)] = self._program = program
        os.kill(self.main_pid(), signal.SIGTERM)

    def stop(self):
        """What is in the kernel stays."""
        self._ended = True
        if process := self._process:
            process.terminate()
        self.wait_ended()

    def end(self):
        self.stop()
        run(*self._command, "--release")
        check(not (self.root / "headgate").exists(), "its group is left")

    def _remove(self):
        for directory, _, _ in os.walk(self.root, topdown=False):
            os.rmdir(directory)
        run("umount", str(FOLDER / "bpf"), code=None)
        shutil.rmtree(FOLDER / "state", ignore_errors=True)

    def group_of(self, tenant):
        return self.root / "headgate" / tenant

    def main_pid(self):
        process = self._process
        return process.pid if process else 0

    def ready(self):
        return guest.ctl("status", code=None).returncode in (0, 3)


def doubt_clock(node):
    """Until it is synchronised, or an operator says so."""
    path = FOLDER / "conf"
    path.write_text(path.read_text().replace("require-sync = no", "require-sync = yes"))


def clock_is_synchronised():
    return ctypes.CDLL("libc.so.6").adjtimex(ctypes.create_string_buffer(1024)) != TIME_ERROR


def add_uplink(name):
    """A veth whose other end is here too."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", name, "type", "veth", "peer", "name", name + "p")
    run("ip", "link", "set", name, "up")
    run("ip", "link", "set", name + "p", "up")
    cleanup(run, "ip", "link", "delete", name)


def make_namespace(device):
    """A network namespace to which this veth leads, until the end. Returns what a command is run with there."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo && exec sleep infinity"], stdout=subprocess.PIPE)
    cleanup(guest.end_process, holder)
    holder.stdout.readline()
    inside = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", device, "type", "veth", "peer", "name", "inside", "netns", str(holder.pid))
    cleanup(run, "ip", "link", "delete", device)
    run("ip", "link", "set", device, "up")
    for name in ("lo", "inside"):
        run(*inside, "ip", "link", "set", name, "up")
    return inside


def add_far_uplink(name, here, there):
    """With addresses at both ends ({4: …, 6: …})."""
    far = make_namespace(name)
    for wrap, device, addresses in (([], name, here), (far, "inside", there)):
        run(*wrap, "ip", "address", "add", addresses[4] + "/24", "dev", device)
        run(*wrap, "ip", "address", "add", addresses[6] + "/64", "dev", device, "nodad")
    return far


def add_namespace(device, router, address, bridge=None):
    """As a container's, behind a router or a bridge."""
    inside = make_namespace(device)
    if bridge:
        run("ip", "link", "set", device, "master", bridge)
    else:
        run("ip", "address", "add", router + "/24", "dev", device)
    run(*inside, "ip", "address", "add", address + "/24", "dev", "inside")
    run(*inside, "ip", "route", "add", "default", "via", router)
    return inside
