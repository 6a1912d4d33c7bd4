package rust

import (
	"strings"

	"rustgen/internal/rustlex"
)

// Function is one fn with a body.
type Function struct {
	File *File
	Name string
	// Type is what it is a method of, Trait the trait that the method is of; either may be empty.
	Type, Trait string
	Async       bool
	Params      []Param
	// Line is where its name stands; From and To are the tokens of its body, the braces among them.
	Line, From, To int
	// returns are the tokens of its return type.
	returns [2]int
	// attributes are the tokens of what stands before it.
	attributes [2]int
	// polls says that it is Future::poll, which an async worker runs, or a handler of grpcio's, for which its threads are few.
	polls bool
	// answers says that it is a handler of grpcio's.
	answers bool
	// path is its whole path, once the files are linked.
	path string
	// suffix is ::Type::name, which the whole path of a method ends with.
	suffix string
}

// AnswersRPC reports whether a function is a handler of grpcio's, which takes an RpcContext.
func (fn *Function) AnswersRPC() bool { return fn.answers && fn.Trait != "" }

// Param is a parameter: its name, and the tokens of its type.
type Param struct {
	Name     string
	From, To int
}

// maxGenerics is how many tokens may stand between two angle brackets.
const maxGenerics = 512

// maxHead is how many tokens may stand between a name and its braces.
const maxHead = 2048

// maxDepth is how deep brackets are looked out of.
const maxDepth = 256

// generics skips ::<...> at i.
func (f *File) generics(i int) int {
	if f.Is(i, ":", ":", "<") {
		return f.angles(i+2, i)
	}
	return i
}

// angles skips <...> at i; where it does not end, it is otherwise.
func (f *File) angles(i, otherwise int) int {
	depth := 0
	for j := i; j < len(f.tokens) && j < i+maxGenerics; j++ {
		switch f.byte(j) {
		case '<':
			depth++
		case '>':
			if f.byte(j-1) == '-' || f.byte(j-1) == '=' {
				continue
			}
			if depth--; depth == 0 {
				return j + 1
			}
		case '(', '[', '{':
			j = f.End(j) - 1
		case ';', ')', ']', '}':
			return otherwise
		}
	}
	return otherwise
}

// path reads a::b::c from i, without what stands between angle brackets.
func (f *File) path(i int) (parts []string, after int) {
	parts, i = []string{f.Text(i)}, i+1
	for f.Is(i, ":", ":") {
		if next := f.generics(i); next != i {
			i = next
			continue
		}
		if !f.IsWord(i + 2) {
			break
		}
		parts, i = append(parts, f.Text(i+2)), i+3
	}
	return parts, i
}

// structure finds imports, modules, functions, and where code runs.
func (f *File) structure() {
	f.roles, f.bodies = map[int32]role{}, map[int32]*Function{}
	for i := range f.tokens {
		if f.tokens[i].Kind != rustlex.Word {
			continue
		}
		switch f.Text(i) {
		case "use":
			if f.byte(i-1) != '.' && f.byte(i+1) != '<' {
				f.importTree(i+1, "", int(f.open[i]), 0)
			}
		case "mod":
			f.declareModule(i)
		case "impl":
			f.implementation(i)
		case "fn":
			f.function(i, "", "")
		case "async":
			f.asyncBlock(i)
		case "stream", "try_stream":
			if f.Is(i+1, "!") && (f.byte(i+2) == '{' || f.byte(i+2) == '(') {
				f.roles[int32(i+2)] = onWorker
			}
		}
	}
}

func (f *File) asyncBlock(i int) {
	j := i + 1
	if f.Is(j, "move") {
		j++
	}
	if f.byte(j) == '|' {
		for j++; j < min(len(f.tokens), i+maxGenerics) && f.byte(j) != '|'; j++ {
			if c := f.byte(j); c == '(' || c == '[' {
				j = f.End(j) - 1
			}
		}
		j++
	}
	if f.byte(j) == '{' {
		f.roles[int32(j)] = onWorker
	}
}

// implementation notes the functions of an impl or a trait with their type.
func (f *File) implementation(i int) {
	j := i + 1
	if f.byte(j) == '<' {
		j = f.angles(j, j)
	}
	first, j := f.typeName(j)
	trait, name := "", first
	if f.Is(j, "for") {
		trait = first
		name, j = f.typeName(j + 1)
	}
	for head := j; j < min(len(f.tokens), head+maxHead) && f.byte(j) != '{' && f.byte(j) != ';'; {
		if c := f.byte(j); c == '(' || c == '[' {
			j = f.End(j) - 1
		}
		j++
	}
	if f.byte(j) != '{' {
		return
	}
	for k, end := j+1, f.End(j); k < end; k++ {
		switch {
		case f.Is(k, "fn"):
			f.function(k, name, trait)
			for k < end && f.byte(k) != '{' && f.byte(k) != ';' {
				k++
			}
			k = f.End(k) - 1
		case f.byte(k) == '{':
			k = f.End(k) - 1
		}
	}
}

// typeName is the last word of a path to a type, and what follows it.
func (f *File) typeName(i int) (string, int) {
	for f.byte(i) == '&' || f.byte(i) == '!' || f.Is(i, "mut") || f.Is(i, "dyn") || strings.HasPrefix(f.Text(i), "'") {
		i++
	}
	if !f.IsWord(i) {
		return "", i
	}
	parts, after := f.path(i)
	if f.byte(after) == '<' {
		after = f.angles(after, after+1)
	}
	return parts[len(parts)-1], after
}

// function notes the fn at i, unless it is known from its impl or has no body.
func (f *File) function(i int, typ, trait string) {
	if !f.IsWord(i + 1) {
		return
	}
	fn := &Function{File: f, Name: f.Text(i + 1), Type: typ, Trait: trait, Line: f.Line(i + 1)}
	fn.suffix = "::" + typ + "::" + fn.Name
	j := i + 2
	if f.byte(j) == '<' {
		j = f.angles(j, j+1)
	}
	if f.byte(j) != '(' {
		return
	}
	after := f.End(j)
	fn.returns = [2]int{after, after}
	body := after
	for body < min(len(f.tokens), after+maxHead) && f.byte(body) != '{' && f.byte(body) != ';' && f.byte(body) != '}' {
		if c := f.byte(body); c == '(' || c == '[' {
			body = f.End(body) - 1
		}
		body++
	}
	if f.byte(body) != '{' || f.bodies[int32(body)] != nil {
		return
	}
	fn.From, fn.To = body, f.End(body)
	fn.returns[1] = body
	f.parameters(fn, j+1, after-1)
	k := i - 1
	for ; k >= 0 && f.oneOf(k, "async", "unsafe", "const", "extern", "pub"); k-- {
		fn.Async = fn.Async || f.Is(k, "async")
	}
	fn.attributes = [2]int{f.attributesBefore(k), i}
	fn.answers = f.mentions(fn.Params, "RpcContext")
	fn.polls = strings.HasPrefix(fn.Name, "poll") && f.mentions(fn.Params, "Context") || fn.answers
	f.bodies[int32(body)] = fn
	f.functions = append(f.functions, fn)
	f.roles[int32(body)] = plain
	if fn.Async || fn.polls {
		f.roles[int32(body)] = onWorker
	}
}

// attributesBefore is where the attributes that end at i begin; i+1 where there are none.
func (f *File) attributesBefore(i int) int {
	for f.byte(i) == ')' { // pub(crate)
		i = int(f.partner[i]) - 2
	}
	for f.byte(i) == ']' && f.partner[i] > 0 && f.byte(int(f.partner[i])-1) == '#' {
		i = int(f.partner[i]) - 2
	}
	return i + 1
}

func (f *File) mentions(params []Param, word string) bool {
	for _, p := range params {
		for i := p.From; i < p.To; i++ {
			if f.Is(i, word) {
				return true
			}
		}
	}
	return false
}

// parameters splits what stands between the parentheses of a fn.
func (f *File) parameters(fn *Function, from, to int) {
	start := from
	depth := 0
	for i := from; i <= to; i++ {
		c := f.byte(i)
		switch {
		case c == '<':
			depth++
		case c == '>' && f.byte(i-1) != '-':
			depth--
		case i < to && (c == '(' || c == '[' || c == '{'):
			i = f.End(i) - 1
			continue
		}
		if i != to && (c != ',' || depth > 0) {
			continue
		}
		if start < i {
			f.parameter(fn, start, i)
		}
		start = i + 1
	}
}

func (f *File) parameter(fn *Function, from, to int) {
	name := ""
	for i := from; i < to; i++ {
		switch {
		case f.byte(i) == ':' && f.byte(i+1) != ':' && f.byte(i-1) != ':':
			fn.Params = append(fn.Params, Param{name, i + 1, to})
			return
		case f.byte(i) == '#':
			i = f.End(i+1) - 1
		case f.IsWord(i) && !f.oneOf(i, "mut", "ref"):
			name = f.Text(i)
		}
	}
	if name == "self" {
		fn.Params = append(fn.Params, Param{"self", to, to})
	}
}

// Enclosing is the function that a token stands in, or nil.
func (f *File) Enclosing(i int) *Function {
	if i < 0 || i >= len(f.open) {
		return nil
	}
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if fn := f.bodies[o]; fn != nil {
			return fn
		}
	}
	return nil
}

// OnWorker reports whether an async worker runs what stands at i.
func (f *File) OnWorker(i int) bool {
	if i < 0 || i >= len(f.open) {
		return false
	}
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if r := f.roles[o]; r != 0 {
			return r == onWorker
		}
	}
	return false
}

// Off reports whether another thread than that of its function runs what stands at i.
func (f *File) Off(i int) bool {
	if i < 0 || i >= len(f.open) {
		return false
	}
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if r := f.roles[o]; r != 0 {
			return r == offWorker
		}
	}
	return false
}
