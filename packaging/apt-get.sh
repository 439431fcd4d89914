# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# apt-get for the scripts that install what they need: to be sourced. What is installed they say.

# apt_get LOG ARGUMENT…: asks nothing and takes no recommended packages; its output goes to LOG, and where it fails the
# end of that to standard error. Whoever holds one of apt's locks is waited for, up to ten minutes: a fresh machine may
# be at its first upgrade. DPkg::Lock::Timeout, apt's own, is for dpkg's locks alone: `update` takes another one.
apt_get() {
        local log=$1 deadline=$((SECONDS + 600)) said='' code
        shift
        while :; do
                code=0
                LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends "$@" \
                        >"$log" 2>&1 </dev/null || code=$?
                [ "$code" -ne 0 ] || return 0
                if [ "$SECONDS" -ge "$deadline" ] || ! grep -q '^E: Could not get lock' "$log"; then
                        tail -n 20 "$log" >&2
                        return "$code"
                fi
                [ -n "$said" ] || sed -n 's/^E: Could not get lock/waiting for the lock/p' "$log" >&2
                said=yes
                sleep 2
        done
}
