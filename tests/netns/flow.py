#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
One flow, and what of it arrived when. As a program it is an end of one:

    flow.py receive tcp|udp ADDRESS PORT    a line "seconds bytes" of the monotonic clock whenever 10 ms have passed and
                                            something came; an empty one once it listens
    flow.py send tcp|udp ADDRESS PORT [BIT/S [FROM]]  until it is ended
"""
import os
import socket
import sys
import threading
import time


def make_socket(kind, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)


def receive(kind, address, port):
    end = make_socket(kind, address)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    end.bind((address, int(port)))
    if kind == "tcp":
        end.listen()
    print(flush=True)
    if kind == "tcp":
        end = end.accept()[0]
    total, told = 0, 0
    buffer = bytearray(1 << 18)
    while (n := end.recv_into(buffer)) > 0:
        total += n
        now = time.monotonic()
        if now - told > 0.01:
            told = now
            print(f"{now:.6f} {total}", flush=True)


def send(kind, address, port, rate=0, source=None):
    end = make_socket(kind, address)
    if source:
        end.bind((source, 0))
    end.connect((address, int(port)))
    payload = bytes(1 << 16 if kind == "tcp" else 1400)
    begin, sent = time.monotonic(), 0
    while True:
        try:
            end.send(payload)
        except ConnectionRefusedError:
            pass
        sent += len(payload)
        if int(rate) and (ahead := sent * 8 / int(rate) - (time.monotonic() - begin)) > 0:
            time.sleep(ahead)


class Receiver:
    """Reads what a receiving end, started with `start`, says, in a thread."""

    def __init__(self, start, kind, address, port):
        self.seen = []  # (seconds, bytes), both growing
        self.process = start(sys.executable, os.path.abspath(__file__), "receive", kind, address, str(port))
        self.process.stdout.readline()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            at, total = line.split()
            self.seen.append((float(at), int(total)))

    def bytes_at(self, at):
        return max((total for seen, total in self.seen if seen <= at), default=0)

    def rate(self, begin, end):
        """bit/s"""
        return (self.bytes_at(end) - self.bytes_at(begin)) * 8 / (end - begin)


if __name__ == "__main__":
    {"receive": receive, "send": send}[sys.argv[1]](*sys.argv[2:])
