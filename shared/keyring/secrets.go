package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rotor-auth/rotor/shared/signing"
)

// Secrets names the secrets in AWS Secrets Manager that hold the keys, each by its name
// or ARN.
//
// The signing keys are in their own secret. The version of it with the label ROTOR_PUBLIC
// is a [Document] of their public halves, so that a function which needs no more can be
// allowed to read no more.
//
// Until the first rotation of that secret it has no keys. The signing keys may then be in
// the secret Token, which held all keys in earlier releases. They are used from there, and
// the first rotation takes them over.
type Secrets struct {
	// Token is the secret with the token keys: the user key and the MAC keys.
	Token string
	// Signing is the secret with the signing keys. If it is empty, they are in the secret
	// Token too, and there are no public keys apart from the private ones.
	Signing string
}

// apart reports whether the signing keys have their own secret.
func (s Secrets) apart() bool { return s.Signing != "" }

// isSigning reports whether the id, a name or an ARN, is that of the signing keys' own
// secret.
func (s Secrets) isSigning(id string) bool { return s.apart() && sameSecret(id, s.Signing) }

// check returns an error if the id is that of no secret in s. Secrets Manager invokes the
// function with whatever secret names it as its rotation function.
func (s Secrets) check(id string) error {
	if sameSecret(id, s.Token) || s.isSigning(id) {
		return nil
	}
	return fmt.Errorf("the secret %s is none of those whose keys this function rotates", id)
}

// all returns the secrets that there are.
func (s Secrets) all() []string {
	if s.apart() {
		return []string{s.Token, s.Signing}
	}
	return []string{s.Token}
}

// add adds to all what is in use of d, the document in the secret.
func (s Secrets) add(all *Document, secret string, d *Document) {
	if !s.isSigning(secret) {
		all.UserKey, all.MAC = d.UserKey, d.MAC
	}
	if !s.apart() || s.isSigning(secret) {
		all.Signing = d.Signing
	}
}

// sameSecret reports whether an id names the configured secret. Secrets Manager's events
// have the ARN, which ends in the name, a dash and six characters.
func sameSecret(id, configured string) bool {
	const suffix = 7
	_, name, isARN := strings.Cut(id, ":secret:")
	return id == configured || isARN && len(name) > suffix && name[:len(name)-suffix] == configured && name[len(name)-suffix] == '-'
}

// holds returns an error if the document is not of the kind that belongs in the secret.
func (s Secrets) holds(secret string, d *Document) error {
	token, sign := len(d.MAC) > 0, len(d.Signing) > 0
	switch {
	case s.isSigning(secret) && token:
		return errors.New("it has token keys, which must be in the other secret")
	case s.isSigning(secret) && !sign, !s.apart() && !sign:
		return errors.New("it has no signing keys")
	case !s.isSigning(secret) && !token:
		return errors.New("it has no token keys")
	}
	return nil
}

// parse reads the text of a version of the secret.
func (s Secrets) parse(secret, text string) (*Document, error) {
	d, err := Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	return d, s.holds(secret, d)
}

// Need says which keys a program needs.
type Need int

// The needs.
const (
	ToIssue   Need = iota // the token keys and the private signing keys: it issues tokens
	ToCheck               // the token keys and the public keys: it checks tokens
	ToPublish             // the public keys alone
)

// compile makes those keys of the document ready that are needed. Private signing keys that
// are not needed are not in the result.
func (n Need) compile(d *Document) (*Keys, error) {
	switch n {
	case ToIssue:
		return d.Compile()
	case ToCheck:
		keys, err := d.Token().compile()
		if err != nil {
			return nil, err
		}
		keys.Signing, err = signing.NewVerifier(d.Signing)
		return keys, err
	default:
		verifier, err := signing.NewVerifier(d.Signing)
		return &Keys{Signing: verifier}, err
	}
}

// inherited returns the signing keys in the secret of the token keys, where earlier releases
// had them, or nil if there are none.
func (r Rotation) inherited(ctx context.Context) (*Document, error) {
	version, err := r.labeled(ctx, r.Secrets.Token, labelCurrent)
	if err != nil {
		return nil, err
	}
	text, _, err := r.read(ctx, r.Secrets.Token, version)
	if err != nil || placeholder(text) {
		return nil, err
	}
	d, err := r.Secrets.parse(r.Secrets.Token, text)
	if err != nil {
		return nil, fmt.Errorf("the secret of the token keys, which may have the signing keys as well: %w", err)
	}
	if len(d.Signing) == 0 {
		return nil, nil //nolint:nilnil // no signing keys, and nothing wrong with that
	}
	return &Document{Signing: d.Signing}, nil
}

// superseded reports whether the signing keys in d, which is in the secret of the token
// keys, are of no more use: the secret of the signing keys has taken them over, and has had
// a newer key since. Until then a release that knows one secret alone can be deployed
// again.
func (r Rotation) superseded(ctx context.Context, d *Document) (bool, error) {
	version, err := r.labeled(ctx, r.Secrets.Signing, labelCurrent)
	if err != nil {
		return false, err
	}
	text, _, err := r.read(ctx, r.Secrets.Signing, version)
	if err != nil || placeholder(text) {
		return false, err
	}
	own, err := r.Secrets.parse(r.Secrets.Signing, text)
	if err != nil {
		return false, fmt.Errorf("the secret of the signing keys: %w", err)
	}
	return slices.ContainsFunc(own.Signing, func(k signing.Key) bool { return !has(d, k) }), nil
}

// has reports whether the document has the signing key.
func has(d *Document, k signing.Key) bool {
	return slices.ContainsFunc(d.Signing, func(other signing.Key) bool { return other.JWK.KeyID == k.JWK.KeyID })
}

// getText returns the text of the version with the label.
func getText(ctx context.Context, client *secretsmanager.Client, secret, label string) (string, error) {
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     aws.String(secret),
		VersionStage: aws.String(label),
	})
	if err != nil {
		return "", err
	}
	if out.SecretString == nil {
		return "", errors.New("the secret has no text")
	}
	return *out.SecretString, nil
}
