#!/bin/sh
# Installs what the tests talk to, when this is Debian and we are root; says so otherwise.
set -u
missing=""
PATH="$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')"
for pair in sipp:sip-tester baresip:baresip sipsak:sipsak postgres:postgresql \
    mariadbd:mariadb-server redis-server:redis-server; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, tests that need them are skipped:$missing"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# The tests start servers of their own: those of the packages are not to start now.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086 # a list of packages
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    echo "could not install, tests that need them are skipped:$missing"
