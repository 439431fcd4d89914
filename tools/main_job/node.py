# SPDX-License-Identifier: LGPL-2.1-or-later

"""A node for the main job: an uplink that leads nowhere but into a namespace of ours, and headgated on it.

Either the installed service, which gets a drop-in and starts anew, or a headgated of its own from a build directory,
with its own bus, state, pins and configuration. Both refuse where something of Headgate's is at work already, and
both put everything back: what the service knew before, and no trace of the other.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

UPLINK, PEER_LINK, PEER = 'hg0', 'hg1', 'hg-peer'
# 198.18.0.0/15 is set aside for benchmarks (RFC 2544): nobody's addresses.
ADDRESS, PEER_ADDRESS, PREFIX = '198.18.77.1', '198.18.77.2', 30
MARK = 'headgate-main-job'
CONFIGURATION = f'''# Written by tools/main-job, which removes it.
[uplink {UPLINK}]
default=yes
capacity=%d
[clock]
require-sync=no
'''
BUS_CONFIGURATION = '''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>headgate</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
'''


class Refused(Exception):
    """The main job can't be run here; the message says why, and what to do."""


def run(*words, check=True, **options):
    done = subprocess.run(words, capture_output=True, text=True, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f'{" ".join(words)}: exit code {done.returncode}: {(done.stderr or done.stdout).strip()}')
    return done


def stop_process(process, seconds=10):
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def service_is_active():
    return os.path.isdir('/run/systemd/system') and \
        run('systemctl', 'is-active', '--quiet', 'headgated.service', check=False).returncode == 0


def refuse_foreign_link():
    """What a job that was killed left is ours to remove; anything else of these names is not."""
    if os.path.exists(f'/sys/class/net/{UPLINK}'):
        with open(f'/sys/class/net/{UPLINK}/ifalias') as file:
            if file.read().strip() != MARK:
                raise Refused(f'there is a network interface {UPLINK} already, which is not the main job\'s')
    elif os.path.exists(f'/run/netns/{PEER}'):
        raise Refused(f'there is a network namespace {PEER} already; if nothing needs it: ip netns delete {PEER}')


def make_link():
    """The veth pair and its namespace, which knows the way back and nothing else."""
    remove_link()
    run('ip', 'netns', 'add', PEER)
    run('ip', 'link', 'add', UPLINK, 'type', 'veth', 'peer', 'name', PEER_LINK, 'netns', PEER)
    run('ip', 'link', 'set', UPLINK, 'alias', MARK)
    run('ip', 'address', 'add', f'{ADDRESS}/{PREFIX}', 'dev', UPLINK)
    run('ip', 'link', 'set', UPLINK, 'up')
    run('ip', '-n', PEER, 'address', 'add', f'{PEER_ADDRESS}/{PREFIX}', 'dev', PEER_LINK)
    run('ip', '-n', PEER, 'link', 'set', PEER_LINK, 'up')
    # With ECN a full queue marks TCP's packets in place of dropping them, and counts stay comparable to the byte.
    run('ip', 'route', 'replace', f'{PEER_ADDRESS}/32', 'dev', UPLINK, 'src', ADDRESS, 'features', 'ecn')


def remove_link():
    if os.path.exists(f'/sys/class/net/{UPLINK}'):
        run('ip', 'link', 'delete', UPLINK)
    if os.path.exists(f'/run/netns/{PEER}'):
        run('ip', 'netns', 'delete', PEER)


class Node:
    """What both kinds have: headgatectl, and files of the job's own in a folder that goes with it."""

    def __init__(self, capacity_bps):
        self.capacity_bps = capacity_bps
        self.folder = tempfile.mkdtemp(prefix='headgate-main-job-')
        self.ctl_command = ['headgatectl']

    def ctl(self, *words, text=None):
        done = run(*self.ctl_command, *words, input=text)
        return json.loads(done.stdout) if '--json' in words else done.stdout

    def stream(self, *words):
        """headgatectl that goes on; its lines are read from its standard output."""
        return subprocess.Popen([*self.ctl_command, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, start_new_session=True)

    def start_in(self, tenant, *words, residual=False):
        """A command inside a tenant, as its users start one. Its output goes to a file of the job's folder."""
        command = [*self.ctl_command, 'run', tenant, *(['--residual'] if residual else []), '--', *words]
        name = f'{self.folder}/{tenant}-{words[0]}.log'
        with open(name, 'a') as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        process.log = name
        return process

    def wait_for_bus(self, alive, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            done = run(*self.ctl_command, 'list', 'tenants', '--json', check=False)
            if done.returncode == 0:
                return json.loads(done.stdout)
            if not alive() or time.monotonic() > deadline:
                raise RuntimeError(f'headgated does not answer: {done.stderr.strip()}')
            time.sleep(0.2)

    def remove_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class InstalledNode(Node):
    """The service of this machine, with the uplink in a drop-in. Its calendar must be empty, and is put back."""

    NAME = 'the installed headgated.service'
    DROP_IN = '/etc/headgate/headgated.conf.d/90-main-job.conf'
    STATE = '/var/lib/headgate'

    def __init__(self, capacity_bps):
        if not os.path.isdir('/run/systemd/system'):
            raise Refused('--installed wants systemd as PID 1')
        if run('systemctl', 'cat', 'headgated.service', check=False).returncode != 0:
            raise Refused('headgated.service is not installed; --build DIR takes one from a build directory')
        self.was_active = service_is_active()
        if self.was_active:
            done = run('headgatectl', 'list', 'allocations', '--json')
            if json.loads(done.stdout):
                raise Refused('this node has allocations; the main job would be in their way. Release them, or run it '
                              'in a virtual machine: tools/quickstart --vm')
        super().__init__(capacity_bps)
        self.extra_paths = ['/sys/fs/bpf/headgate', self.DROP_IN]
        self.state_kept = self.made_directory = False

    def start(self):
        run('systemctl', 'stop', 'headgated.service')
        if os.path.isdir(self.STATE):
            shutil.copytree(self.STATE, f'{self.folder}/state')
        self.state_kept = True
        self.made_directory = not os.path.isdir(os.path.dirname(self.DROP_IN))
        os.makedirs(os.path.dirname(self.DROP_IN), exist_ok=True)
        with open(self.DROP_IN, 'w') as file:
            file.write(CONFIGURATION % self.capacity_bps)
        run('systemctl', 'start', 'headgated.service')
        self.wait_for_bus(service_is_active)

    def stop(self):
        """The service stopped, and all that it did taken off the node."""
        run('systemctl', 'stop', 'headgated.service')
        if not self.state_kept:
            return
        done = run('headgated', '--release', check=False)
        if os.path.exists(self.DROP_IN):
            os.unlink(self.DROP_IN)
        if self.made_directory and not os.listdir(os.path.dirname(self.DROP_IN)):
            os.rmdir(os.path.dirname(self.DROP_IN))
        for name in os.listdir(self.STATE) if os.path.isdir(self.STATE) else []:
            path = f'{self.STATE}/{name}'
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        if os.path.isdir(f'{self.folder}/state'):
            shutil.copytree(f'{self.folder}/state', self.STATE, dirs_exist_ok=True)
        if done.returncode != 0:
            raise RuntimeError(f'headgated --release: exit code {done.returncode}: {done.stderr.strip()}')

    def restore(self):
        if self.was_active:
            run('systemctl', 'start', 'headgated.service')

    def complain(self):
        return run('journalctl', '--unit=headgated.service', '--no-pager', '--lines=30', '--output=cat',
                   check=False).stdout


class BuiltNode(Node):
    """A headgated of a build directory, started here: its bus, state, pins and configuration are its own."""

    NAME = 'a headgated of its own'

    def __init__(self, capacity_bps, build):
        self.programs = {'headgated': f'{build}/daemon/headgated', 'headgatectl': f'{build}/tools/headgatectl'}
        for path in self.programs.values():
            if not os.access(path, os.X_OK):
                raise Refused(f'there is no {path}; is {build} a build directory?')
        if not os.path.isdir('/run/systemd/system'):
            raise Refused('PID 1 is not systemd: use tools/quickstart --vm')
        missing = {'cpu', 'memory'} - self.controllers()
        if missing:
            raise Refused(f'cgroup2 here has no {" and no ".join(sorted(missing))} controller: use tools/quickstart --vm')
        if service_is_active():
            raise Refused('headgated.service is active on this host, and two would undo one another\'s work. Use '
                          'tools/quickstart --vm, or have it take off what it holds (headgatectl release --all)')
        if os.path.exists('/sys/fs/cgroup/headgate.slice'):
            raise Refused(f'there is a headgate.slice on this host already: limits that a headgated has set hold. Use '
                          f'tools/quickstart --vm, or take them off first ({self.programs["headgated"]} --release)')
        super().__init__(capacity_bps)
        self.bus = f'unix:path={self.folder}/bus'
        self.pins = f'/sys/fs/bpf/{os.path.basename(self.folder)}'  # bpffs takes no dots
        self.extra_paths = [self.pins]
        self.daemon = self.dbus = None
        self.ctl_command = [self.programs['headgatectl'], f'--bus={self.bus}']
        self.command = [self.programs['headgated'], f'--bus={self.bus}', f'--config={self.folder}/headgated.conf',
                        f'--state-dir={self.folder}/state', f'--pin-dir={self.pins}']

    @staticmethod
    def controllers():
        try:
            with open('/sys/fs/cgroup/cgroup.controllers') as file:
                return set(file.read().split())
        except OSError:
            return set()

    def start(self):
        for name, text in (('bus.conf', BUS_CONFIGURATION % f'{self.folder}/bus'),
                           ('headgated.conf', CONFIGURATION % self.capacity_bps)):
            with open(f'{self.folder}/{name}', 'w') as file:
                file.write(text)
        os.mkdir(f'{self.folder}/state', 0o700)
        with open(f'{self.folder}/daemon.log', 'w') as log:
            self.dbus = subprocess.Popen(['dbus-daemon', f'--config-file={self.folder}/bus.conf', '--nofork', '--nopidfile'],
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            deadline = time.monotonic() + 20
            while not os.path.exists(f'{self.folder}/bus'):
                if self.dbus.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError('dbus-daemon does not start')
                time.sleep(0.05)
            self.daemon = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True)
        self.wait_for_bus(lambda: self.daemon.poll() is None)

    def stop(self):
        done = None
        if self.daemon:
            stop_process(self.daemon)
            done = run(*self.command, '--release', check=False)
        if self.dbus:
            stop_process(self.dbus)
        if done and done.returncode != 0:
            raise RuntimeError(f'headgated --release: exit code {done.returncode}: {done.stderr.strip()}')

    def restore(self):
        pass

    def complain(self):
        try:
            with open(f'{self.folder}/daemon.log') as file:
                return ''.join(file.readlines()[-30:])
        except OSError:
            return ''


def check_tools():
    missing = [tool for tool in ('ip', 'tc', 'stress-ng', 'iperf3') if not shutil.which(tool)]
    if os.geteuid() != 0:
        raise Refused('the main job makes network interfaces and control groups: run it as root')
    if missing:
        raise Refused(f'missing: {", ".join(missing)} (Debian packages iproute2, stress-ng, iperf3)')
    if sys.version_info < (3, 8):
        raise Refused('python 3.8 is needed')
