package audit

import (
	"path"
	"slices"
	"strings"
)

// use is a place in Rust source that names something: a path such as std::thread::sleep, spelt out whatever was
// imported, or a method such as .timeout.
type use struct {
	Place
	name string
	// called says that it is followed by arguments; async, that an async worker runs it.
	called, async bool
	// within counts the functions of the file: the one that it stands in, or 0.
	within int
}

// uses finds what one source file names. Tests are left out.
func uses(file, source string) []use {
	f := &rust{file: file, tokens: withoutTests(lex(source)), names: map[string]string{}}
	f.mark()
	for i := 0; i < len(f.tokens); {
		i = f.step(i)
	}
	return f.found
}

type rust struct {
	file   string
	tokens []token
	// names are what the file imports: the name here, and its whole path.
	names map[string]string
	// worker says of each token whether an async worker runs it, within which function it stands in.
	worker []bool
	within []int
	found  []use
}

func (f *rust) is(i int, texts ...string) bool {
	for n, text := range texts {
		if i+n < 0 || i+n >= len(f.tokens) || f.tokens[i+n].text != text || f.tokens[i+n].kind == literal {
			return false
		}
	}
	return true
}

// step takes what stands at i, and returns where to go on.
func (f *rust) step(i int) int {
	t := f.tokens[i]
	switch {
	case f.is(i, "use") && !f.is(i-1, "."):
		return f.importTree(i+1, "")
	case t.kind != word:
		return i + 1
	case f.is(i-1, "."):
		after := f.generics(i + 1)
		f.add(i, "."+t.text, after)
		return i + 1
	}
	parts, after := f.path(i)
	if whole, ok := f.names[parts[0]]; ok {
		parts[0] = whole
	}
	f.add(i, strings.Join(parts, "::"), f.generics(after))
	return after
}

func (f *rust) add(i int, name string, after int) {
	f.found = append(f.found, use{
		Place: Place{f.file, f.tokens[i].line}, name: name,
		called: f.is(after, "(") || f.is(after, "!"), async: f.worker[i], within: f.within[i],
	})
}

// path reads a::b::c from i, without what stands between angle brackets.
func (f *rust) path(i int) (parts []string, after int) {
	parts, i = []string{f.tokens[i].text}, i+1
	for f.is(i, ":", ":") {
		if next := f.generics(i); next != i {
			i = next
			continue
		}
		if i+2 >= len(f.tokens) || f.tokens[i+2].kind != word {
			break
		}
		parts, i = append(parts, f.tokens[i+2].text), i+3
	}
	return parts, i
}

// generics skips ::<...> at i.
func (f *rust) generics(i int) int {
	if !f.is(i, ":", ":", "<") {
		return i
	}
	depth := 0
	for j := i + 2; j < len(f.tokens); j++ {
		switch {
		case f.is(j, "<"):
			depth++
		case f.is(j, ">") && !f.is(j-1, "-"):
			depth--
			if depth == 0 {
				return j + 1
			}
		}
	}
	return i
}

// importTree reads what follows `use`, or stands between its braces, and notes where names come from. Names are in use
// only where they are called, so an import by itself is none.
func (f *rust) importTree(i int, prefix string) int {
	for i < len(f.tokens) {
		switch t := f.tokens[i]; {
		case t.text == ";" || t.text == "}":
			return i + 1
		case t.text == "," || t.text == "*" || t.text == ":":
			i++
		case t.text == "{":
			i = f.importTree(i+1, prefix)
		case t.kind == word:
			parts, after := f.path(i)
			whole := join(prefix, parts)
			switch {
			case f.is(after, ":", ":", "{"):
				i = f.importTree(after+3, whole)
				continue
			case f.is(after, ":", ":", "*"):
				i = after + 3
				continue
			}
			name := parts[len(parts)-1]
			if name == "self" {
				whole = prefix
				name = path.Base(strings.ReplaceAll(prefix, "::", "/"))
			}
			if f.is(after, "as") && after+1 < len(f.tokens) {
				name, after = f.tokens[after+1].text, after+2
			}
			f.names[name] = whole
			i = after
		default:
			i++
		}
	}
	return i
}

func join(prefix string, parts []string) string {
	if prefix != "" {
		parts = append([]string{prefix}, parts...)
	}
	return strings.Join(parts, "::")
}

// offWorkers are calls whose closure runs on a thread of its own.
var offWorkers = []string{"spawn_blocking", "block_in_place", "asyncify", "install"}

// mark finds the bodies of functions, and of async functions and blocks without what they hand to other threads.
func (f *rust) mark() {
	f.worker, f.within = make([]bool, len(f.tokens)), make([]int, len(f.tokens))
	async := func(from, to int, is bool) {
		for i := from; i < to; i++ {
			f.worker[i] = is
		}
	}
	functions := 0
	for i := range f.tokens {
		switch {
		case f.is(i, "fn"):
			functions++
			start := f.body(i)
			for j, end := start, f.end(start); j < end; j++ {
				f.within[j] = functions
			}
		case f.is(i, "async"):
			start := f.body(i)
			async(start, f.end(start), true)
		case f.is(i, "thread", ":", ":", "spawn", "("):
			async(i, f.end(i+4), false)
		case f.is(i+1, "(") && slices.Contains(offWorkers, f.tokens[i].text), f.is(i-1, ".", "run", "(", "move", "|"):
			async(i, f.end(i+1), false)
		}
	}
}

// body is where the braces of an async function or block open; the end of the file if it has none.
func (f *rust) body(i int) int {
	depth := 0
	for ; i < len(f.tokens); i++ {
		switch {
		case f.is(i, "(") || f.is(i, "["):
			depth++
		case f.is(i, ")") || f.is(i, "]"):
			depth--
		case f.is(i, "{") && depth == 0:
			return i
		case f.is(i, ";") && depth == 0 || depth < 0:
			return len(f.tokens)
		}
	}
	return i
}

// end is where the bracket that opens at i is closed.
func (f *rust) end(i int) int {
	depth := 0
	for ; i < len(f.tokens); i++ {
		if f.tokens[i].kind == literal {
			continue
		}
		switch f.tokens[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
			if depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

// withoutTests removes items under #[cfg(test)] and #[test].
func withoutTests(tokens []token) []token {
	f := &rust{tokens: tokens}
	kept := make([]token, 0, len(tokens))
	for i := 0; i < len(tokens); {
		if f.is(i, "#", "[") {
			after := f.end(i + 1)
			if f.forTests(i+2, after-1) {
				i = f.item(after)
				continue
			}
		}
		kept = append(kept, tokens[i])
		i++
	}
	return kept
}

// forTests reports whether an attribute says that what follows is for tests alone.
func (f *rust) forTests(from, to int) bool {
	if f.is(from, "cfg", "(") {
		not := slices.ContainsFunc(f.tokens[from:to], func(t token) bool { return t.text == "not" || t.text == "any" })
		return !not && slices.ContainsFunc(f.tokens[from:to], func(t token) bool { return t.text == "test" && t.kind == word })
	}
	last := from
	for last < to && !f.is(last, "(") {
		last++
	}
	return last > from && f.is(last-1, "test")
}

// item skips one item, with the attributes before it.
func (f *rust) item(i int) int {
	for f.is(i, "#", "[") {
		i = f.end(i + 1)
	}
	for ; i < len(f.tokens); i++ {
		switch {
		case f.is(i, ";"):
			return i + 1
		case f.is(i, "{"):
			return f.end(i)
		case f.is(i, "(") || f.is(i, "["):
			i = f.end(i) - 1
		}
	}
	return i
}
