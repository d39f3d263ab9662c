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

// The partitions.
const (
	UserPrefix  = "u#" // and a user key; one for each user
	ClientsPK   = "clients"
	OverLimitPK = "over_limit" // the sweep's work list
	ErasuresPK  = "erasures"   // events of erasures, which outlive their user
)

// The sort keys in a user's partition begin with these.
const (
	FamilyPrefix = "f#" // and a ULID
	OwnerPrefix  = "o#" // and a client id
	KeptPrefix   = "k#" // and a client id
	AliasPrefix  = "i#" // and a hash
	EventPrefix  = "e#" // and a ULID
)
