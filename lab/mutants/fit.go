package main

import (
	"go/scanner"
	"go/token"
	"strings"
)

// fit returns Go code that means what new means and has as many lines as old, so that what
// follows stays in its line. The lines of declarations are part of what other packages compile
// against. If there is no such code, fit returns new.
func fit(old, new string) string {
	lines := strings.Count(old, "\n")
	if strings.Count(new, "\n") == lines {
		return new
	}
	fitted, left := join(new, lines)
	switch first := strings.Index(fitted, "\n"); {
	case left < 0:
		return new
	case left == 0:
		return fitted
	case first >= 0:
		return fitted[:first] + strings.Repeat("\n", left) + fitted[first:]
	case strings.TrimSpace(new) == "":
		return strings.Repeat("\n", left)
	default:
		return new
	}
}

// join writes code with at most so many line breaks: after that, semicolons end statements.
// left is the number of line breaks that it did not need, negative if it needed more.
func join(code string, lines int) (joined string, left int) {
	var s scanner.Scanner
	files := token.NewFileSet()
	wrong := false
	s.Init(files.AddFile("", files.Base(), len(code)), []byte(code), func(token.Position, string) { wrong = true }, scanner.ScanComments)
	var b strings.Builder
	end := 0 // of the last token
	for {
		pos, tok, text := s.Scan()
		at := files.Position(pos).Offset
		if tok == token.EOF {
			break
		}
		if between := code[min(end, at):at]; between != "" {
			b.WriteByte(' ')
		}
		switch {
		case tok == token.COMMENT: // may go on behind the code
			wrong = true
		case tok == token.SEMICOLON && text == "\n" && at >= len(code): // at the end of the code, where there is no line break
		case tok == token.SEMICOLON && text == "\n" && lines > 0:
			b.WriteByte('\n')
			lines--
		case tok == token.SEMICOLON && text == "\n":
			b.WriteString("; ")
		case text != "":
			b.WriteString(text)
			lines -= strings.Count(text, "\n")
			end = at + len(text)
		default:
			b.WriteString(tok.String())
			end = at + len(tok.String())
		}
	}
	if trailing := code[min(end, len(code)):]; trailing != "" && !strings.HasSuffix(b.String(), "\n") {
		if strings.Contains(trailing, "\n") && lines > 0 {
			b.WriteByte('\n')
			lines--
		} else {
			b.WriteByte(' ')
		}
	}
	if wrong {
		return "", -1
	}
	return b.String(), lines
}
