// Package rustsrc reads of a Rust file what `rustgen api` must know: the impl blocks of traits with the functions in
// them, the table of policies, the names that are imported, and where something can be added without a change of any line
// that is there. It is no compiler: macros are not expanded, and a cfg is taken as set, but for that of tests.
package rustsrc

import (
	"slices"
	"strings"

	"rustgen/internal/rustlex"
)

// File is a Rust file.
type File struct {
	// Path is where it lies in its service.
	Path   string
	source string
	tokens []token
	// uses are the imported names with their whole paths, globs the modules of which all names are imported.
	uses  map[string]string
	globs []string
}

// Impl is one `impl Trait for Type` block.
type Impl struct {
	File *File
	// Trait is the path of the trait, with what was imported written out.
	Trait []string
	// Type is the last name of the type's path.
	Type      string
	Line      int
	Functions []Function
	// Types are the associated types that it sets.
	Types []string
	// open and end are the places of its braces.
	open, end int
}

// Function is a function of an impl block.
type Function struct {
	Name string
	Line int
	// Streaming says that it takes a tonic::Streaming.
	Streaming bool
}

// Parse reads a file. Nothing is an error: what is no Rust has no impl block either.
func Parse(path string, source []byte) *File {
	f := &File{Path: path, source: string(source), uses: map[string]string{}}
	f.tokens = lex(f.source)
	f.withoutTests()
	for i := range f.tokens {
		if f.is(i, "use") && f.tokens[i].kind == rustlex.Word {
			f.importTree(i+1, nil)
		}
	}
	return f
}

// is reports whether the tokens from i on have these texts.
func (f *File) is(i int, texts ...string) bool {
	if i < 0 || i+len(texts) > len(f.tokens) {
		return false
	}
	for j, text := range texts {
		if t := f.tokens[i+j]; t.text != text || t.kind == rustlex.Literal {
			return false
		}
	}
	return true
}

// close is the token that closes the bracket at i; the number of tokens if none does.
func (f *File) close(i int) int {
	depth := 0
	for ; i < len(f.tokens); i++ {
		if f.tokens[i].kind != rustlex.Punctuation {
			continue
		}
		switch f.tokens[i].text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(f.tokens)
}

// angles skips <...> at i.
func (f *File) angles(i int) int {
	if !f.is(i, "<") {
		return i
	}
	depth := 0
	for ; i < len(f.tokens); i++ {
		switch {
		case f.is(i, "<"):
			depth++
		case f.is(i, ">") && !f.is(i-1, "-") && !f.is(i-1, "="):
			if depth--; depth == 0 {
				return i + 1
			}
		case f.is(i, "{") || f.is(i, ";"):
			return i
		}
	}
	return i
}

// path reads a::b::c from i, without what stands between angle brackets.
func (f *File) path(i int) (parts []string, after int) {
	if f.is(i, ":", ":") {
		i += 2
	}
	for i < len(f.tokens) && f.tokens[i].kind == rustlex.Word {
		parts = append(parts, f.tokens[i].text)
		i = f.angles(i + 1)
		if f.is(i, ":", ":", "<") {
			i = f.angles(i + 2)
		}
		if !f.is(i, ":", ":") || i+2 >= len(f.tokens) || f.tokens[i+2].kind != rustlex.Word {
			break
		}
		i += 2
	}
	return parts, i
}

// importTree reads what follows `use`, or stands between its braces.
func (f *File) importTree(i int, prefix []string) int {
	for i < len(f.tokens) {
		switch t := f.tokens[i]; {
		case f.is(i, ";") || f.is(i, "}"):
			return i + 1
		case f.is(i, "{"):
			i = f.importTree(i+1, prefix)
		case t.kind == rustlex.Word:
			parts, after := f.path(i)
			whole := slices.Concat(prefix, parts)
			switch {
			case f.is(after, ":", ":", "{"):
				i = f.importTree(after+3, whole)
				continue
			case f.is(after, ":", ":", "*"):
				f.globs = append(f.globs, strings.Join(whole, "::"))
				i = after + 3
				continue
			}
			name := parts[len(parts)-1]
			if name == "self" && len(whole) > 1 {
				whole = whole[:len(whole)-1]
				name = whole[len(whole)-1]
			}
			if f.is(after, "as") && after+1 < len(f.tokens) {
				name, after = f.tokens[after+1].text, after+2
			}
			f.uses[name] = strings.Join(whole, "::")
			i = after
		default:
			i++
		}
	}
	return i
}

// Resolve writes out what was imported at the beginning of a path.
func (f *File) Resolve(parts []string) []string {
	for range 8 {
		whole, ok := f.uses[parts[0]]
		if !ok || whole == parts[0] {
			return parts
		}
		parts = slices.Concat(strings.Split(whole, "::"), parts[1:])
	}
	return parts
}

// Name is the shortest way in which the file can name a path: an imported name, or the path itself.
func (f *File) Name(whole string) string {
	best := whole
	for name, full := range f.uses {
		if full == whole && name != "_" && (best == whole || name < best) {
			best = name
		}
	}
	return best
}

// Has reports whether a word stands anywhere in the file.
func (f *File) Has(name string) bool {
	return slices.ContainsFunc(f.tokens, func(t token) bool { return t.kind == rustlex.Word && t.text == name })
}

// withoutTests removes items under #[cfg(test)], whose traits are those of doubles.
func (f *File) withoutTests() {
	kept := make([]token, 0, len(f.tokens))
	for i := 0; i < len(f.tokens); {
		if f.is(i, "#", "[", "cfg", "(", "test", ")") {
			i = f.item(f.close(i+1) + 1)
			continue
		}
		kept = append(kept, f.tokens[i])
		i++
	}
	f.tokens = kept
}

// item skips one item, with the attributes before it.
func (f *File) item(i int) int {
	for f.is(i, "#", "[") {
		i = f.close(i+1) + 1
	}
	for ; i < len(f.tokens); i++ {
		switch {
		case f.is(i, ";"):
			return i + 1
		case f.is(i, "{"):
			return f.close(i) + 1
		case f.is(i, "(") || f.is(i, "["):
			i = f.close(i)
		}
	}
	return i
}

// Impls are the file's impl blocks of traits.
func (f *File) Impls() []Impl {
	var all []Impl
	for i := range f.tokens {
		if !f.is(i, "impl") {
			continue
		}
		trait, after := f.path(f.angles(i + 1))
		if len(trait) == 0 || !f.is(after, "for") || f.is(after+1, "<") {
			continue
		}
		of, open := f.path(after + 1)
		for open < len(f.tokens) && !f.is(open, "{") && !f.is(open, ";") {
			open++
		}
		if len(of) == 0 || !f.is(open, "{") {
			continue
		}
		impl := Impl{File: f, Trait: f.Resolve(trait), Type: of[len(of)-1], Line: f.tokens[i].line, open: open, end: f.close(open)}
		f.body(&impl)
		all = append(all, impl)
	}
	return all
}

// body reads the functions and types of a block. Those among what is given to a macro there count as well.
func (f *File) body(impl *Impl) {
	for i := impl.open + 1; i < impl.end; i++ {
		switch {
		case f.is(i, "!", "{") || f.is(i, "!", "("):
			i++
		case f.is(i, "#", "["):
			i = f.close(i + 1)
		case f.is(i, "fn") && i+1 < impl.end:
			open := f.angles(i + 2)
			end := f.close(open)
			streaming := slices.ContainsFunc(f.tokens[min(open, impl.end):min(end, impl.end)], func(t token) bool { return t.kind == rustlex.Word && t.text == "Streaming" })
			impl.Functions = append(impl.Functions, Function{f.tokens[i+1].text, f.tokens[i].line, streaming})
			for i = end; i < impl.end && !f.is(i, "{") && !f.is(i, ";"); i++ {
			}
			if f.is(i, "{") {
				i = f.close(i)
			}
		case f.is(i, "type") && i+1 < impl.end:
			impl.Types = append(impl.Types, f.tokens[i+1].text)
		}
	}
}

// Table is the list of policies.
type Table struct {
	File    *File
	Entries []Entry
	open    int
	end     int
}

// Entry is one line of the table.
type Entry struct {
	// Key names a method: Method, Service/Method or package.Service/Method.
	Key  string
	Line int
}

// Policies is the constant POLICIES, if the file has it.
func (f *File) Policies() *Table {
	for i := range f.tokens {
		if !f.is(i, "POLICIES", ":") {
			continue
		}
		for i < len(f.tokens) && !f.is(i, "=") && !f.is(i, ";") {
			if f.is(i, "[") || f.is(i, "(") {
				i = f.close(i)
			}
			i++
		}
		for i < len(f.tokens) && !f.is(i, "[") && !f.is(i, ";") {
			i++
		}
		if !f.is(i, "[") {
			continue
		}
		t := &Table{File: f, open: i, end: f.close(i)}
		for j := i + 1; j < t.end; j++ {
			switch {
			case f.is(j, "#", "["):
				j = f.close(j + 1)
			case f.is(j, "("):
				if k := f.tokens[min(j+1, t.end)]; k.kind == rustlex.Literal {
					t.Entries = append(t.Entries, Entry{strings.Trim(strings.TrimLeft(k.text, "r#"), `"#`), k.line})
				}
				j = f.close(j)
			}
		}
		return t
	}
	return nil
}
