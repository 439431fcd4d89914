# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the kernel says: files of control groups, and the text of tc(8).

The main job judges Headgate by these alone, so nothing here asks Headgate for anything. It parses tc's text, not
its JSON: Debian 12's prints classes as text whatever is asked. It changes nothing, but for killing a group.
"""

import collections
import os
import re
import subprocess
import threading
import time

CGROUP = '/sys/fs/cgroup'
ETHERNET_HEADER = 14  # bytes that a class counts in each packet and the network meter, which sees IP, does not
HTB_MAJOR = '4847'    # Headgate's mark on a queueing discipline

Class = collections.namedtuple('Class', 'rate ceil bytes packets dropped backlog_bytes backlog_packets')


class Group:
    """The files of one control group, by its path below the mount."""

    def __init__(self, path):
        self.path = CGROUP + path

    def text(self, name):
        with open(f'{self.path}/{name}') as file:
            return file.read().strip()

    def number(self, name):
        text = self.text(name)
        return None if text == 'max' else int(text)

    def flat(self, name):
        return {key: int(value) for key, value in (line.split() for line in self.text(name).splitlines())}

    def cpu_usec(self):
        return self.flat('cpu.stat')['usage_usec']

    def millicores(self):
        """The CPU limit; None: none."""
        quota, period = self.text('cpu.max').split()
        return None if quota == 'max' else int(quota) * 1000 // int(period)

    def kill(self):
        """Ends every process in it and below, and waits until they are gone."""
        with open(f'{self.path}/cgroup.kill', 'w') as file:
            file.write('1')
        deadline = time.monotonic() + 20
        while self.flat('cgroup.events')['populated']:
            if time.monotonic() > deadline:
                raise RuntimeError(f'{self.path} still has processes 20 s after cgroup.kill')
            time.sleep(0.05)


def pages_moved():
    """How many pages the kernel has moved since its boot, most of them to have larger pieces of free memory."""
    with open('/proc/vmstat') as file:
        return int(dict(line.split() for line in file).get('pgmigrate_success', 0))


def counts_moving_pages_twice():
    """Before 6.7 a page that moves is charged to its group at both places for a moment, past memory.max where need be
    (mem_cgroup_migrate())."""
    return tuple(map(int, re.match(r'(\d+)\.(\d+)', os.uname().release).groups())) < (6, 7)


def parse_rate(text):
    units = {'bit': 1, 'Kbit': 10**3, 'Mbit': 10**6, 'Gbit': 10**9}
    number, unit = re.fullmatch(r'([0-9.]+)([A-Za-z]*)', text).groups()
    return round(float(number) * units[unit])


def parse_size(text):
    number, unit = re.fullmatch(r'([0-9.]+)([KMG]?)b', text).groups()
    return round(float(number) * {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[unit])


SENT = re.compile(r'Sent (\d+) bytes (\d+) pkt \(dropped (\d+),.*?backlog (\S+) (\d+)p', re.DOTALL)


def split_objects(text, kind):
    """Each object of tc's output starts at the edge of the page."""
    return [part for part in re.split(rf'^(?={kind} )', text, flags=re.MULTILINE) if part.startswith(kind + ' ')]


def parse_classes(classes, qdiscs):
    """Minor number to Class. What a leaf's own queue dropped is not in its class's count of drops."""
    dropped = {}
    for part in split_objects(qdiscs, 'qdisc'):
        parent = re.search(rf' parent {HTB_MAJOR}:([0-9a-f]+) ', part.splitlines()[0] + ' ')
        if parent:
            dropped[int(parent[1], 16)] = int(SENT.search(part)[3])
    found = {}
    for part in split_objects(classes, 'class'):
        head = re.match(rf'class htb {HTB_MAJOR}:([0-9a-f]+) .*? rate (\S+) ceil (\S+)', part)
        if not head:
            continue
        sent = SENT.search(part)
        minor = int(head[1], 16)
        found[minor] = Class(parse_rate(head[2]), parse_rate(head[3]), int(sent[1]), int(sent[2]),
                             dropped.get(minor, int(sent[3])), parse_size(sent[4]), int(sent[5]))
    return found


def read_classes(device):
    """(when, minor number to Class): one look at the device."""
    begin = time.time()
    classes = subprocess.run(['tc', '-s', 'class', 'show', 'dev', device], check=True, capture_output=True, text=True)
    end = time.time()
    qdiscs = subprocess.run(['tc', '-s', 'qdisc', 'show', 'dev', device], check=True, capture_output=True, text=True)
    return (begin + end) / 2, parse_classes(classes.stdout, qdiscs.stdout)


class Watcher(threading.Thread):
    """Looks at the groups' files all the time: when one's cpu.max changed, and what each had used at many instants."""

    LOOK_SECONDS, SAMPLE_EVERY = 0.1, 8

    def __init__(self, groups, watched):
        super().__init__(daemon=True)
        self.groups = groups      # name to Group
        self.watched = watched    # whose cpu.max
        self.changes = []         # (when, millicores), the first as it was found
        self.samples = []         # (when, {name: cpu µs}, {name: memory bytes})
        self.ending = threading.Event()
        self.error = None

    def run(self):
        try:
            for look in range(1 << 62):
                now = time.time()
                millicores = self.groups[self.watched].millicores()
                if not self.changes or self.changes[-1][1] != millicores:
                    self.changes.append((now, millicores))
                if look % self.SAMPLE_EVERY == 0:
                    self.sample()
                if self.ending.wait(self.LOOK_SECONDS):
                    return
        except OSError as error:
            self.error = error

    def sample(self):
        begin = time.time()
        cpu = {name: group.cpu_usec() for name, group in self.groups.items()}
        self.samples.append(((begin + time.time()) / 2, cpu))

    def stop(self):
        self.ending.set()
        self.join()
        if self.error:
            raise RuntimeError(f'a tenant\'s group went while it was watched: {self.error}')

    def spent(self, name, begin, end):
        """(CPU seconds, seconds) between the first sample after `begin` and the last before `end`."""
        inside = [sample for sample in self.samples if begin <= sample[0] <= end]
        if len(inside) < 2:
            return 0.0, 0.0
        return (inside[-1][1][name] - inside[0][1][name]) / 1e6, inside[-1][0] - inside[0][0]


def leftovers(marker, extra_paths):
    """What a main job may have left on this host, in words: groups, units, links, pins, processes."""
    left = []
    for path, names, _ in os.walk(CGROUP):
        for name in list(names):
            if name == 'headgate.slice' or name.startswith('headgate-') and name.endswith(('.slice', '.scope')):
                left.append(f'control group {path}/{name}')
                names.remove(name)
    if os.path.isdir('/run/systemd/system'):
        units = subprocess.run(['systemctl', 'list-units', '--all', '--plain', '--no-legend', 'headgate.slice',
                                'headgate-*.slice', 'headgate-*.scope'], capture_output=True, text=True).stdout
        left += [f'unit {line.split()[0]}' for line in units.splitlines() if line.strip()]
        for directory in ('/run/systemd/system.control', '/run/systemd/transient', '/etc/systemd/system'):
            if os.path.isdir(directory):
                left += [f'{directory}/{name}' for name in os.listdir(directory)
                         if re.match(r'headgate(-.*)?\.(slice|scope)', name)]
    left += [f'network interface {name}' for name in ('hg0', 'hg1') if os.path.exists(f'/sys/class/net/{name}')]
    left += [path for path in ['/run/netns/hg-peer', *extra_paths] if os.path.exists(path)]
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/environ', 'rb') as file:
                if int(pid) != os.getpid() and marker.encode() in file.read():
                    left.append(f'process {pid}')
        except OSError:
            pass
    return left
