// Package terminal keeps what others have written from commanding the terminal that it is printed to.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"rustgen/internal/tree"
)

// Plain is a stream for people. What a template set, a service or git has given may hold characters by which a terminal
// moves its cursor, sets its title or prints in another order; they are written as Go and JSON escape them.
type Plain struct{ To io.Writer }

// Write is part of io.Writer.
func (p Plain) Write(data []byte) (int, error) {
	if !misleads(data) {
		return p.To.Write(data)
	}
	if _, err := io.WriteString(p.To, Visible(string(data))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// commands reports whether a terminal would do something else than print a character.
func commands(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || tree.Invisible(r)
}

// misleads reports whether a text holds what is not to reach a terminal.
func misleads(text []byte) bool {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 || commands(r) {
			return true
		}
		text = text[size:]
	}
	return false
}

// Visible is a text with all that a terminal would not print written out.
func Visible(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case !commands(r):
			b.WriteString(text[:size])
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		text = text[size:]
	}
	return b.String()
}

// Escaped is JSON whose strings hold none of these characters as they are; outside of strings JSON has none.
func Escaped(text []byte) []byte {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case !commands(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high := (r-0x10000)>>10 + 0xd800
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, (r-0x10000)&0x3ff+0xdc00)
		}
	}
	return []byte(b.String())
}
