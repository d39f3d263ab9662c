package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// releaseStack is the stack of the released template, and releaseStage its stage.
const (
	releaseStack = "auth"
	releaseStage = "released"
)

// prepareRelease makes what a release has: the zips of this machine's architecture, under their names, and the template.
func (r *rehearsal) prepareRelease(ctx context.Context) (string, error) {
	zips, dir := filepath.Join(r.dir, "zips"), filepath.Join(r.dir, "release")
	if err := os.Mkdir(zips, 0o700); err != nil {
		return "", err
	}
	if _, err := r.command(ctx, r.root, nil, "bash", "infra/release.sh", "zips", zips); err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(zips, "rotor-*-"+architecture()+".zip"))
	if err != nil {
		return "", err
	}
	if r.zips = found; len(r.zips) == 0 {
		return "", fmt.Errorf("the release has no zips for %s", architecture())
	}
	if err := r.synth(ctx, r.root, dir, "--app", "go run ./cdk template"); err != nil {
		return "", err
	}
	if r.release, err = load(dir, r.list); err != nil {
		return "", err
	}
	r.release.stack = releaseStack
	return fmt.Sprintf("%d zips and a template", len(r.zips)), nil
}

// upload stores the zips in a new bucket, as `aws s3 cp` does, and the template, as `aws cloudformation deploy` does. It
// returns the bucket and the template's URL.
func (r *rehearsal) upload(ctx context.Context) (bucket, url string, err error) {
	template, err := json.Marshal(r.release.template)
	if err != nil {
		return "", "", err
	}
	bucket = "rehearsal-" + strings.ToLower(rand.Text())
	if err := r.aws.put(ctx, "/"+bucket, nil); err != nil {
		return "", "", err
	}
	for _, zip := range r.zips {
		content, err := os.ReadFile(zip)
		if err != nil {
			return "", "", err
		}
		if err := r.aws.put(ctx, "/"+bucket+"/rotor/"+filepath.Base(zip), content); err != nil {
			return "", "", err
		}
	}
	path := "/" + bucket + "/rotor/templates/" + sum(template) + ".template"
	return bucket, r.aws.url + path, r.aws.put(ctx, path, template)
}

// deployRelease deploys the released template without CDK, by the requests of `aws cloudformation deploy`.
func (r *rehearsal) deployRelease(ctx context.Context) (*deployment, error) {
	bucket, template, err := r.upload(ctx)
	if err != nil {
		return nil, err
	}
	params := map[string]string{
		"StackName": releaseStack, "ChangeSetName": "deploy", "ChangeSetType": "CREATE", "TemplateURL": template,
		"Capabilities.member.1": "CAPABILITY_IAM",
	}
	for n, p := range [][2]string{
		{"Architecture", architecture()},
		{"CodeBucket", bucket},
		{"CodePrefix", "rotor/"},
		{"ServiceStage", releaseStage},
		{"Origins", "https://app.example.com"},
	} {
		member := "Parameters.member." + strconv.Itoa(n+1)
		params[member+".ParameterKey"], params[member+".ParameterValue"] = p[0], p[1]
	}
	if err := r.aws.cloudFormation(ctx, "CreateChangeSet", params, nil); err != nil {
		return nil, err
	}
	change := map[string]string{"StackName": releaseStack, "ChangeSetName": "deploy"}
	err = r.aws.becomes(ctx, "CREATE_COMPLETE", func(ctx context.Context) (status, error) {
		var out struct {
			Result status `xml:"DescribeChangeSetResult"`
		}
		err := r.aws.cloudFormation(ctx, "DescribeChangeSet", change, &out)
		return out.Result, err
	})
	if err != nil {
		return nil, fmt.Errorf("the change set: %w", err)
	}
	if err := r.aws.cloudFormation(ctx, "ExecuteChangeSet", change, nil); err != nil {
		return nil, err
	}
	var stacks struct {
		Stacks []struct {
			Status  string `xml:"StackStatus"`
			Reason  string `xml:"StackStatusReason"`
			Outputs []struct {
				Key   string `xml:"OutputKey"`
				Value string `xml:"OutputValue"`
			} `xml:"Outputs>member"`
		} `xml:"DescribeStacksResult>Stacks>member"`
	}
	err = r.aws.becomes(ctx, "CREATE_COMPLETE", func(ctx context.Context) (status, error) {
		stacks.Stacks = nil
		err := r.aws.cloudFormation(ctx, "DescribeStacks", map[string]string{"StackName": releaseStack}, &stacks)
		if err == nil && len(stacks.Stacks) != 1 {
			err = fmt.Errorf("%d stacks are %s", len(stacks.Stacks), releaseStack)
		}
		if err != nil {
			return status{}, err
		}
		return status{stacks.Stacks[0].Status, stacks.Stacks[0].Reason}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the stack: %w", err)
	}
	outputs := map[string]string{}
	for _, o := range stacks.Stacks[0].Outputs {
		outputs[o.Key] = o.Value
	}
	return connect(ctx, r.aws, r.release, outputs)
}

// status is that of a change set or a stack.
type status struct {
	Status string
	Reason string `xml:"StatusReason"`
}

// becomes waits until a status is the one that is wanted. One that says that something failed is an error.
func (a *account) becomes(ctx context.Context, want string, f func(context.Context) (status, error)) error {
	return eventually(ctx, func() (bool, error) {
		s, err := f(ctx)
		if err == nil && (strings.Contains(s.Status, "FAILED") || strings.Contains(s.Status, "ROLLBACK")) {
			err = fmt.Errorf("%s: %s", s.Status, s.Reason)
		}
		return s.Status == want, err
	})
}

// put stores a file in a bucket, or makes the bucket.
func (a *account) put(ctx context.Context, path string, content []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, a.url+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("X-Amz-Content-Sha256", sum(content))
	got, err := a.send(request, content, "s3", a.key)
	if err == nil {
		err = got.want(http.StatusOK)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", path, err)
	}
	return nil
}

// useRelease uses what the released template has deployed.
func (r *rehearsal) useRelease(ctx context.Context) error {
	var d *deployment
	err := r.step(ctx, "the released template, without CDK", func(ctx context.Context) (said string, err error) {
		if d, err = r.deployRelease(ctx); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d resources of %d", r.release.deployed, r.release.deployed+r.release.leftOut()), d.asReleased(ctx, r.zips)
	})
	if err != nil {
		return err
	}
	return r.playAll(ctx, []part{
		{"its first keys", d.firstRotation},
		{"its clients, login and refresh", d.login},
		{"its replay, and explain", d.replay},
	})
}

// asReleased returns an error unless the functions are those of the stage, of this machine's architecture, and of the
// release's zips.
func (d *deployment) asReleased(ctx context.Context, zips []string) error {
	functions := d.assembly.all("AWS::Lambda::Function")
	if len(functions) != len(zips) {
		return fmt.Errorf("there are %d functions, and %d zips", len(functions), len(zips))
	}
	var errs []error
	for _, f := range functions {
		name := d.physical[f.id]
		var got struct {
			Architectures []string
			CodeSize      int64
		}
		if err := d.aws.call(ctx, "lambda", http.MethodGet, "/2015-03-31/functions/"+name+"/configuration", nil, nil, &got); err != nil {
			return err
		}
		function, ours := strings.CutPrefix(name, "rotor-"+releaseStage+"-")
		size := int64(-1)
		for _, zip := range zips {
			if info, err := os.Stat(zip); err == nil && strings.HasSuffix(zip, "-"+function+"-"+architecture()+".zip") {
				size = info.Size()
			}
		}
		if !ours || len(got.Architectures) != 1 || got.Architectures[0] != architecture() || got.CodeSize != size {
			errs = append(errs, fmt.Errorf("function %s is %v with %d bytes; its zip has %d", name, got.Architectures, got.CodeSize, size))
		}
	}
	return errors.Join(errs...)
}
