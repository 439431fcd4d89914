# SPDX-License-Identifier: LGPL-2.1-or-later

"""The verdict: what a finished job has seen against what was promised, a row a tenant and resource.

It reads limits from the kernel once more, and otherwise only what the job has kept; it changes nothing.
"""

import os

from main_job import kernel, plan
from main_job.report import bits, percent, size


class Verdict:
    def __init__(self, job, report):
        self.job, self.report = job, report

    def judge(self):
        for name in plan.TENANTS:
            if name == 'iron':
                self.judge_cpu_outside(name)
                self.judge_cpu_inside(name)
            else:
                self.judge_cpu(name)
            self.judge_memory(name)
            self.judge_network(name)
        self.judge_windows()

    def rate(self, part):
        """(millicores, seconds) of a part of the CPU phase."""
        cpu, seconds = self.job.spent.get(part, (0, 0))
        return cpu / seconds * 1000 if seconds else 0, seconds

    def meter_cpu(self, name):
        """Used and metered, as texts, how far they are apart, and whether that is allowed."""
        used, metered = self.job.final[name]['cpu'], self.job.metered[name]['cpu.time']
        off = (metered - used) / used if used else 1
        return (f'{used / 1e9:.3f} s', f'{metered / 1e9:.3f} s', f'meter {100 * off:+.3f} %',
                (abs(off) <= plan.METER_BOUND, f'metered {metered} ns, cpu.stat says {used} ns'))

    def judge_cpu(self, name):
        cap = plan.TENANTS[name]['cpu'][1]
        used, seconds = self.rate(name)
        enforced = self.job.groups[name].millicores()
        total, metered, meter, meter_check = self.meter_cpu(name)
        self.report.judge(name, 'cpu', f'{cap}m', f'{enforced}m', f'{used:.1f}m, {total}', metered,
                          f'{percent(used, cap)}, {meter}', [
                              (enforced == cap, f'cpu.max is {enforced}m and should be {cap}m'),
                              (seconds >= plan.CPU_SECONDS_MIN, f'it was watched for {seconds:.1f} s only'),
                              (abs(used - cap) <= cap * plan.CPU_BOUND,
                               f'{used:.1f}m is not within {plan.CPU_BOUND:.0%} of {cap}m'),
                              meter_check])

    def judge_cpu_outside(self, name):
        cap = plan.RESIDUAL_MILLICORES
        used, seconds = self.rate('iron outside')
        enforced = self.job.watcher.changes[0][1]
        total, metered, meter, meter_check = self.meter_cpu(name)
        self.report.judge(name, 'cpu outside', f'<= {cap}m', f'{enforced}m', f'{used:.1f}m, {total}', metered,
                          f'{percent(used, cap)}, {meter}', [
                              (enforced == cap, f'cpu.max was {enforced}m before its window and should have been {cap}m'),
                              (seconds >= plan.CPU_SECONDS_MIN, f'it was watched for {seconds:.1f} s only'),
                              (used <= cap * (1 + plan.CPU_BOUND), f'{used:.1f}m outside its window is over {cap}m'),
                              meter_check])

    def judge_cpu_inside(self, name):
        limit = plan.TENANTS[name]['cpu'][1]
        used, _ = self.rate('iron inside')
        changes = self.job.watcher.changes
        enforced = changes[1][1] if len(changes) > 1 else None
        self.report.judge(name, 'cpu inside', 'what is idle', f'{enforced}m', f'{used:.1f}m', '-', '-', [
            (enforced == limit, f'cpu.max was {enforced}m in its window and should have been {limit}m'),
            (plan.RESIDUAL_MILLICORES < used <= limit * (1 + plan.CPU_BOUND), f'{used:.1f}m inside its window')])

    def judge_memory(self, name):
        reserved, limit = plan.TENANTS[name]['memory']
        group, final, metered = self.job.groups[name], self.job.final[name], self.job.metered[name]
        enforced = group.number('memory.max')
        floor_file = {'guaranteed': 'memory.min', 'burstable': 'memory.low'}.get(plan.CLASSES[name])
        floor = group.number(floor_file) if floor_file else 0
        peak, kills = final['memory.peak'], final['memory.events']['oom_kill']
        over = peak - limit
        checks = [
            (enforced == limit, f'memory.max is {enforced} and should be {limit}'),
            (floor == reserved, f'{floor_file} is {floor} and should be {reserved}'),
            (over <= self.counted_twice(), f'memory.peak {peak} is over the limit of {limit}; {self.job.pages_moved} pages '
                                           'were moved meanwhile'),
            (metered['memory.peak'] == peak, f'metered peak {metered["memory.peak"]}, the kernel says {peak}'),
            (metered['memory.oom-kills'] == kills, f'metered {metered["memory.oom-kills"]} kills, the kernel says {kills}'),
        ]
        checks += self.hog_checks(name) if name == 'iron' else self.bystander_checks(name)
        if floor_file:
            parent = kernel.Group(os.path.dirname(group.path)[len(kernel.CGROUP):])
            above = parent.number(floor_file)
            checks.append((above is None or above >= reserved, f'{floor_file} of the parent is {above}, which voids it'))
        self.report.judge(name, 'memory', f'{size(reserved)}..{size(limit)}',
                          f'{size(floor)}..{"max" if enforced is None else size(enforced)}',
                          f'peak {size(peak)}, {kills} kills', f'peak {size(metered["memory.peak"])}, '
                          f'{metered["memory.oom-kills"]} kills', f'{metered["memory.peak"] - peak:+d} B' +
                          (f', {over} B counted twice' if over > 0 else ''), checks)

    def counted_twice(self):
        """Bytes that a peak at the limit may have twice: a page of each task that moves some. Those are the hog's
        workers, which want huge pages, kcompactd and khugepaged."""
        if not kernel.counts_moving_pages_twice():
            return 0
        return min(self.job.pages_moved, plan.HOG_WORKERS + 2) * os.sysconf('SC_PAGE_SIZE')

    def hog_checks(self, name):
        kills = self.job.events_after[name]['oom_kill'] - self.job.events_before[name]['oom_kill']
        return [(kills > 0, f'a hog of {size(plan.HOG_BYTES)} was not stopped')]

    def bystander_checks(self, name):
        before, after = self.job.events_before[name], self.job.events_after[name]
        moved = {key: after[key] - before[key] for key in after if after[key] != before[key]}
        kept, held = self.job.anon_after[name], self.job.anon_before[name]
        return [(not moved, f'the hog in iron moved its memory.events: {moved}'),
                (kept >= held, f'its working set fell from {held} to {kept} bytes')]

    def judge_network(self, name):
        rate = plan.TENANTS[name]['net.egress'][0]
        minor, used = self.job.minors[name], self.job.sent_bps[name]
        (first, first_tenants), (last, last_tenants) = self.job.network_before, self.job.network_after
        first, last, shaped = first[minor], last[minor], self.job.shaped[minor]
        metered_bytes, metered_packets = (
            last_tenants[name]['Usage'][key] - first_tenants[name]['Usage'][key]
            for key in ('net.egress.bytes', 'net.egress.packets'))
        packets, dropped = last.packets - first.packets, last.dropped - first.dropped
        sent = last.bytes - first.bytes - packets * kernel.ETHERNET_HEADER
        lost_bytes, lost_packets = metered_bytes - sent, metered_packets - packets
        # What was metered was sent or dropped. A queue counts the packets that it drops, not their bytes.
        checks = [((lost_packets == 0) == (dropped == 0) and lost_packets >= dropped and
                   20 * lost_packets <= lost_bytes <= 1500 * lost_packets,
                   f'metered {metered_bytes} bytes in {metered_packets} packets; its class sent {sent} in {packets} '
                   f'(less Ethernet\'s headers) and dropped {dropped} packets')]
        if rate:
            promised, off = bits(rate), f'{percent(used, rate)}, '
            checks.append((abs(used - rate) <= rate * plan.NETWORK_BOUND,
                           f'{used:.0f} bit/s is not within {plan.NETWORK_BOUND:.0%} of {rate}'))
        else:
            promised, off = 'what is idle', ''
            total = sum(self.job.sent_bps.values())
            checks.append((total <= plan.CAPACITY * (1 + plan.NETWORK_BOUND),
                           f'{total:.0f} bit/s of all tenants is over the link\'s {plan.CAPACITY}'))
        self.report.judge(name, 'net.egress', promised, f'{bits(shaped.rate)}..{bits(shaped.ceil)}',
                          f'{bits(used)}, {sent} B', f'{metered_bytes} B', f'{off}meter {lost_bytes:+d} B' +
                          (f', {dropped} packets dropped' if dropped else ''), checks)

    def judge_windows(self):
        job = self.job
        windows = (('iron-1', 'opens', 'ActualStart', job.opens), ('iron-1', 'closes', 'ActualEnd', job.closes),
                   ('iron-2', 'opens', 'ActualStart', job.second_opens))
        for index, (identifier, what, key, planned) in enumerate(windows):
            seen = job.window_change(index)
            told = job.allocations[identifier][key] / 1e6 - planned
            late = seen - planned if seen else None
            self.report.judge(
                'iron', f'{identifier} {what}', f'at {planned - job.applied:.2f} s',
                f'{job.watcher.changes[index + 1][1]}m' if seen else 'never', f'{seen - job.applied:.2f} s' if seen else '-',
                f'{planned + told - job.applied:.2f} s', f'{late:+.2f} s, told {told:+.3f} s' if seen else '-', [
                    (seen and 0 <= late <= plan.WINDOW_BOUND_SECONDS, f'cpu.max changed {late} s after its time'),
                    (0 <= told <= plan.WINDOW_BOUND_SECONDS, f'Headgate says {told:+.2f} s after its time')])
