package rustsrc

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	word kind = iota
	punctuation
	literal
)

// token is a word, a literal or one character of punctuation, with its place. Comments are none.
type token struct {
	text        string
	kind        kind
	start, line int
}

// lex splits Rust source into tokens. What does not end, as in a file that is being edited, ends with the file.
func lex(source string) []token {
	var tokens []token
	at, line := 0, 1
	for at < len(source) {
		n, k, keep := next(source[at:])
		if keep {
			text := source[at : at+n]
			if k == word {
				text = strings.TrimPrefix(text, "r#")
			}
			tokens = append(tokens, token{text, k, at, line})
		}
		line += strings.Count(source[at:at+n], "\n")
		at += n
	}
	return tokens
}

// next is the length and the kind of what text begins with, and whether it is a token.
func next(text string) (n int, k kind, keep bool) {
	r, size := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsSpace(r):
		return size, punctuation, false
	case strings.HasPrefix(text, "//"):
		return until(text, "\n"), punctuation, false
	case strings.HasPrefix(text, "/*"):
		return blockComment(text), punctuation, false
	case r == '\'':
		return charOrLifetime(text), literal, true
	}
	if n := stringLiteral(text); n > 0 {
		return n, literal, true
	}
	if isWord(r) {
		raw := 0
		if strings.HasPrefix(text, "r#") {
			raw = 2
		}
		return raw + wordLength(text[raw:]), word, true
	}
	return size, punctuation, true
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func wordLength(text string) int {
	if n := strings.IndexFunc(text, func(r rune) bool { return !isWord(r) }); n >= 0 {
		return n
	}
	return len(text)
}

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

// stringLiteral is the length of "...", r"...", r#"..."#, and of their like with a b or a c before them; 0 if there is
// none.
func stringLiteral(text string) int {
	rest := text
	if rest[0] == 'b' || rest[0] == 'c' {
		rest = rest[1:]
	}
	head := len(text) - len(rest)
	if strings.HasPrefix(rest, "'") && head == 1 && text[0] == 'b' {
		return head + quoted(rest, '\'')
	}
	if strings.HasPrefix(rest, `"`) {
		return head + quoted(rest, '"')
	}
	if !strings.HasPrefix(rest, "r") {
		return 0
	}
	opened := strings.TrimLeft(rest[1:], "#")
	if !strings.HasPrefix(opened, `"`) {
		return 0
	}
	hashes := len(rest) - 1 - len(opened)
	end := `"` + strings.Repeat("#", hashes)
	head = len(text) - len(opened) + 1
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
	return 1 + wordLength(text[1:])
}
