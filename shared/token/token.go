// Package token mints refresh tokens and parses them.
//
// A token is 84 characters: "rotor_" and the base64url, without padding, of
// these 58 bytes:
//
//	offset  size  field
//	     0     1  version, 0x01
//	     1     1  id of the key the tag was made under
//	     2    16  user key: the head of HMAC-SHA-256 of the user id
//	    18    16  ULID of the family, so families sort by time of issue
//	    34     4  counter, big-endian: the first token of a family is 1
//	    38    20  tag: the head of HMAC-SHA-256 of a label and bytes 0 to 37
//
// The reasons for this format, rather than a random string that is looked up in a table:
//
//   - Nothing stored can be replayed. The table holds only a family and its latest
//     counter, which make no token without the MAC key. There is neither a token nor a
//     hash of one to steal.
//   - A forged token costs no request to the table. The tag is checked first, by
//     computation alone.
//   - A superseded token says how far behind it is. Its family and counter can be read
//     from the token alone, whether it was the last one or the tenth before, and no list
//     of used tokens is needed to recognize it.
//   - The user key and the ULID are the family's address. Its record can be read and
//     written at once, without an index from tokens to families.
//
// The tag's 160 bits meet the bound that RFC 6749 section 10.10 recommends: a guess
// succeeds with a probability of at most 2^-160. The label keeps a tag from being valid
// for another use of the same secret.
//
// A token has one spelling. Each byte is under the tag or part of it, and only the
// canonical encoding parses, so a string that parses is, to the byte, one that was minted.
// Minting takes no randomness: the same [Token] under the same key gives the same string.
//
// An authorization code is made in the same way: it is the family's token number 0, under a
// label of its own. So neither parses as the other, and codes need no table either.
//
// The fields are signed and not encrypted, so anyone who has a token can read them. The user
// key is therefore a keyed hash, which neither shows the user id nor lets anybody check a
// guess at it. It is the same in all tokens of a user.
package token

// Token is the content of a refresh token: its family, and its number among the family's
// tokens.
type Token struct {
	Family  [32]byte // user key (16) followed by the family's ULID (16)
	Counter uint32   // the first of a family is 1; an authorization code is number 0
}

// Prefix begins every refresh token, so that people and scanners for leaked secrets recognize
// one.
const Prefix = "rotor_"

// Length is the length of every refresh token, in bytes.
const Length = 84

const (
	version = 0x01

	// label begins the message that is MACed. No other use of a MAC key may begin its
	// message with it.
	label = "rotor refresh token v1\x00"

	// codeLabel does so for authorization codes. It is as long as label.
	codeLabel = "rotor one-time code v1\x00"

	// These are the offsets of the fields in the bytes that are encoded.
	atVersion = 0
	atKey     = 1
	atFamily  = 2
	atCounter = 34
	atTag     = 38
	size      = 58

	labelSize   = len(label)
	tagSize     = size - atTag
	userKeySize = 16
)
