package main

import (
	"regexp"
	"strings"
)

// phrase is a phrase that readers stumble over, and what to write instead.
type phrase struct {
	pattern *regexp.Regexp
	instead string
}

// phrases are the phrases that no comment may have.
var phrases = []phrase{
	{words(`fate`), "what happens to it"},
	{words(`to be had`), "available"},
	{words(`who(m|so)?ever`), "a caller that, or anyone who"},
	{words(`com(e|es|ing) again`), "retry"},
	{words(`(he|she|him|his)`), "it or they"},
	{words(`stays proven`), "what follows from it"},
	{words(`(is|are|was) (not )?honoured`), "accepted or rejected"},
	{words(`(is|are) the \w+ of that name`), "what the function returns"},
	{words(`for ever`), "forever"},
	{words(`but for`), "except for"},
	{words(`in the place of`), "instead of"},
	{words(`says (whether|if)`), "reports whether"},
	{words(`is no (longer )?error`), "is not an error"},
	{words(`for want of`), "because there is no"},
	{words(`lest|whence|thence|wherein|thereof|nought`), "a word of today"},
}

// words returns a pattern that matches whole words, whatever the case of their letters and the breaks between them.
func words(s string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:` + strings.ReplaceAll(s, " ", `\s+`) + `)\b`)
}
