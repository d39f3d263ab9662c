#!/usr/bin/env bash
# Builds all zips twice, here and in another folder without a build cache, and compares them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
sums() {
	(cd "$1/dist" && find . -name '*.zip' | LC_ALL=C sort | xargs sha256sum)
}
make clean build
mkdir "$elsewhere/rotor"
tar -c --exclude=./.git --exclude=./.tools --exclude=./dist . | tar -x -C "$elsewhere/rotor"
GOCACHE=$elsewhere/cache make -C "$elsewhere/rotor" build
sums . | tee "$elsewhere/sums"
diff "$elsewhere/sums" <(sums "$elsewhere/rotor") || { echo 'the two builds differ' >&2; exit 1; }
