#!/bin/sh
# Before a package is removed, of which deb says "remove" and rpm "0", and before it is upgraded.
set -e
case "$1" in remove | 0) ;; *) exit 0 ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now vstream.service || true
