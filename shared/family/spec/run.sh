#!/usr/bin/env bash
# Checks the specification of the rotation protocol with TLC, the TLA+ model checker. Needs Java 17 or newer, and Maven
# once, to fetch it.
#
#   run.sh fetch            fetches TLC into .tools, unless it is there
#   run.sh check            checks every configuration, with all states that its bounds allow
#   run.sh check --large    the same with larger bounds: those that the files name after "large:"
#   run.sh mutants          breaks the specification in one way after another, and fails unless each is found out
#
# Where a property does not hold, the steps that lead there are printed, and TLC's exit code is the exit code.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's|.*<tlc.version>\(.*\)</tlc.version>.*|\1|p' "$here/pom.xml")
lib=$(cd "$here/../../.." && pwd)/.tools/tlc-$version

die() {
	echo "spec: $*" >&2
	exit 1
}

need() {
	command -v "$1" >/dev/null || die "$1 not found; install $2 (on Debian: apt-get install $3)"
}

fetch() {
	[[ -d $lib ]] && return
	need mvn Maven maven
	echo "fetching TLC $version into $lib" >&2
	# Into a neighbour first, so that a fetch cut short is not taken for a whole one.
	local part=$lib.part output
	rm -rf "$part"
	output=$(mvn --batch-mode --strict-checksums --file "$here/pom.xml" \
		dependency:copy-dependencies -DoutputDirectory="$part" 2>&1 </dev/null) || die "mvn failed: $output"
	mv "$part" "$lib"
}

# Runs TLC on the module and the configuration in a folder; its output goes to a file there.
tlc() {
	(cd "$1" && exec java -XX:+UseParallelGC -Djava.io.tmpdir="$1" -cp "$lib/*" tlc2.TLC \
		-workers auto -metadir "$1/states" -config Rotation.cfg Rotation.tla >"$1/output" 2>&1 </dev/null)
}

check() {
	local config name began code counts bounds='s/ \\\* large: .*//'
	[[ ${1-} != --large ]] || bounds='s/= .* \\\* large: /= /'
	printf '%-13s %10s %10s %6s %7s\n' configuration generated distinct depth time
	for config in "$here"/*.cfg; do
		name=$(basename "$config" .cfg) began=$SECONDS code=0
		rm -rf "${scratch:?}"/*
		cp "$here/Rotation.tla" "$scratch"
		sed "$bounds" "$config" >"$scratch/Rotation.cfg"
		tlc "$scratch" || code=$?
		if ((code)); then
			cat "$scratch/output"
			echo "spec: $name.cfg does not hold" >&2
			exit "$code"
		fi
		read -ra counts < <(sed -nE 's/^([0-9]+) states generated, ([0-9]+) distinct.*/\1 \2/p
			s/^The depth of the complete state graph search is ([0-9]+)\.$/\1/p' "$scratch/output" | tail -n 2 | xargs)
		printf '%-13s %10s %10s %6s %6ds\n' "$name" "${counts[@]}" $((SECONDS - began))
	done
}

# mutant PROPERTY CONFIGURATION WHAT EDIT: whether TLC finds that the property is violated once the edit is made.
mutant() {
	local code=0
	rm -rf "${scratch:?}"/*
	sed "$4" "$here/Rotation.tla" >"$scratch/Rotation.tla"
	! cmp -s "$here/Rotation.tla" "$scratch/Rotation.tla" || die "the edit changes nothing: $3"
	sed -E "s/ \\\\\* large: .*//; s/^(INVARIANTS|PROPERTIES) .*$1.*/\1 $1/; t
		/^(INVARIANTS|PROPERTIES) /d" "$here/$2.cfg" >"$scratch/Rotation.cfg"
	grep -q " $1\$" "$scratch/Rotation.cfg" || die "$2.cfg does not check $1"
	tlc "$scratch" || code=$?
	# 12 and 13 are violations; any other code is that of a specification that does not run.
	if ((code != 12 && code != 13)); then
		tail -n 20 "$scratch/output" >&2
		die "not found out (exit code $code): $3"
	fi
	printf '%-15s %-10s %s\n' "$1" "$2" "$3"
}

mutants() {
	printf '%-15s %-10s %s\n' 'violated' 'in' 'when'
	mutant Forward Interval 'the refresh does not ask for the counter' \
		's|THEN a.n ELSE a.seen.counter|THEN item.counter ELSE a.seen.counter|'
	mutant Forward UntilUsed 'the skip does not ask for the counter' \
		's|THEN a.n ELSE a.seen.counter|THEN a.n ELSE item.counter|'
	mutant DeadStaysDead Theft 'the write does not ask whether the family is revoked' \
		's|= from /\\ Alive(item, a.now)|= from /\\ ~Ended(item, a.now)|'
	mutant DeadStaysDead Theft 'the write does not ask whether the family has ended' \
		's|= from /\\ Alive(item, a.now)|= from /\\ ~item.revoked|'
	mutant Explained Theft 'the write thinks of the end otherwise than the decision' \
		's|= from /\\ Alive(item, a.now)|= from /\\ Alive(item, a.now + 1)|'
	mutant NeverLoggedOut Strict 'a request does not know its own write' \
		's|ELSE IF f.wid = r THEN "ours"||'
	mutant OneNewest Interval 'a racer gets the next token, not the newest' \
		's|Answered(a, "success", f.counter)|Answered(a, "success", a.n + 1)|'
	mutant GoesOn Live 'a racer is told to try again' \
		's|CASE v \\in {"ours", "newest"}|CASE v = "newest" -> Free [] v = "ours"|'
	mutant NeverLate Theft 'the end of the interval is inside' \
		's|s\[1\], 0) < Interval|s[1], 0) <= Interval|'
	mutant NeverLoggedOut Skew 'a negative age is outside the interval' \
		's|Max(a.now - s\[1\], 0) < Interval|a.now >= s[1] /\\ a.now - s[1] < Interval|'
	mutant NeverLate Theft 'a token of unknown age is taken for a racer' \
		's|\[\] inside  *-> "refused"|[] inside -> "newest"|'
	mutant NeverLoggedOut Interval 'a token of unknown age is taken for reuse' \
		's|\[\] inside  *-> "refused"|[] inside -> "reuse"|'
	mutant FoundOut Theft 'reuse is refused, and no more' \
		's|\[\] OTHER  *-> "reuse"|[] OTHER -> "refused"|'
	mutant OneFerrt Theft 'the revocation does not ask whether it was done before' \
		's|IN IF ~item.revoked|IN IF TRUE|'
	mutant OneFerrt Theft 'who finds the family revoked logs it too' \
		's|IF item.mark = r THEN|IF TRUE THEN|'
	mutant NeverLate Skipped 'any superseded token may be a lost response' \
		's|a.n = LastUsed(f) /\\ UntilUsed|UntilUsed|'
	mutant NeverLate Skipped 'a skipped token is honoured inside the interval' \
		's|CASE f.skip.from <= a.n|CASE ~inside /\\ f.skip.from <= a.n|'
	mutant FoundOut Skipped 'a skipped token is refused, and no more' \
		's|<= f.skip.to -> "reuse"|<= f.skip.to -> "refused"|'
	mutant NeverLoggedOut UntilUsed 'the skip does not say what it skipped' \
		's|!.skip = \[from .-> n + 1, to .-> f.counter\]|!.skip = @|'
	mutant NeverLoggedOut UntilUsed 'the skip does not supersede its token anew' \
		's|IF g.counter - i >= n THEN now ELSE @\[i\]|@[i]|'
	mutant NeverLoggedOut UntilUsed 'the client takes an answer for a token that it no longer holds' \
		's|req\[r\].n = held /\\ held|held|'
	mutant NeverLoggedOut Restore 'a token newer than the record is refused' \
		's|THEN "ahead"|THEN "refused"|'
	mutant NeverLoggedOut Restore 'the move ahead keeps the times of earlier rotations' \
		's|IF i = 1 THEN now ELSE None|IF i = 1 THEN now ELSE f.rot[i - 1]|'
}

usage="usage: run.sh fetch | check [--large] | mutants"
case $* in
fetch | check | 'check --large' | mutants) ;;
*) die "$usage" ;;
esac
need java "Java 17 or newer" default-jre-headless
fetch
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case $1 in
check) check "${2-}" ;;
mutants) mutants ;;
esac
