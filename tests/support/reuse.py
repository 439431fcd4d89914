# SPDX-License-Identifier: LGPL-2.1-or-later
"""A process with a pid that was another's: what chance brings once in four million, on purpose."""

import ctypes
import errno
import os
import signal

SYS_CLONE3 = 435
# With the GIL held, so that the child, which has one thread of several, has it.
_libc = ctypes.PyDLL(None, use_errno=True)


def start(*words):
    """Its pid; subprocess's would be waited for by subprocess, whoever has it by then."""
    return os.posix_spawnp(words[0], words, os.environ)


def fork_as(pid, *words):
    """Runs that in a child with this pid. FileExistsError where somebody else was given it meanwhile."""
    number = (ctypes.c_int * 1)(pid)
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(number), 1, 0)
    child = _libc.syscall(SYS_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if child == 0:
        try:
            os.execvp(words[0], words)
        finally:
            os._exit(127)
    if child < 0:
        error = ctypes.get_errno()
        raise FileExistsError(error, "the pid is taken") if error == errno.EEXIST else OSError(error, os.strerror(error))
    return child


def end(pid):
    """Of a child: its pid is free then."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
