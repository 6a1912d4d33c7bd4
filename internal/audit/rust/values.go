package rust

import (
	"slices"
	"strings"
)

// Bound is what an argument says of a limit.
type Bound int

// The answers: it is a limit, it is none (None, MAX, zero), or its value is not in the source.
const (
	Bounded Bound = iota
	Unbounded
	Unknown
)

// typed is a declared type: the tokens of it.
type typed struct {
	file     *File
	owner    string
	from, to int
}

// constant is a const or static: the tokens of its value.
type constant struct {
	file     *File
	from, to int
}

// structFields notes the types of the fields of a struct.
func (p *Program) structFields(f *File, i int) {
	owner := f.Text(i - 1)
	if f.byte(i) == '<' {
		i = f.angles(i, i+1)
	}
	for n := 0; n < maxGenerics && i < len(f.tokens) && f.byte(i) != '{' && f.byte(i) != ';' && f.byte(i) != '('; n++ {
		i++
	}
	if f.byte(i) != '{' {
		return
	}
	var fn Function
	f.parameters(&fn, i+1, f.End(i)-1)
	for _, field := range fn.Params {
		p.fields[field.Name] = append(p.fields[field.Name], typed{f, owner, field.From, field.To})
	}
}

func (p *Program) constant(f *File, i int) {
	if f.Is(i, "mut") || f.Is(i, "ref") {
		i++
	}
	name := f.Text(i)
	for n := 0; n < maxGenerics && i < len(f.tokens); n++ {
		switch c := f.byte(i); {
		case c == '=':
			p.constants[name] = append(p.constants[name], constant{f, i + 1, f.statementEnd(i)})
			return
		case c == ';' || c == '{' || c == ')':
			return
		case c == '[' || c == '(':
			i = f.End(i) - 1
		}
		i++
	}
}

// alias notes what a type's other name stands for, and types that are closures.
func (p *Program) alias(f *File, i int) {
	name, j := f.Text(i), i+1
	if f.byte(j) == '<' {
		j = f.angles(j, j+1)
	}
	if f.byte(j) == '=' {
		p.aliases[name] = typed{f, "", j + 1, f.statementEnd(j)}
	}
	for j := i + 1; j < min(len(f.tokens), i+64) && f.byte(j) != ';'; j++ {
		if f.oneOf(j, "FnOnce", "FnMut", "Fn") {
			p.closures[f.Text(i)] = true
		}
	}
}

// statementEnd is where the semicolon, or the bracket around the statement, stands.
func (f *File) statementEnd(i int) int {
	for ; i < len(f.tokens); i++ {
		switch f.byte(i) {
		case ';', '}', ')', ']':
			return i
		case '(', '[', '{':
			i = f.End(i) - 1
		}
	}
	return i
}

// maxSteps is how many names a value is followed through.
const maxSteps = 8

// Bound reads the argument that stands between two tokens.
func (p *Program) Bound(f *File, from, to int) Bound { return p.bound(f, from, to, maxSteps) }

func (p *Program) bound(f *File, from, to, steps int) Bound {
	for f.byte(from) == '&' || f.byte(from) == '*' {
		from++
	}
	if to > 0 && f.byte(to-1) == ',' {
		to--
	}
	if steps == 0 || from >= to {
		return Unknown
	}
	for i := from; i < to; i++ {
		if f.Is(i, "MAX") || f.Is(i, "INFINITY") {
			return Unbounded
		}
		if f.oneOf(i, "unwrap_or", "unwrap_or_else", "unwrap_or_default", "map_or", "min", "clamp", "max") && f.byte(i-1) == '.' {
			return Bounded
		}
	}
	if f.Is(from, "Duration", ":", ":", "ZERO") && from+4 == to {
		return Unbounded
	}
	if to == from+1 {
		return p.word(f, from, steps)
	}
	if f.calculates(from, to) {
		return Bounded
	}
	if f.IsWord(from) {
		if parts, after := f.path(from); f.byte(after) == '(' {
			if b, ok := p.made(f, parts, after, to, steps); ok {
				return b
			}
		} else if after == to {
			return p.namedValue(f, from, parts, steps)
		}
	}
	return p.field(f, from, to)
}

// word reads a single token: None, a number, or a name.
func (p *Program) word(f *File, i, steps int) Bound {
	switch text := f.Text(i); {
	case text == "None" || zero(text):
		return Unbounded
	case text != "" && text[0] >= '0' && text[0] <= '9':
		return Bounded
	default:
		return p.namedValue(f, i, []string{text}, steps)
	}
}

func zero(text string) bool {
	digits := strings.TrimRight(strings.ReplaceAll(text, "_", ""), "uisze123468")
	return digits == "0" || text == "0"
}

// calculates reports whether the value is a sum, a product or a shift of others: a number, then, and not None.
func (f *File) calculates(from, to int) bool {
	for i := from + 1; i < to; i++ {
		switch c := f.byte(i); {
		case c == '(' || c == '[' || c == '{':
			i = f.End(i) - 1
		case c == '+' || c == '*' || c == '/' || c == '<' && f.byte(i+1) == '<' || c == '-' && f.byte(i+1) != '>' || f.Is(i, "as"):
			return true
		}
	}
	return false
}

// made reads Some(x), Duration::from_secs(x) and their like.
func (p *Program) made(f *File, parts []string, open, to, steps int) (Bound, bool) {
	last := parts[len(parts)-1]
	if last == "Some" || last == "Ok" || strings.HasPrefix(last, "from_") || last == "new" && slices.Contains(parts, "Duration") {
		if first, end := open+1, f.End(open)-1; first < end {
			return p.bound(f, first, end, steps-1), true
		}
	}
	if len(p.functions[last]) == 1 && f.End(open) == to {
		if fn := p.functions[last][0]; !fn.returnsOption() {
			return Bounded, true
		}
	}
	return Unknown, false
}

func (fn *Function) returnsOption() bool { return fn.File.Is(fn.returns[0]+2, "Option") }

// namedValue follows a name to its const, its let or the type of its parameter.
func (p *Program) namedValue(f *File, i int, parts []string, steps int) Bound {
	last := parts[len(parts)-1]
	fn := f.Enclosing(i)
	if fn != nil && len(parts) == 1 {
		if from, to := f.let(fn, last, i); from > 0 {
			return p.bound(f, from, to, steps-1)
		}
		for _, param := range fn.Params {
			if param.Name == last {
				return f.ofType(param.From, param.To)
			}
		}
	}
	known := p.constants[last]
	if len(known) == 0 {
		return Unknown
	}
	for _, c := range known {
		if c.file == f {
			return p.bound(f, c.from, c.to, steps-1)
		}
	}
	return p.bound(known[0].file, known[0].from, known[0].to, steps-1)
}

// maxLets is how many tokens before its use a variable is looked for.
const maxLets = 4096

// let finds the value of the last `let name = ...` before i in a function.
func (f *File) let(fn *Function, name string, before int) (from, to int) {
	for i := max(fn.From, before-maxLets); i < before; i++ {
		if !f.Is(i, "let") {
			continue
		}
		at := i + 1
		if f.Is(at, "mut") {
			at++
		}
		if !f.Is(at, name) {
			continue
		}
		for j := at + 1; j < min(at+64, before); j++ {
			if f.byte(j) == '=' {
				from, to = j+1, f.statementEnd(j)
				break
			}
		}
	}
	return from, to
}

// ofType says what a value of a type may be: an Option may be none.
func (f *File) ofType(from, to int) Bound {
	for i := from; i < to; i++ {
		if f.Is(i, "Option") {
			return Unknown
		}
	}
	return Bounded
}

// field reads a.b.c by the declared types of fields named c: where none of them can be absent, it is a limit.
func (p *Program) field(f *File, from, to int) Bound {
	last := to - 1
	for f.byte(last) == ')' || f.byte(last) == '?' { // .into(), .clone()
		if f.byte(last) == '?' {
			last--
			continue
		}
		open := int(f.partner[last])
		if open <= from+1 || open+1 != last || f.byte(open-2) != '.' {
			return Unknown
		}
		last = open - 3
	}
	if f.byte(last-2) == '/' || f.byte(last-2) == '*' || f.byte(last-1) == '/' || f.byte(last-1) == '*' { // limits.keepalive / 3
		last--
		for last > from && !f.IsWord(last) {
			last--
		}
	}
	if last <= from || !f.IsWord(last) || f.byte(last-1) != '.' {
		return Unknown
	}
	known := p.fields[f.Text(last)]
	if len(known) == 0 {
		return Unknown
	}
	for _, t := range known {
		if t.file.ofType(t.from, t.to) != Bounded {
			return Unknown
		}
	}
	return Bounded
}

// Phrase is the text of some tokens, in one line and cut where it is long.
func (f *File) Phrase(from, to int) string {
	if from >= to || to > len(f.tokens) {
		return "nothing"
	}
	last := f.tokens[to-1]
	text := strings.Join(strings.Fields(f.Source[f.tokens[from].Pos:last.Pos+last.Len]), " ")
	if len(text) > 60 {
		cut := 57
		for cut > 0 && text[cut]&0xC0 == 0x80 {
			cut--
		}
		return text[:cut] + "..."
	}
	return text
}

// Expand is the text of some tokens, a space between each, with the values of the variables and functions that it names.
func (p *Program) Expand(f *File, from, to int) string {
	var b strings.Builder
	p.expand(&b, f, from, to, 4)
	return b.String()
}

func (p *Program) expand(b *strings.Builder, f *File, from, to, steps int) {
	for i := from; i < to && b.Len() < 1<<16; i++ {
		b.WriteString(f.Text(i))
		b.WriteByte(' ')
		if steps <= 0 || !f.IsWord(i) || f.byte(i-1) == '.' {
			continue
		}
		if fn := f.Enclosing(i); fn != nil {
			if lf, lt := f.let(fn, f.Text(i), i); lf > 0 {
				p.expand(b, f, lf, lt, steps-1)
			}
		}
		if open := f.generics(i + 1); f.byte(open) == '(' {
			if callee := p.callee(f, open); callee != nil && callee.To-callee.From < maxHead {
				p.expand(b, callee.File, callee.From, callee.To, steps-2)
			}
		}
	}
}

// Declares reports whether the service declares a struct or enum of the name.
func (p *Program) Declares(name string) bool { return p.types[name] }
