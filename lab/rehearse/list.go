package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

//go:embed refused.json
var refusedJSON []byte

// kind is a kind of resource that the emulator refuses, a row of refused.json.
type kind struct {
	Type     string `json:"type"`
	Property string `json:"property"` // only resources with this property are refused, unless it is ""
	Count    int    `json:"count"`    // how many of them the app has
	Says     string `json:"says"`     // a part of the emulator's error
	Reason   string `json:"reason"`
}

func (k kind) String() string {
	if k.Property != "" {
		return k.Type + " with " + k.Property
	}
	return k.Type
}

func (k kind) holds(r map[string]any) bool {
	properties, _ := r["Properties"].(map[string]any)
	_, has := properties[k.Property]
	return r["Type"] == k.Type && (k.Property == "" || has)
}

// readList reads refused.json. A row that lacks something is an error.
func readList(data []byte) ([]kind, error) {
	var list []kind
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("refused.json: %w", err)
	}
	for _, k := range list {
		if k.Type == "" || k.Count < 1 || k.Says == "" || k.Reason == "" {
			return nil, fmt.Errorf("refused.json: the row of %q needs type, count, says and reason", k)
		}
	}
	return list, nil
}

// checkList returns an error for each row of the list that is not as the assembly and the emulator have it: another
// number of resources, or a resource that the emulator accepts by now. What is refused and has no row makes the
// deployment fail.
func checkList(ctx context.Context, a *account, list []kind, built *assembly) error {
	var errs []error
	for _, k := range list {
		left := built.left[k]
		if len(left) != k.Count {
			errs = append(errs, fmt.Errorf("refused.json: the app has %d of %s, not %d: see whether the emulator refuses all of them, and change the row", len(left), k, k.Count))
		}
		if len(left) == 0 {
			continue
		}
		refusal, err := probe(ctx, a, "probe-"+rand.Text(), left[0].resource)
		switch {
		case err != nil:
			errs = append(errs, err)
		case refusal == "":
			errs = append(errs, fmt.Errorf("refused.json: the emulator accepts %s: remove the row", k))
		case !strings.Contains(refusal, k.Says):
			errs = append(errs, fmt.Errorf("refused.json: of %s the emulator says %q, and not %q", k, refusal, k.Says))
		}
	}
	return errors.Join(errs...)
}

// probe tries to create a stack that has the resource alone. It returns why the emulator refused it, or "" if it did
// not. What the resource takes from others of its stack is replaced by a word.
func probe(ctx context.Context, a *account, stack string, r map[string]any) (string, error) {
	properties := replaceReferences(r["Properties"])
	template, err := json.Marshal(map[string]any{"Resources": map[string]any{"Probe": map[string]any{"Type": r["Type"], "Properties": properties}}})
	if err != nil {
		return "", err
	}
	params := map[string]string{"StackName": stack, "TemplateBody": string(template), "OnFailure": "DELETE"}
	if err := a.cloudFormation(ctx, "CreateStack", params, nil); err != nil {
		return err.Error(), nil
	}
	var out struct {
		Events []struct {
			LogicalID string `xml:"LogicalResourceId"`
			Status    string `xml:"ResourceStatus"`
			Reason    string `xml:"ResourceStatusReason"`
		} `xml:"DescribeStackEventsResult>StackEvents>member"`
	}
	refusal := ""
	err = eventually(ctx, func() (bool, error) {
		if err := a.cloudFormation(ctx, "DescribeStackEvents", map[string]string{"StackName": stack}, &out); err != nil {
			return false, err
		}
		for _, e := range out.Events {
			if e.LogicalID == "Probe" && e.Status == "CREATE_FAILED" {
				refusal = e.Reason
			}
			if e.LogicalID == "Probe" && (e.Status == "CREATE_FAILED" || e.Status == "CREATE_COMPLETE") {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return "", fmt.Errorf("probe %s: %w", r["Type"], err)
	}
	return refusal, nil
}

// replaceReferences returns a copy of a template's value with a word in place of each reference and function.
func replaceReferences(value any) any {
	switch v := value.(type) {
	case map[string]any:
		replaced := map[string]any{}
		for name, member := range v {
			if name == "Ref" || strings.HasPrefix(name, "Fn::") {
				return "probe"
			}
			replaced[name] = replaceReferences(member)
		}
		return replaced
	case []any:
		replaced := make([]any, len(v))
		for n := range v {
			replaced[n] = replaceReferences(v[n])
		}
		return replaced
	default:
		return v
	}
}
