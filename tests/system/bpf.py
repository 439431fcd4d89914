# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the kernel has of BPF, by bpf(2) alone: pinned objects by their ids, loaded programs and maps by their names, and an
object of somebody else's. It judges nothing.
"""
import ctypes
import os
import platform
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
MAP_CREATE, MAP_LOOKUP, MAP_GET_NEXT_KEY, OBJ_PIN, OBJ_GET = 0, 1, 4, 6, 7
PROG_GET_NEXT_ID, MAP_GET_NEXT_ID, PROG_FD, MAP_FD, OBJ_INFO = 11, 12, 13, 14, 15
PROG_ARRAY = "3"  # the map's type, as fdinfo has it
PROGRAMS, MAPS = (PROG_GET_NEXT_ID, PROG_FD, 64), (MAP_GET_NEXT_ID, MAP_FD, 24)  # and where the name is in the info


def bpf(command, attributes):
    r = libc.syscall(SYS_BPF, command, attributes, len(attributes))
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


def words(*values):
    return ctypes.create_string_buffer(b"".join(value.to_bytes(4, "little") for value in values) + bytes(128))


def with_path(path, *values):
    """Attributes that begin with a path, and what keeps it."""
    name = ctypes.create_string_buffer(str(path).encode())
    rest = b"".join(value.to_bytes(4, "little") for value in values)
    return ctypes.create_string_buffer(ctypes.addressof(name).to_bytes(8, "little") + rest + bytes(64)), name


def info_of(fd):
    info = ctypes.create_string_buffer(256)
    bpf(OBJ_INFO, ctypes.create_string_buffer(fd.to_bytes(4, "little") + (256).to_bytes(4, "little") +
                                              ctypes.addressof(info).to_bytes(8, "little") + bytes(64)))
    return info.raw


def pin_foreign(path):
    """An array of one, pinned by somebody else."""
    fd = bpf(MAP_CREATE, words(2, 4, 8, 1))
    attributes, _name = with_path(path, fd)
    bpf(OBJ_PIN, attributes)
    os.close(fd)


def open_pins(directory):
    """What is pinned below, each open until the next."""
    for path in sorted(path for path in Path(directory).rglob("*") if path.is_file()):
        if "." in path.name:  # maps.debug, progs.debug: the kernel's
            continue
        attributes, _name = with_path(path)
        fd = bpf(OBJ_GET, attributes)
        try:
            yield path, fd
        finally:
            os.close(fd)


def pinned_ids(directory):
    """The id of each object that is pinned below: of a link, a program and a map it stands in the same place."""
    return {str(path): str(int.from_bytes(info_of(fd)[4:8], "little")) for path, fd in open_pins(directory)}


def fdinfo(fd):
    return dict(line.split(":\t") for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines())


def tag_behind(fd):
    """Of the program that a link hangs, or that an array of programs has first; None of anything else, or where it has none."""
    info = fdinfo(fd)
    if info.get("map_type") != PROG_ARRAY:
        return info.get("prog_tag")
    key, value = ctypes.create_string_buffer(4), ctypes.create_string_buffer(4)
    try:
        bpf(MAP_LOOKUP, pointers(fd, key, value))
    except FileNotFoundError:  # a hook that is left out on this kernel
        return None
    program = bpf(PROG_FD, words(int.from_bytes(value.raw, "little")))
    tag = fdinfo(program)["prog_tag"]
    os.close(program)
    return tag


def pinned_tags(directory):
    """Of each link and array of programs that is pinned below, the tag of its program: what it is made of."""
    tags = {}
    for path, fd in open_pins(directory):
        if tag := tag_behind(fd):
            tags[str(path)] = tag
    return tags


def rows(path):
    """What a pinned map has, by keys of four bytes."""
    attributes, _name = with_path(path)
    fd = bpf(OBJ_GET, attributes)
    size, found, key = int.from_bytes(info_of(fd)[12:16], "little"), {}, None
    next_key, value = ctypes.create_string_buffer(4), ctypes.create_string_buffer(size)
    try:
        while True:
            bpf(MAP_GET_NEXT_KEY, pointers(fd, key, next_key))
            key = ctypes.create_string_buffer(next_key.raw[:4], 4)
            bpf(MAP_LOOKUP, pointers(fd, key, value))
            found[int.from_bytes(key.raw, "little")] = value.raw[:size].hex()
    except FileNotFoundError:
        return found
    finally:
        os.close(fd)


def pointers(fd, *buffers):
    return ctypes.create_string_buffer(fd.to_bytes(8, "little") + b"".join(
        (ctypes.addressof(buffer) if buffer else 0).to_bytes(8, "little") for buffer in buffers) + bytes(64))


def loaded(kind):
    """Names of all loaded PROGRAMS, or MAPS."""
    next_command, fd_command, name_at = kind
    names, at = [], 0
    while True:
        place = words(at)
        try:
            bpf(next_command, place)
        except FileNotFoundError:
            return names
        at = int.from_bytes(place.raw[4:8], "little")
        try:
            fd = bpf(fd_command, words(at))
        except FileNotFoundError:
            continue
        names.append(info_of(fd)[name_at:name_at + 16].split(b"\0")[0].decode())
        os.close(fd)
