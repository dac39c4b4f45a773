#!/bin/sh
# Before a package is removed, and before it is upgraded: deb says "upgrade", rpm "1".
set -e
case "$1" in upgrade | 1) exit 0 ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now vstream.service || true
