package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// assembly is a synthesized CDK app, changed where the emulator is not AWS.
type assembly struct {
	dir      string
	stack    string // the name of its one stack
	template map[string]any
	left     map[kind][]named // the resources that the emulator refuses
	deployed int              // how many resources are left to deploy
}

type named struct {
	id       string
	resource map[string]any
}

// load reads the one template in dir and changes it as the emulator needs it, whatever deploys it:
//
//   - Resources that the list names are left out.
//   - References to a secret become its ARN, which they are in AWS; the emulator's are its name, which no role allows.
//   - Conditions on the label of a secret's version are removed; see allowAnyLabel.
func load(dir string, list []kind) (*assembly, error) {
	found, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s has %d templates, not one", dir, len(found))
	}
	a := &assembly{dir: dir, stack: strings.TrimSuffix(filepath.Base(found[0]), ".template.json"), left: map[kind][]named{}}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&a.template); err != nil {
		return nil, fmt.Errorf("%s: %w", found[0], err)
	}
	a.leaveOut(list)
	a.deployed = len(a.resources())
	a.referByARN()
	a.allowAnyLabel()
	return a, nil
}

// adapt loads the assembly in dir, puts the functions for this machine into it, from the folder zips, and writes it
// back. change, if it is not nil, breaks the assembly on purpose.
func adapt(dir, zips string, list []kind, change func(*assembly) error) (*assembly, error) {
	a, err := load(dir, list)
	if err != nil {
		return nil, err
	}
	renamed, err := a.replaceFunctions(zips)
	if err != nil {
		return nil, err
	}
	if change != nil {
		if err := change(a); err != nil {
			return nil, err
		}
	}
	after, err := json.Marshal(a.template)
	if err != nil {
		return nil, err
	}
	for old, hash := range renamed {
		after = bytes.ReplaceAll(after, []byte(old), []byte(hash))
	}
	// The CLI publishes a file under its hash, once: another content needs another name.
	hash, err := a.templateHash()
	if err != nil {
		return nil, err
	}
	renamed[hash] = sum(after)
	for _, name := range []string{a.stack + ".assets.json", "manifest.json"} {
		file := filepath.Join(dir, name)
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for old, hash := range renamed {
			content = bytes.ReplaceAll(content, []byte(old), []byte(hash))
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return nil, err
		}
	}
	return a, os.WriteFile(filepath.Join(dir, a.stack+".template.json"), after, 0o600)
}

func (a *assembly) resources() map[string]any {
	resources, _ := a.template["Resources"].(map[string]any)
	return resources
}

// all returns the resources of a type, in the order of their ids.
func (a *assembly) all(kind string) []named {
	var found []named
	resources := a.resources()
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		if r, _ := resources[id].(map[string]any); r["Type"] == kind {
			found = append(found, named{id, r})
		}
	}
	return found
}

func (a *assembly) leaveOut(list []kind) {
	resources := a.resources()
	gone := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		r, _ := resources[id].(map[string]any)
		for _, k := range list {
			if k.holds(r) {
				a.left[k] = append(a.left[k], named{id, r})
				gone[id] = true
				break
			}
		}
	}
	for id := range gone {
		delete(resources, id)
	}
	for _, r := range resources {
		r, _ := r.(map[string]any)
		if after, ok := r["DependsOn"].([]any); ok {
			r["DependsOn"] = slices.DeleteFunc(after, func(id any) bool { return gone[fmt.Sprint(id)] })
		}
	}
}

// leftOut returns the number of resources that are left out.
func (a *assembly) leftOut() int {
	n := 0
	for _, left := range a.left {
		n += len(left)
	}
	return n
}

func (a *assembly) referByARN() {
	secrets := map[string]bool{}
	for _, s := range a.all("AWS::SecretsManager::Secret") {
		secrets[s.id] = true
	}
	walk(a.template, func(value map[string]any) {
		if id, _ := value["Ref"].(string); len(value) == 1 && secrets[id] {
			delete(value, "Ref")
			value["Fn::GetAtt"] = []any{id, "Id"}
		}
	})
}

// allowAnyLabel removes the conditions on the label of a secret's version. The emulator's IAM knows nothing of the labels
// that a request names, and so would refuse it.
func (a *assembly) allowAnyLabel() {
	walk(a.template, func(value map[string]any) {
		conditions, _ := value["Condition"].(map[string]any)
		labels, _ := conditions["ForAnyValue:StringEquals"].(map[string]any)
		if len(conditions) == 1 && len(labels) == 1 && labels["secretsmanager:VersionStage"] != nil {
			delete(value, "Condition")
		}
	})
}

// replaceFunctions puts the functions' zips for this machine into the assembly, and returns the old and new hashes.
func (a *assembly) replaceFunctions(zips string) (map[string]string, error) {
	renamed := map[string]string{}
	for _, f := range a.all("AWS::Lambda::Function") {
		properties, _ := f.resource["Properties"].(map[string]any)
		code, _ := properties["Code"].(map[string]any)
		name, _ := properties["FunctionName"].(string)
		key, _ := code["S3Key"].(string)
		old, isZip := strings.CutSuffix(key, ".zip")
		function, ours := strings.CutPrefix(name, a.stack+"-")
		if !isZip || !ours {
			return nil, fmt.Errorf("function %s has the name %q and the code %q: not one of Rotor's", f.id, name, key)
		}
		properties["Architectures"] = []any{architecture()}
		zip, err := os.ReadFile(filepath.Join(zips, function+".zip"))
		if err != nil {
			return nil, err
		}
		renamed[old] = sum(zip)
		if err := os.WriteFile(filepath.Join(a.dir, "asset."+renamed[old]+".zip"), zip, 0o600); err != nil {
			return nil, err
		}
	}
	if len(renamed) == 0 {
		return nil, errors.New("the app has no functions")
	}
	return renamed, nil
}

// architecture returns Lambda's name of this machine's.
func architecture() string {
	return map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
}

// templateHash returns the hash under which the template is published.
func (a *assembly) templateHash() (string, error) {
	content, err := os.ReadFile(filepath.Join(a.dir, a.stack+".assets.json"))
	if err != nil {
		return "", err
	}
	var assets struct {
		Files map[string]struct{ Source struct{ Path string } }
	}
	if err := json.Unmarshal(content, &assets); err != nil {
		return "", err
	}
	for hash, file := range assets.Files {
		if file.Source.Path == a.stack+".template.json" {
			return hash, nil
		}
	}
	return "", errors.New("the template is not among the assets")
}

// walk calls f for each object in a template's value, the outer ones first.
func walk(value any, f func(map[string]any)) {
	switch v := value.(type) {
	case map[string]any:
		f(v)
		for _, member := range v {
			walk(member, f)
		}
	case []any:
		for _, member := range v {
			walk(member, f)
		}
	}
}

func sum(b []byte) string {
	hash := sha256.Sum256(b)
	return hex.EncodeToString(hash[:])
}
