package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// withoutKeys checks what is documented of a stack whose first rotation has not been through: the answer is 503.
func (d *deployment) withoutKeys(ctx context.Context) (string, error) {
	got, err := d.public(ctx, "/.well-known/jwks.json", nil)
	if err != nil {
		return "", err
	}
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		return "", fmt.Errorf("the key set is answered with %d %s, Retry-After %q", got.status, got.body, got.header.Get("Retry-After"))
	}
	return "503, with Retry-After", nil
}

func (d *deployment) firstRotation(ctx context.Context) (string, error) {
	if err := d.rotate(ctx); err != nil {
		return "", err
	}
	return d.keySet(ctx)
}

// keySet returns how many keys the deployment publishes. None is an error.
func (d *deployment) keySet(ctx context.Context) (string, error) {
	set, err := d.jwks(ctx)
	if err != nil {
		return "", err
	}
	if len(set.Keys) == 0 {
		return "", errors.New("no key is published")
	}
	return fmt.Sprintf("%d published", len(set.Keys)), nil
}

func (d *deployment) jwks(ctx context.Context) (*jose.JSONWebKeySet, error) {
	got, err := d.public(ctx, "/.well-known/jwks.json", nil)
	if err == nil {
		err = got.want(http.StatusOK)
	}
	if err != nil {
		return nil, err
	}
	set := &jose.JSONWebKeySet{}
	return set, json.Unmarshal(got.body, set)
}

// verify returns an error unless an access token is signed by a published key and has the issuer that is an output.
func (d *deployment) verify(ctx context.Context, token string) error {
	set, err := d.jwks(ctx)
	if err != nil {
		return err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return err
	}
	keys := set.Key(signed.Signatures[0].Protected.KeyID)
	if len(keys) != 1 {
		return fmt.Errorf("the key of the access token is published %d times", len(keys))
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		return err
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	if claims.Issuer != d.outputs["Issuer"] {
		return fmt.Errorf("the token's issuer is %q, and the output Issuer %q", claims.Issuer, d.outputs["Issuer"])
	}
	return nil
}

// rotation is what a rotation schedule of the stack names.
type rotation struct{ secret, function string }

// schedules reads the rotation schedules, which the emulator does not have. There is one for each secret.
func (d *deployment) schedules() ([]rotation, error) {
	var found []named
	for k, left := range d.assembly.left {
		if k.Type == "AWS::SecretsManager::RotationSchedule" {
			found = append(found, left...)
		}
	}
	if secrets := len(d.assembly.all("AWS::SecretsManager::Secret")); len(found) != secrets || secrets == 0 {
		return nil, fmt.Errorf("the template has %d rotation schedules, and %d secrets", len(found), secrets)
	}
	all := map[rotation]bool{}
	for _, schedule := range found {
		properties, _ := schedule.resource["Properties"].(map[string]any)
		r := rotation{secret: d.physical[referenced(properties["SecretId"])], function: d.physical[referenced(properties["RotationLambdaARN"])]}
		if r.secret == "" || r.function == "" || all[r] {
			return nil, fmt.Errorf("a rotation schedule names nothing that is deployed, or what another one names: %v", properties)
		}
		all[r] = true
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b rotation) int { return strings.Compare(a.secret, b.secret) }), nil
}

// mayRotate returns an error unless Secrets Manager may invoke the function for a secret, and the secret is among the
// stack's outputs.
func (d *deployment) mayRotate(ctx context.Context, function, arn string) error {
	if arn != d.outputs["KeysSecret"] && arn != d.outputs["SigningKeysSecret"] {
		return fmt.Errorf("a rotation schedule is of %s, which no output names", arn)
	}
	var policy struct{ Policy string }
	path := "/2015-03-31/functions/" + url.PathEscape(function) + "/policy"
	if err := d.aws.call(ctx, "lambda", http.MethodGet, path, nil, nil, &policy); err != nil {
		return err
	}
	if !strings.Contains(policy.Policy, "secretsmanager.amazonaws.com") || !strings.Contains(policy.Policy, arn) {
		return fmt.Errorf("secrets manager may not invoke the function %s for %s: %s", function, arn, policy.Policy)
	}
	return nil
}

// referenced returns the logical id to which a template's value refers, or "".
func referenced(value any) string {
	v, _ := value.(map[string]any)
	if id, ok := v["Ref"].(string); ok {
		return id
	}
	if parts, ok := v["Fn::GetAtt"].([]any); ok && len(parts) > 0 {
		id, _ := parts[0].(string)
		return id
	}
	return ""
}

// description is a part of the answer of DescribeSecret.
type description struct {
	ARN                string
	RotationEnabled    bool
	DeletedDate        any
	VersionIdsToStages map[string][]string
}

func (d *deployment) describeSecret(ctx context.Context, secret string) (description, error) {
	var described description
	return described, d.aws.targeted(ctx, "secretsmanager", "secretsmanager.DescribeSecret", map[string]any{"SecretId": secret}, &described)
}

// rotate rotates the keys in each secret.
func (d *deployment) rotate(ctx context.Context) error {
	all, err := d.schedules()
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := d.rotateSecret(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.secret, err)
		}
	}
	return nil
}

// rotateSecret rotates the keys in a secret as Secrets Manager does: it labels a version without a value as pending, and
// invokes the function for each of the four steps.
func (d *deployment) rotateSecret(ctx context.Context, r rotation) error {
	before, err := d.describeSecret(ctx, r.secret)
	if err != nil {
		return err
	}
	if err := d.mayRotate(ctx, r.function, before.ARN); err != nil {
		return err
	}
	if !before.RotationEnabled {
		// The emulator's RotateSecret enables the rotation, and rotates at once: the new version has the old one's text, which
		// does no harm where that is not yet a key.
		enable := map[string]any{"SecretId": r.secret, "RotationLambdaARN": r.function, "RotateImmediately": false}
		if err := d.aws.targeted(ctx, "secretsmanager", "secretsmanager.RotateSecret", enable, nil); err != nil {
			return err
		}
	}
	for version, labels := range before.VersionIdsToStages { // of the last rotation, where the emulator leaves it
		if slices.Contains(labels, "AWSPENDING") {
			remove := map[string]any{"SecretId": r.secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": version}
			if err := d.aws.targeted(ctx, "secretsmanager", "secretsmanager.UpdateSecretVersionStage", remove, nil); err != nil {
				return err
			}
		}
	}
	version := newVersion()
	begin := map[string]any{"SecretId": r.secret, "ClientRequestToken": version, "VersionStages": []string{"AWSPENDING"}}
	if err := d.aws.targeted(ctx, "secretsmanager", "secretsmanager.PutSecretValue", begin, nil); err != nil {
		return err
	}
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		event := map[string]string{"Step": step, "SecretId": before.ARN, "ClientRequestToken": version}
		if _, err := d.aws.invoke(ctx, r.function, event); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	after, err := d.describeSecret(ctx, r.secret)
	if err != nil {
		return err
	}
	if !slices.Contains(after.VersionIdsToStages[version], "AWSCURRENT") {
		return fmt.Errorf("after the four steps the new version is not the current one: %v", after.VersionIdsToStages)
	}
	return nil
}

// newVersion returns an id as Secrets Manager makes them for versions.
func newVersion() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// rotateUnderLoad rotates the keys while clients refresh, each its own family, and while others log in. Every answer
// must be a 200 or a 201.
func (d *deployment) rotateUnderLoad(ctx context.Context) (string, error) {
	const clients = 4
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rotated := make(chan struct{})
	var all sync.WaitGroup
	refreshes := make([]int, clients)
	errs := make([]error, clients)
	for n := range clients {
		all.Go(func() {
			defer func() {
				if errs[n] != nil {
					cancel()
				}
			}()
			login, err := d.start(ctx, "strict", fmt.Sprintf("load-%d", n))
			for token := login.text("refresh_token"); err == nil; refreshes[n]++ {
				select {
				case <-rotated:
					errs[n] = d.verify(ctx, login.text("access_token"))
					return
				default:
				}
				login, err = d.refreshed(ctx, "strict", token)
				token = login.text("refresh_token")
			}
			errs[n] = err
		})
	}
	err := d.rotate(ctx)
	if err == nil {
		err = d.rotate(ctx)
	}
	close(rotated)
	all.Wait()
	total := 0
	for n := range clients {
		if refreshes[n] == 0 {
			err = errors.Join(err, fmt.Errorf("client %d did not refresh meanwhile", n))
		}
		total += refreshes[n]
	}
	return fmt.Sprintf("two rotations, and %d refreshes by %d clients meanwhile", total, clients), errors.Join(append(errs, err)...)
}
