#!/bin/sh
# After a package was installed or upgraded.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
systemctl try-restart vstream.service || true # a service that cannot run does not fail the package
