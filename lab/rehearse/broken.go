package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// fault is a way in which a deployment is broken on purpose.
type fault struct {
	name   string
	step   string // the step that must notice
	change func(*assembly) error

	// The function is built with new in place of old in a file, unless it is "".
	function, file, old, new string

	list func([]kind) []kind // another list of what the emulator refuses, unless it is nil
}

// The steps that come before those of use.
const (
	deployStep = "deploy"
	listStep   = "what the emulator refuses"
)

var faults = []fault{
	{
		name: "token may not update items", step: "clients, login and refresh",
		change: func(a *assembly) error {
			return a.replace("AWS::IAM::Role", "TokenRole", `"dynamodb:UpdateItem"`, `"dynamodb:DescribeTable"`)
		},
	},
	{
		name: "no route to token", step: "clients, login and refresh",
		change: func(a *assembly) error {
			return a.replace("AWS::ApiGatewayV2::Route", "oauthtoken", `"ANY /oauth/token"`, `"ANY /oauth/tokens"`)
		},
	},
	{
		name: "a route of /v1 without IAM", step: "clients, login and refresh",
		change: func(a *assembly) error {
			return a.replace("AWS::ApiGatewayV2::Route", "PUTv1clients", `"AWS_IAM"`, `"NONE"`)
		},
	},
	{
		name: "a misspelt variable of token", step: "clients, login and refresh",
		change: func(a *assembly) error {
			return a.replace("AWS::Lambda::Function", "TokenFunction", `"ROTOR_TABLE"`, `"ROTOR_TABEL"`)
		},
	},
	{
		name: "the last step of the rotation moves another label", step: "the four steps of the first rotation",
		function: "keys", file: "shared/keyring/steps.go",
		old: "VersionStage:    aws.String(labelCurrent),", new: "VersionStage:    aws.String(labelPrevious),",
	},
	{
		name: "the schedule's role may not invoke the sweep", step: "the sweep, by its schedule",
		change: func(a *assembly) error {
			return a.replace("AWS::IAM::Role", "SweepScheduleRole", `"lambda:InvokeFunction"`, `"lambda:GetFunction"`)
		},
	},
	{
		name: "a needless row in refused.json", step: listStep,
		list: func(list []kind) []kind {
			return append(list[:len(list):len(list)], kind{Type: "AWS::SNS::Topic", Count: 1, Says: "refused", Reason: "none"})
		},
	},
	{
		name: "a row is missing in refused.json", step: deployStep,
		list: func(list []kind) []kind { return list[1:] },
	},
}

// replace replaces a text, which must be there once, in the resource of a type whose id contains a word.
func (a *assembly) replace(kind, word, before, after string) error {
	var found []named
	for _, n := range a.all(kind) {
		if strings.Contains(n.id, word) {
			found = append(found, n)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%d resources of %s are %s, not one", len(found), kind, word)
	}
	text, err := json.Marshal(found[0].resource)
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), before); n != 1 {
		return fmt.Errorf("%s has %s %d times, not once", found[0].id, before, n)
	}
	var changed map[string]any
	if err := json.Unmarshal([]byte(strings.Replace(string(text), before, after, 1)), &changed); err != nil {
		return err
	}
	a.resources()[found[0].id] = changed
	return nil
}

// playBroken deploys each fault in turn. It fails unless the step that is named for it fails.
func (r *rehearsal) playBroken(ctx context.Context) error {
	if err := r.step(ctx, "start ministack", r.start); err != nil {
		return err
	}
	if err := r.step(ctx, "cdk bootstrap", r.bootstrap); err != nil {
		return err
	}
	whole := filepath.Join(r.dir, "whole")
	err := r.step(ctx, "cdk synth", func(ctx context.Context) (string, error) { return "this tree", r.synth(ctx, r.root, whole) })
	if err != nil {
		return err
	}
	for n, f := range faults {
		dir := filepath.Join(r.dir, fmt.Sprintf("fault-%d", n))
		err := r.step(ctx, f.name, func(ctx context.Context) (string, error) { return r.notice(ctx, f, whole, dir) })
		if err != nil {
			return err
		}
	}
	return nil
}

// notice deploys a fault and returns what was noticed of it.
func (r *rehearsal) notice(ctx context.Context, f fault, whole, dir string) (string, error) {
	if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
		return "", err
	}
	zips := filepath.Join(r.root, "dist", runtime.GOARCH)
	if f.function != "" {
		var err error
		if zips, err = r.buildFault(ctx, f, zips, dir+"-zips"); err != nil {
			return "", err
		}
	}
	list := r.list
	if f.list != nil {
		list = f.list(list)
	}
	broken, err := adapt(dir, zips, list, f.change)
	if err != nil {
		return "", err
	}
	noticed := r.try(ctx, broken, list)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var failed *stepError
	if !errors.As(noticed, &failed) || failed.step != f.step {
		return "", fmt.Errorf("%q does not notice: %w", f.step, errors.Join(noticed, errors.New("the fault is missed")))
	}
	said := strings.Join(strings.Fields(failed.err.Error()), " ")
	return fmt.Sprintf("noticed by %q: …%s", f.step, said[max(0, len(said)-120):]), r.cdk(ctx, r.dir, "destroy", "--force", "--app", broken.dir)
}

// try deploys an assembly and uses it, and prints nothing.
func (r *rehearsal) try(ctx context.Context, built *assembly, list []kind) error {
	var d *deployment
	quiet := &rehearsal{out: log.New(io.Discard, "", 0)}
	err := quiet.step(ctx, deployStep, func(ctx context.Context) (said string, err error) {
		d, err = r.deploy(ctx, built)
		return "", err
	})
	if err != nil {
		return err
	}
	if err := quiet.step(ctx, listStep, func(ctx context.Context) (string, error) { return "", checkList(ctx, r.aws, list, built) }); err != nil {
		return err
	}
	return quiet.use(ctx, d)
}

// buildFault returns a folder with the functions' zips, one of which is built with the fault.
func (r *rehearsal) buildFault(ctx context.Context, f fault, zips, dir string) (string, error) {
	if err := os.CopyFS(dir, os.DirFS(zips)); err != nil {
		return "", err
	}
	file := filepath.Join(r.root, f.file)
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), f.old); n != 1 {
		return "", fmt.Errorf("%s has %q %d times, not once", f.file, f.old, n)
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), f.old, f.new, 1)), 0o600); err != nil {
		return "", err
	}
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, replaced, 0o600); err != nil {
		return "", err
	}
	program := filepath.Join(dir, f.function, "bootstrap")
	_, err = r.command(ctx, r.root, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc",
		"-overlay", overlay, "-o", program, "./functions/"+f.function)
	if err != nil {
		return "", err
	}
	_, err = r.command(ctx, r.root, nil, "go", "run", "./lab/pack", filepath.Join(dir, f.function+".zip"), program)
	return dir, err
}
