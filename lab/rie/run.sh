#!/usr/bin/env bash
# Runs the built functions the way Lambda does: under the runtime interface emulator that `sam local` uses, on DynamoDB
# Local. Needs Linux; Java 17 or newer, and Maven once, for DynamoDB Local; Python with pip once, to fetch the emulator.
#
#   run.sh fetch        fetches the emulator into .tools, unless it is already there
#   run.sh [FLAG…]      builds the functions and runs the tests beside this script; the flags are those of go test, such as -run Race
set -euo pipefail

# The wheel of aws-sam-cli on PyPI contains the emulators for both architectures.
version=1.170.0
wheel_sha256=24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

die() {
	echo "rie: $*" >&2
	exit 1
}

[[ $(uname -s) == Linux ]] || die "Lambda's programs run on Linux only"
case $(uname -m) in
x86_64) name=aws-lambda-rie-x86_64 ;;
aarch64 | arm64) name=aws-lambda-rie-arm64 ;;
*) die "no emulator is made for $(uname -m)" ;;
esac
emulator=$root/.tools/$name-$version

fetch() {
	[[ -x $emulator ]] && return
	python3 -m pip --version >/dev/null 2>&1 ||
		die "Python with pip not found; install it (on Debian: apt-get install python3-pip)"
	echo "fetching the emulator of aws-sam-cli $version into $emulator" >&2
	mkdir -p "$root/.tools"
	# Into another folder first, so that an interrupted fetch is not taken for a complete one.
	local part
	part=$(mktemp -d "$emulator.XXXXXX")
	# shellcheck disable=SC2064 # the value of now
	trap "rm -rf '$part'" EXIT # not run where exec follows
	echo "aws-sam-cli==$version --hash=sha256:$wheel_sha256" >"$part/requirements.txt"
	python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		--dest "$part" --requirement "$part/requirements.txt"
	python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])' \
		"$part"/aws_sam_cli-*.whl "samcli/local/rapid/$name" "$part"
	chmod +x "$part/samcli/local/rapid/$name"
	mv "$part/samcli/local/rapid/$name" "$emulator"
	rm -rf "$part"
}

fetch
[[ ${1-} != fetch ]] || exit 0

cd "$root"
make --no-print-directory build
export ROTOR_TEST_RIE=$emulator
exec "$root/lab/dynamodb-local/run.sh" with go test -tags rie -count=1 -v ./lab/rie "$@"
