------------------------------ MODULE Rotation ------------------------------
(***************************************************************************)
(* The rotation protocol as it runs: one family, servers that share        *)
(* nothing but its record, an honest client, perhaps a thief, and faults   *)
(* anywhere. A step is one storage call, which the table applies as a      *)
(* whole or not at all.                                                    *)
(*                                                                         *)
(*   item, Alive                    family.Family, .Death; store.alive     *)
(*   Rotated, SkippedTo, MovedAhead store.rotateSet; Family.Skip,          *)
(*                                  .MoveAhead                             *)
(*   LastUsed, Superseded, Decide   Family.lastUsed, .superseded; Decide   *)
(*   Present, Abuse                 api.refresh begins; the clock is read  *)
(*   Write                          Table.Refresh, .Skip and .MoveAhead    *)
(*   Looked                         one look of the loop in api.refresh    *)
(*   Revoke                         Table.Revoke, in api.revokeReused      *)
(*   Logout                         Table.Revoke and .End, by other calls  *)
(*                                                                         *)
(* Left out: scopes, several clients, policies that only observe or do not *)
(* rotate, the largest counter. To run out of looks is a way to Vanish.    *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
  Interval,   \* the policy's reuse_interval
  UntilUsed,  \* whether its lost_response is until_used
  Idle,       \* its idle lifetime
  Absolute,   \* the family's absolute end
  Known,      \* family.KnownRotations
  Skew,       \* how far two servers' clocks differ at most
  Thieves,    \* whether somebody copies a token of the client, once
  Logouts,    \* whether the user may end the family
  Restores,   \* whether the table may be restored from a backup
  Requests,   \* the names of the requests that run at once
  Tokens,     \* a bound: tokens numbered below it are presented
  Hours,      \* a bound: the last hour
  None

VARIABLES
  item,       \* the record
  clock,      \* the hour on the slowest server's clock
  req,        \* the requests under way
  held,       \* the number of the token that the honest client holds
  window,     \* for how long yet it presents each token; see Present
  loot,       \* the tokens that the thief knows
  backup,     \* the record in the backup
  \* The protocol knows nothing of these; the properties ask for them.
  sup,        \* when each token was superseded, however long ago
  spent,      \* the tokens whose use gave the family a new newest one
  ferrt       \* how many reuse events were stored, and how many logged
vars == <<item, clock, req, held, window, loot, backup, sup, spent, ferrt>>

Max(a, b) == IF a > b THEN a ELSE b

-----------------------------------------------------------------------------
(* The record. rot[i] is when token counter-i was superseded; wid is the   *)
(* request that wrote the last rotation, mark the one that revoked.        *)

Issued == [counter |-> 1, rot |-> [i \in 1..Known |-> None], wid |-> None,
           skip |-> [from |-> 0, to |-> 0], revoked |-> FALSE, mark |-> None]

UsedAt(f) == IF f.rot[1] = None THEN 0 ELSE f.rot[1]  \* last_used_at
Ended(f, now) == now >= Absolute \/ now >= UsedAt(f) + Idle
Alive(f, now) == ~f.revoked /\ ~Ended(f, now)

Rotated(f, n, now) ==
  [f EXCEPT !.counter = n + 1,
            !.rot = [i \in 1..Known |-> IF i = 1 THEN now ELSE @[i - 1]]]
SkippedTo(f, n, now) == LET g == Rotated(f, f.counter, now) IN
  [g EXCEPT !.skip = [from |-> n + 1, to |-> f.counter],
            !.rot = [i \in 1..Known |-> IF g.counter - i >= n THEN now ELSE @[i]]]
MovedAhead(f, n, now) ==
  [f EXCEPT !.counter = n + 1, !.skip = Issued.skip,
            !.rot = [i \in 1..Known |-> IF i = 1 THEN now ELSE None]]

-----------------------------------------------------------------------------
(* The decision: the condition of request r's write failed, and f is the   *)
(* record that came back. a is req[r].                                     *)

LastUsed(f) == IF f.skip.to # 0 /\ f.skip.to = f.counter - 1
               THEN f.skip.from - 1 ELSE f.counter - 1

Superseded(f, n) ==  \* the time, and whether it is exact
  LET i == f.counter - n
      known == Cardinality({j \in 1..Known : f.rot[j] # None})
  IN IF n = LastUsed(f) THEN <<f.rot[1], TRUE>>
     ELSE IF i <= Known /\ f.rot[i] # None THEN <<f.rot[i], TRUE>> ELSE <<f.rot[known], FALSE>>

Decide(f, r, a) ==
  IF ~Alive(f, a.now) THEN "dead"
  ELSE IF f.wid = r THEN "ours"
  ELSE IF a.n = f.counter THEN "current"
  ELSE IF a.n > f.counter THEN "ahead"
  ELSE LET s == Superseded(f, a.n)
           inside == Max(a.now - s[1], 0) < Interval
       IN CASE f.skip.from <= a.n /\ a.n <= f.skip.to -> "reuse"
            [] inside /\ s[2]                         -> "newest"
            [] inside                                 -> "refused"
            [] a.n = LastUsed(f) /\ UntilUsed         -> "skip"
            [] OTHER                                  -> "reuse"

-----------------------------------------------------------------------------
(* The requests. pc is the storage call that comes next, or the answer.    *)

Free == [pc |-> "free", who |-> None, n |-> 0, now |-> 0, seen |-> None, tok |-> 0]
Begun(who, n, now) == [Free EXCEPT !.pc = "refresh", !.who = who, !.n = n, !.now = now]
Answered(a, kind, tok) == [a EXCEPT !.pc = kind, !.tok = tok, !.now = 0, !.seen = None]

\* A request is through. Its mark is random: it means nothing from now on.
End(r) ==
  /\ req' = [req EXCEPT ![r] = Free]
  /\ item' = [item EXCEPT !.wid = IF @ = r THEN None ELSE @, !.mark = IF @ = r THEN None ELSE @]

\* The honest client presents the token that it holds, in as many copies as it likes:
\* tabs, retries, messages that the network delays. The last of them reaches a server less
\* than an interval after the first was sent, on any server's clock. Then the client keeps
\* quiet; or, where lost responses are forgiven, it begins again, once the interval has
\* passed on every clock, and no longer listens for the answers to what it sent before.
Present(r, n) ==
  /\ req[r].pc = "free" /\ n < Tokens
  /\ LET more == window[n] # None /\ window[n] > 2 * Skew
         again == UntilUsed /\ n = held /\ window[n] = 0
         rest == [q \in Requests |-> IF again /\ req[q].who = "client"
                                      THEN [req[q] EXCEPT !.who = "ignored"] ELSE req[q]]
     IN /\ (n = held /\ window[n] = None) \/ more \/ again
        /\ window' = IF more THEN window ELSE [window EXCEPT ![n] = Interval + Skew]
        /\ \E d \in 0..Skew : req' = [rest EXCEPT ![r] = Begun("client", n, clock + d)]
  /\ UNCHANGED <<item, clock, held, loot, backup, sup, spent, ferrt>>

\* The thief copies a token once, and presents what it knows whenever it likes.
Steal ==
  /\ Thieves /\ loot = {} /\ loot' = {held}
  /\ UNCHANGED <<item, clock, req, held, window, backup, sup, spent, ferrt>>
Abuse(r, n) ==
  /\ req[r].pc = "free" /\ n < Tokens
  /\ \E d \in 0..Skew : req' = [req EXCEPT ![r] = Begun("thief", n, clock + d)]
  /\ UNCHANGED <<item, clock, held, window, loot, backup, sup, spent, ferrt>>

\* What request r does about the record f.
Looked(r, f) ==
  LET a == req[r]
      v == Decide(f, r, a)
  IN CASE v \in {"ours", "newest"}  -> Answered(a, "success", f.counter)
       [] v \in {"skip", "ahead"}   -> [a EXCEPT !.pc = v, !.seen = f]
       [] v = "reuse"               -> [a EXCEPT !.pc = "revoke", !.seen = None]
       [] v \in {"dead", "refused"} -> Answered(a, "refused", 0)
       [] v = "current"             -> Answered(a, "unclear", 0)

\* A conditional write. Where only the record changes, the answer was lost: the SDK makes
\* the same call again, if the request does not vanish. (A call that failed without being
\* applied changes nothing at all.)
Write(r) ==
  LET a == req[r]
      from == IF a.pc = "refresh" THEN a.n ELSE a.seen.counter
      next == CASE a.pc = "refresh" -> Rotated(item, a.n, a.now)
                [] a.pc = "skip"    -> SkippedTo(a.seen, a.n, a.now)
                [] a.pc = "ahead"   -> MovedAhead(a.seen, a.n, a.now)
  IN /\ a.pc \in {"refresh", "skip", "ahead"}
     /\ IF item.counter = from /\ Alive(item, a.now)
        THEN /\ item' = [next EXCEPT !.wid = r]
             /\ \/ req' = [req EXCEPT ![r] = Answered(a, "success", next.counter)]
                \/ UNCHANGED req
             /\ sup' = [n \in DOMAIN sup |-> IF a.n <= n /\ n < next.counter THEN a.now ELSE sup[n]]
             /\ spent' = spent \union {a.n}
        ELSE /\ req' = [req EXCEPT ![r] = Looked(r, item)]
             /\ UNCHANGED <<item, sup, spent>>
     /\ UNCHANGED <<clock, held, window, loot, backup, ferrt>>

\* The revocation and its event, in one transaction. Whoever did it, or finds that it was
\* its own doing, logs it.
Revoke(r) ==
  /\ req[r].pc = "revoke"
  /\ LET refused == [req EXCEPT ![r] = Answered(@, "refused", 0)]
         stored == ferrt.stored + 1
         logged == ferrt.logged + 1
     IN IF ~item.revoked
        THEN /\ item' = [item EXCEPT !.revoked = TRUE, !.mark = r]
             /\ \/ req' = refused /\ ferrt' = [stored |-> stored, logged |-> logged]
                \/ UNCHANGED req /\ ferrt' = [ferrt EXCEPT !.stored = stored]
        ELSE /\ req' = refused /\ UNCHANGED item
             /\ ferrt' = IF item.mark = r THEN [ferrt EXCEPT !.logged = logged] ELSE ferrt
  /\ UNCHANGED <<clock, held, window, loot, backup, sup, spent>>

\* A new token arrives. The client puts it in the place of the one that it presented, and
\* drops it where that is no longer the one it holds.
Take(r) ==
  /\ req[r].pc = "success"
  /\ \/ req[r].who = "client" /\ req[r].n = held /\ held' = req[r].tok /\ UNCHANGED loot
     \/ req[r].who = "thief" /\ loot' = loot \union {req[r].tok} /\ UNCHANGED held
  /\ End(r)
  /\ UNCHANGED <<clock, window, backup, sup, spent, ferrt>>

\* Nothing comes of a request any more: it never arrived, its server crashed, the storage
\* did not answer (a 503), the answer was lost on its way, or says nothing new.
Vanish(r) ==
  /\ req[r].pc # "free" /\ End(r)
  /\ UNCHANGED <<clock, held, window, loot, backup, sup, spent, ferrt>>

Logout ==
  /\ Logouts /\ ~item.revoked /\ item' = [item EXCEPT !.revoked = TRUE]
  /\ UNCHANGED <<clock, req, held, window, loot, backup, sup, spent, ferrt>>
Backup ==
  /\ Restores /\ backup = None /\ backup' = [item EXCEPT !.wid = None]
  /\ UNCHANGED <<item, clock, req, held, window, loot, sup, spent, ferrt>>
Restore ==
  /\ backup # None /\ backup' = None /\ item' = backup
  /\ UNCHANGED <<clock, req, held, window, loot, sup, spent, ferrt>>
Tick ==
  /\ clock < Hours /\ clock' = clock + 1
  /\ window' = [n \in DOMAIN window |-> IF window[n] \in {None, 0} THEN window[n] ELSE window[n] - 1]
  /\ UNCHANGED <<item, req, held, loot, backup, sup, spent, ferrt>>

Init ==
  /\ item = Issued /\ clock = 0 /\ req = [r \in Requests |-> Free]
  /\ held = 1 /\ loot = {} /\ backup = None
  /\ window = [n \in 1..Tokens |-> None] /\ sup = window /\ spent = {}
  /\ ferrt = [stored |-> 0, logged |-> 0]
Next ==
  \/ \E r \in Requests :
       \/ \E n \in 1..held : Present(r, n)
       \/ \E n \in loot : Abuse(r, n)
       \/ Write(r) \/ Revoke(r) \/ Take(r) \/ Vanish(r)
  \/ Steal \/ Logout \/ Backup \/ Restore \/ Tick
Spec == Init /\ [][Next]_vars
Alike == Permutations(Requests)

-----------------------------------------------------------------------------
(* The properties, and what a user loses without each.                     *)

Made(r, answer) == req[r].pc # answer /\ req'[r].pc = answer
Forgotten(n) == item.counter - n > Known

\* There is one newest token, and every success gives that one, as of the storage call that
\* decided it. Without: two tabs go on with two tokens, and one of them is logged out.
OneNewest == [][\A r \in Requests : Made(r, "success") => req'[r].tok = item'.counter]_vars

\* The counter moves on by one, and rotation times change with it alone: no two requests
\* supersede the same token. Without: thief and victim each go on, on their own branches.
Forward == [][\/ item'.counter = item.counter /\ item'.rot = item.rot
              \/ item'.counter = item.counter + 1]_vars

\* Where nobody steals, the family is not revoked, and the client does not hear that the
\* token it holds is dead. Without: users are logged out for their own tabs and retries.
NeverLoggedOut ==
  /\ ~item.revoked
  /\ \A r \in Requests :
       ~(req[r].pc = "refused" /\ req[r].who = "client" /\ req[r].n = held)

\* A dead family stays as it is and gives no more tokens. Without: a logout, a detected
\* theft or an end does not hold.
DeadStaysDead ==
  [][/\ item.revoked => item'.revoked /\ item'.counter = item.counter
     /\ \A r \in Requests : Made(r, "success") => Alive(item, req[r].now)]_vars

\* A superseded token gives a success only inside the interval, and only if it was itself
\* used; outside, where lost responses are forgiven, only while no later one was used.
\* Without: a copied token is good for ever. (A record that skips again forgets what it
\* skipped before; a request from before that, if it takes longer than the interval, may
\* still present such a token.)
NeverLate ==
  [][\A r \in Requests : Made(r, "success") =>
       LET n == req[r].n
           now == req[r].now
       IN \/ n >= item.counter
          \/ item.wid = r
          \/ /\ n \in spent \/ clock - now >= Interval
             /\ sup[n] # None /\ Max(now - sup[n], 0) < Interval
          \/ UntilUsed /\ n \in spent /\ \A m \in spent : m <= n]_vars

\* Who presents a token outside the interval, or a skipped one, and is refused, leaves a
\* dead family behind. Without: victim and thief both go on, and nobody hears of it. (A
\* token superseded more rotations ago than are known may be refused, and no more.)
FoundOut ==
  [][\A r \in Requests : Made(r, "refused") =>
       LET n == req[r].n IN
         (/\ n < item.counter /\ ~Forgotten(n)
          /\ n \notin spent \/ req[r].now - sup[n] >= Interval)
         => ~Alive(item', req[r].now)]_vars

\* A reuse is one event. Without: the alarm counts servers, not thefts.
OneFerrt == ferrt.stored <= 1 /\ ferrt.logged <= ferrt.stored

\* The record says why a condition failed. Without: a 503 that no retry ends.
Explained == \A r \in Requests : req[r].pc # "unclear"

\* A client that goes on trying gets a working token, unless all that it sends is lost.
\* Without: an app that tries for ever.
Fair == \A r \in Requests :
  /\ SF_vars(Present(r, held)) /\ SF_vars(req[r].n = held /\ Write(r)) /\ SF_vars(Take(r))
  /\ WF_vars(req[r].n # held /\ Vanish(r))
FairSpec == Spec /\ Fair
GoesOn == \A n \in 1..Tokens - 1 : held = n ~> held > n
=============================================================================
