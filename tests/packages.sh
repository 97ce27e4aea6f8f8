#!/bin/sh
# Installs what the tests talk to, when this is Debian and we are root; says so otherwise.
set -u
missing=""
for pair in sipp:sip-tester baresip:baresip sipsak:sipsak; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, tests that need them are skipped:$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    echo "could not install, tests that need them are skipped:$missing"
