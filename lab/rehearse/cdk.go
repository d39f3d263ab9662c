package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command runs a program in a folder, with the caller's environment without AWS's variables, and with env. Its output is
// part of the error if it fails.
func (r *rehearsal) command(ctx context.Context, dir string, env []string, program string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, program, args...) //nolint:gosec // the repository's own tools
	c.Dir = dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AWS_") && !strings.HasPrefix(variable, "CDK_") && !strings.HasPrefix(variable, "MAKE") {
			c.Env = append(c.Env, variable)
		}
	}
	c.Env = append(c.Env, env...)
	var output bytes.Buffer
	c.Stdout, c.Stderr = &output, &output
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) } // with its children
	c.WaitDelay = 5 * time.Second
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, output.String())
	}
	return output.String(), nil
}

// cdk runs the project's CDK CLI, with the credentials of the emulator's root user.
func (r *rehearsal) cdk(ctx context.Context, dir string, args ...string) error {
	env := []string{
		"AWS_ENDPOINT_URL=" + r.emulator.url(), "AWS_CA_BUNDLE=" + r.emulator.certFile,
		"AWS_ACCESS_KEY_ID=" + rootKey, "AWS_SECRET_ACCESS_KEY=" + rootKey, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"CDK_DISABLE_CLI_TELEMETRY=true", "CI=true", "NO_COLOR=1", "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
	}
	// The CDK app runs on the Node that there is, also where that is past its end of life.
	version, err := r.command(ctx, dir, nil, "node", "-p", "process.versions.node.split('.')[0]")
	if err != nil {
		return err
	}
	env = append(env, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION="+strings.TrimSpace(version))
	_, err = r.command(ctx, dir, env, filepath.Join(r.root, ".tools/cdk/node_modules/.bin/cdk"), append(args, "--no-notices")...)
	return err
}

func (r *rehearsal) bootstrap(ctx context.Context) (string, error) {
	environment := "aws://" + accountID + "/" + region
	return environment, r.cdk(ctx, r.dir, "bootstrap", environment)
}

// synth synthesizes the app of a tree into dir, as `make synth` does.
func (r *rehearsal) synth(ctx context.Context, tree, dir string, settings ...string) error {
	return r.cdk(ctx, filepath.Join(tree, "infra"), append([]string{"synth", "--quiet", "--output", dir}, settings...)...)
}

// synthesize synthesizes the app of a tree into dir, and adapts it.
func (r *rehearsal) synthesize(ctx context.Context, tree, dir string, settings ...string) (*assembly, error) {
	if err := r.synth(ctx, tree, dir, settings...); err != nil {
		return nil, err
	}
	return adapt(dir, filepath.Join(tree, "dist", runtime.GOARCH), r.list, nil)
}

// prepareBefore builds and synthesizes the version that is upgraded, from the repository's history.
func (r *rehearsal) prepareBefore(ctx context.Context) (string, error) {
	if r.from == "" {
		r.from = "HEAD~1"
		if tag, err := r.command(ctx, r.root, nil, "git", "describe", "--tags", "--abbrev=0", "HEAD~1"); err == nil {
			r.from = strings.TrimSpace(tag)
		}
	}
	tree := filepath.Join(r.dir, "before-tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		return "", err
	}
	archive := filepath.Join(r.dir, "before.tar")
	if _, err := r.command(ctx, r.root, nil, "git", "archive", "--output", archive, r.from); err != nil {
		return "", fmt.Errorf("%w: the earlier version is needed, so the clone must not be shallow; -from names another", err)
	}
	if _, err := r.command(ctx, tree, nil, "tar", "-xf", archive); err != nil {
		return "", err
	}
	mains, err := filepath.Glob(filepath.Join(tree, "functions/*/main.go"))
	if err != nil {
		return "", err
	}
	targets := []string{"--no-print-directory"}
	for _, main := range mains {
		targets = append(targets, filepath.Join("dist", runtime.GOARCH, filepath.Base(filepath.Dir(main))+".zip"))
	}
	if _, err := r.command(ctx, tree, nil, "make", targets...); err != nil {
		return "", err
	}
	// The app wants zips for arm64. adapt replaces them by those of this machine in any case.
	if runtime.GOARCH != "arm64" {
		if err := os.CopyFS(filepath.Join(tree, "dist/arm64"), os.DirFS(filepath.Join(tree, "dist", runtime.GOARCH))); err != nil {
			return "", err
		}
	}
	r.before, err = r.synthesize(ctx, tree, filepath.Join(r.dir, "before"), "-c", "logRetentionDays=30", "-c", "throttleRate=500")
	return r.from + ", with logRetentionDays=30, throttleRate=500", err
}

// deploy deploys an assembly and returns what is then there.
func (r *rehearsal) deploy(ctx context.Context, a *assembly) (*deployment, error) {
	file := filepath.Join(r.dir, "outputs.json")
	if err := r.cdk(ctx, r.dir, "deploy", "--app", a.dir, "--require-approval", "never", "--outputs-file", file, "--progress", "events"); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var outputs map[string]map[string]string
	if err := json.Unmarshal(content, &outputs); err != nil {
		return nil, err
	}
	return connect(ctx, r.aws, a, outputs[a.stack])
}

func listen(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}

// eventually calls f until it returns true. An error of f, or a minute without success, is an error.
func eventually(ctx context.Context, f func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := f()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("it has not come about within a minute")
		case <-ticker.C:
		}
	}
}
