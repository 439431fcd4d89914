# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The guest's clock, for the system tests: set, said to be synchronised or not (as a time service would), and put back after
the case, by how far the monotonic clock went on. It judges nothing.
"""
import ctypes
import os
import time

import guest

STA_UNSYNC = 0x0040  # adjtimex(2)
ADJ_STATUS, ADJ_MAXERROR, ADJ_ESTERROR = 0x0010, 0x0004, 0x0008


class _Timex(ctypes.Structure):
    _fields_ = [("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
                ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256)]


def synchronise(synchronised=True):
    """What adjtimex(2) tells from now on, until the clock is set."""
    timex = _Timex(modes=ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR, status=0 if synchronised else STA_UNSYNC)
    guest.check(ctypes.CDLL("libc.so.6", use_errno=True).adjtimex(ctypes.byref(timex)) >= 0,
                f"adjtimex: {os.strerror(ctypes.get_errno())}")


class Clock:
    """Back as it was, and synchronised, after the case."""

    def __init__(self):
        self._offset = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        guest.cleanup(self.restore)

    def set_by(self, seconds):
        """As somebody does with date(1): the kernel says that it is not synchronised any more."""
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + round(seconds * 1e9))

    def restore(self):
        time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_BOOTTIME) + self._offset)
        synchronise()
        guest.wait(lambda: '"ClockTrusted": true' in guest.ctl("clock", "--json", code=None).stdout, guest.BOUND,
                   "the clock to be trusted again")
