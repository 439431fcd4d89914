# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What ten tenants ask for of all resources, before and after, and all that the kernel then has of it: the groups' files,
what may be opened in each, classes and queues both ways, pins, systemd's units. It judges nothing.
"""

import errno
import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
import bpf  # noqa: E402

UPLINK, PACED = "hg0", "hg2"  # by classes, both ways, and by times of departure
MIB = 1 << 20
MAJOR = 4000  # no driver's: who is let through to it is answered with ENXIO

# In percent of what can be reserved, which is all given away before and after. 0: best-effort.
OLD = {"t0": 12, "t1": 12, "t2": 12, "t3": 12, "t4": 12, "t5": 12, "t6": 0, "t7": 28}
NEW = {"t0": 4, "t1": 4, "t2": 0, "t3": 4, "t4": 20, "t5": 20, "t6": 12, "t7": 16, "t8": 8, "t9": 12}
GENERATIONS = OLD, NEW
# Of two CPUs each is somebody's alone once, and all others' the other time.
ALONE = ("t7", "1"), ("t8", "0")
CPUS = {"t5": "0"}, {"t5": "1", "t7": "1"}
NODES = {"t1": "0"}, {"t2": "0"}
DEVICES = {"t0": [[f"c {MAJOR}:0", "rw"]], "t1": [[f"c {MAJOR}:1", "r"]], "t2": [[f"c {MAJOR}:0", "rw"], [f"c {MAJOR}:1", "w"]]}, \
          {"t1": [[f"c {MAJOR}:0", "rw"]], "t2": [[f"c {MAJOR}:0", "r"]], "t3": [["/dev/null", "rw"]], "t8": [[f"c {MAJOR}:1", "rw"]]}

# Measured or commanded, not set; memory.peak is writable since 6.12, to be reset.
UNLIMITED = str((1 << 63) - 4096)  # hugetlb.*.max where nobody has written; "max" of the same is shown where somebody has
MEASURED = re.compile(r"\.pressure$|\.peak$|^memory\.reclaim$|^cgroup\.(kill|procs|threads)$")


def run(*words, check=True, **kwargs):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, **kwargs)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}")
    return done


def requests(generation, capacity):
    """What is limited by device names the one that there is an ability of, if any. Every second tenant is guaranteed, and t4
    changes its class: what of its memory is low becomes min."""
    shares, (alone, cpu), asked = GENERATIONS[generation - 1], ALONE[generation - 1], []
    can_be_alone = os.cpu_count() > 1
    disk = next((name for name in capacity if name.startswith("io.read@")), None)
    # Of the CPU less: with many groups beside it, the parent's weight for all of it would be more than the largest.
    totals = {"cpu": (capacity["cpu"] - 1000 * can_be_alone) * 6 // 10,
              **{name: capacity[name] for name in
                 ("memory", f"net.egress@{UPLINK}", f"net.egress@{PACED}", f"net.ingress@{UPLINK}", disk) if name in capacity}}
    for i, (name, percent) in enumerate(shares.items()):
        times = 1 if i % 2 or (name, generation) == ("t4", 2) else 2
        some = percent or 5
        resources = {kind: [total * percent // 100, times * (total * some // 100)] for kind, total in totals.items()}
        resources |= {"swap": [0, some * MIB], "tasks": [0, 100 * some], "hugetlb.2M": [0, 2 * some * MIB],
                      "io.write": [0, some * MIB], "iops.read": [0, 100 * some], "iops.write": [0, 200 * some]}
        if disk:
            resources[disk.replace("io.read", "iops.write")] = [0, 50 * some]
        if (name, generation) in (("t0", 2), ("t3", 1)):  # what was limited is not, and the other way round
            resources = {kind: amount for kind, amount in resources.items() if not kind.startswith(("io", "hugetlb", "swap"))}
        keys = {"Devices": DEVICES[generation - 1].get(name), "NumaNodes": NODES[generation - 1].get(name)}
        if can_be_alone and name == alone:
            resources["cpu"] = [1000, 1000]
            keys |= {"CpuSet": cpu, "CpuSetMode": "exclusive"}
        elif can_be_alone:
            keys["CpuSet"] = CPUS[generation - 1].get(name)
        asked.append({"AllocationId": "a-" + name, "Generation": generation, "TenantId": name, "Resources": resources,
                      **{key: value for key, value in keys.items() if value}})
    return json.dumps(asked)


def make_nodes(folder):
    """Device nodes of no driver, on a file system where they are nodes."""
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "dev", "tmpfs", str(folder))
    for minor in range(2):
        os.mknod(folder / str(minor), stat.S_IFCHR | 0o600, os.makedev(MAJOR, minor))


def openable(folder, groups):
    """By a process in each of the groups: which nodes it may open, and how."""
    end, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(told, json.dumps(open_in_each(folder, groups)).encode())
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
        finally:  # nothing of the parent's
            os._exit(255)
    os.close(told)
    with open(end, "rb") as pipe:
        text = pipe.read()
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise OSError(code, f"what groups may open is not known: {os.strerror(code)}")
    return json.loads(text)


def open_in_each(folder, groups):
    home, found = own_group(), {}
    for group in groups:
        (group / "cgroup.procs").write_text("0")
        found[group.name] = "".join(answer(folder / str(minor), flags) for minor in range(2) for flags in (os.O_RDONLY, os.O_WRONLY))
    (home / "cgroup.procs").write_text("0")
    return found


def own_group():
    mount = next(words[1] for words in map(str.split, open("/proc/mounts")) if words[2] == "cgroup2")
    path = next(line for line in open("/proc/self/cgroup") if line.startswith("0::"))[3:].strip()
    return Path(mount + path)


def answer(path, flags):
    try:
        os.close(os.open(path, flags))
    except OSError as error:
        return {errno.ENXIO: "+", errno.EPERM: "-"}.get(error.errno, errno.errorcode[error.errno])
    return "opened"


def files(groups):
    """All that can be set of them."""
    state = {}
    for group in groups:
        for file in group.iterdir():
            if file.is_file() and file.stat().st_mode & 0o200 and not MEASURED.search(file.name):
                state[f"{group.name}/{file.name}"] = file.read_text().strip().replace(UNLIMITED, "max")
    return state


def traffic(device):
    """Classes, queues and filters, by handles that stay."""
    asked = "".join(f"{what} show dev {device}{hook}\n" for what, hook in (
        ("class", ""), ("qdisc", ""), ("filter", " ingress"), ("filter", " egress")))
    # Of hooks that there are not it says so, and goes on.
    shown, state = run("tc", "-force", "-batch", "-", input=asked, check=False).stdout.splitlines(), {}
    for line in shown:
        words = re.sub(r" leaf \w+:", " leaf", line).split(None, 3)
        if line.startswith("class htb "):
            state[f"{device} class {words[2]}"] = words[3]
    rest = [re.sub(r"(fq_codel|bfifo) \w+:", r"\1", line) for line in shown if not line.startswith("class ")]
    return state | {f"{device} qdiscs": sorted(line for line in rest if line.startswith("qdisc ")),
                    f"{device} filters": [line for line in rest if not line.startswith("qdisc ")]}


def departures(folder):
    """What each class of the paced uplink is promised, by its slot."""
    path = next(folder.rglob(f"*classes_{socket.if_nametoindex(PACED)}_*"), None)
    return {f"{PACED} class {slot:x}": row for slot, row in bpf.rows(path).items()} if path else {}


def pins(folder, names):
    """By the groups' names, which are the same for one that was made anew."""
    return {"pin " + re.sub(r"-([0-9a-f]{16})-", lambda id: f" of {names.get(id[1], 'nobody, ' + id[1])} ", pin.name): "there"
            for pin in folder.rglob("*")}


def rates(device):
    """Of all leaf classes by minor, in bit/s."""
    shown = run("tc", "class", "show", "dev", device).stdout
    units = {"bit": 1, "Kbit": 1000, "Mbit": 1_000_000}
    return {minor: int(number) * units[unit] for minor, number, unit in re.findall(
        r"class htb 4847:(\w+) parent \S+ .*?rate (\d+)(\w+) ceil", shown)}


def number(path):
    """Of io.weight what stands for every device."""
    return int(re.search(r"\d+", path.read_text())[0])
