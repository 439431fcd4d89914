# SPDX-License-Identifier: LGPL-2.1-or-later

"""What the main job promises to whom and when, and how exactly it must be kept. Values only."""

MIB, MBIT = 1 << 20, 10**6

CAPACITY = 20 * MBIT  # of the uplink
RESIDUAL_MILLICORES = 50  # [residual] cpu: the configuration's default

# name: {resource: (reserved, limit)}. No swap: on a host that has some, a hog would only be slow.
TENANTS = {
    'gold': {'cpu': (500, 500), 'memory': (128 * MIB, 128 * MIB), 'swap': (0, 0), 'net.egress': (6 * MBIT, 6 * MBIT)},
    'silver': {'cpu': (600, 800), 'memory': (64 * MIB, 192 * MIB), 'swap': (0, 0), 'net.egress': (12 * MBIT, 12 * MBIT)},
    'iron': {'cpu': (0, 2000), 'memory': (0, 160 * MIB), 'swap': (0, 0), 'net.egress': (0, 'max')},
}
CLASSES = {'gold': 'guaranteed', 'silver': 'burstable', 'iron': 'best-effort'}

# Seconds from the Apply: iron has two windows, the second without an end. A slow guest needs ten to start everything.
WINDOW_OPENS, WINDOW_CLOSES, CPU_ENDS, SECOND_WINDOW_OPENS = 26, 40, 55, 70

CPU_WORKERS = {'gold': 2, 'silver': 2, 'iron': 2}
CPU_SECONDS_MIN = 20
WORKING_SETS = {'gold': 64 * MIB, 'silver': 48 * MIB}
HOG_WORKERS = 8
HOG_BYTES = 2 * TENANTS['iron']['memory'][1]
PORTS = {'gold': 5201, 'silver': 5202, 'iron': 5203}
FLOOD_BPS = 2 * CAPACITY
NETWORK_SECONDS = 12

# Of use against what was promised, of metered against the kernel's count, of a window against its time.
CPU_BOUND, NETWORK_BOUND, METER_BOUND, WINDOW_BOUND_SECONDS = 0.03, 0.05, 0.005, 1
