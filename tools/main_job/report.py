# SPDX-License-Identifier: LGPL-2.1-or-later

"""The main job on paper: progress, the live table, the verdict. It measures nothing."""

import json
import sys
import threading
import time

COLORS = {'good': '\033[32m', 'bad': '\033[31;1m', 'dim': '\033[2m', 'bold': '\033[1m'}


class Report:
    def __init__(self, color):
        self.began = time.monotonic()
        self.color = color
        self.rows = []     # (tenant, resource, promised, enforced, used, metered, difference, kept)
        self.broken = []   # sentences

    def paint(self, style, text):
        return f'{COLORS[style]}{text}\033[0m' if self.color else text

    def line(self, text=''):
        print(text, flush=True)

    def elapsed(self):
        return time.monotonic() - self.began

    def step(self, text):
        self.line(f'{self.paint("dim", f"[{self.elapsed():4.0f} s]")} {text}')

    def heading(self, text):
        self.line()
        self.step(self.paint('bold', text))

    def judge(self, tenant, resource, promised, enforced, used, metered, difference, checks):
        """`checks`: (holds, what is wrong where it does not)."""
        broken = [words for holds, words in checks if not holds]
        self.broken += [f'{tenant} {resource}: {words}' for words in broken]
        self.rows.append((tenant, resource, promised, enforced, used, metered, difference, 'no' if broken else 'yes'))

    def require(self, holds, words):
        if not holds:
            self.broken.append(words)

    def print_table(self):
        titles = ('TENANT', 'RESOURCE', 'PROMISED', 'ENFORCED', 'USED', 'METERED', 'DIFFERENCE', 'KEPT')
        widths = [max(len(row[i]) for row in [titles, *self.rows]) for i in range(len(titles))]
        tenant = ''
        self.line()
        for row in [titles, *self.rows]:
            cells = [f'{cell:<{width}}' for cell, width in zip(row, widths)]
            if row[0] == tenant:
                cells[0] = ' ' * widths[0]
            tenant = row[0]
            if row is titles:
                self.line(self.paint('bold', '  '.join(cells).rstrip()))
            else:
                cells[-1] = self.paint('good' if row[-1] == 'yes' else 'bad', row[-1])
                self.line('  '.join(cells))

    def end(self):
        """True where every promise was kept."""
        self.line()
        for words in self.broken:
            self.line(f'{self.paint("bad", "not kept:")} {words}')
        took = f'{self.elapsed():.0f} s'
        if not self.broken:
            self.line(self.paint('good', f'every promise was kept ({took})'))
        else:
            count = len(self.broken)
            self.line(self.paint('bad', f'{count} promise{"s were" if count > 1 else " was"} not kept ({took})'))
        return not self.broken


class Live(threading.Thread):
    """The live table: a line for each that `headgatectl top --json` prints, until the block ends."""

    CELL = '{:>6} {:>6} {:>7} {:>9}'

    def __init__(self, top, names, the_report):
        super().__init__(daemon=True)
        self.top, self.names, self.report = top, names, the_report

    def __enter__(self):
        blank = ' ' * 10
        titles = self.CELL.format('limit', 'cpu', 'memory', 'egress')
        self.report.line(blank + '  '.join(self.report.paint('bold', f'{name:^{len(titles)}}') for name in self.names))
        self.report.line(blank + '  '.join(self.report.paint('dim', titles) for _ in self.names))
        self.start()
        return self

    def run(self):
        for line in self.top.stdout:
            tenants = {tenant['TenantId']: tenant for tenant in json.loads(line)['Tenants']}
            if all(tenants.get(name, {}).get('Rates') for name in self.names):
                cells = [self.cell(tenants[name]) for name in self.names]
                self.report.line(f'{self.report.paint("dim", f"[{self.report.elapsed():4.0f} s]")}  {"  ".join(cells)}')

    def cell(self, tenant):
        rates = tenant['Rates']
        return self.CELL.format(f'{tenant["Effective"]["cpu"][1]}m', f'{rates["cpu"]}m',
                                size(tenant['Usage']['memory.current']), bits(rates['net.egress']))

    def __exit__(self, *_):
        self.top.kill()
        self.top.wait()
        self.join()


def fail(text):
    print(f'main-job: {text}', file=sys.stderr, flush=True)


def size(count):
    for unit, factor in (('GiB', 1 << 30), ('MiB', 1 << 20), ('KiB', 1 << 10)):
        if count >= factor:
            return f'{count / factor:.3g}{unit}'
    return f'{count}'


def bits(rate):
    for unit, factor in (('Mbit', 10**6), ('Kbit', 10**3)):
        if rate >= factor:
            return f'{rate / factor:.4g}{unit}'
    return f'{rate:.0f}bit' if rate else '0'


def percent(part, whole):
    return f'{100 * (part - whole) / whole:+.2f} %' if whole else '0'
