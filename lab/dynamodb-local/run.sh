#!/usr/bin/env bash
# Runs DynamoDB Local, Amazon's own stand-in for DynamoDB, in memory. Needs Java 17 or newer, and Maven once, to fetch it.
#
#   run.sh fetch            fetches it into .tools, unless it is already there
#   run.sh serve PORT       runs it in the foreground
#   run.sh with COMMAND…    runs it on a free port while COMMAND runs, with ROTOR_TEST_DYNAMODB set to its address;
#                           ends with COMMAND's exit code
#
# It keeps one database for all credentials and regions (-sharedDb), so a test that needs its own table gives it its own
# name. It listens on every interface, which cannot be changed: do not put real data into it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's|.*<dynamodb-local.version>\(.*\)</dynamodb-local.version>.*|\1|p' "$here/pom.xml")
lib=$(cd "$here/../.." && pwd)/.tools/dynamodb-local-$version

die() {
	echo "dynamodb-local: $*" >&2
	exit 1
}

need() {
	command -v "$1" >/dev/null || die "$1 not found; install $2 (on Debian: apt-get install $3)"
}

fetch() {
	[[ -d $lib ]] && return
	need java "Java 17 or newer" default-jre-headless
	need mvn Maven maven
	echo "fetching DynamoDB Local $version into $lib" >&2
	# Into another folder first, so that an interrupted fetch is not taken for a complete one.
	local part=$lib.part output
	rm -rf "$part"
	output=$(mvn --batch-mode --strict-checksums --file "$here/pom.xml" \
		dependency:copy-dependencies -DoutputDirectory="$part" 2>&1 </dev/null) || die "mvn failed: $output"
	mv "$part" "$lib"
}

# Becomes the server, so that the process that started it can wait for it and kill it.
serve() {
	exec java -Djava.library.path="$lib" -cp "$lib/*" software.amazon.dynamodb.services.local.main.ServerRunner \
		-inMemory -sharedDb -disableTelemetry -port "$1"
}

# Succeeds if something listens on the port.
listens() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Succeeds if an HTTP server listens there.
answers() {
	(
		exec 3<>"/dev/tcp/127.0.0.1/$1"
		printf 'GET / HTTP/1.0\r\n\r\n' >&3
		read -r -t 2 line <&3
		[[ $line == HTTP/* ]]
	) 2>/dev/null
}

# Prints a free port, from below the range that systems use for outgoing connections.
free_port() {
	local port
	for _ in {1..50}; do
		port=$((20000 + RANDOM % 10000))
		listens "$port" || { echo "$port" && return; }
	done
	die "no free port found"
}

with() {
	local port server tries log
	log=$(mktemp)
	port=$(free_port)
	(serve "$port") >"$log" 2>&1 </dev/null &
	server=$!
	# shellcheck disable=SC2064 # the values of now
	trap "kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f '$log'" EXIT
	for ((tries = 0; ; tries++)); do
		answers "$port" && break
		if ((tries == 150)) || ! kill -0 "$server" 2>/dev/null; then
			cat "$log" >&2
			die "it did not come up on port $port; its output stands above"
		fi
		sleep 0.2
	done
	echo "DynamoDB Local $version answers on 127.0.0.1:$port" >&2
	local code=0
	ROTOR_TEST_DYNAMODB=http://127.0.0.1:$port "$@" || code=$?
	exit "$code"
}

case ${1-} in
fetch) (($# == 1)) || die "usage: run.sh fetch" ;;
serve) (($# == 2)) || die "usage: run.sh serve PORT" ;;
with) (($# >= 2)) || die "usage: run.sh with COMMAND…" ;;
*) die "usage: run.sh fetch | serve PORT | with COMMAND…" ;;
esac
need java "Java 17 or newer" default-jre-headless
fetch
case $1 in
serve) serve "$2" ;;
with) with "${@:2}" ;;
esac
