#!/usr/bin/env bash
# Checks for known vulnerabilities with govulncheck, whose path is given. If its database cannot be reached, it says so
# and succeeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

code=0
output=$("$1" ./... 2>&1) || code=$?
echo "$output"
case $output in
*'fetching vulnerabilities'*) echo 'govulncheck cannot reach its database, so known vulnerabilities were not checked' ;;
*) exit "$code" ;;
esac
