#!/usr/bin/env bash
# Rehearses a deployment on this machine: the CDK app is deployed, by the CDK CLI, to ministack, an emulator of AWS that
# runs the functions' programs as processes. Needs Linux, Node for CDK, and Python with pip once, to fetch the emulator.
#
#   run.sh fetch        fetches the emulator into .tools, unless it is already there
#   run.sh [FLAG…]      rehearses; -help lists the flags. `make rehearse` builds what it deploys and runs this.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
version=$(sed -n 's/^ministack==//p' "$here/constraints.txt")
emulator=$root/.tools/ministack-$version

die() {
	echo "rehearse: $*" >&2
	exit 1
}

[[ $(uname -s) == Linux ]] || die "Lambda's programs run on Linux only"

fetch() {
	[[ -e $emulator/complete ]] && return
	python3 -c 'import ensurepip' 2>/dev/null ||
		die "Python with venv not found; install it (on Debian: apt-get install python3-venv)"
	echo "fetching ministack $version into $emulator" >&2
	rm -rf "$emulator"
	python3 -m venv "$emulator"
	"$emulator/bin/pip" install --quiet --disable-pip-version-check --constraint "$here/constraints.txt" "ministack==$version"
	touch "$emulator/complete" # not there after an interrupted fetch
}

fetch
[[ ${1-} != fetch ]] || exit 0

cd "$root"
program=$(mktemp -d)
trap 'rm -rf "$program"' EXIT
go build -o "$program/rehearse" ./lab/rehearse
code=0
"$program/rehearse" -python "$emulator/bin/python" "$@" || code=$?
exit "$code"
