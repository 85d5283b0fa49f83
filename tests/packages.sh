#!/bin/sh
# Debian packages that a target needs: installs the missing ones (`install`, with sudo when not
# root), or names them and fails (`check`).
# usage: packages.sh install|check PACKAGE...
mode=$1
shift
command -v dpkg-query >/dev/null 2>&1 || exit 0 # another system: the compiler will tell
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$mode" = check ]; then
    echo "missing packages:$missing" >&2
    echo "install them with: apt-get install$missing   (or: make run, which does so)" >&2
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
$sudo apt-get update -qq || true
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
