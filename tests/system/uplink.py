# SPDX-License-Identifier: LGPL-2.1-or-later
"""
An uplink for the system tests: a veth whose far end is in a network namespace of its own, shaped by headgated from a
drop-in, and the counters of both ends. All of it goes again at the end, and headgated is as it was. It judges nothing,
and leaves other interfaces alone.
"""
import re
import subprocess
from pathlib import Path

import bpf
import guest
from guest import run, wait

NAME, PEER, NAMESPACE = "hg0", "hg0peer", "hg-scheduler"
ADDRESS, PEER_ADDRESS = "10.77.0.1", "10.77.0.2"
MAC, PEER_MAC = "02:00:00:77:00:01", "02:00:00:77:00:02"
DROP_IN = Path("/etc/headgate/headgated.conf.d/91-test-uplink.conf")
DEFAULT_CLASS, CONTROL_CLASS = "4847:10", "4847:11"
ETHERNET_BYTES = 14
UNITS = {"bit": 1, "Kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}


class Counters:
    """What tc says of one class or qdisc: wire bytes, with 14 of Ethernet in each packet."""

    def __init__(self, text):
        sent = re.search(r"Sent (\d+) bytes (\d+) pkt \(dropped (\d+)", text)
        backlog = re.search(r"backlog \S+ (\d+)p", text)
        self.bytes, self.packets, self.dropped = map(int, sent.groups())
        self.backlog_packets = int(backlog.group(1))

    @property
    def ip_bytes(self):
        return self.bytes - ETHERNET_BYTES * self.packets


def guarded_drops():
    """By the handle of their class, packets that the classifier dropped before HTB's lock (bpf/flood-guard.h)."""
    drops = {}
    for path in guest.PINS.glob("flood_*"):
        for slot, row in bpf.rows(path).items():
            drops[f"4847:{0x10 + slot:x}"] = int.from_bytes(bytes.fromhex(row)[32:40], "little")
    return drops


class Class(Counters):
    def __init__(self, text, leaf, guarded):
        super().__init__(text)
        self.rate, self.ceil = (int(float(n) * UNITS[unit]) for n, unit in
                                re.findall(r" (?:rate|ceil) ([\d.]+)([KMG]?bit)", text))
        # Its fq_codel: what its clock threw away, and how many went when it was full, the class does not know.
        self.leaf = leaf
        self.lost = guarded + (leaf.dropped if leaf else 0)


def blocks(text):
    """tc's output, object by object, by handle or parent."""
    for block in re.split(r"\n(?=qdisc |class )", text.strip()):
        if block:
            yield block


class Uplink:
    """Until the case is over, or the script."""

    def __init__(self, capacity, more="", queues=1):
        guest.cleanup(self.remove)
        self.remove_links()
        run("ip", "netns", "add", NAMESPACE)
        run("ip", "link", "add", NAME, "address", MAC, "numtxqueues", str(queues), "type", "veth",
            "peer", "name", PEER, "address", PEER_MAC, "netns", NAMESPACE)
        # Nothing passes here but what a test sends: no neighbour discovery, no ARP.
        run("sysctl", "-qw", f"net.ipv6.conf.{NAME}.disable_ipv6=1")
        self.inside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        run("ip", "address", "add", f"{ADDRESS}/24", "dev", NAME)
        self.inside("ip", "address", "add", f"{PEER_ADDRESS}/24", "dev", PEER)
        # A qdisc, since it counts what the segments of a large packet are on the wire, and an interface does not.
        self.inside("tc", "qdisc", "add", "dev", PEER, "root", "pfifo", "limit", "10000")
        for wrap, name in ((run, NAME), (self.inside, PEER), (self.inside, "lo")):
            wrap("ip", "link", "set", name, "up")
        run("ip", "neighbour", "replace", PEER_ADDRESS, "lladdr", PEER_MAC, "dev", NAME, "nud", "permanent")
        self.inside("ip", "neighbour", "replace", ADDRESS, "lladdr", MAC, "dev", PEER, "nud", "permanent")
        DROP_IN.write_text(f"[uplink {NAME}]\ndefault=yes\ncapacity={capacity}\n{more}")
        guest.restart_service()
        wait(lambda: CONTROL_CLASS in self.classes() or self.is_paced(), guest.BOUND, f"{NAME} to be shaped")

    @staticmethod
    def is_paced():
        """By times of departure, which have no classes."""
        return "headgate_pace" in run("tc", "filter", "show", "dev", NAME, "egress", code=None).stdout

    @staticmethod
    def remove_links():
        run("ip", "link", "delete", NAME, code=None)
        run("ip", "netns", "delete", NAMESPACE, code=None)

    def remove(self):
        self.remove_links()
        if DROP_IN.exists():
            DROP_IN.unlink()
            guest.restart_service()

    @staticmethod
    def inside(*words, **options):
        return run("ip", "netns", "exec", NAMESPACE, *words, **options)

    @staticmethod
    def start_inside(*words, **options):
        """Ended with the case."""
        process = subprocess.Popen(["ip", "netns", "exec", NAMESPACE, *words], **options)
        guest.cleanup(guest.end_process, process)
        return process

    @staticmethod
    def classes():
        leaves = {}
        for block in blocks(run("tc", "-s", "qdisc", "show", "dev", NAME).stdout):
            parent = re.search(r" parent (\S+)", block)
            if parent:
                leaves[parent.group(1)] = Counters(block)
        found, guarded = {}, guarded_drops()
        for block in blocks(run("tc", "-s", "class", "show", "dev", NAME).stdout):
            handle = re.match(r"class htb (\S+)", block)
            if handle:
                found[handle.group(1)] = Class(block, leaves.get(handle.group(1)), guarded.get(handle.group(1), 0))
        return found

    def class_by_rate(self, rate):
        """A tenant's class: tests reserve for each tenant what no other has."""
        found = [(handle, one) for handle, one in self.classes().items() if one.rate == rate]
        guest.equal(len(found), 1, f"number of classes of {NAME} with the rate {rate}")
        return found[0]

    def wait_until_empty(self):
        wait(lambda: all(one.backlog_packets == 0 for one in self.classes().values()), guest.BOUND,
             f"no packet to wait at {NAME}")

    def peer_sent(self):
        return Counters(self.inside("tc", "-s", "qdisc", "show", "dev", PEER).stdout)

    @staticmethod
    def interface(counter):
        return guest.number(f"/sys/class/net/{NAME}/statistics/{counter}")
