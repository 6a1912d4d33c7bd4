// Package rust reads Rust source with its structure: tokens, brackets, modules, imports, functions, and which of it an
// async worker runs. It is no compiler: it knows no types beyond those that are written down, and expands no macro.
package rust

import (
	"slices"
	"strings"

	"rustgen/internal/rustlex"
)

// Comment is a line comment, for what a service allows in one.
type Comment struct {
	Line int
	Text string
}

// File is one source file: its tokens without those of tests, and how their brackets nest.
type File struct {
	Path   string
	Source string
	// Comments are the line comments that speak to rustgen.
	Comments []Comment
	// Test says that the whole file is for tests: #![cfg(test)].
	Test bool

	tokens []rustlex.Token
	// partner is the other bracket of a pair; open is the innermost bracket that a token stands in. -1 is none.
	partner, open []int32
	module        *Module
	imports       map[string][]importedName
	globs         []importedName
	modules       []declaredModule
	testModules   []string
	functions     []*Function
	// roles says what runs inside a bracket.
	roles map[int32]role
	// bodies maps the brace of a body to its function.
	bodies map[int32]*Function
	pkg    *Package
	// inline are the modules between braces, by their brace.
	inline map[int32]*Module
}

// role is where the code between two brackets runs.
type role uint8

const (
	onWorker role = iota + 1
	offWorker
	plain
)

// Parse reads one file.
func Parse(path, source string) *File {
	f := &File{Path: path, Source: source, imports: map[string][]importedName{}}
	f.tokens = rustlex.Lex(source, func(line int, text string) {
		if strings.Contains(text, "rustgen:") {
			f.Comments = append(f.Comments, Comment{line, text})
		}
	})
	f.pair()
	if f.Test = f.testsOnly(); f.Test {
		f.tokens = nil
	}
	if n := len(f.tokens); f.dropTests() < n {
		f.pair()
	}
	f.structure()
	return f
}

// Len is the number of tokens.
func (f *File) Len() int { return len(f.tokens) }

// Line is that of a token, from 1.
func (f *File) Line(i int) int {
	if i < 0 || i >= len(f.tokens) {
		return 0
	}
	return int(f.tokens[i].Line)
}

// Text is that of a token, or nothing outside the file.
func (f *File) Text(i int) string {
	if i < 0 || i >= len(f.tokens) {
		return ""
	}
	t := f.tokens[i]
	return f.Source[t.Pos : t.Pos+t.Len]
}

// IsWord reports whether a token is a word.
func (f *File) IsWord(i int) bool {
	return i >= 0 && i < len(f.tokens) && f.tokens[i].Kind == rustlex.Word
}

// Is reports whether tokens stand at i; literals never do.
func (f *File) Is(i int, texts ...string) bool {
	for n, text := range texts {
		if i+n < 0 || i+n >= len(f.tokens) {
			return false
		}
		t := f.tokens[i+n]
		if t.Kind == rustlex.Literal || int(t.Len) != len(text) || f.Source[t.Pos:t.Pos+t.Len] != text {
			return false
		}
	}
	return true
}

// oneOf reports whether the token at i is one of the texts.
func (f *File) oneOf(i int, texts ...string) bool { return slices.Contains(texts, f.Text(i)) }

// byte is the first byte of a punctuation token, or 0.
func (f *File) byte(i int) byte {
	if i < 0 || i >= len(f.tokens) || f.tokens[i].Kind != rustlex.Punctuation {
		return 0
	}
	return f.Source[f.tokens[i].Pos]
}

// pair matches brackets in one pass. One without a partner gets none.
func (f *File) pair() {
	if f.partner == nil {
		f.partner, f.open = make([]int32, len(f.tokens)), make([]int32, len(f.tokens))
	}
	f.partner, f.open = f.partner[:len(f.tokens)], f.open[:len(f.tokens)]
	var stack []int32
	top := int32(-1)
	for i := range f.tokens {
		f.partner[i] = -1
		c := f.byte(i)
		if c == ')' || c == ']' || c == '}' {
			if n := len(stack); n > 0 {
				f.partner[i], f.partner[top] = top, int32(i)
				stack = stack[:n-1]
				top = -1
				if n > 1 {
					top = stack[n-2]
				}
			}
		}
		f.open[i] = top
		if c == '(' || c == '[' || c == '{' {
			stack = append(stack, int32(i))
			top = int32(i)
		}
	}
}

// End is the token after the bracket that closes the one at i; after i where nothing closes it.
func (f *File) End(i int) int {
	if i < 0 || i >= len(f.tokens) {
		return len(f.tokens)
	}
	if p := int(f.partner[i]); p > i {
		return p + 1
	}
	if c := f.byte(i); c == '(' || c == '[' || c == '{' {
		return len(f.tokens)
	}
	return i + 1
}

// testsOnly reports whether the file begins with #![cfg(test)].
func (f *File) testsOnly() bool {
	for i := 0; f.Is(i, "#", "!", "["); i = f.End(i + 2) {
		if f.forTests(i+3, f.End(i+2)-1) {
			return true
		}
	}
	return false
}

// dropTests removes items under #[cfg(test)] and #[test], notes the modules among them, and says how many tokens are left.
func (f *File) dropTests() int {
	kept := f.tokens[:0]
	for i := 0; i < len(f.tokens); {
		if f.Is(i, "#", "[") {
			after := f.End(i + 1)
			if f.forTests(i+2, after-1) {
				end := f.item(after)
				f.noteTestModule(after, end)
				i = end
				continue
			}
		}
		kept = append(kept, f.tokens[i])
		i++
	}
	f.tokens = kept
	return len(kept)
}

func (f *File) noteTestModule(from, to int) {
	for i := from; i+2 < to; i++ {
		if f.Is(i, "mod") && f.IsWord(i+1) && f.Is(i+2, ";") {
			f.testModules = append(f.testModules, f.Text(i+1))
		}
	}
}

// forTests reports whether an attribute says that what follows is for tests alone.
func (f *File) forTests(from, to int) bool {
	if f.Is(from, "cfg", "(") {
		for i := from; i < to; i++ {
			if f.Is(i, "not") || f.Is(i, "any") {
				return false
			}
		}
		for i := from; i < to; i++ {
			if f.Is(i, "test") {
				return true
			}
		}
		return false
	}
	last := from
	for last < to && !f.Is(last, "(") {
		last++
	}
	return last > from && (f.Is(last-1, "test") || f.Is(last-1, "rstest") || f.Is(last-1, "bench"))
}

// item skips one item, with the attributes before it.
func (f *File) item(i int) int {
	for f.Is(i, "#", "[") {
		i = f.End(i + 1)
	}
	for ; i < len(f.tokens); i++ {
		switch f.byte(i) {
		case ';':
			return i + 1
		case '{':
			return f.End(i)
		case '(', '[':
			i = f.End(i) - 1
		case '}':
			return i
		}
	}
	return i
}

// Reset forgets the module of a file and what other files said of it, so that it can be linked again.
func (f *File) Reset() {
	f.module, f.pkg, f.inline = nil, nil, nil
	for open, r := range f.roles {
		if r == offWorker {
			delete(f.roles, open)
		}
	}
}
