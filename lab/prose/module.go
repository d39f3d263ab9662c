package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// run checks the packages under root, except those in the folders of unread, and returns the findings. It also reports
// a folder of unread in which there is nothing to find.
func run(root string, unread []string) ([]string, error) {
	var findings []string
	inUnread := map[string]int{}
	for _, folder := range unread {
		inUnread[folder] = 0
	}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != root && isForeign(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		found, err := checkFile(name)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		folder = filepath.ToSlash(folder)
		if n, ok := inUnread[folder]; ok {
			inUnread[folder] = n + len(found)
			return nil
		}
		findings = append(findings, found...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for folder, n := range inUnread {
		if n == 0 {
			findings = append(findings, fmt.Sprintf("%s: nothing to find here; remove it from lab/prose/unread.go", folder))
		}
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
