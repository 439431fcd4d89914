# SPDX-License-Identifier: LGPL-2.1-or-later
"""An interface whose speed can be set, in the network namespace of the test, until the case or the script is over."""
import ctypes
import fcntl
import os
import socket
import struct

from guest import cleanup, run

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0002, 0x1000
SIOCETHTOOL, ETHTOOL_GSET, ETHTOOL_SSET = 0x8946, 1, 2
SPEED = 12  # its place in struct ethtool_cmd, of 44 bytes


def add_tap(name, mbps):
    tap = os.open("/dev/net/tun", os.O_RDWR)
    cleanup(os.close, tap)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    run("ip", "link", "set", name, "up")
    set_speed(name, mbps)


def set_speed(name, mbps):
    command = ctypes.create_string_buffer(44)
    request = struct.pack("16sP", name.encode(), ctypes.addressof(command))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        struct.pack_into("=I", command, 0, ETHTOOL_GSET)
        fcntl.ioctl(end, SIOCETHTOOL, request)
        struct.pack_into("=I", command, 0, ETHTOOL_SSET)
        struct.pack_into("=H", command, SPEED, mbps)
        fcntl.ioctl(end, SIOCETHTOOL, request)
    run("ip", "link", "set", name, "alias", f"{mbps} Mbit/s")  # a link that renegotiates is told of as down and up
