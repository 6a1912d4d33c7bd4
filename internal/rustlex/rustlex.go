// Package rustlex splits Rust source into tokens, for all who read Rust here.
package rustlex

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says what a token is.
type Kind uint8

// The kinds of tokens.
const (
	Word Kind = iota
	Punctuation
	Literal
)

// Token is a word, a literal or one character of punctuation: its place in the source in bytes, and its line from 1. A raw
// identifier is without its r#, a literal without the b or c before it. Comments are none. It holds no pointer, so that
// millions of them cost a garbage collector nothing.
type Token struct {
	Pos, Len, Line uint32
	Kind           Kind
}

// Text is that of a token in its source.
func (t Token) Text(source string) string { return source[t.Pos : t.Pos+t.Len] }

type lexer struct {
	source  string
	at      int
	line    int
	tokens  []Token
	comment func(line int, text string)
}

// Lex splits Rust source of less than 4 GiB. What does not end, as in a file that is being edited, ends with the file. Each
// line comment is handed to comment, unless that is nil.
func Lex(source string, comment func(line int, text string)) []Token {
	l := &lexer{source: source, line: 1, tokens: make([]Token, 0, len(source)/4), comment: comment}
	for l.at < len(source) {
		l.next()
	}
	return l.tokens
}

// take consumes n bytes, as a token unless they are to be left out.
func (l *lexer) take(n int, k Kind, keep bool) {
	n = min(n, len(l.source)-l.at)
	if keep {
		l.tokens = append(l.tokens, Token{uint32(l.at), uint32(n), uint32(l.line), k})
	}
	if n > 1 || l.source[l.at] == '\n' {
		l.line += strings.Count(l.source[l.at:l.at+n], "\n")
	}
	l.at += n
}

func (l *lexer) next() {
	rest := l.source[l.at:]
	c := rest[0]
	switch {
	case c == ' ' || c >= '\t' && c <= '\r':
		l.take(1, Punctuation, false)
	case c == '/' && strings.HasPrefix(rest, "//"):
		n := until(rest, "\n")
		if l.comment != nil {
			l.comment(l.line, rest[:n])
		}
		l.take(n, Punctuation, false)
	case c == '/' && strings.HasPrefix(rest, "/*"):
		l.take(blockComment(rest), Punctuation, false)
	case (c == 'r' || c == 'b' || c == 'c') && rawString(rest) > 0:
		l.take(rawString(rest), Literal, true)
	case c == 'r' && strings.HasPrefix(rest, "r#"):
		l.take(2, Punctuation, false)
	case c == '"':
		l.take(quoted(rest, '"'), Literal, true)
	case c == '\'':
		l.take(charOrLifetime(rest), Literal, true)
	case c < utf8.RuneSelf && !isWordByte(c):
		l.take(1, Punctuation, true)
	default:
		l.word(rest)
	}
}

func (l *lexer) word(rest string) {
	n := 0
	for n < len(rest) && rest[n] < utf8.RuneSelf && isWordByte(rest[n]) {
		n++
	}
	if n < len(rest) && rest[n] >= utf8.RuneSelf {
		if m := strings.IndexFunc(rest[n:], func(r rune) bool { return !isWord(r) }); m < 0 {
			n = len(rest)
		} else {
			n += m
		}
	}
	if n == 0 {
		r, size := utf8.DecodeRuneInString(rest)
		l.take(size, Punctuation, !unicode.IsSpace(r))
		return
	}
	if prefix := rest[:n]; (prefix == "b" || prefix == "c") && n < len(rest) && (rest[n] == '"' || rest[n] == '\'') {
		l.take(n, Punctuation, false)
		return
	}
	l.take(n, Word, true)
}

func isWordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
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
	for i := 0; i+1 < len(text); i++ {
		switch {
		case text[i] == '/' && text[i+1] == '*':
			depth++
			i++
		case text[i] == '*' && text[i+1] == '/':
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
	start := text
	if start[0] != 'r' {
		start = start[1:]
	}
	if !strings.HasPrefix(start, "r") {
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
