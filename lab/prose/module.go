package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// run checks the packages under root and returns the findings.
func run(root string) ([]string, error) {
	var findings []string
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != root && isForeign(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		found, err := checkFile(name)
		if err != nil {
			return err
		}
		findings = append(findings, found...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(findings)
	return findings, nil
}

// isForeign reports whether a folder of this name holds no code of ours.
func isForeign(folder string) bool {
	return strings.HasPrefix(folder, ".") || slices.Contains([]string{"cdk.out", "dist", "node_modules", "testdata"}, folder)
}

// checkFile parses and checks a file.
func checkFile(name string) ([]string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return check(fset, file), nil
}
