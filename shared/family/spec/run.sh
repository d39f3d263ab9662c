#!/usr/bin/env bash
# Checks the specification of the rotation protocol with TLC, the TLA+ model checker. Needs Java 17 or newer, and Maven
# once, to fetch it.
#
#   run.sh fetch            fetches TLC into .tools, unless it is there
#   run.sh check            checks every configuration, with all states that its bounds allow
#   run.sh check --large    the same with larger bounds: those that the files name after "large:"
#   run.sh mutants [REGEX]  breaks the specification in one way after another, and fails unless each is found out; with a
#                           regular expression, in those ways whose property, configuration or description matches
#
# check fails as well if the specification has changed, and a way to break it no longer does.
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

# Runs TLC on the module and the configuration in a folder, with further options of Java; its output goes to a file there.
tlc() {
	(cd "$1" && exec java "${@:2}" -XX:+UseParallelGC -Djava.io.tmpdir="$1" -cp "$lib/*" tlc2.TLC \
		-workers auto -metadir "$1/states" -config Rotation.cfg Rotation.tla >"$1/output" 2>&1 </dev/null)
}

check() {
	local config name began code counts bounds='s/ \\\* large: .*//'
	edits=only mutants >/dev/null
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

# mutant PROPERTY CONFIGURATION WHAT EDIT: whether TLC finds that the property is violated once the edit is made. Where
# edits is set, whether the edit can be made.
mutant() {
	local code=0
	[[ "$1 $2 $3" =~ $chosen ]] || return 0
	rm -rf "${scratch:?}"/*
	sed "$4" "$here/Rotation.tla" >"$scratch/Rotation.tla"
	! cmp -s "$here/Rotation.tla" "$scratch/Rotation.tla" || die "the edit changes nothing: $3"
	sed -E "s/ \\\\\* large: .*//; s/^(INVARIANTS|PROPERTIES) .*$1.*/\1 $1/; t
		/^(INVARIANTS|PROPERTIES) /d" "$here/$2.cfg" >"$scratch/Rotation.cfg"
	grep -q " $1\$" "$scratch/Rotation.cfg" || die "$2.cfg does not check $1"
	[[ ! ${edits-} ]] || return 0
	tlc "$scratch" -XX:TieredStopAtLevel=1 || code=$? # to optimize more costs a run this short more than it gains
	# 12 and 13 are violations; any other code is that of a specification that does not run.
	if ((code != 12 && code != 13)); then
		tail -n 20 "$scratch/output" >&2
		die "not found out (exit code $code): $3"
	fi
	printf '%-16s %-14s %s\n' "$1" "$2" "$3"
}

mutants() {
	printf '%-16s %-14s %s\n' 'violated' 'in' 'when'
	mutant Forward Theft 'the refresh does not ask for the counter' \
		's|f.counter = a.seen|(a.pc # "refresh" => f.counter = a.seen)|'
	mutant Forward UntilUsed 'the skip does not ask for the counter' \
		's|f.counter = a.seen|(a.pc # "skip" => f.counter = a.seen)|'
	mutant OneNewest UntilUsed 'the record of a use does not ask for the counter' \
		's|f.counter = a.seen|(a.pc # "use" => f.counter = a.seen)|'
	mutant DeadStaysDead Theft 'a write does not ask whether the family is revoked' \
		's|/\\ Alive(f, a.now)$|/\\ ~Ended(f, a.now)|'
	mutant DeadStaysDead Theft 'a write does not ask whether the family has ended' \
		's|/\\ Alive(f, a.now)$|/\\ ~f.revoked|'
	mutant DeadStaysDead Theft 'the record of a use does not ask whether the family is revoked' \
		's|/\\ Alive(f, a.now)$|/\\ ~Ended(f, a.now) /\\ (a.pc # "use" => ~f.revoked)|'
	mutant Explained Theft 'a write thinks of the end otherwise than the decision' \
		's|/\\ Alive(f, a.now)$|/\\ Alive(f, a.now + 1)|'
	mutant NeverLoggedOut Naive 'the refresh does not ask when the family rotated last' \
		's|a.pc = "refresh" => ~Holding(f, a.now)|TRUE|'
	mutant Forward Theft 'the refresh does not ask when the family rotated last, and a thief is fast' \
		's|a.pc = "refresh" => ~Holding(f, a.now)|TRUE|'
	mutant FoundOut Theft 'nor does it, and an older token than the predecessor is refused, while the family lives' \
		's|a.pc = "refresh" => ~Holding(f, a.now)|TRUE|; s|ELSE IF a.n < p /\\ .* THEN "slow"|ELSE IF a.n < p THEN "dead"|'
	mutant NeverLoggedOut Interval 'the newest token is held a moment too short' \
		's|f.rotated > now - Interval|f.rotated > now - Interval + 1|'
	mutant Explained Interval 'the newest token is held a moment too long' \
		's|f.rotated > now - Interval|f.rotated >= now - Interval|'
	mutant NeverLoggedOut Naive 'a token that is held is taken for a copy' \
		's|Holds(f, a.now) THEN "held"|Holds(f, a.now) THEN "reuse"|'
	mutant GoesOn Live 'a client whose token is held is told to try again' \
		's|Holds(f, a.now) THEN "held"|Holds(f, a.now) THEN "slow"|'
	mutant GoesOn Live 'a token is held for ever' \
		's|f.rotated > now - Interval|TRUE|; s|Max(now - f.rotated, 0) < Interval|TRUE|'
	mutant NeverLoggedOut Strict 'a request does not know its own write' \
		's|ELSE IF f.wid = r THEN "ours"||'
	mutant OneNewest Interval 'a racer gets the next token, not the newest' \
		's|Answered(a, "success", f.counter)|Answered(a, "success", a.n + 1)|'
	mutant GoesOn Live 'a racer is told to try again' \
		's|a.n = p /\\ Holds(f, a.now) THEN "newest"|a.n = p /\\ Holds(f, a.now) THEN "slow"|'
	mutant NeverLate Theft 'the end of the interval is inside' \
		's|Max(now - f.rotated, 0) < Interval|Max(now - f.rotated, 0) <= Interval|'
	mutant NeverLoggedOut Skew 'a negative age is outside the interval' \
		's|Max(now - f.rotated, 0) < Interval|now >= f.rotated /\\ now - f.rotated < Interval|'
	mutant NeverLoggedOut Interval 'a slow request is taken for reuse' \
		's|THEN "slow"|THEN "reuse"|'
	mutant Explained Theft 'whatever is older than the predecessor is taken for slow' \
		's|a.n < p /\\ a.now < f.rotated|a.n < p|'
	mutant AtMostTwo Theft 'a token older than the predecessor is honoured inside the interval' \
		's|a.n = p /\\ Holds(f, a.now)|a.n <= p /\\ Holds(f, a.now)|'
	mutant FoundOut Theft 'reuse is refused, and no more' \
		's|^     ELSE "reuse"|     ELSE "dead"|'
	mutant OneFerrt Theft 'the revocation does not ask whether it was done before' \
		's|IN IF item.there /\\ ~item.revoked|IN IF TRUE|'
	mutant OneFerrt Theft 'who finds the family revoked logs it too' \
		's|IF item.mark = r THEN|IF TRUE THEN|'
	mutant InUse Theft 'a use that rotates nothing does not count for the idle end' \
		's|v \\in {"held", "newest"} /\\ a.now - f.at|v = "ours" /\\ a.now - f.at|'
	mutant NeverLate Skipped 'any token older than the newest may be a lost response' \
		's|a.n = p /\\ UntilUsed|UntilUsed|'
	mutant NeverLate Skipped 'a held use is not written down' \
		's|v = "held" /\\ UntilUsed|FALSE|'
	mutant NeverLate Skipped 'a held use does not count as a use' \
		's|!.used = IF n = f.counter THEN n ELSE @|!.used = @|'
	mutant NeverLoggedOut UntilUsed "the predecessor's use counts as one of the newest" \
		's|!.used = IF n = f.counter THEN n ELSE @|!.used = f.counter|'
	mutant NeverLate Skipped 'nobody asks whether the newest was used, before it is skipped' \
		's|a.n = p /\\ UntilUsed /\\ f.used # f.counter|a.n = p /\\ UntilUsed|; s|a.pc = "skip" => f.used # f.counter|TRUE|'
	mutant NeverLate Skipped 'the skip does not ask whether the newest was used meanwhile' \
		's|a.pc = "skip" => f.used # f.counter|TRUE|'
	mutant AtMostTwo Skipped 'a skipped token is honoured inside the interval' \
		's|a.n > p THEN "reuse"|a.n > p /\\ ~Holds(f, a.now) THEN "reuse"|; s|a.n = p /\\ Holds|a.n >= p /\\ Holds|'
	mutant FoundOut Skipped 'a skipped token is refused, and no more' \
		's|a.n > p THEN "reuse"|a.n > p THEN "dead"|'
	mutant NeverLoggedOut UntilUsed 'the skip does not say what it skipped' \
		's|!.skip = \[from .-> n + 1, to .-> f.counter\]|!.skip = @|'
	mutant NeverLoggedOut UntilUsed 'the skip does not supersede its token anew' \
		's|\[Rotated(f, f.counter, now) EXCEPT|[Rotated(f, f.counter, f.rotated) EXCEPT|'
	mutant NeverLoggedOut Restore 'a token newer than the record is refused' \
		's|THEN "ahead"|THEN "dead"|'
	mutant NeverLoggedOut Restore 'the move ahead gives its token a successor at once' \
		's|IF Interval = 0 THEN n ELSE n - 1|n|'
	mutant NeverLoggedOut Restore 'the move ahead keeps the time of the last rotation' \
		's|IF Interval = 0 THEN n ELSE n - 1, now)|IF Interval = 0 THEN n ELSE n - 1, IF f.rotated = None THEN now ELSE f.rotated)|'
	mutant NeverLate RestoredTheft 'the move ahead does not count as a use' \
		's|EXCEPT !.used = n, |EXCEPT |'
	mutant NeverLoggedOut UntilUsed 'the careful client takes an answer for a token that it no longer has' \
		's|a.n = has /\\ has. = a.tok|has'"'"' = a.tok|'
	mutant NeverLoggedOut Interval 'the careful client begins anew, although an answer was lost' \
		's|a.tok = has /\\ sure|a.tok = has|'
	mutant NeverLoggedOut UntilUsed 'the careful client begins anew an interval after the first copy, not the last' \
		's|!\[n\] = 2 \* Span(n)|![n] = Interval + Skew|; s|^Quiet(n) == .*|Quiet(n) == 2 * Skew|'
	mutant NeverLoggedOut Naive "the naive client's bursts follow an interval apart" \
		's|2 \* Interval|Interval|g'
	mutant OneExchange CodeTheft 'the exchange does not ask for the verifier' \
		's|/\\ a.n = 0 => a.proof|/\\ TRUE|'
	mutant OneExchange CodeTheft 'the exchange does not ask for the counter' \
		's|f.counter = a.seen|(a.n # 0 => f.counter = a.seen)|'
	mutant OneExchange CodeTheft 'a code never expires' \
		's| \\/ (Coded /\\ Pending(f) /\\ now >= f.until)||'
	mutant OneExchange CodeTheft 'a code that comes again gets the newest token' \
		's|a.now < f.until THEN "refused"|a.now < f.until THEN "newest"|'
	mutant Spared CodeTheft 'a wrong verifier ends a pending family' \
		's|THEN "unclear" ELSE "refused"|THEN "unclear" ELSE "reuse"|'
	mutant NeverLoggedOut Code 'a code that comes again ends the family at once' \
		's|IF a.proof /\\ a.now < f.until|IF FALSE|'
	mutant NeverLoggedOut Code 'the exchange does not say until when the code may come again' \
		's|!.until = IF Coded /\\ n = 0 THEN now + Grace ELSE @|!.until = @|'
	mutant FoundOut CodeTheft 'a code that comes again is refused, and no more' \
		's|a.now < f.until THEN "refused" ELSE "reuse"|a.now < f.until THEN "refused" ELSE "dead"|'
	mutant FoundOut CodeTheft 'a code that comes again without its verifier is forgiven' \
		's|IF a.proof /\\ a.now < f.until|IF a.now < f.until|'
	mutant FoundOut CodeTheft 'the end of that time is inside' \
		's|a.proof /\\ a.now < f.until|a.proof /\\ a.now <= f.until|'
	mutant OneFamily ImportedTheft 'an import does not ask whether the token has a family' \
		's|IF ~import.known$|IF TRUE|'
	mutant OneFamily ImportedTheft 'an erasure takes along that the token was known' \
		's|import. = import$|import'"'"' = [import EXCEPT !.known = FALSE]|'
	mutant DeadStaysDead ImportedTheft 'a foreign token begins a family that was erased' \
		's|f.there /\\ ~f.revoked|~f.revoked|'
	mutant Forward ImportedTheft 'the first use of a foreign token does not ask for the counter' \
		's|f.counter = a.seen|(a.n # 0 => f.counter = a.seen)|'
	mutant NeverLoggedOut Imported 'a foreign token that comes again ends the family at once' \
		's|ELSE IF a.n = f.counter THEN|ELSE IF a.n = 0 /\\ ~Pending(f) THEN "reuse" &|'
	mutant AtMostTwo ImportedTheft 'a foreign token always gets the newest token' \
		's|ELSE IF a.n = f.counter THEN|ELSE IF a.n = 0 /\\ ~Pending(f) THEN "newest" &|'
	mutant FoundOut ImportedTheft 'a foreign token that comes again is refused, and no more' \
		's|ELSE IF a.n = f.counter THEN|ELSE IF a.n = 0 /\\ ~Pending(f) /\\ ~Holds(f, a.now) THEN "dead" &|'
	mutant Spared ImportedTheft 'the first answer is not forgiven' \
		's|a.n = p /\\ Holds(f, a.now) THEN "newest"|a.n = p /\\ a.n > 0 /\\ Holds(f, a.now) THEN "newest"|; s|a.n = p /\\ UntilUsed|a.n = p /\\ a.n > 0 /\\ UntilUsed|'
	mutant NeverLoggedOut Bound 'a superseded token of a bound family ends it' \
		's|ELSE IF Bound(f) THEN "proven"||'
	mutant NeverLoggedOut Bound 'so does one that is older than the predecessor' \
		's|Bound(f) THEN "proven"|Bound(f) /\\ a.n = p THEN "proven"|'
	mutant NeverLoggedOut Bound 'a superseded token of a bound family is refused' \
		's|Bound(f) THEN "proven"|Bound(f) THEN "dead"|'
	mutant NeverLoggedOut BoundRestored 'a bound record that was restored is not moved ahead' \
		's|THEN "ahead"|THEN IF Bound(f) THEN "dead" ELSE "ahead"|'
	mutant NeverLost BoundCopied 'a slow request with the key is told to try again' \
		's|Bound(f) THEN "proven"|Bound(f) /\\ ~(a.n < p /\\ a.now < f.rotated) THEN "proven"|'
	mutant OneNewest Bound 'the record of a late use does not ask for the counter' \
		's|f.counter = a.seen|(a.pc # "tell" => f.counter = a.seen)|'
	mutant InUse BoundCopied 'a late use does not count for the idle end' \
		's|-> UsedLate(item, a)|-> item|'
	mutant InUse BoundCopied 'a slow request that tells of its late use takes the last use back' \
		's|!.at = Max(a.at, a.now)|!.at = a.now|'
	mutant ThiefGetsNothing Bound 'an unproven use rotates the family' \
		's|/\\ Unlocks(a, f)|/\\ (a.pc = "refresh" \\/ Unlocks(a, f))|'
	mutant ThiefGetsNothing Bound 'an unproven reuse ends the family' \
		's|~Unlocks(a, f) THEN "unproven"|~Unlocks(a, f) THEN IF a.n < f.counter THEN "reuse" ELSE "unproven"|'
	mutant ThiefGetsNothing BoundCopied 'the decision does not ask for the key' \
		's|ELSE IF ~Unlocks(a, f) THEN "unproven"||'
	mutant Explained Bound 'the decision does not ask for the key, where no token is held' \
		's|ELSE IF ~Unlocks(a, f) THEN "unproven"||'
	mutant ThiefGetsNothing BoundDevice 'a token refreshes a family that is bound to a device' \
		's|~Unlocks(a, f) THEN|~Unlocks(a, f) /\\ (a.n < f.counter \\/ ~Holds(f, a.now)) THEN|'
	mutant ThiefGetsNothing BoundDevice 'a write does not ask for a key that came into force since its decision' \
		's|/\\ Unlocks(a, f)|/\\ (a.pc \\in {"use", "skip"} \\/ Unlocks(a, f))|'
	mutant ThiefGetsNothing BoundTheft 'any key is as good as the one that the family is bound to' \
		's|a.key = f.key$|a.key # None|'
	mutant ThiefGetsNothing BoundTheft 'a policy that was switched off asks for no key' \
		's|^Unlocks(a, f) == |&(a.key # None /\\ ~a.binds) \\/ |'
	mutant ThiefGetsNothing BoundCode 'a code that its request has bound is exchanged without the key' \
		's|/\\ Unlocks(a, f)|/\\ (a.n = 0 \\/ Unlocks(a, f))|'
	mutant ThiefGetsNothing BoundCode 'whoever has the code of a bound family can end it' \
		's|~Unlocks(a, f) THEN|~Unlocks(a, f) /\\ ~(Coded /\\ a.n = 0) THEN|; s|ELSE IF Bound(f) THEN "refused"||'
	mutant NeverLost BoundCode 'a code that comes again ends a bound family' \
		's|ELSE IF Bound(f) THEN "refused"||'
	mutant OneExchange BoundCode 'a code of a bound family gets the newest token' \
		's|IF Coded /\\ a.n = 0 THEN|IF Coded /\\ a.n = 0 /\\ ~(Bound(f) /\\ ~Pending(f)) THEN|'
	mutant NeverBoundLater BoundCode 'any token binds a family that is not bound' \
		's|(Binding = "number 0" => Pending(f))|TRUE|'
	mutant NeverBoundLater BoundTheft 'another use of number 0 binds a family that is not bound' \
		's|(Binding = "number 0" => Pending(f))|(Binding = "number 0" => a.n = 0)|'
	mutant NeverBoundLater BoundTheft 'number 0 binds the family to another key' \
		's|a.binds /\\ ~Bound(f) /\\ .*|a.binds /\\ (Pending(f) \\/ a.n = 0)|; s|^Unlocks(a, f) == |&(a.n = 0 /\\ a.binds) \\/ |'
	mutant BoundAtOnce BoundCode 'the first use of number 0 does not bind' \
		's|^Binds(f, a) == .*|Binds(f, a) == a.n > 0 /\\ a.binds|'
	mutant ThiefGetsNothing BoundDevice 'a device need not have the key that the family is bound to' \
		's|/\\ Unlocks(a, f)|/\\ (a.pc = "device" \\/ Unlocks(a, f))|'
	mutant NeverBoundLater BoundDevice 'a key of another device takes the place of the first' \
		's|^Unlocks(a, f) == |&a.pc = "device" \\/ |; s|^Binds(f, a) == .*|Binds(f, a) == a.binds|'
	mutant BoundAtOnce BoundDevice 'a renewal does not bind' \
		's|^Binds(f, a) == .*|Binds(f, a) == FALSE|'
	mutant DeadStaysDead BoundDevice 'a device goes on with a family that was ended' \
		's|/\\ Alive(f, a.now)$|/\\ (a.pc = "device" \\/ Alive(f, a.now))|'
	mutant Told Bound 'a late use is written down as any other' \
		's|v = "proven" .* -> \[a EXCEPT !.pc = "tell"|v = "proven" -> [a EXCEPT !.pc = "use"|'
	mutant Told BoundCopied 'the end of the interval is inside, also with a key' \
		's|Max(now - f.rotated, 0) < Interval|Max(now - f.rotated, 0) <= Interval|'
	mutant Told BoundCopied 'a lost response of a bound family is skipped' \
		's|Bound(f) THEN "proven"|Bound(f) /\\ ~(a.n = p /\\ UntilUsed /\\ f.used # f.counter) THEN "proven"|'
}

usage="usage: run.sh fetch | check [--large] | mutants [REGEX]"
case $* in
fetch | check | 'check --large' | mutants | 'mutants '*) ;;
*) die "$usage" ;;
esac
need java "Java 17 or newer" default-jre-headless
fetch
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chosen=
case $1 in
check) check "${2-}" ;;
mutants) chosen=${2-} && mutants ;;
esac
