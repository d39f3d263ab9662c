package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

// longestSentence is how many words a sentence may have.
const longestSentence = 40

// check returns the findings in a file, each with its position.
func check(fset *token.FileSet, file *ast.File) []string {
	var findings []string
	report := func(at token.Pos, format string, args ...any) {
		findings = append(findings, fmt.Sprintf("%s: %s", fset.Position(at), fmt.Sprintf(format, args...)))
	}
	isTest := strings.HasSuffix(fset.Position(file.Pos()).Filename, "_test.go")
	names := map[*ast.CommentGroup]string{} // of what a comment belongs to
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[d.Doc] = d.Name.Name
			if d.Doc == nil || isTest && beginsFreely(d.Name.Name, d.Doc.Text()) {
				continue
			}
			if wrong := checkFunc(d.Name.Name, d.Doc.Text(), isPredicate(d.Type)); wrong != "" {
				report(d.Doc.Pos(), "%s", wrong)
			}
		case *ast.GenDecl:
			for name, doc := range typeDocs(d) {
				names[doc] = name
				if wrong := checkType(name, doc.Text()); wrong != "" {
					report(doc.Pos(), "%s", wrong)
				}
			}
		}
	}
	for _, group := range file.Comments {
		text := strings.TrimPrefix(group.Text(), names[group])
		for _, p := range phrases {
			if found := p.pattern.FindString(text); found != "" {
				report(group.Pos(), "%q: write %s", strings.Join(strings.Fields(found), " "), p.instead)
			}
		}
		for _, s := range sentences(text) {
			if words := strings.Fields(s); len(words) > longestSentence {
				report(group.Pos(), "a sentence of %d words: %s …", len(words), strings.Join(words[:8], " "))
			}
		}
	}
	return findings
}

// beginsFreely reports whether the comment of a function in a test need not begin with its name. An example's comment is
// for the readers of the package's documentation, and a test of what is deployed may say what would break without it.
func beginsFreely(name, doc string) bool {
	return strings.HasPrefix(name, "Example") || strings.HasPrefix(name, "Test") && strings.HasPrefix(doc, "Without this ")
}

// checkFunc returns what is wrong with the beginning of a function's comment, or "". It must begin with the function's
// name and a verb in the third person. The first sentence about a predicate must say what it reports.
func checkFunc(name, doc string, predicate bool) string {
	words := strings.Fields(doc)
	if len(words) < 2 || words[0] != name {
		return fmt.Sprintf("the comment of %s must begin with its name and a verb", name)
	}
	verb := words[1]
	for i := 2; adverbs[verb] && i < len(words); i++ {
		verb = words[i]
	}
	verb = strings.TrimRight(verb, ".,:;")
	switch {
	case !strings.HasSuffix(verb, "s") || noVerbs[verb]:
		return fmt.Sprintf("the comment of %s must begin with its name and a verb such as returns, not with %q", name, name+" "+verb)
	case predicate && !strings.Contains(sentences(doc)[0], "reports"):
		return fmt.Sprintf("%s returns a bool, so the first sentence of its comment must say what it reports", name)
	}
	return ""
}

var (
	// adverbs may precede the verb.
	adverbs = map[string]bool{"also": true, "always": true, "never": true, "only": true}
	// noVerbs end in s like a verb in the third person, but do not say what a function does.
	noVerbs = map[string]bool{"as": true, "has": true, "is": true, "its": true, "says": true, "this": true, "was": true}
)

// checkType returns what is wrong with the beginning of a type's comment, or "". It must begin with the type's name.
func checkType(name, doc string) string {
	words := strings.Fields(doc)
	if len(words) > 0 && (words[0] == "A" || words[0] == "An") {
		words = words[1:]
	}
	if len(words) == 0 || words[0] != name {
		return fmt.Sprintf("the comment of the type %s must begin with its name", name)
	}
	return ""
}

// isPredicate reports whether a bool is a function's only result.
func isPredicate(t *ast.FuncType) bool {
	if t.Results == nil || t.Results.NumFields() != 1 {
		return false
	}
	result, ok := t.Results.List[0].Type.(*ast.Ident)
	return ok && result.Name == "bool"
}

// typeDocs returns the comments of the types in a declaration, by the names of the types.
func typeDocs(d *ast.GenDecl) map[string]*ast.CommentGroup {
	docs := map[string]*ast.CommentGroup{}
	for _, s := range d.Specs {
		t, ok := s.(*ast.TypeSpec)
		switch {
		case !ok:
		case t.Doc != nil:
			docs[t.Name.Name] = t.Doc
		case d.Doc != nil && !d.Lparen.IsValid():
			docs[t.Name.Name] = d.Doc
		}
	}
	return docs
}

var (
	// stop matches the end of a sentence, of a paragraph, or of an item of a list.
	stop = regexp.MustCompile(`[.!?]["')\]]*\s+|:\s*\n|\n\s*\n|\n\s*- `)
	// block matches a line of a code block or of a table.
	block = regexp.MustCompile(`(?m)^\t.*$`)
)

// sentences returns the sentences of a comment, without its code blocks.
func sentences(text string) []string {
	return stop.Split(block.ReplaceAllString(text, "\n"), -1)
}
