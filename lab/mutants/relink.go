package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// parts are what a package's test program is linked from.
type parts struct {
	module   string            // the path of the repository's module
	main     string            // the compiled main package
	packages map[string]listed // the others, by import path
}

// listed is a package as `go list -export` shows it.
type listed struct {
	ImportPath string
	Name       string
	Dir        string
	Export     string // the compiled package
	GoFiles    []string
	EmbedFiles []string
	CgoFiles   []string
	SFiles     []string
	Imports    []string
	Module     *struct{ Path, GoVersion string }
}

// partsOf compiles the package's test program without a mutant, and returns its parts.
func (l *lab) partsOf(ctx context.Context, pkg string) (*parts, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-test", "-export", "-deps", "-json=ImportPath,Name,Dir,Export,GoFiles,EmbedFiles,CgoFiles,SFiles,Imports,Module", "./"+folder(pkg)) //nolint:gosec // names from the table
	cmd.Dir = l.root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list what %s is made of: %w", pkg, err)
	}
	all := map[string]listed{}
	var program listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("list what %s is made of: %w", pkg, err)
		}
		all[p.ImportPath] = p
		if p.Name == "main" && strings.HasSuffix(p.ImportPath, "/"+folder(pkg)+".test") {
			program = p
		}
	}
	if program.Module == nil {
		return nil, fmt.Errorf("list what %s is made of: it has no tests", pkg)
	}
	made := &parts{module: program.Module.Path, main: program.Export, packages: map[string]listed{}}
	// A package that the tests change is there twice. Only one of the two is linked.
	var add func(path string)
	add = func(path string) {
		p, ok := all[path]
		name, _, _ := strings.Cut(path, " ")
		if _, there := made.packages[name]; there || !ok {
			return
		}
		made.packages[name] = p
		for _, imported := range p.Imports {
			add(imported)
		}
	}
	for _, imported := range program.Imports {
		add(imported)
	}
	// The linker adds what the runtime needs, which no package imports.
	for path := range all {
		if !strings.Contains(path, " ") && !strings.HasPrefix(path, made.module) {
			add(path)
		}
	}
	return made, nil
}

// relink makes the test program of testPkg in the folder dir, with the changed files of one
// package. Of all packages it compiles only that one, which takes a fraction of what go test
// takes. ok is false if that is not possible: for example because the change reaches the code of
// packages that import this one, which the linker notices by a fingerprint of what they import.
func (l *lab) relink(ctx context.Context, dir, pkg string, changed map[string]string, testPkg string) (program string, ok bool) {
	made, err := l.parts[testPkg]()
	if err != nil {
		return "", false
	}
	path := made.module + "/" + folder(pkg)
	p, ok := made.packages[path]
	if !ok || p.Module == nil || len(p.EmbedFiles)+len(p.CgoFiles)+len(p.SFiles) > 0 {
		return "", false
	}
	importConfig, err := writeConfig(filepath.Join(dir, "importcfg"), made.packages)
	if err != nil {
		return "", false
	}
	compiled := filepath.Join(dir, "package.a")
	language := strings.Join(strings.Split(p.Module.GoVersion, ".")[:2], ".")
	args := []string{
		"tool", "compile", "-o", compiled, "-trimpath", dir + "=>" + p.Dir, "-p", path, "-lang=go" + language, "-complete",
		"-goversion", runtime.Version(), "-c=2", "-nolocalimports", "-importcfg", importConfig, "-pack",
	}
	for _, name := range p.GoFiles {
		if _, is := changed[folder(pkg)+"/"+name]; is {
			args = append(args, filepath.Join(dir, name))
		} else {
			args = append(args, filepath.Join(p.Dir, name))
		}
	}
	if !l.run(ctx, args...) {
		return "", false
	}
	p.Export = compiled
	packages := maps.Clone(made.packages)
	packages[path] = p
	linkConfig, err := writeConfig(filepath.Join(dir, "importcfg.link"), packages)
	if err != nil {
		return "", false
	}
	program = filepath.Join(dir, testPkg+".test")
	return program, l.run(ctx, "tool", "link", "-o", program, "-importcfg", linkConfig, "-s", "-w", "-buildmode=exe", "-X=testing.testBinary=1", made.main)
}

// writeConfig writes a file that tells compiler and linker where compiled packages are, and
// returns its name.
func writeConfig(file string, packages map[string]listed) (string, error) {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		if export := packages[path].Export; export != "" {
			fmt.Fprintf(&b, "packagefile %s=%s\n", path, export)
		}
	}
	return file, os.WriteFile(file, []byte(b.String()), 0o600)
}

// run reports whether a go command succeeds.
func (l *lab) run(ctx context.Context, args ...string) bool {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // paths of our own
	cmd.Dir = l.root
	return cmd.Run() == nil
}
