#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Whether the machine under the guest was busy with others. An emulated guest stands still while its host runs something
else, and no bound on time says anything of headgated then. `pace.py watch FILE` wants to run every 20 ms, before
everything else in the guest, for a piece of work that is always the same, and notes once a second how late it came at
worst and how long it took. `pace.py since FILE SECOND` (of /proc/uptime) says what that was from then on, and exits
with 1 where the guest stood still or was slow.
"""
import os
import sys
import time

PERIOD = 0.02
STOOD_STILL = 0.25  # seconds: what is promised is promised within one
SLOW = 1.4  # times the pace of the best tenth


def work():
    begin = time.monotonic()
    for _ in range(2000):
        pass
    return time.monotonic() - begin


def watch(path):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))
    with open(path, "w", buffering=1) as notes:
        while True:
            late, took, n, end = 0, 0, 0, time.monotonic() + 1
            while (begin := time.monotonic()) < end or n == 0:  # the guest may have stood still since
                time.sleep(PERIOD)
                late = max(late, time.monotonic() - begin - PERIOD)
                took += work()
                n += 1
            print(f"{time.monotonic():.2f} {late:.6f} {took / n:.9f}", file=notes)


def since(path, second):
    rows = [tuple(map(float, line.split())) for line in open(path) if line.endswith("\n")]
    late = [row[1] for row in rows if row[0] >= second]
    took = [row[2] for row in rows if row[0] >= second]
    if not took:
        return 0
    slow = sum(took) / len(took) / sorted(row[2] for row in rows)[len(rows) // 10]
    print(f"the guest stood still for {max(late) * 1000:.0f} ms at worst, and went at {100 / slow:.0f} % of its pace")
    return int(max(late) > STOOD_STILL or slow > SLOW)


if __name__ == "__main__":
    sys.exit(watch(sys.argv[2]) if sys.argv[1] == "watch" else since(sys.argv[2], float(sys.argv[3])))
