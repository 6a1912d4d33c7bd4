package rustsrc

import "rustgen/internal/rustlex"

// token is a token of the file with its text and its place. Those of items for tests are taken out of a file, so that each
// has its text itself.
type token struct {
	text        string
	kind        rustlex.Kind
	start, line int
}

func lex(source string) []token {
	var tokens []token
	for _, t := range rustlex.Lex(source, nil) {
		tokens = append(tokens, token{t.Text(source), t.Kind, int(t.Pos), int(t.Line)})
	}
	return tokens
}
