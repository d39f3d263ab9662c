------------------------------ MODULE Rotation ------------------------------
(***************************************************************************)
(* The rotation protocol as it runs: one family, servers that share        *)
(* nothing but its record, a client, perhaps a thief, and faults anywhere. *)
(* A step is one storage call, which the table applies as a whole or not   *)
(* at all.                                                                 *)
(*                                                                         *)
(*   item, Alive                    family.Family, .Death; store.alive     *)
(*   Rotated, SkippedTo, MovedAhead store.rotateSet; Family.AfterLost,     *)
(*                                  .AfterRestore                          *)
(*   Used, MustRecord               store.useSet; Family.MustRecord        *)
(*   Predecessor, Holds, Decide     Family.predecessor, .holds; Decide     *)
(*   key, Unlocks; binds            Family.JKT, Attempt.JKT; .Binds        *)
(*   "unproven", "proven"           Unproven, Proven                       *)
(*   until, proof, Pending          Origin.Until; the verifier; .Pending   *)
(*   import, Look, Put              the item of another provider's token;  *)
(*                                  Table.Foreign and .IssueForeign        *)
(*   Present, Refresh, Abuse        api.refresh begins; the clock is read  *)
(*   Device                         Engine.RenewDevice, .refreshByDevice   *)
(*   Write                          Table.Refresh, .RecordUse, .RecordLate *)
(*                                  (the call "tell"), .UseDevice,         *)
(*                                  .ForgiveLost and .CatchUp              *)
(*   Looked                         one look of the loop in api.refresh    *)
(*   Revoke                         Table.Revoke, in api.revokeReused      *)
(*   Logout, Erase                  Table.Revoke and .End, by other calls  *)
(*                                  and by bulk revocations; Table.Erase   *)
(*                                                                         *)
(* Left out: scopes, several clients, policies that only observe or do not *)
(* rotate, the largest counter. To run out of looks is a way to Vanish.    *)
(* The last use on record stays behind by at most a sixteenth of the idle  *)
(* lifetime; that it is never more than a minute is left out. So is that a *)
(* server remembers for ten seconds that a foreign token was unknown. Of   *)
(* the late uses of a bound family one an hour is stored, and each logged; *)
(* here each is stored. A token that comes within two minutes after its    *)
(* family was bound to a device's key is answered with a 503, so that the  *)
(* browser tries again; here it is refused at once, as it is after them.   *)
(* Left out is how a proof shows that its bearer has the key, how a browser*)
(* registers one, that a policy may let no family begin without one, and   *)
(* codes of confidential clients, which need a key for their exchange      *)
(* alone.                                                                  *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
  Interval,   \* the policy's reuse_interval
  UntilUsed,  \* whether its lost_response is until_used
  Idle,       \* its idle lifetime
  Absolute,   \* the family's absolute end
  Skew,       \* how far two servers' clocks differ at most
  Naive,      \* whether the client is naive, or careful
  Thieves,    \* whether tokens are copied, so that anybody may present any of them
  Logouts,    \* whether the user may end the family
  Origin,     \* what the family begins with: a "login", a "code", or another provider's token, which is
              \* imported, "foreign". The last two are its number 0
  Binding,    \* whether and when the family is bound to a key: "never", at its "start", by the first use of its
              \* "number 0", or by that of a key of the browser's "device", which was registered for it
  Restores,   \* whether the table is restored from a backup: "never", "quiet" or "any time"
  Requests,   \* the names of the requests that run at once
  Tokens,     \* a bound: tokens numbered below it are presented
  Hours,      \* a bound: the last hour
  None        \* nothing; of keys, that there is none

VARIABLES
  item,       \* the record
  clock,      \* the hour on the slowest server's clock
  req,        \* the requests under way
  has,        \* the number of the token that the client has
  window,     \* for how long yet the careful client presents each token; see Present
  sure,       \* whether it knows of no lost answer for the token that it has
  burst,      \* the burst that the naive client is in; see Burst
  backup,     \* the record in the backup
  import,     \* what the table knows of the foreign token; see Read
  \* The protocol knows nothing of these; the properties ask for them.
  sup,        \* when each token was superseded, however long ago
  spent,      \* the tokens that were used: presented, and honoured
  ferrt       \* how many reuse events were stored, and how many logged
client == <<has, window, sure, burst>>
ghosts == <<sup, spent>>
rest == <<backup, import>>
vars == <<item, clock, req, client, rest, ghosts, ferrt>>

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b

\* For how long a code may be exchanged, and its second use is forgiven.
CodeLife == 2
Grace == 2
Coded == Origin = "code"
Foreign == Origin = "foreign"
First == IF Origin = "login" THEN 1 ELSE 0
Holder == "the holder's key"
Stranger == "a stranger's key"
\* For how long after the first use of token n another is forgiven.
Span(n) == IF Coded /\ n = 0 THEN Grace ELSE Interval

-----------------------------------------------------------------------------
(* The record. rotated is when token counter became the newest; used is    *)
(* the last token of which a use that rotated nothing is on record; at is  *)
(* the last use on record; wid is the request that wrote the last          *)
(* rotation, mark the one that revoked. While counter is 0, the family is  *)
(* pending, and until is the end of its code. After the exchange it is the *)
(* end of the time in which the code may come again. Before the import of  *)
(* its token and after an erasure it is not there. key is the key that the *)
(* family is bound to. What binds at number 0 may have bound the code      *)
(* before, by the request that it answers.                                 *)

Issued == [there |-> TRUE, counter |-> First, until |-> IF Coded THEN CodeLife ELSE 0, rotated |-> None, used |-> 0, at |-> 0,
           wid |-> None, skip |-> [from |-> 0, to |-> 0], revoked |-> FALSE, mark |-> None,
           key |-> IF Binding = "start" THEN Holder ELSE None]
Nothing == [Issued EXCEPT !.there = FALSE]

Pending(f) == f.counter = 0
Ended(f, now) == now >= Absolute \/ now >= f.at + Idle \/ (Coded /\ Pending(f) /\ now >= f.until)
Alive(f, now) == f.there /\ ~f.revoked /\ ~Ended(f, now)
Bound(f) == f.key # None
\* Whether request a may use the family: it need not prove anything, or has proven the key.
Unlocks(a, f) == ~Bound(f) \/ a.key = f.key

Rotated(f, n, now) == [f EXCEPT !.counter = n + 1, !.rotated = now, !.at = now,
                        !.until = IF Coded /\ n = 0 THEN now + Grace ELSE @]
SkippedTo(f, n, now) ==
  [Rotated(f, f.counter, now) EXCEPT !.skip = [from |-> n + 1, to |-> f.counter]]
MovedAhead(f, n, now) ==
  [Rotated(f, IF Interval = 0 THEN n ELSE n - 1, now) EXCEPT !.used = n, !.skip = Issued.skip]
Used(f, n, now) == [f EXCEPT !.used = IF n = f.counter THEN n ELSE @, !.at = now]
\* A slow request, too, must tell that it was late. It does not take back the last use that it has seen.
UsedLate(f, a) == [f EXCEPT !.at = Max(a.at, a.now)]

\* A write binds a family that is not bound: that of a device's key, and whatever write begins the family, if
\* the policy says so. To present number 0 is not enough: another use of it may come long after the first.
Binds(f, a) == a.binds /\ ~Bound(f) /\ (Binding = "number 0" => Pending(f))

-----------------------------------------------------------------------------
(* The decision: the condition of request r's write failed, and f is the   *)
(* record that came back. a is req[r].                                     *)

Predecessor(f) == IF f.skip.to # 0 /\ f.skip.to = f.counter - 1
                  THEN f.skip.from - 1 ELSE f.counter - 1

\* Whether the newest token is newer than an interval. A negative age counts as 0.
Holds(f, now) == f.rotated # None /\ Max(now - f.rotated, 0) < Interval

Decide(f, r, a) ==
  LET p == Predecessor(f)
  IN IF ~Alive(f, a.now) THEN "dead"
     ELSE IF ~Unlocks(a, f) THEN "unproven"
     ELSE IF a.pc = "device" THEN "unclear"
     ELSE IF f.wid = r THEN "ours"
     ELSE IF Coded /\ a.n = 0 THEN
       IF Pending(f) THEN IF a.proof THEN "unclear" ELSE "refused"
       ELSE IF Bound(f) THEN "refused"
       ELSE IF a.proof /\ a.now < f.until THEN "refused" ELSE "reuse"
     ELSE IF a.n = f.counter THEN IF Holds(f, a.now) THEN "held" ELSE "unclear"
     ELSE IF a.n > f.counter THEN "ahead"
     ELSE IF a.n = p /\ Holds(f, a.now) THEN "newest"
     ELSE IF Bound(f) THEN "proven"
     ELSE IF a.n > p THEN "reuse"
     ELSE IF a.n = p /\ UntilUsed /\ f.used # f.counter THEN "skip"
     ELSE IF a.n < p /\ a.now < f.rotated /\ Interval > 0 THEN "slow"
     ELSE "reuse"

\* Whether a use that rotated nothing is written down.
MustRecord(f, a, v) ==
  \/ v = "held" /\ UntilUsed /\ f.used # a.n
  \/ v \in {"held", "newest"} /\ a.now - f.at > Idle \div 16

-----------------------------------------------------------------------------
(* The requests. pc is the storage call that comes next, or the answer;    *)
(* seen is the counter of the record that the call is for, at the last use *)
(* on it. proof is whether a code came with its verifier, key the key that *)
(* the request proves, binds whether it would bind the family to it, and   *)
(* told whether an event of it, as a late use, was stored.                 *)

Free == [pc |-> "free", who |-> None, n |-> 0, proof |-> TRUE, key |-> None, binds |-> FALSE, told |-> FALSE,
         now |-> 0, seen |-> 0, at |-> 0, tok |-> 0]
Begun(who, n, now) == [Free EXCEPT !.pc = IF Foreign /\ n = 0 THEN "look" ELSE "refresh", !.who = who, !.n = n, !.now = now, !.seen = n]
Answered(a, kind, tok) == [a EXCEPT !.pc = kind, !.tok = tok, !.now = 0, !.seen = 0, !.at = 0]

\* A request is through. Its mark is random: it means nothing from now on.
End(r) ==
  /\ req' = [req EXCEPT ![r] = Free]
  /\ item' = [item EXCEPT !.wid = IF @ = r THEN None ELSE @, !.mark = IF @ = r THEN None ELSE @]

\* The client no longer listens for the answers to what it sent before.
Deaf == [q \in Requests |->
  IF req[q].who = "client" THEN [req[q] EXCEPT !.who = "ignored"] ELSE req[q]]

\* The careful client presents the token that it has, in as many copies as it likes: tabs,
\* retries, messages that the network delays. The last of them reaches a server less than
\* an interval after the first was sent, on any server's clock: the interval less the
\* difference of the clocks. Once all of them are answered with the same token again, the
\* client begins anew. Otherwise it keeps quiet; or, where lost responses are forgiven, it
\* begins anew once an interval has passed, on every clock, since the last copy was sent (two
\* since the first are enough), and is deaf to the answers to what it sent before.
\* It presents a code in the same way, as a page does that mounts twice: the last copy less than
\* Grace after the first. It presents a foreign token in the same way, once that has been imported.
Quiet(n) == Span(n) + Skew
Present(r, n) ==
  /\ ~Thieves /\ ~Naive /\ req[r].pc = "free" /\ n < Tokens /\ import.known
  /\ LET more == window[n] # None /\ window[n] > Quiet(n)
         again == UntilUsed /\ n = has /\ (n > 0 \/ Foreign) /\ window[n] = 0
     IN /\ (n = has /\ window[n] = None) \/ more \/ again
        /\ window' = IF more THEN window ELSE [window EXCEPT ![n] = 2 * Span(n)]
        /\ sure' = (sure \/ again)
        /\ \E d \in 0..Skew :
             req' = [IF again THEN Deaf ELSE req EXCEPT ![r] = Begun("client", n, clock + d)]
  /\ UNCHANGED <<item, clock, has, burst, rest, ghosts, ferrt>>

\* The naive client refreshes again and again, each time with the token that it has then, and
\* keeps whatever answer comes last. Nothing but time keeps it from harm: it does so in bursts
\* shorter than half an interval, a request and its answer take less than the other half (less
\* the difference of the clocks), and bursts begin two intervals apart. Where a burst brought
\* it no answer at all, there is a next one only if lost responses are forgiven.
Burst ==
  /\ ~Thieves /\ Naive /\ burst.age \in {None, 2 * Interval}
  /\ burst.age = None \/ burst.heard \/ UntilUsed
  /\ burst' = [age |-> 0, had |-> {has}, heard |-> FALSE] /\ req' = Deaf
  /\ UNCHANGED <<item, clock, has, window, sure, rest, ghosts, ferrt>>
Late == burst.age = None \/ burst.age >= Interval - Skew  \* for requests and answers
Refresh(r, n) ==
  /\ Naive /\ req[r].pc = "free" /\ n < Tokens /\ n \in burst.had /\ ~Late
  /\ \E d \in 0..Skew : req' = [req EXCEPT ![r] = Begun("client", n, clock + d)]
  /\ UNCHANGED <<item, clock, client, rest, ghosts, ferrt>>

\* A thief copies tokens, and presents them whenever and as often as it likes. So does its
\* victim here, and both have any token that there ever was: whatever clients, careful or not,
\* and thieves may do to a family, these do. Who presents a code has its verifier, or has not.
Given == {First} \union {n \in First + 1..Tokens - 1 : sup[n - 1] # None}

\* Where families are bound, whoever presents a token proves the key of the family's holder, or none. With the
\* holder's key it is any of the holder's devices and tabs, with whatever old token a backup of the app's data
\* brings back; or a thief who has copied the key as well. Nothing tells them apart, so what is promised to the
\* one the other has, too. Without it, it is a thief, or a device that has lost its key. Another provider's token
\* can be bound by whoever has it, a stranger too. The policy may be switched on and off: by the one that this
\* server knows, families are bound, or are not.
Keys == {None} \union (IF Binding \in {"start", "number 0"} THEN {Holder} ELSE {})
               \union (IF Binding = "number 0" /\ Foreign THEN {Stranger} ELSE {})
Abuse(r, n) ==
  /\ Thieves /\ req[r].pc = "free"
  /\ \E d \in 0..Skew, proof \in (IF Coded /\ n = 0 THEN BOOLEAN ELSE {TRUE}), key \in Keys :
     \E binds \in (IF n = 0 /\ key = Holder THEN BOOLEAN ELSE {key # None}) :
       req' = [req EXCEPT ![r] =
         [Begun("anybody", n, clock + d) EXCEPT !.proof = proof, !.key = key, !.binds = binds]]
  /\ UNCHANGED <<item, clock, client, rest, ghosts, ferrt>>

\* A browser has registered a key of its device, soon after the login, and proves it: in a renewal, or by the
\* device cookie that one has brought. It presents no token (the number stands for none that there is), and is
\* given one for an API alone. What comes with a token instead is refused from then on. Who stole the session at
\* once may have registered a key too: the first that is proven binds the family.
Device(r) ==
  /\ Binding = "device" /\ req[r].pc = "free"
  /\ \E d \in 0..Skew, key \in {Holder, Stranger} : req' = [req EXCEPT ![r] =
       [Begun("browser", Tokens + 1, clock + d) EXCEPT !.pc = "device", !.key = key, !.binds = TRUE]]
  /\ UNCHANGED <<item, clock, client, rest, ghosts, ferrt>>

\* Another provider's token is imported: an importer reads whether the table knows it, and if not,
\* writes its family and that it is known, both or neither. Where the answer to that is lost, the SDK
\* makes the same call again, at any time, as a second importer does. known means that the table
\* knows the token, puts is 1 while an importer writes that read that it does not, and made is how
\* many families were written.
Read ==
  /\ Foreign /\ ~import.known /\ import.puts = 0 /\ import' = [import EXCEPT !.puts = @ + 1]
  /\ UNCHANGED <<item, clock, req, client, backup, ghosts, ferrt>>
Put ==
  /\ import.puts > 0
  /\ \E left \in {import.puts - 1, import.puts}, d \in 0..Skew :
       IF ~import.known
       THEN /\ item' = [Issued EXCEPT !.at = clock + d]
            /\ import' = [known |-> TRUE, puts |-> left, made |-> import.made + 1]
       ELSE /\ import' = [import EXCEPT !.puts = left] /\ UNCHANGED item
  /\ UNCHANGED <<clock, req, client, backup, ghosts, ferrt>>

\* A request with a foreign token reads first which family the token belongs to.
Look(r) ==
  /\ req[r].pc = "look"
  /\ req' = [req EXCEPT ![r] = IF import.known THEN [@ EXCEPT !.pc = "refresh"] ELSE Answered(@, "unknown", 0)]
  /\ UNCHANGED <<item, clock, client, rest, ghosts, ferrt>>

\* What request r does about the record f.
Looked(r, f) ==
  LET a == [req[r] EXCEPT !.at = 0]
      v == Decide(f, r, a)
  IN CASE MustRecord(f, a, v)               -> [a EXCEPT !.pc = "use", !.seen = f.counter]
       [] v \in {"ours", "held", "newest"}
            /\ ~MustRecord(f, a, v)         -> Answered(a, "success", f.counter)
       [] v \in {"skip", "ahead"}           -> [a EXCEPT !.pc = v, !.seen = f.counter]
       [] v = "proven"                      -> [a EXCEPT !.pc = "tell", !.seen = f.counter, !.at = f.at]
       [] v = "reuse"                       -> [a EXCEPT !.pc = "revoke", !.seen = 0]
       [] v \in {"dead", "unproven", "refused"}
                                            -> Answered(a, "refused", 0)
       [] v \in {"slow", "unclear"}         -> Answered(a, v, 0)

\* Whether the condition of the write holds.
Holding(f, now) == Interval > 0 /\ f.rotated # None /\ f.rotated > now - Interval
Applies(f, a) ==
  /\ a.pc = "device" \/ f.counter = a.seen
  /\ Alive(f, a.now)
  /\ Unlocks(a, f)
  /\ a.pc = "refresh" => ~Holding(f, a.now)
  /\ a.n = 0 => a.proof \* which is only asked of a code
  /\ a.pc = "skip" => f.used # f.counter

\* A conditional write, and with "tell" an event beside it, both or neither. Where only the record
\* changes, the answer was lost: the SDK makes the same call again, if the request does not vanish.
\* (A call that failed without being applied changes nothing at all.)
Write(r) ==
  LET stays == req[r].pc \in {"use", "tell", "device"}
      a == [req[r] EXCEPT !.told = @ \/ req[r].pc = "tell"]
      next == CASE a.pc = "refresh" -> Rotated(item, a.n, a.now)
                [] a.pc = "skip"    -> SkippedTo(item, a.n, a.now)
                [] a.pc = "ahead"   -> MovedAhead(item, a.n, a.now)
                [] a.pc = "tell"    -> UsedLate(item, a)
                [] OTHER            -> Used(item, a.n, a.now)
      tok == IF a.pc \in {"use", "tell"} THEN a.seen ELSE next.counter
  IN /\ a.pc \in {"refresh", "skip", "ahead", "use", "tell", "device"}
     /\ IF Applies(item, a)
        THEN /\ item' = [next EXCEPT !.wid = IF stays THEN @ ELSE r, !.key = IF Binds(item, a) THEN a.key ELSE @]
             /\ \/ req' = [req EXCEPT ![r] = Answered(a, "success", tok)]
                \/ req' = [req EXCEPT ![r] = a]
             /\ sup' = IF stays THEN sup ELSE [n \in DOMAIN sup |->
                  IF Min(a.n, item.counter) <= n /\ n < next.counter THEN a.now ELSE sup[n]]
        ELSE /\ req' = [req EXCEPT ![r] = Looked(r, item)]
             /\ UNCHANGED <<item, sup>>
     /\ spent' = IF (req'[r].pc = "success" /\ a.pc # "device") \/ item'.counter # item.counter
                 THEN spent \union {a.n} ELSE spent
     /\ UNCHANGED <<clock, client, rest, ferrt>>

\* The revocation and its event, in one transaction. Whoever did it, or finds that it was
\* its own doing, logs it.
Revoke(r) ==
  /\ req[r].pc = "revoke"
  /\ LET refused == [req EXCEPT ![r] = Answered(@, "refused", 0)]
         stored == ferrt.stored + 1
         logged == ferrt.logged + 1
     IN IF item.there /\ ~item.revoked
        THEN /\ item' = [item EXCEPT !.revoked = TRUE, !.mark = r]
             /\ \/ req' = refused /\ ferrt' = [stored |-> stored, logged |-> logged]
                \/ UNCHANGED req /\ ferrt' = [ferrt EXCEPT !.stored = stored]
        ELSE /\ req' = refused /\ UNCHANGED item
             /\ ferrt' = IF item.mark = r THEN [ferrt EXCEPT !.logged = logged] ELSE ferrt
  /\ UNCHANGED <<clock, client, rest, ghosts>>

\* A token arrives. The careful client puts it in the place of the one that it presented, and
\* drops it where it no longer has that one; the naive one puts it in the place of any.
Take(r) ==
  /\ req[r].pc = "success" /\ req[r].who = "client"
  /\ LET a == req[r]
         more == \E q \in Requests \ {r} : req[q].who = "client" /\ req[q].n = has
     IN IF Naive
        THEN /\ ~Late /\ has' = a.tok /\ UNCHANGED <<window, sure>>
             /\ burst' = [burst EXCEPT !.heard = TRUE,
                  !.had = IF 2 * burst.age < Interval THEN @ \union {a.tok} ELSE @]
        ELSE /\ a.n = has /\ has' = a.tok /\ UNCHANGED burst
             /\ window' = [window EXCEPT ![has] = IF a.tok = has /\ sure /\ ~more THEN None ELSE @]
             /\ sure' = (sure \/ a.tok # a.n)
  /\ End(r)
  /\ UNCHANGED <<clock, rest, ghosts, ferrt>>

\* Nothing comes of a request any more: it never arrived, its server crashed, the storage
\* did not answer (a 503), the answer was lost on its way, or says nothing new.
Vanish(r) ==
  /\ req[r].pc # "free" /\ End(r)
  /\ sure' = (sure /\ (Naive \/ req[r].who # "client" \/ req[r].n # has))
  /\ UNCHANGED <<clock, has, window, burst, rest, ghosts, ferrt>>

\* Whoever has a token can end its family, also without the family's key: RFC 7009 asks for no proof. So it is
\* only where Logouts are off that a thief cannot do the holder of a bound family any harm.
Logout ==
  /\ Logouts /\ item.there /\ ~item.revoked /\ item' = [item EXCEPT !.revoked = TRUE]
  /\ UNCHANGED <<clock, req, client, rest, ghosts, ferrt>>

\* The user is erased, with all families. That the token was known stays known.
Erase ==
  /\ Logouts /\ Foreign /\ item.there /\ item' = Nothing /\ import' = import
  /\ UNCHANGED <<clock, req, client, backup, ghosts, ferrt>>

\* The table comes back as it was, once: at any time; or when all is quiet, and nothing that
\* was sent before arrives after. The properties, too, forget what the backup lacks. (Where
\* lost responses are forgiven, or clocks differ, nobody is logged out only if all is quiet:
\* a record that was moved ahead does not know which tokens were skipped, or when the one
\* before its predecessor was superseded.) A record from before the family was bound does not know the
\* key. So the first who comes with a newer token, and a proof of any key, binds it anew, and until then
\* a token is enough: that is the first use again. (The configurations restore no family that is bound
\* after its start.)
Backup ==
  /\ Restores # "never" /\ backup = None /\ backup' = [item EXCEPT !.wid = None]
  /\ UNCHANGED <<item, clock, req, client, import, ghosts, ferrt>>
Restore ==
  /\ backup # None /\ backup.counter > 0 /\ backup' = [backup EXCEPT !.counter = 0]
  /\ Restores = "quiet" => /\ \A r \in Requests : req[r].pc = "free"
                           /\ \A n \in DOMAIN window : window[n] \in {None, 0}
                           /\ burst.age \in {None, 2 * Interval}
  /\ item' = backup /\ spent' = {n \in spent : n < backup.counter \/ n = backup.used}
  /\ UNCHANGED <<clock, req, client, import, sup, ferrt>>
Tick ==
  /\ clock < Hours /\ clock' = clock + 1
  /\ window' = [n \in DOMAIN window |-> IF window[n] \in {None, 0} THEN window[n] ELSE window[n] - 1]
  /\ burst' = [burst EXCEPT !.age = IF @ \in {None, 2 * Interval} THEN @ ELSE @ + 1]
  /\ UNCHANGED <<item, req, has, sure, rest, ghosts, ferrt>>

Init ==
  /\ item \in {IF Foreign THEN Nothing ELSE [Issued EXCEPT !.key = k] :
                k \in IF Binding = "number 0" /\ Coded THEN {None, Holder} ELSE {Issued.key}}
  /\ clock = 0 /\ req = [r \in Requests |-> Free]
  /\ has = First /\ backup = None /\ import = [known |-> ~Foreign, puts |-> 0, made |-> IF Foreign THEN 0 ELSE 1]
  /\ window = [n \in First..Tokens |-> None] /\ sup = window /\ spent = {}
  /\ sure = TRUE /\ burst = [age |-> None, had |-> {}, heard |-> FALSE]
  /\ ferrt = [stored |-> 0, logged |-> 0]
Next ==
  \/ \E r \in Requests :
       \/ \E n \in First..has : Present(r, n) \/ Refresh(r, n)
       \/ \E n \in Given : Abuse(r, n)
       \/ Device(r) \/ Look(r) \/ Write(r) \/ Revoke(r) \/ Take(r) \/ Vanish(r)
  \/ Read \/ Put \/ Burst \/ Logout \/ Erase \/ Backup \/ Restore \/ Tick
Spec == Init /\ [][Next]_vars
Alike == Permutations(Requests)

-----------------------------------------------------------------------------
(* The properties, and what a user loses without each.                     *)

Made(r, answer) == req[r].pc # answer /\ req'[r].pc = answer

\* Whether token n was superseded an interval or more before now, or a code exchanged so long ago.
Outside(n, now) == sup[n] # None /\ Max(now - sup[n], 0) >= Span(n)

\* There is one newest token, and every success gives that one, as of the storage call that
\* decided it. Without: two tabs go on with two tokens, and one of them is logged out.
OneNewest == [][\A r \in Requests : Made(r, "success") => req'[r].tok = item'.counter]_vars

\* The counter moves on by one, at most once an interval, and the time of the rotation changes
\* with it alone: no two requests supersede the same token. Without: thief and victim each go
\* on, on their own branches; and a client in a hurry outruns its own answers.
Forward == [][\/ item'.counter = item.counter /\ item'.rotated = item.rotated
              \/ item' = Nothing
              \/ /\ item'.counter = item.counter + 1
                 /\ item.rotated = None \/ item'.rotated - item.rotated >= Interval]_vars

\* Where nobody steals, the family is not revoked, and the client does not hear that the
\* token it has is dead. (A second copy of a code is refused, while the first brings a token.)
\* Nor, if the family is bound, does whoever has its key, of whatever token there ever was, and
\* whatever others do without the key. Without: users are logged out for their own tabs and retries.
NeverLoggedOut ==
  /\ ~item.revoked
  /\ \A r \in Requests :
       ~(req[r].pc = "refused" /\ (IF Bound(item) THEN req[r].key = item.key
           ELSE req[r].who = "client" /\ req[r].n = has /\ (has > 0 \/ Foreign)))

\* A dead family stays as it is, or is erased, and gives no more tokens. Without: a logout, a detected
\* theft or an end does not hold.
Unmarked(f) == [f EXCEPT !.wid = None, !.mark = None]
DeadStaysDead ==
  [][/\ item.revoked => Unmarked(item') = Unmarked(item) \/ item' = Nothing
     /\ import.made > 0 /\ ~item.there => Unmarked(item') = Nothing
     /\ \A r \in Requests : Made(r, "success") => Alive(item, req[r].now)]_vars

\* A superseded token gives a success only inside the interval; outside, where lost responses
\* are forgiven, only if it was used itself, and no later one was; or with the key of a bound
\* family. Without: a copied token is good for ever.
NeverLate ==
  [][\A r \in Requests : Made(r, "success") =>
       LET n == req[r].n
       IN \/ n >= item.counter
          \/ item.wid = r
          \/ Bound(item)
          \/ sup[n] # None /\ ~Outside(n, req[r].now)
          \/ UntilUsed /\ n \in spent /\ \A m \in spent : m <= n]_vars

\* At any moment two tokens at most are good: the newest, and the last one before it that was
\* used; the others, if the family is bound, with its key. Without: a thief and its victim both
\* go on, each with tokens of its own.
AtMostTwo ==
  [][\A r \in Requests : Made(r, "success") =>
       LET n == req[r].n
       IN \/ n >= item.counter
          \/ item.wid = r
          \/ Bound(item)
          \/ n \in spent /\ \A m \in spent : m <= n \/ m >= item.counter]_vars

\* Who presents a token outside the interval, or a skipped one, and is refused, leaves a
\* dead family behind, however often and how fast it rotated since, if that is not bound. Without:
\* victim and thief both go on, and nobody hears of it.
FoundOut ==
  [][\A r \in Requests : Made(r, "refused") =>
       LET n == req[r].n IN
         (n < item.counter /\ (n \notin spent \/ Outside(n, req[r].now) \/ ~req[r].proof))
         => Bound(item) \/ ~Alive(item', req[r].now)]_vars

\* Whoever has the key of a living bound family is not refused, nor told to try again, and is no
\* reason to end it. (A code is honoured once, and refused when it comes again.) Without: the holder
\* of a key is logged out for an old token.
NeverLost ==
  [][\A r \in Requests :
       Bound(item) /\ req[r].key = item.key /\ Alive(item, req[r].now) =>
         /\ ~Made(r, "revoke") /\ ~Made(r, "slow")
         /\ Made(r, "refused") => Coded /\ req[r].n = 0]_vars

\* Without the key of a bound family nobody gets a token of it, and nobody changes its record. (But a
\* reuse that was found out before it was bound ends it.) Without: a copied token is a session, or
\* ends one.
Erased == item' = Nothing \/ item' = backup \/ item' = [item EXCEPT !.revoked = TRUE]
ThiefGetsNothing ==
  [][Bound(item) =>
       /\ \A r \in Requests : Made(r, "success") \/ Made(r, "revoke") => req[r].key = item.key
       /\ Unmarked(item') = Unmarked(item) \/ Erased \/ \E r \in Requests :
            req[r].pc = "revoke" \/ (req[r].pc # "free" /\ req[r].key = item.key)]_vars

\* With the key of a bound family, a token that comes outside the interval is told of, whoever has
\* copied the key. Without: a thief with the key and its victim both go on, and nobody hears of it.
Told ==
  [][\A r \in Requests : Made(r, "success") =>
       LET n == req[r].n IN
         (Bound(item) /\ n < item.counter /\ item.wid # r /\ Outside(n, req[r].now))
         => req'[r].told]_vars

\* A family is bound when it begins, or by the key that its browser has registered, and never later; and to
\* one key for ever. Without: whoever has a token binds the family to a key of his own, and locks its user out.
NeverBoundLater ==
  [][item'.key # item.key =>
       \/ item' = Nothing \/ item' = backup
       \/ /\ item.key = None /\ item.there
          /\ \E r \in Requests : /\ req[r].key = item'.key /\ req[r].binds
                                  /\ \/ Binding = "number 0" /\ Pending(item) /\ ~Pending(item') /\ item'.wid = r
                                     \/ Binding = "device" /\ req[r].pc = "device"]_vars

\* Who begins a family with a proof that is to bind it, or uses a device's key, and is given a token, has a
\* family that is bound. Without: a user relies on a key that nobody asks for.
BoundAtOnce ==
  [][\A r \in Requests :
       Made(r, "success") /\ req[r].binds /\ (Pending(item) \/ Binding = "device") => Bound(item')]_vars

\* A code is honoured once, in time, and for who has its verifier. Without: who finds a code in a
\* log has a session.
OneExchange ==
  [][/\ Pending(item) /\ ~Pending(item') =>
          \E r \in Requests : /\ item'.wid = r /\ req[r].n = 0 /\ req[r].proof
                              /\ ~item.revoked /\ req[r].now < item.until
     /\ \A r \in Requests : Made(r, "success") /\ req[r].n = 0 => Pending(item) \/ item.wid = r]_vars

\* A foreign token belongs to one family for ever, whoever imports it and how often, also once that
\* family is gone. Without: a stolen token of the old provider starts a session that its user has ended.
OneFamily == import.made <= 1

\* Number 0 ends no family before its first use, nor in the time in which it may come again, a code with
\* its verifier. Without: a page that mounts twice logs its user out, and so can whoever sees a code.
Spared ==
  [][\A r \in Requests :
       (~item.revoked /\ item'.revoked /\ item'.mark = r /\ req[r].n = 0)
       => sup[0] # None /\ (~req[r].proof \/ Outside(0, req[r].now))]_vars

\* A reuse is one event. Without: the alarm counts servers, not thefts.
OneFerrt == ferrt.stored <= 1 /\ ferrt.logged <= ferrt.stored

\* The record says why a condition failed; or the request is so slow that it is older than
\* the newest rotation, which the next one is not. Without: a 503 that no retry ends.
Explained ==
  [][\A r \in Requests : /\ ~Made(r, "unclear")
                         /\ Made(r, "slow") => req[r].now < clock + Skew]_vars

\* After a success, the last use on record is as late as the idle lifetime needs it, and clocks
\* allow. (A slow request that only records its use may take it back by as long as it took.)
\* Without: users are logged out for being idle, and were not.
InUse ==
  [][\A r \in Requests : Made(r, "success") => req[r].now - item'.at <= Idle \div 16 + Skew]_vars

\* A client that goes on trying is answered with a working token, again and again, and with
\* another once the interval is over, unless all that it sends is lost. (May: it need not keep
\* quiet, as it must if the hours of this world are over too early.) Without: an app that tries
\* for ever, or has the same token for ever.
Fair == \A r \in Requests :
  /\ SF_vars(Present(r, has)) /\ SF_vars(Take(r)) /\ WF_vars(req[r].n # has /\ Vanish(r))
  /\ SF_vars(req[r].n = has /\ req[r].pc = "refresh" /\ Write(r))
  /\ SF_vars(req[r].n = has /\ req[r].pc # "refresh" /\ Write(r))
FairSpec == Spec /\ Fair
May == window[has] = None \/ window[has] > Quiet(has) \/ (UntilUsed /\ window[has] = 0)
GoesOn ==
  /\ []<>(~May \/ \E r \in Requests : req[r].pc = "success" /\ req[r].n = has)
  /\ \A n \in 1..Tokens - 1 :
       (has = n /\ sup[n] = None /\ (n > 1 => clock - sup[n - 1] >= Interval)) ~> (~May \/ has > n)
=============================================================================
