package rustlex

import (
	"slices"
	"testing"
)

func TestLex(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         []string
	}{
		{"words and punctuation", "a::b(1_000)", []string{"w a", "p :", "p :", "w b", "p (", "w 1_000", "p )"}},
		{"comments", "a // b\n/* c /* d */ e */ f", []string{"w a", "w f"}},
		{"strings", `"a\"b" b"c" c"d" 'e' b'f' '\''`, []string{`l "a\"b"`, `l "c"`, `l "d"`, "l 'e'", "l 'f'", `l '\''`}},
		{"raw strings", `r"a\" r#"b"c"# br##"d"#"##`, []string{`l r"a\"`, `l r#"b"c"#`, `l br##"d"#"##`}},
		{"lifetimes and labels", "'a: loop { break 'a }", []string{"l 'a", "p :", "w loop", "p {", "w break", "l 'a", "p }"}},
		{"raw identifiers", "r#type", []string{"w type"}},
		{"other scripts", "größe é", []string{"w größe", "w é"}},
		{"space of every kind", "a\v\f\u00a0b", []string{"w a", "w b"}},
		{"no end", `a "b`, []string{"w a", `l "b`}},
		{"a comment without an end", "a /* b", []string{"w a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, token := range Lex(c.source, nil) {
				got = append(got, []string{"w ", "p ", "l "}[token.Kind]+token.Text(c.source))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestLinesAndComments(t *testing.T) {
	var lines []int
	var texts []string
	tokens := Lex("a\n\"b\nc\" // d\ne // f", func(line int, text string) {
		lines, texts = append(lines, line), append(texts, text)
	})
	var at []uint32
	for _, token := range tokens {
		at = append(at, token.Line)
	}
	if want := []uint32{1, 2, 4}; !slices.Equal(at, want) {
		t.Errorf("tokens in lines %v, want %v", at, want)
	}
	if !slices.Equal(lines, []int{3, 4}) || !slices.Equal(texts, []string{"// d", "// f"}) {
		t.Errorf("comments %q in lines %v", texts, lines)
	}
}
