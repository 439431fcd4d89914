# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the tests of headgatectl as a process have in common: to be sourced. It starts nothing by itself.
# The caller sets headgatectl, its path.

failed=0
number=0
pids=()
work=$(mktemp -d)
: >"$work/out"
: >"$work/err"

finish() {
        ((${#pids[@]})) && kill "${pids[@]}" 2>/dev/null
        wait
        rm -rf "$work"
}
trap finish EXIT

fail() {
        echo "FAILED: $*"
        sed 's/^/  out: /' "$work/out"
        sed 's/^/  err: /' "$work/err"
        failed=$((failed + 1))
}

# expect NAME EXIT OUT ERR ARGUMENT...: OUT and ERR are extended regular expressions that a line must match whole, ''
# is no output at all; an error is always one line. Standard input is passed on.
expect() {
        local name=$1 code=$2 out=$3 err=$4 got
        shift 4

        number=$((number + 1))
        # shellcheck disable=SC2154
        "$headgatectl" "$@" >"$work/out" 2>"$work/err"
        got=$?
        [ "$got" -eq "$code" ] || fail "$name: exit $got, not $code"
        if [ -n "$out" ]; then
                grep -qxE -- "$out" "$work/out" || fail "$name: no line on standard output is '$out'"
        elif [ -s "$work/out" ]; then
                fail "$name: something on standard output"
        fi
        if [ -n "$err" ]; then
                grep -qxE -- "headgatectl: $err" "$work/err" || fail "$name: standard error is not '$err'"
                [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$name: more than one line on standard error"
        elif [ -s "$work/err" ]; then
                fail "$name: something on standard error"
        fi
}

# A bus daemon of their own, which HEADGATE_BUS names, for whoever connects: it is there once it has said where.
start_bus() {
        cat >"$work/bus.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>$HEADGATE_BUS</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
EOF
        exec {bus}< <(exec dbus-daemon --config-file="$work/bus.conf" --nofork --print-address 2>"$work/dbus.log")
        pids+=($!)
        read -r -t 10 -u "$bus" || { cat "$work/dbus.log"; exit 1; }
}

# Makes $work/as-USER: headgatectl as somebody else, from where he may execute it, ended after 20 s. Fails where we are
# not root.
make_as() {
        [ "$(id -u)" -eq 0 ] || return 1
        chmod 755 "$work"
        cp "$headgatectl" "$work/headgatectl"
        printf '#!/bin/sh\nexec timeout 20 setpriv --reuid="%s" --regid="%s" --clear-groups "%s" "$@"\n' \
                "$1" "$(id -g "$1")" "$work/headgatectl" >"$work/as-$1"
        chmod 755 "$work/as-$1"
}

# What headgated tells, from now on.
start_watch() {
        : >"$work/watch"
        exec {watch}< <(exec "$headgatectl" watch 2>&1)
        pids+=($!)
}

# await LINE: an extended regular expression that a line to come must match whole; all that came goes to $work/watch.
await() {
        local line

        while read -r -t 10 -u "$watch" line; do
                printf '%s\n' "$line" >>"$work/watch"
                [[ $line =~ ^${1}$ ]] && return
        done
        echo "FAILED: not within 10 s: $1"
        cat "$work/watch"
        exit 1
}

# What is to be looked for in standard output is written in UTC and without colour.
export HEADGATE_BUS=unix:path=$work/bus TZ=UTC0 NO_COLOR=1
