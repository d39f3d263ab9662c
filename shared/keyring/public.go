package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

const (
	// LabelPublic is the staging label of the version of the signing keys' secret that has
	// the public keys. Secrets Manager moves no labels but its own, and deletes no version
	// that has one.
	LabelPublic = "ROTOR_PUBLIC"
	// labelPublishing is the label of a version that is about to get LabelPublic.
	labelPublishing = "ROTOR_PUBLISHING"
)

// TagApart is the tag of the token keys' secret that says that the signing keys have been
// published from their own secret. From then on nobody needs to look for public keys in the
// secret of the token keys, and the roles of the functions do not allow it.
const TagApart = "rotor-keys-apart"

// publishAttempts is how many times a publication is tried. A try fails if another one was
// faster.
const publishAttempts = 5

// publish makes the public keys those of the current version of the signing keys' secret,
// and of extra, a version that is about to become current. It is called with extra before
// that, because keys must be public before they sign, and without it afterwards. If it dies
// in between, public keys are published that nothing signs with, or a revoked key for
// longer than its revocation, until the rotation or the emergency is repeated.
//
// Whichever of two publications moves the label second finds that the keys which it
// replaces are no longer those that it has seen, and starts again. So what is published
// last follows a version that was current later than what is published before it.
//
// If the signing keys have no secret of their own, it does nothing.
func (r Rotation) publish(ctx context.Context, secret string, extra *Document) error {
	if !r.Secrets.isSigning(secret) {
		return nil
	}
	for range publishAttempts {
		done, err := r.publishOnce(ctx, secret, extra)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("publish: the public keys have changed %d times meanwhile", publishAttempts)
}

// publishOnce makes one attempt. done is false if other keys were published since it began.
func (r Rotation) publishOnce(ctx context.Context, secret string, extra *Document) (done bool, err error) {
	before, err := r.labeled(ctx, secret, LabelPublic)
	if err != nil {
		return false, err
	}
	was, _, err := r.read(ctx, secret, before)
	if err != nil {
		return false, err
	}
	d, err := r.toPublish(ctx, secret, extra)
	if err != nil {
		return false, err
	}
	text, err := d.Encode()
	if err != nil || was == string(text) {
		return err == nil, err
	}
	made := "public-" + rand.Text()
	_, err = r.Client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId:           aws.String(secret),
		ClientRequestToken: aws.String(made),
		SecretString:       aws.String(string(text)),
		VersionStages:      []string{labelPublishing},
	})
	if err != nil {
		return false, err
	}
	move := &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: aws.String(secret), VersionStage: aws.String(LabelPublic), MoveToVersionId: aws.String(made),
	}
	if before != "" {
		move.RemoveFromVersionId = aws.String(before) // refused unless that version still has the label
	}
	_, failed := r.Client.UpdateSecretVersionStage(ctx, move)
	if failed == nil {
		return true, nil
	}
	after, err := r.labeled(ctx, secret, LabelPublic)
	if err != nil || after == before {
		return false, errors.Join(failed, err)
	}
	return after == made, nil // if it is, the response was lost
}

// toPublish returns the public keys of the current version, and those of extra besides.
func (r Rotation) toPublish(ctx context.Context, secret string, extra *Document) (*Document, error) {
	current, _, err := r.inUse(ctx, secret)
	if err != nil && (extra == nil || !errors.Is(err, errNoKeys)) {
		return nil, err
	}
	d := new(Document)
	for _, from := range []*Document{current, extra} {
		if from == nil {
			continue
		}
		for _, k := range from.Signing {
			if !has(d, k) {
				d.Signing = append(d.Signing, k.Retired(k.Until))
			}
		}
	}
	return d, nil
}

// settle publishes the keys after a rotation of the signing keys, and says that they are
// apart.
func (r Rotation) settle(ctx context.Context, secret string) error {
	if !r.Secrets.isSigning(secret) {
		return nil
	}
	err := r.publish(ctx, secret, nil)
	if err != nil {
		return err
	}
	_, err = r.Client.TagResource(ctx, &secretsmanager.TagResourceInput{
		SecretId: aws.String(r.Secrets.Token),
		Tags:     []types.Tag{{Key: aws.String(TagApart), Value: aws.String("true")}},
	})
	return err
}

// errNoKeys means that a secret has no keys yet.
var errNoKeys = errors.New("the secret has no keys yet")

// Token returns the token keys of the document alone.
func (d *Document) Token() *Document {
	return &Document{UserKey: d.UserKey, MAC: slices.Clone(d.MAC)}
}
