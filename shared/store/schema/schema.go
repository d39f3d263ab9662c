// Package schema holds the names of Rotor's table, for those who make the table, grant
// access to it or read it without the store's SDK. What is under them is told at
// [github.com/rotor-auth/rotor/shared/store].
//
// Expressions in the store spell the attributes out; none of them works if a name here
// is another.
package schema

const (
	// PK and SK are the table's partition key and sort key.
	PK = "pk"
	SK = "sk"

	// LogIndex is the global index of events by type and day. Its keys are LogPK and LogSK.
	LogIndex = "log"
	LogPK    = "log_pk"
	LogSK    = "log_sk"

	// TTL is the attribute with the time after which DynamoDB may delete an item, in epoch
	// seconds.
	TTL = "purge_at"
)

// These are the partition keys.
const (
	UserPrefix  = "u#" // followed by a user key; one partition for each user
	ClientsPK   = "clients"
	OverLimitPK = "over_limit" // the sweep's work list
	ErasuresPK  = "erasures"   // events of erasures, which outlive their user

	// ForeignPrefix begins the partition of another provider's refresh token, which a hash follows.
	// There is one item in it.
	ForeignPrefix = "x#"
)

// The sort keys in a user's partition begin with these.
const (
	FamilyPrefix = "f#" // followed by a ULID
	OwnerPrefix  = "o#" // followed by a client id
	KeptPrefix   = "k#" // followed by a client id
	AliasPrefix  = "i#" // followed by a hash
	EventPrefix  = "e#" // followed by a ULID
)

// ForeignSK is the sort key of the item about another provider's refresh token.
const ForeignSK = "x"

// AdoptionsSK is the sort key of the item that counts a client's adoptions. Its partition key is
// ForeignPrefix with the client's id.
const AdoptionsSK = "a"
