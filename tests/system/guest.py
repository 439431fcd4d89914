# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the system tests in Python share: cases printed as TAP, headgatectl and D-Bus as any user, the kernel's files, and
waiting for something to happen within a bound. It judges nothing by itself, and refuses to run anywhere but on a node
with headgated installed. Ids are new in each run: ended allocations stay on the bus for an hour.
"""

import atexit
import contextlib
import ctypes
import difflib
import json
import os
import pwd
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
PARENT = CGROUP / "headgate.slice"
PINS = Path("/sys/fs/bpf/headgate")
SERVICE = "headgated.service"

BUS_NAME = "org.headgate.Node1"
BUS_PATH = "/org/headgate/Node1"
MANAGER = BUS_NAME + ".Manager"
TENANT = BUS_NAME + ".Tenant"
ALLOCATION = BUS_NAME + ".Allocation"
PROPERTIES = "org.freedesktop.DBus.Properties"
DENIED = "org.headgate.Error.AccessDenied"

SECOND = 1_000_000  # µs, as everywhere in the interface
MIB = 1 << 20
BOUND = 30  # seconds for what has no promise of its own

# What headgated.conf says a tenant has outside its windows (no test changes it).
RESIDUAL_CPU = 50
RESIDUAL_TASKS = 256


class Failure(Exception):
    """A case's reason to fail."""


_cases = []
_cleanups = contextlib.ExitStack()  # of the case that runs
_at_end = contextlib.ExitStack()
atexit.register(_at_end.close)


def case(name):
    def add(function):
        _cases.append((name, function))
        return function
    return add


def note(text):
    print("# " + str(text).replace("\n", "\n#   "), flush=True)


def check(truth, why):
    if not truth:
        raise Failure(why)


def equal(have, want, what):
    check(have == want, f"{what} is {have!r}, expected {want!r}")


def within(have, low, high, what):
    check(low <= have <= high, f"{what} is {have}, expected {low} to {high}")


_in_case = False


def cleanup(function, *args, **kwargs):
    """To be called after this case; outside of one, at the end of the script."""
    (_cleanups if _in_case else _at_end).callback(function, *args, **kwargs)


def main():
    global _in_case, _cleanups
    if os.geteuid() != 0 or not shutil.which("headgatectl"):
        sys.exit("this is for root, where headgated is installed (tests/vm/run)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = [word for word in sys.argv[1:] if not word.startswith("-") and not word.isdigit()]
    failed = 0
    for name, function in _cases:
        if wanted and not any(word in name for word in wanted):
            continue
        begin = time.monotonic()
        problems = []
        _in_case = True
        try:
            function()
        except Failure as e:
            problems.append(str(e))
        except Exception as e:  # a broken test is a failed one
            frame = e.__traceback__
            while frame.tb_next:
                frame = frame.tb_next
            problems.append(f"{type(e).__name__}: {e} ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})")
        try:
            _cleanups.close()
        except Exception as e:
            problems.append(f"what it changed could not be put back: {e}")
        _in_case = False
        _cleanups = contextlib.ExitStack()
        print(f"{'not ok' if problems else 'ok'} - {name}", flush=True)
        for problem in problems:
            note(problem)
        failed += bool(problems)
        note(f"{time.monotonic() - begin:.1f} s")
    sys.exit(failed > 0)


# Commands

def run(*words, user=None, stdin="", code=0, timeout=120):
    """Runs to the end; `code` None: any. The result has stdout, stderr, returncode."""
    done = subprocess.run(as_words(user) + list(words), input=stdin, capture_output=True, text=True, timeout=timeout)
    if code is not None:
        equal(done.returncode, code, f"exit code of {' '.join(words)[:200]} ({done.stderr.strip()[:500]})")
    return done


def as_words(user):
    if not user:
        return []
    entry = pwd.getpwnam(user)
    return ["setpriv", "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--init-groups"]


def ctl(*words, **kwargs):
    return run("headgatectl", *words, **kwargs)


def show(kind, name, **kwargs):
    """A tenant's or an allocation's properties under their D-Bus names."""
    return json.loads(ctl("show", "--json", f"{kind}/{name}", **kwargs).stdout)


def add_user(name, *groups):
    """A user until the end of the script. All groups at once: the bus daemon remembers whom it has seen."""
    if name not in [entry.pw_name for entry in pwd.getpwall()]:
        run("useradd", "--system", "--no-create-home", "--shell", "/bin/sh", "--groups", ",".join(groups), name)
        cleanup(run, "userdel", name, code=None)
    return name


def start_in(tenant, *words, options=(), **kwargs):
    """`headgatectl run`, which becomes the command. Ended with the case."""
    process = subprocess.Popen(["headgatectl", "run", *options, tenant, "--", *words], **kwargs)
    cleanup(end_process, process)
    return process


def end_process(process):
    process.kill()
    process.wait(BOUND)


def wait_inside(process, tenant):
    """Until the process is in the tenant's group."""
    group = "/" + str(group_of(tenant).relative_to(CGROUP))
    wait(lambda: f"0::{group}" in Path(f"/proc/{process.pid}/cgroup").read_text() or check(
        process.poll() is None, f"it has ended with {process.poll()}"), BOUND, "a process in " + tenant)


# Time

def utc():
    return time.time_ns() // 1000


def until(usec):
    """Until that instant: what is waited for is the clock itself."""
    while (left := usec - utc()) > 0:
        time.sleep(left / SECOND)


def wait(ready, seconds, what):
    """Until ready() is true, and what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline
        try:
            result = ready()
        except FileNotFoundError:
            result = None
        if result:
            return result
        check(not late, f"waited {seconds} s in vain for {what}")
        time.sleep(0.003)


class Watch:
    """Looks at a value every few milliseconds, in a thread, and keeps each change with its time in UTC."""

    def __init__(self, read):
        self.seen = []
        self._read = read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._look_once()
        self._thread.start()
        cleanup(self.stop)

    def _look_once(self):
        try:
            value = self._read()
        except OSError:
            value = None
        if not self.seen or self.seen[-1][1] != value:
            self.seen.append((utc(), value))

    def _look(self):
        while not self._stop.wait(0.003):
            self._look_once()

    def stop(self):
        self._stop.set()
        self._thread.join()
        return [value for _, value in self.seen]

    def when(self, value, seconds, what):
        """When it first had the value."""
        return wait(lambda: next((at for at, seen in self.seen if seen == value), 0), seconds,
                    f"{what} to be {value!r}; it was {self.seen}")


# Allocations

_numbers = iter(range(1, 1 << 30))


def new_id(stem):
    return f"{stem}-{os.getpid()}-{next(_numbers)}"


def request(tenant, resources, **keys):
    return {"AllocationId": new_id("alloc"), "Generation": 1, "TenantId": tenant, "Resources": resources, **keys}


def apply(*requests, code=0, **kwargs):
    """Sends them as one, to be released after the case. Returns their ids."""
    done = ctl("apply", "--json", "-", stdin=json.dumps(requests), code=code, **kwargs)
    ids = [one["AllocationId"] for one in requests]
    if done.returncode == 0:
        for name in ids:
            cleanup(release, name)
    return ids


def release(name):
    ctl("release", "--reason", "end of a test", name)


def allocation_states(names):
    states = {one["AllocationId"]: one["State"] for one in json.loads(ctl("list", "--json").stdout)}
    return [states.get(name) for name in names]


def wait_state(name, state, seconds=BOUND):
    return wait(lambda: (found := show("allocation", name))["State"] == state and found, seconds, f"{name} to be {state}")


# The kernel's files

def group_of(tenant):
    """The slice of a tenant, by DESIGN.md's rule."""
    return PARENT / f"headgate-{tenant}.slice".replace(tenant, tenant.replace("-", "\\x2d"))


def unit_of(tenant):
    return group_of(tenant).name


def read(path):
    return Path(path).read_text().strip()


def number(path):
    text = read(path)
    return None if text == "max" else int(text)


def cpu_limit(group):
    """Millicores; None: unlimited."""
    quota, period = read(group / "cpu.max").split()
    return None if quota == "max" else round(int(quota) * 1000 / int(period))


def cpu_used(group):
    """µs"""
    return int(re.search(r"^usage_usec (\d+)", read(group / "cpu.stat"), re.M).group(1))


def frozen(group):
    return "frozen 1" in read(group / "cgroup.events")


# Measured or reported, not set; memory.peak is writable since 6.12, to be reset. Files of pressure take triggers.
_MEASURED = re.compile(r"\.pressure$|\.peak$|^memory\.reclaim$|^cgroup\.kill$")


def settings_of(top):
    """Every settings file of a group and of those below it: path and text; and each group's id."""
    state = {}
    for directory, _, names in os.walk(top):
        state[directory] = str(os.stat(directory).st_ino)
        for name in names:
            path = os.path.join(directory, name)
            if _MEASURED.search(name) and name != "cgroup.pressure" or not os.stat(path).st_mode & 0o200:
                continue
            try:
                state[path] = Path(path).read_text()
            except OSError:
                state[path] = "unreadable"
    return state


def tree_of(top):
    """Names, kinds and texts below a directory, or of the file."""
    top = Path(top)
    state = {}
    for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
        st = path.lstat()
        state[str(path)] = f"{st.st_mode:o} {st.st_uid}:{st.st_gid} "
        if path.is_file():
            state[str(path)] += path.read_text(errors="replace")
    return state


def traffic_state(devices=None):
    """All that `tc` shows of them, or of every device, without its counters."""
    state = {}
    for device in sorted(devices if devices is not None else os.listdir("/sys/class/net")):
        lines = ["qdisc show", "class show", "filter show", "filter show ingress", "filter show egress"]
        text = "".join(f"{line.replace(' show', ' show dev ' + device)}\n" for line in lines)
        # Of hooks that there are not it says so, and goes on. Classes of fq_codel are packets that wait just now.
        shown = run("tc", "-force", "-batch", "-", stdin=text, code=None).stdout.splitlines()
        state[device] = "\n".join(line for line in shown if not line.startswith("class fq_codel "))
    return state


def kernel_state():
    """What a refused request must leave as it was, by name."""
    state = settings_of(PARENT)
    state.update({f"tc {name}": text for name, text in traffic_state().items()})
    state.update(pins())
    state["units"] = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "headgate*.slice", "headgate*.scope").stdout
    for directory in ("/run/systemd/system.control", "/run/systemd/transient"):
        state.update({path: text for path, text in tree_of(directory).items() if "headgate" in path})
    return state


def pins():
    return {str(path): str(path.stat().st_ino) for path in sorted(PINS.rglob("*"))}


def differences(before, after):
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            lines.append(name)
            texts = [state.get(name, "").splitlines() for state in (before, after)]
            lines += list(difflib.unified_diff(*texts, n=0, lineterm=""))[2:]
    return "\n".join(line[:300] for line in lines[:40])


def same(before, after, what):
    check(before == after, f"{what}:\n{differences(before, after)}")


# The service

def main_pid():
    return int(show_unit(SERVICE, "MainPID"))


def start_service():
    run("systemctl", "start", SERVICE)  # returns once it has said READY=1


def stop_service():
    cleanup(start_service)
    run("systemctl", "stop", SERVICE)


def restart_service():
    run("systemctl", "restart", SERVICE)


def begin_anew():
    """A node without tenants. What other tests had stays on it for an hour; each of those tenants is looked at at a start,
    and told of in each scrape."""
    ctl("release", "--all")
    wait(lambda: state_of(SERVICE) in ("inactive", "failed"), BOUND, SERVICE + " to be gone")
    for path in Path("/var/lib/headgate").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    start_service()


def kill_service():
    """kill -9, and systemd, told at once to stop it, does not start it again."""
    cleanup(start_service)
    bus, pid = Bus(), main_pid()
    os.kill(pid, signal.SIGKILL)
    error, why = bus.call("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "StopUnit", "ss", SERVICE, "replace",
                          name="org.freedesktop.systemd1")
    check(error is None, f"{SERVICE} was not stopped: {error} {why}")
    wait(lambda: state_of(SERVICE) in ("inactive", "failed"), BOUND, SERVICE + " to be gone")
    equal([show_unit(SERVICE, "ExecMainPID"), show_unit(SERVICE, "ExecMainStatus")], [str(pid), "9"], "who ended, and of what")


def state_of(unit):
    return show_unit(unit, "ActiveState")


def show_unit(unit, name):
    return run("systemctl", "show", "--value", "--property=" + name, unit).stdout.strip()


def add_uplink(name="hgt0", capacity="100M", prepare=lambda name: None):
    """An uplink, until it is cleaned up: a veth whose other end is here too. `prepare` gets it before the daemon does."""
    config = Path("/etc/headgate/headgated.conf.d/90-test.conf")

    def remove():
        config.unlink(missing_ok=True)
        run("ip", "link", "delete", name)
        restart_service()
    run("ip", "link", "add", name, "type", "veth", "peer", "name", name + "p")
    run("ip", "link", "set", name, "up")
    run("ip", "link", "set", name + "p", "up")
    cleanup(remove)
    prepare(name)
    config.parent.mkdir(exist_ok=True)
    config.write_text(f"[uplink {name}]\ncapacity={capacity}\n")
    restart_service()
    return name


# D-Bus, by libsystemd

class _Error(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("message", ctypes.c_char_p), ("need_free", ctypes.c_int)]


class Bus:
    """A connection to the system bus, as whoever this process is."""

    def __init__(self):
        self._lib = ctypes.CDLL("libsystemd.so.0")
        self._bus = ctypes.c_void_p()
        r = self._lib.sd_bus_open_system(ctypes.byref(self._bus))
        # The bus waits some seconds, and not longer, for a client that has not said who it is, which it does when it is asked.
        r = r if r < 0 else self._lib.sd_bus_get_unique_name(self._bus, ctypes.byref(ctypes.c_char_p()))
        check(r >= 0, f"no bus: {os.strerror(-r)}")

    def call(self, path, interface, member, signature="", *args, name=BUS_NAME, result=None):
        """(error's name or None, its message or the reply's value of type `result`)"""
        error = _Error()
        reply = ctypes.c_void_p()
        r = self._lib.sd_bus_call_method(self._bus, name.encode(), path.encode(), interface.encode(), member.encode(),
                                         ctypes.byref(error), ctypes.byref(reply), signature.encode(), *map(_argument, args))
        if r < 0:
            return (error.name or b"?").decode(), (error.message or os.strerror(-r).encode()).decode()
        value = None
        if result:
            place = {"s": ctypes.c_char_p, "h": ctypes.c_int}[result]()
            r = self._lib.sd_bus_message_read(reply, result.encode(), ctypes.byref(place))
            check(r >= 0, f"{member} replied with something else: {os.strerror(-r)}")
            if result == "h":
                size = os.fstat(place.value).st_size
                value = os.pread(place.value, size, 0).decode()
            else:
                value = place.value.decode()
        self._lib.sd_bus_message_unref(reply)
        return None, value

    def get(self, path, interface, name):
        """Whether it may be read: the error's name or None."""
        return self.call(path, PROPERTIES, "Get", "ss", interface, name)[0]

    def received(self):
        """Interface.Member of every signal that came for our objects up to now."""
        found = []
        message = ctypes.c_void_p()
        for function in ("path", "interface", "member"):
            getattr(self._lib, "sd_bus_message_get_" + function).restype = ctypes.c_char_p
        while self._lib.sd_bus_process(self._bus, ctypes.byref(message)) > 0:
            if not message:
                continue
            words = [getattr(self._lib, "sd_bus_message_get_" + name)(message) or b""
                     for name in ("path", "interface", "member")]
            if words[0].decode().startswith(BUS_PATH):
                found.append((words[1] + b"." + words[2]).decode())
            self._lib.sd_bus_message_unref(message)
        return found


def _argument(value):
    return value.encode() if isinstance(value, str) else ctypes.c_uint64(value) if isinstance(value, int) else value


COUNT_0 = ctypes.c_uint(0)  # of an array


def arguments(signature):
    """Something for each argument that a method takes, by its type."""
    out, i = [], 0
    while i < len(signature):
        if signature[i] == "a":
            i += 1
            while signature[i] == "a":
                i += 1
            depth = 0
            while True:
                depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[i], 0)
                if depth == 0:
                    break
                i += 1
            out.append(COUNT_0)
        elif signature[i] == "v":
            out += ["s", "x"]
        else:
            out.append({"s": "x", "o": "/", "t": 1, "u": ctypes.c_uint(1), "b": ctypes.c_int(1)}[signature[i]])
        i += 1
    return out


class Fork:
    """A child that does something as another user; its answer is JSON."""

    def __init__(self, user, function):
        answer_read, answer_write = os.pipe()
        self._stdin_read, self._stdin_write = os.pipe()
        self._answer = os.fdopen(answer_read)
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                entry = pwd.getpwnam(user)
                os.initgroups(user, entry.pw_gid)
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
                with os.fdopen(answer_write, "w") as out:
                    for value in function(os.fdopen(self._stdin_read)):
                        out.write(json.dumps(value) + "\n")
                        out.flush()
                code = 0
            except BaseException as e:
                sys.stderr.write(f"# as {user}: {type(e).__name__}: {e}\n")
            finally:
                os._exit(code)
        os.close(answer_write)
        os.close(self._stdin_read)

    def next(self):
        ready, _, _ = select.select([self._answer], [], [], BOUND)
        check(ready, f"no answer in {BOUND} s")
        line = self._answer.readline()
        check(line, "it died")
        return json.loads(line)

    def go_on(self):
        os.write(self._stdin_write, b"\n")

    def end(self):
        self._answer.close()
        os.close(self._stdin_write)
        os.waitpid(self.pid, 0)


def as_user(user, function):
    """What function(bus) returns, called as the user."""
    child = Fork(user, lambda _: iter([function(Bus())]))
    try:
        return child.next()
    finally:
        child.end()


def temporary_directory():
    path = Path(tempfile.mkdtemp(prefix="headgate-test."))
    cleanup(shutil.rmtree, path, ignore_errors=True)
    return path
