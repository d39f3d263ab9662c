#!/usr/bin/env bash
# Runs every fuzz target of the tree, one after another, for the given time or number of executions each.
# Usage: lab/fuzz.sh 10000x
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' clients cmd functions infra lab shared |
	sed -E 's|^(.*)/[^/]*:func (.*)$|./\1 \2|' | sort |
	while read -r package target; do
		echo "== $target in $package"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:?Usage: lab/fuzz.sh 10000x}" -fuzzminimizetime 100x "$package" </dev/null
	done
