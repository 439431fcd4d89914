# shellcheck shell=bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the native tests in bash share, to be sourced first, with the arguments HEADGATED HEADGATECTL: it runs the test again in
# a network and a mount namespace of its own, and gives it a folder, a control group's path and a bus's address. Each test
# clears away what it made: its own finish().

set -uo pipefail

headgated=$(readlink -f "$1") headgatectl=$(readlink -f "$2")
if [ "$(id -u)" -ne 0 ]; then
        echo "1..0 # SKIP needs root"
        exit 77
fi
[ "${3-}" = inside ] || exec unshare --net --mount "$0" "$headgated" "$headgatectl" inside

folder=$(mktemp -d) daemon='' failures=0
mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
root=/headgate-$(basename "$0")-$$
# shellcheck disable=SC2034 # the tests'
group=$mount$root/headgate/gold
pins=$folder/bpf/headgate
export HEADGATE_BUS=unix:path=$folder/bus
exec {report}>&1

# check NAME COMMAND…: the command's status is the result, what it prints is why.
check() {
        local name=$1
        shift
        if "$@" >"$folder/words" 2>&1; then
                echo "ok - $name"
        else
                echo "not ok - $name"
                failures=$((failures + 1))
                sed 's/^/# /' "$folder/words"
        fi
}

# within COMMAND…: until it succeeds, at most ten seconds (seconds=5). It may look at queues, groups, pins and what the daemon
# says, of which no one event tells: looked at again after a nap. How long it took is printed.
within() {
        local begin end now bound=${seconds-10}
        begin=$(date +%s%6N) end=$((begin + bound * 1000000))
        until "$@" >"$folder/try" 2>&1; do
                now=$(date +%s%6N)
                [ "$now" -lt "$end" ] || { cat "$folder/try"; echo "not within $bound seconds: $*"; return 1; }
                sleep 0.005
        done
        echo "# after $(($(date +%s%6N) - begin)) µs: $*" >&"$report"
}

options() { echo "--config=$folder/conf --bus=$HEADGATE_BUS --state-dir=$folder/state --pin-dir=$pins --cgroup-driver=cgroupfs --cgroup-root=$root"; }

make_uplink() { ip link add hg0 type veth peer name hg1 && ip link set hg0 up && ip link set hg1 up; }

start_bus() { dbus-daemon --session --address="$HEADGATE_BUS" --fork --nopidfile --print-pid >"$folder/bus.pid"; }

# Until it is on the bus, at most so many seconds.
await_bus() {
        local watcher watch line there=1
        exec {watch}< <(exec timeout "$1" "$headgatectl" watch)
        watcher=$!
        while [ "$there" -ne 0 ] && read -r -u "$watch" line; do
                [[ $line != *there* ]] || there=0
        done
        exec {watch}<&-
        kill "$watcher" 2>/dev/null
        return "$there"
}

# start_daemon [COMMAND…]: by that.
start_daemon() {
        # shellcheck disable=SC2046 # the options have no spaces
        "$@" "$headgated" $(options) >>"$folder/log" 2>&1 &
        daemon=$!
        await_bus 10 || { cat "$folder/log"; return 1; }
}
