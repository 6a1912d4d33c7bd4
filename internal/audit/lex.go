package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word, a literal or one character of punctuation of Rust. Comments are none.
type token struct {
	text string
	line int
	kind kind
}

type kind int

const (
	word kind = iota
	punctuation
	literal
)

// lex splits Rust source into tokens. What does not end, as in a file that is being edited, ends with the file.
func lex(source string) []token {
	l := &lexer{rest: source, line: 1}
	for l.rest != "" {
		l.next()
	}
	return l.tokens
}

type lexer struct {
	rest   string
	line   int
	tokens []token
}

// take consumes n bytes, as a token unless they are to be left out.
func (l *lexer) take(n int, k kind, keep bool) {
	n = min(n, len(l.rest))
	if keep {
		l.tokens = append(l.tokens, token{l.rest[:n], l.line, k})
	}
	l.line += strings.Count(l.rest[:n], "\n")
	l.rest = l.rest[n:]
}

func (l *lexer) next() {
	r, size := utf8.DecodeRuneInString(l.rest)
	switch {
	case unicode.IsSpace(r):
		l.take(size, punctuation, false)
	case strings.HasPrefix(l.rest, "//"):
		l.take(until(l.rest, "\n"), punctuation, false)
	case strings.HasPrefix(l.rest, "/*"):
		l.take(blockComment(l.rest), punctuation, false)
	case rawString(l.rest) > 0:
		l.take(rawString(l.rest), literal, true)
	case strings.HasPrefix(l.rest, "r#"):
		l.take(2, punctuation, false)
	case r == '"':
		l.take(quoted(l.rest, '"'), literal, true)
	case r == '\'':
		l.take(charOrLifetime(l.rest), literal, true)
	case isWord(r):
		n := strings.IndexFunc(l.rest, func(r rune) bool { return !isWord(r) })
		if n < 0 {
			n = len(l.rest)
		}
		if prefix := l.rest[:n]; (prefix == "b" || prefix == "c") && n < len(l.rest) && (l.rest[n] == '"' || l.rest[n] == '\'') {
			l.take(n, punctuation, false)
			return
		}
		l.take(n, word, true)
	default:
		l.take(size, punctuation, true)
	}
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// until is the length up to and without end.
func until(text, end string) int {
	if n := strings.Index(text, end); n >= 0 {
		return n
	}
	return len(text)
}

// blockComment is the length of a comment, which may hold others.
func blockComment(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// rawString is the length of r"...", r#"..."# and their like, or 0.
func rawString(text string) int {
	start := strings.TrimLeft(text, "bc")
	if len(text)-len(start) > 1 || !strings.HasPrefix(start, "r") {
		return 0
	}
	opened := strings.TrimLeft(start[1:], "#")
	if !strings.HasPrefix(opened, `"`) {
		return 0
	}
	end := `"` + strings.Repeat("#", len(start)-1-len(opened))
	head := len(text) - len(opened) + 1
	return min(head+until(text[head:], end)+len(end), len(text))
}

// quoted is the length of a literal between two quotes.
func quoted(text string, quote byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		}
	}
	return len(text)
}

// charOrLifetime is the length of 'a' or of 'a.
func charOrLifetime(text string) int {
	r, size := utf8.DecodeRuneInString(text[1:])
	if r == '\\' || strings.HasPrefix(text[1+size:], "'") {
		return quoted(text, '\'')
	}
	if n := strings.IndexFunc(text[1:], func(r rune) bool { return !isWord(r) }); n >= 0 {
		return n + 1
	}
	return len(text)
}
