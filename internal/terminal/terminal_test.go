package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\tb\nc é 漢 😀":       "a\tb\nc é 漢 😀",
		"\x1b]0;PWN\a\x1b[2K": `\x1b]0;PWN\x07\x1b[2K`,
		"a\rb":                `a\x0db`,
		"a\u009b31mb":         `a\x9b31mb`,
		"a\x9b31mb":           `a\x9b31mb`,
		"a\u202etxt.exe":      `a\u202etxt.exe`,
		"\u2066\ufeff\u200b":  `\u2066\ufeff\u200b`,
		"\U000e0041":          `\U000e0041`,
		"\x7f\x00":            `\x7f\x00`,
		"half \xe6\xbc":       `half \xe6\xbc`,
	} {
		var out bytes.Buffer
		n, err := Plain{&out}.Write([]byte(text))
		if err != nil || n != len(text) || out.String() != want {
			t.Errorf("%q is written as %q (%d, %v), want %q", text, out.String(), n, err, want)
		}
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(Escaped(value), &back); err != nil || utf8.ValidString(text) && back != text {
			t.Errorf("%q comes back from JSON as %q: %v", text, back, err)
		}
		if strings.ContainsFunc(string(Escaped(value)), func(r rune) bool { return commands(r) && r < 0x10000 }) {
			t.Errorf("JSON of %q writes to a terminal: %q", text, Escaped(value))
		}
	}
}
