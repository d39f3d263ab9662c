// Rehearse deploys the CDK app on this machine and uses what it has deployed: the CDK CLI deploys to ministack, an
// emulator of AWS that runs the functions' programs as processes, verifies signatures, and enforces the roles.
//
//	lab/rehearse/run.sh [-from REVISION] [-broken]
//
// It runs in the root of the repository, after `make build`, and stops at the first step that fails. With -broken it
// deploys what is broken on purpose, in one way after another, and fails unless a step notices each.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	python := flag.String("python", "", "the `program` of the Python that has ministack")
	from := flag.String("from", "", "the `revision` that is upgraded; the newest tag before HEAD, or else the commit before HEAD")
	broken := flag.Bool("broken", false, "deploy what is broken on purpose: does a step notice?")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, log.New(os.Stdout, "", 0), *python, *from, *broken)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rehearse:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out *log.Logger, python, from string, broken bool) (err error) {
	if python == "" {
		return errors.New("-python is missing: run lab/rehearse/run.sh, which fetches the emulator")
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	list, err := readList(refusedJSON)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rehearse-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &rehearsal{out: out, began: time.Now(), root: root, dir: dir, python: python, list: list, from: from}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		_ = r.later.Wait() // play has returned its error, or an earlier one
		if r.emulator != nil {
			r.emulator.stop()
		}
	}()
	if broken {
		err = r.playBroken(ctx)
	} else {
		err = r.play(ctx)
	}
	if err != nil && r.emulator != nil {
		return errors.Join(err, r.emulator.lastLines())
	}
	return err
}

// rehearsal is what the steps share.
type rehearsal struct {
	out    *log.Logger
	began  time.Time
	root   string // of the repository
	dir    string // for everything that is written, and removed at the end
	python string
	from   string // the revision that is upgraded
	list   []kind

	emulator *emulator
	aws      *account

	later errgroup.Group // what is prepared while the first deployment is used

	preview, before, this, release *assembly
	zips                           []string // of the release
}

// step runs a step, and prints its name, its seconds and what it returns.
func (r *rehearsal) step(ctx context.Context, name string, f func(context.Context) (string, error)) error {
	began := time.Now()
	said, err := f(ctx)
	took := time.Since(began).Seconds()
	if err != nil {
		r.out.Printf("%6.1fs  %s: FAILED", took, name)
		return &stepError{name, err}
	}
	r.out.Printf("%6.1fs  %s: %s", took, name, said)
	return nil
}

// stepError is the failure of a step.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// play plays the whole rehearsal.
func (r *rehearsal) play(ctx context.Context) error {
	if err := r.step(ctx, "start ministack", r.start); err != nil {
		return err
	}
	var first *deployment
	if err := r.prepare(ctx); err != nil {
		return err
	}
	err := r.step(ctx, deployStep, func(ctx context.Context) (said string, err error) {
		first, err = r.deploy(ctx, r.preview)
		return fmt.Sprintf("%d resources of %d", r.preview.deployed, r.preview.deployed+r.preview.leftOut()), err
	})
	if err != nil {
		return err
	}
	err = r.step(ctx, listStep, func(ctx context.Context) (string, error) {
		return fmt.Sprintf("%d resources of %d kinds, as refused.json says", r.preview.leftOut(), len(r.list)), checkList(ctx, r.aws, r.list, r.preview)
	})
	if err != nil {
		return err
	}
	if err := r.use(ctx, first); err != nil {
		return err
	}
	if err := r.step(ctx, "the output FirstCommand", func(ctx context.Context) (string, error) { return r.firstCommand(ctx, first) }); err != nil {
		return err
	}
	if err := r.step(ctx, "cdk destroy of a preview", func(ctx context.Context) (string, error) { return r.destroyPreview(ctx, first) }); err != nil {
		return err
	}
	if err := r.later.Wait(); err != nil {
		return err
	}
	upgraded, err := r.upgrade(ctx)
	if err != nil {
		return err
	}
	if err := r.step(ctx, "cdk destroy", func(ctx context.Context) (string, error) { return r.destroy(ctx, upgraded) }); err != nil {
		return err
	}
	if err := r.useRelease(ctx); err != nil {
		return err
	}
	r.out.Printf("%6.1fs  all", time.Since(r.began).Seconds())
	return nil
}

// use plays all that clients, logins and operators do, on a deployment.
func (r *rehearsal) use(ctx context.Context, d *deployment) error {
	return r.playAll(ctx, []part{
		{"before the first keys", d.withoutKeys},
		{"the four steps of the first rotation", d.firstRotation},
		{"clients, login and refresh", d.login},
		{"the policies for callers of /v1", d.policies},
		{"replay, and explain", d.replay},
		{"revocation", d.revocation},
		{"the sweep, by its schedule", d.sweep},
		{"rotation of keys under load", d.rotateUnderLoad},
		{"a race of 50", func(ctx context.Context) (string, error) {
			// It starts fifty functions at once, which time out beside a build.
			if err := r.later.Wait(); err != nil {
				return "", err
			}
			return d.race(ctx)
		}},
	})
}

// part is a step by its name.
type part struct {
	name string
	f    func(context.Context) (string, error)
}

func (r *rehearsal) playAll(ctx context.Context, parts []part) error {
	for _, p := range parts {
		if err := r.step(ctx, p.name, p.f); err != nil {
			return err
		}
	}
	return nil
}

func (r *rehearsal) start(ctx context.Context) (string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	secrets, err := listen(ctx)
	if err != nil {
		return "", err
	}
	if r.emulator, err = startEmulator(ctx, r.python, r.dir, address, "http://"+secrets.Addr().String()); err != nil {
		return "", errors.Join(err, secrets.Close())
	}
	go serveSecrets(ctx, secrets, r.emulator)
	r.aws = newAccount(r.emulator)
	return "it answers at " + r.emulator.url(), nil
}

// prepare bootstraps the account and synthesizes a preview of this tree. What is needed later is made meanwhile, and
// beside the steps that follow: the earlier version with other settings, this tree, and the files of a release.
func (r *rehearsal) prepare(ctx context.Context) error {
	r.later.Go(func() error {
		return r.playAll(ctx, []part{
			{"build and cdk synth the earlier version", r.prepareBefore},
			{"cdk synth", func(ctx context.Context) (said string, err error) {
				r.this, err = r.synthesize(ctx, r.root, filepath.Join(r.dir, "this"))
				return "this tree", err
			}},
			{"zips and template of a release", r.prepareRelease},
		})
	})
	return r.playAll(ctx, []part{
		{"cdk bootstrap", r.bootstrap},
		{"cdk synth of a preview", func(ctx context.Context) (said string, err error) {
			r.preview, err = r.synthesize(ctx, r.root, filepath.Join(r.dir, "preview"), "-c", "retain=false")
			return "this tree, with retain=false", err
		}},
	})
}
