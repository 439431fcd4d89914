#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Traffic of known size, for the system tests to run in a tenant or in a namespace. It prints one JSON object when it
is done, and judges nothing. Packets go at a pace, so that nothing is lost unless that is asked for (flood).

    traffic.py sink ADDRESS PORT                       counts what it gets by TCP and UDP; "ready", then until EOF on
                                                       standard input
    traffic.py tcp ADDRESS PORT BYTES BITS/S
    traffic.py udp ADDRESS PORT PACKETS SIZE BITS/S
    traffic.py flood ADDRESS PORT SIZE BITS/S          UDP until SIGTERM, never waiting for what is queued
"""
import json
import selectors
import signal
import socket
import sys
import time

SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_MAX_PACING_RATE = 47
QUEUED_MAX = 32 << 20


def sink(address, port):
    listener = socket.create_server((address, port))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUED_MAX)
    datagrams.bind((address, port))
    got = {"tcp_bytes": 0, "connections": 0, "udp_bytes": 0, "udp_packets": 0}
    with selectors.DefaultSelector() as selector:
        for source in (listener, datagrams, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                if source is sys.stdin:
                    return got
                if source is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                    got["connections"] += 1
                elif source is datagrams:
                    got["udp_bytes"] += len(source.recv(65536))
                    got["udp_packets"] += 1
                else:
                    data = source.recv(65536)
                    got["tcp_bytes"] += len(data)
                    if not data:
                        selector.unregister(source)
                        source.close()


def tcp(address, port, size, rate):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate // 8)
        connection.connect((address, port))
        connection.sendall(bytes(size))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # the other side has all of it, and has closed
    return {"bytes": size}


class Pace:
    """So many bits a second on average; what was late is caught up with, at most 20 ms of it."""

    def __init__(self, rate):
        self.rate = rate
        self.due = time.monotonic()

    def wait(self, size):
        now = time.monotonic()
        self.due = max(self.due, now - 0.02) + size * 8 / self.rate
        if self.due > now:
            time.sleep(self.due - now)


def udp(address, port, packets, size, rate):
    pace = Pace(rate)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((address, port))
        for _ in range(packets):
            pace.wait(size)
            sender.send(bytes(size))
    return {"packets": packets, "bytes": packets * size}


def flood(address, port, size, rate):
    def stop(*_):
        nonlocal going
        going = False

    going, packets, data, pace = True, 0, bytes(size), Pace(rate)
    signal.signal(signal.SIGTERM, stop)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, QUEUED_MAX)
        sender.connect((address, port))
        begin = time.monotonic()
        while going:
            for _ in range(16):
                try:
                    sender.send(data, socket.MSG_DONTWAIT)
                    packets += 1
                except (BlockingIOError, ConnectionRefusedError):
                    pass
            pace.wait(16 * size)
        seconds = time.monotonic() - begin
    return {"packets": packets, "bytes": packets * size, "seconds": seconds}


ROLES = {"sink": sink, "tcp": tcp, "udp": udp, "flood": flood}

if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ROLES:
        sys.exit(__doc__)
    print(json.dumps(ROLES[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:]))), flush=True)
