# SPDX-License-Identifier: LGPL-2.1-or-later
"""Steers tests/support/fault.c by the file that both map: a step to fail, to lie at, or to kill at; and what each was."""

import mmap
import re
import struct
from collections import Counter
from pathlib import Path

MODES = COUNT, FAIL, LIE, LATE, KILL_BEFORE, KILL_AFTER = range(6)
NAMES = "counted", "failed", "lied about", "failed after it was done", "killed before", "killed after"
KILLS = KILL_BEFORE, KILL_AFTER

_HEAD = struct.Struct("=IIIIQQQQ")
_SLEPT = _HEAD.size
_LOG = _SLEPT + 8
_ENTRY_SIZE, _ENTRIES = 64, 1000


class Fault:
    def __init__(self, path):
        Path(path).write_bytes(bytes(_LOG + _ENTRIES * _ENTRY_SIZE))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def _word(self, at, value=None):
        if value is None:
            return struct.unpack_from("=I", self._map, at)[0]
        struct.pack_into("=I", self._map, at, value)

    def _long(self, at, value=None):
        if value is None:
            return struct.unpack_from("=Q", self._map, at)[0]
        struct.pack_into("=Q", self._map, at, value)

    def arm(self, mode=COUNT, at=0, pause=False):
        """Counts from here on. With `pause` every step waits, before it is done, for go()."""
        _HEAD.pack_into(self._map, 0, 0, mode, int(pause), 0, at, 0, 0, 0)
        self._word(0, 1)

    def aim(self, mode, at):
        """At another step, while it counts on."""
        self._long(16, at)
        self._word(4, mode)

    def disarm(self):
        """The steps that there were, each in words."""
        self._word(0, 0)
        self._word(8, 0)
        return [self.words(step) for step in range(1, min(self.steps, _ENTRIES) + 1)]

    def put_ahead(self, seconds):
        """As if the machine slept so long: the daemon's clocks but the monotonic one are so much later from here on."""
        self._long(_SLEPT, self._long(_SLEPT) + seconds)

    @property
    def fired(self):
        return bool(self._word(12))

    @property
    def steps(self):
        return self._long(24)

    @property
    def waiting(self):
        """The step that waits, or 0."""
        waiting = self._long(32)
        return waiting if waiting > self._long(40) else 0

    def words(self, step):
        """What a step is, as far as it has been reached: its kind first."""
        at = _LOG + (step - 1) * _ENTRY_SIZE
        return self._map[at:at + _ENTRY_SIZE].split(b"\0")[0].decode() if 0 < step <= min(self.steps, _ENTRIES) else ""

    def go(self):
        self._long(40, self._long(32))


def kind(words):
    """Of a step: what is done to what file, whosever it is."""
    return re.sub(r"(\S*/)?(\S+)$", r"\2", words)


def count_kinds(done):
    counts = Counter(map(kind, done))
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))


def steps_to_try(done, every, mode, turn):
    """Of all steps every so many of each kind, others for each mode and turn: all have had each mode after so many turns."""
    order = sorted(range(1, len(done) + 1), key=lambda step: (kind(done[step - 1]), step))
    every = min(every, len(order))
    return sorted(order[(turn + mode * every // (len(MODES) - 1)) % every::every])


def differences(old, new, now):
    """Of two dumps, where the third is neither: what it has that the nearer of them has not."""
    names = sorted(old.keys() | new.keys() | now.keys())
    (_, word, nearer), _ = sorted((sum(dump.get(name) != now.get(name) for name in names), word, dump)
                                  for word, dump in (("old", old), ("new", new)))
    lines = [f"{name}: {now.get(name, 'absent')!r}, {word} was {nearer.get(name, 'absent')!r}"
             for name in names if nearer.get(name) != now.get(name)]
    return "\n".join(lines[:40])


def try_steps(fault, mode, counted, steps, apply, recover, dump, old, new, reset, said=lambda: ""):
    """With a fault at each of these steps, of those that were counted: apply() says whether it was accepted (None: the
    daemon died, and recover() starts it again), and then dump() must be the old state or the new one, whole, as was said;
    reset() goes back to the old, and said() is how it was refused. Returns what went wrong, in words.

    There may be a few less another time, of SQLite's, which are the last: in place of one that is not reached the last of
    its kind is tried, which is said. One that is not reached so either is wrong."""
    wrong = []

    def try_step(step):
        """Whether it was reached, and the steps that there were."""
        fault.arm(mode, step)
        accepted = apply()
        fired, done = fault.fired, fault.disarm()
        if mode in KILLS and fired:
            recover()
        now = dump()
        if now not in {True: [new], False: [old], None: [old, new]}[accepted]:
            what = f"step {step} ({done[step - 1] if len(done) >= step else 'none'}) {NAMES[mode]}, accepted: {accepted} {said()}"
            wrong.append(f"{what}:\n{differences(old, new, now)}")
        if now != old:
            reset()
        return fired, done

    for step in steps:
        fired, done = try_step(step)
        if fired:
            continue
        wanted = kind(counted[step - 1])
        instead = max((i for i, words in enumerate(done, 1) if kind(words) == wanted), default=0)
        print(f"# step {step} ({counted[step - 1]}) was not reached by {len(done)}; step {instead} was tried", flush=True)
        if not instead or not try_step(instead)[0]:
            wrong.append(f"step {step} ({counted[step - 1]}) was not reached; there were {done}")
    return wrong
