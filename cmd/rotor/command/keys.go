package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
	"github.com/rotor-auth/rotor/shared/keyring"
)

func (e *env) keys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Show the keys, and revoke leaked ones",
		Args:  cobra.ArbitraryArgs,
		RunE:  unknown,
	}
	var f keysFunction
	cmd.PersistentFlags().StringVar(&f.name, "function", "", "the Lambda function keys, by name or ARN")
	cmd.PersistentFlags().StringVar(&f.stage, "stage", "", "the stage, for its function rotor-STAGE-keys")
	cmd.AddCommand(e.keysStatus(&f), e.emergency(&f))
	return cmd
}

// keysFunction says which Lambda function has the keys.
type keysFunction struct{ name, stage string }

// chosen returns the function's name, "" if none is chosen.
func (f *keysFunction) chosen() (string, error) {
	if f.name != "" && f.stage != "" {
		return "", misused("give --function or --stage")
	}
	if f.stage != "" {
		return "rotor-" + f.stage + "-keys", nil
	}
	return f.name, nil
}

func (e *env) keysStatus(f *keysFunction) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the published keys, or with --stage all keys and their use",
		Long: `Shows the public keys that the service publishes (/.well-known/jwks.json), which needs no permission.

With --stage or --function it asks the function keys instead, which knows the MAC keys too, and for
what each key is used: in_use, waiting, replaced or revoked. The answer has no key material. That
needs lambda:InvokeFunction on the function, which allows the emergency as well.

Columns: kind, id, algorithm, use, from, published until, revoked. With --json the result is one
document: the JWKS, or the function's list.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, err := f.chosen()
			if err != nil {
				return err
			}
			if name == "" {
				return e.showPublished(cmd.Context())
			}
			list, err := e.invokeKeys(cmd.Context(), name, map[string]any{"action": "list"})
			if err != nil {
				return err
			}
			return e.showInventory(list)
		},
	}
}

// maxJWKS limits the bytes of the public keys.
const maxJWKS = 1 << 20

// showPublished writes the public keys of the service.
func (e *env) showPublished(ctx context.Context) error {
	address := strings.TrimRight(cmp.Or(e.url, e.getenv("ROTOR_URL"), localAddress), "/")
	if _, err := manage.New(address, manage.Options{}); err != nil { // checks the address
		return usageError{err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/.well-known/jwks.json", nil)
	if err != nil {
		return usageError{err.Error()}
	}
	// No redirect is followed: the server at its end does not have the keys of this service.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		return &manage.UnreachableError{Address: address, Err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS))
	if err != nil {
		return &manage.UnreachableError{Address: address, Err: err}
	}
	var set struct {
		Keys []struct {
			ID        string `json:"kid"`
			Algorithm string `json:"alg"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || res.StatusCode != http.StatusOK || set.Keys == nil {
		return fmt.Errorf("%s/.well-known/jwks.json has no public keys (status %d)", address, res.StatusCode)
	}
	if e.json {
		return e.io.WriteJSON(json.RawMessage(text))
	}
	table := e.keyTable()
	for _, k := range set.Keys {
		table.Add("signing", k.ID, k.Algorithm, "published", "", "", "")
	}
	table.Flush()
	return nil
}

func (e *env) keyTable() *terminal.Table {
	return e.io.NewTable(terminal.Column{Title: "KIND"}, terminal.Column{Title: "ID"}, terminal.Column{Title: "ALGORITHM"},
		terminal.Column{Title: "USE"}, terminal.Column{Title: "FROM (UTC)"}, terminal.Column{Title: "PUBLISHED UNTIL"},
		terminal.Column{Title: "REVOKED"})
}

// showInventory writes the list of the function keys.
func (e *env) showInventory(list *keyring.Inventory) error {
	if e.json {
		return e.io.WriteJSON(list)
	}
	table := e.keyTable()
	for _, k := range list.MAC {
		table.Add("mac", strconv.Itoa(int(k.ID)), "", string(k.Use), e.time(k.From), "", e.time(k.Revoked))
	}
	for _, k := range list.Signing {
		table.Add("signing", k.ID, k.Algorithm, string(k.Use), e.time(k.From), e.time(k.Until), e.time(k.Revoked))
	}
	table.Flush()
	return nil
}

func (e *env) emergency(f *keysFunction) *cobra.Command {
	var macs []uint8
	var signing []string
	var yes bool
	cmd := &cobra.Command{
		Use:   "emergency {--stage STAGE | --function NAME} [--mac ID]... [--signing KID]...",
		Short: "Revoke keys that have leaked, at once",
		Long: `Revokes keys that have leaked, at once, and replaces those that were in use. It cannot be undone. All
tokens that a revoked key has made are void: after a MAC key, users log in again; after a signing key,
clients refresh once. docs/operations.md says what happens, and when.

First it shows the keys, and asks. Where nobody can be asked, it needs --yes. If there is no answer,
or an error, run it again: keys that are revoked stay so. It needs lambda:InvokeFunction on the
function keys. A local run has its keys in the file KEYS; see docs/operations.md.

With --json the result is one document: the function's list afterwards.`,
		Example: `  rotor keys status --stage prod
  rotor keys emergency --stage prod --mac 2
  rotor keys emergency --stage prod --mac 1 --mac 2 --signing B4LEF-Nu... --yes`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, err := f.chosen()
			switch {
			case err != nil:
				return err
			case name == "":
				return misused("which function has the keys? Give --stage or --function")
			case len(macs)+len(signing) == 0:
				return misused("which keys have leaked? Give --mac or --signing; rotor keys status lists them")
			}
			if err := e.mayAsk(cmd, yes, false); err != nil {
				return err
			}
			if !yes {
				list, err := e.invokeKeys(cmd.Context(), name, map[string]any{"action": "list"})
				if err != nil {
					return err
				}
				if err := e.showInventory(list); err != nil {
					return err
				}
				question := "This revokes " + leaked(macs, signing) + ", for good, and voids their tokens. Revoke?"
				if err := e.confirm(cmd.Context(), false, question); err != nil {
					return err
				}
			}
			event := map[string]any{"action": "emergency"}
			if len(macs) > 0 {
				ids := make([]int, len(macs)) // as bytes they would be base64
				for i, id := range macs {
					ids[i] = int(id)
				}
				event["mac"] = ids
			}
			if len(signing) > 0 {
				event["signing"] = signing
			}
			list, err := e.invokeKeys(cmd.Context(), name, event)
			if err != nil {
				return err
			}
			return e.showInventory(list)
		},
	}
	cmd.Flags().Var(&keyIDs{&macs}, "mac", "a MAC key, by its number; may be repeated")
	cmd.Flags().StringArrayVar(&signing, "signing", nil, "a signing key, by its kid; may be repeated")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// leaked returns the keys in words.
func leaked(macs []uint8, signing []string) string {
	var all []string
	for _, id := range macs {
		all = append(all, "MAC key "+strconv.Itoa(int(id)))
	}
	for _, id := range signing {
		all = append(all, "signing key "+terminal.Inert(id))
	}
	return strings.Join(all, ", ")
}

// keyIDs is the value of a flag that may be repeated, each time with the number of a key.
type keyIDs struct{ to *[]uint8 }

func (k *keyIDs) String() string { return "" }
func (k *keyIDs) Type() string   { return "number" }
func (k *keyIDs) Set(value string) error {
	id, err := strconv.ParseUint(value, 10, 8)
	if err != nil {
		return errors.New("must be the number of a key, from 0 to 255")
	}
	*k.to = append(*k.to, uint8(id))
	return nil
}

// invokeKeys invokes the function keys, and returns its list.
func (e *env) invokeKeys(ctx context.Context, function string, event map[string]any) (*keyring.Inventory, error) {
	cfg, err := e.aws(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region is known: set AWS_REGION, or choose one by --region or --profile")
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("write the event: %w", err)
	}
	progress := e.io.Progress("calls done: waiting for "+terminal.Inert(function), 0)
	out, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: payload})
	progress.Stop()
	if err != nil {
		return nil, fmt.Errorf("invoke the function %s: %w", function, err)
	}
	if aws.ToString(out.FunctionError) != "" {
		var failure struct {
			Message string `json:"errorMessage"`
		}
		_ = json.Unmarshal(out.Payload, &failure) // without a message the kind of error is all there is
		return nil, fmt.Errorf("the function %s failed: %s", function, cmp.Or(failure.Message, *out.FunctionError))
	}
	var list keyring.Inventory
	if err := json.Unmarshal(out.Payload, &list); err != nil || list.MAC == nil {
		return nil, fmt.Errorf("the function %s has not answered with a list of keys: is it the function keys?", function)
	}
	return &list, nil
}
