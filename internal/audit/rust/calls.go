package rust

import (
	"slices"
	"strings"

	"rustgen/internal/rustlex"
)

// common are names of methods that types of libraries have too, so that a name alone does not say whose it is.
var common = strings.Fields(`new get set insert push pop len clone read write load store send recv open find next flush close
run start stop connect build add remove update delete create save list query execute fetch process handle call poll wait join
lock unlock with init apply parse from into default drop finish key name id value iter map first last count exists contains
encode decode serialize deserialize hash verify take put merge reset clear send_message start_server commit rollback begin
status output publish subscribe spawn search check validate into_inner as_ref as_mut to_string load_from resolve describe
register index reload acquire`)

// callee is the function of the service that the parenthesis at open calls, where the source says so.
func (p *Program) callee(f *File, open int) *Function {
	i := open - 1
	if f.byte(i) == '>' {
		if back := f.anglesBack(i); back > 0 {
			i = back - 3
		}
	}
	if !f.IsWord(i) {
		return nil
	}
	candidates := p.functions[f.Text(i)]
	if len(candidates) == 0 {
		return nil
	}
	if f.byte(i-1) == '.' {
		return p.method(f, i, len(candidates))
	}
	start := f.start(i)
	if f.byte(i-1) != ':' {
		start = i
	}
	if f.Is(i-1, "fn") {
		return nil
	}
	parts, _ := f.path(start)
	if len(parts) == 1 {
		return p.free(f, i)
	}
	return p.associated(f, i, parts)
}

// free is the function that a single name calls.
func (p *Program) free(f *File, i int) *Function {
	candidates := p.belong[owned{"", f.Text(i)}]
	if len(candidates) == 0 {
		return nil
	}
	var found *Function
	resolved := p.Resolve(f, i, []string{f.Text(i)})
	for _, fn := range candidates {
		whole := fn.Path()
		if slices.Contains(resolved, whole) || fn.File == f && fn.File.within(fn.From) == f.within(i) {
			if found != nil {
				return nil
			}
			found = fn
		}
	}
	return found
}

// associated is the function that Type::name or module::name calls.
func (p *Program) associated(f *File, i int, parts []string) *Function {
	owner, name := parts[len(parts)-2], parts[len(parts)-1]
	if owner == "Self" {
		if in := f.Enclosing(i); in != nil {
			owner = in.Type
		}
	}
	var found *Function
	for _, fn := range p.belong[owned{owner, name}] {
		if fn.Type != "" && fn.Type == owner {
			if found != nil {
				return nil
			}
			found = fn
		}
	}
	if found != nil && len(parts) > 2 && p.ofAnother(f, i, parts) {
		return nil
	}
	if found != nil || p.ownerOf(parts) != "" {
		return found
	}
	resolved := p.Resolve(f, i, parts)
	for _, fn := range p.functions[name] {
		if fn.Type == "" && slices.Contains(resolved, fn.Path()) {
			return fn
		}
		if fn.Type != "" && (slices.ContainsFunc(resolved, func(r string) bool { return strings.HasSuffix(r, fn.suffix) })) {
			if found != nil {
				return nil
			}
			found = fn
		}
	}
	return found
}

// ofAnother reports whether a path leads into a crate that is not of this tree, whose type only has the same name as one
// here.
func (p *Program) ofAnother(f *File, i int, parts []string) bool {
	m := f.within(i)
	if m == nil {
		return false
	}
	for _, whole := range p.Resolve(f, i, parts) {
		first, _, _ := strings.Cut(whole, "::")
		if renamed, ok := m.pkg.Renames[first]; ok {
			first = renamed
		}
		if p.libraries[first] != nil || !m.pkg.depends(first) {
			return false
		}
	}
	return true
}

// method is the function that .name() calls: of self, of a field or parameter of a known type, or the only one of a name
// that no library has.
func (p *Program) method(f *File, i, known int) *Function {
	name, owner := f.Text(i), p.owner(f, i)
	candidates := p.belong[owned{owner, name}]
	if owner == "" {
		if slices.Contains(common, name) {
			return nil
		}
		if candidates = p.functions[name]; known > 1 {
			candidates = p.asAwaited(f, i, candidates)
		}
	}
	var found *Function
	for _, fn := range candidates {
		switch {
		case fn.Type == "" || len(fn.Params) == 0 || fn.Params[0].Name != "self":
			continue
		case owner == "" && fn.Trait != "" || found != nil:
			return nil
		}
		found = fn
	}
	return found
}

// asAwaited tells two methods of a name apart, of which one is async: a call of that is awaited, and one of the other is not.
func (p *Program) asAwaited(f *File, i int, all []*Function) []*Function {
	if len(all) != 2 || all[0].Async == all[1].Async {
		return nil
	}
	calls, _ := f.Chain(i - 1)
	awaited := slices.ContainsFunc(calls, func(c Call) bool { return c.Awaited })
	return slices.DeleteFunc(slices.Clone(all), func(fn *Function) bool { return fn.Async != awaited })
}

// owner is the type of what the method at i is called on, as far as it is written down; another name of a type is followed.
func (p *Program) owner(f *File, i int) string {
	owner := p.receiverType(f, f.Enclosing(i), f.start(i-1), i-1)
	if t, ok := p.aliases[owner]; ok && t.file.pkg == f.pkg {
		return t.file.inner(t.from, t.to)
	}
	return owner
}

// implementations are the functions that .name() may call where its receiver is a trait's object, or of any type that has
// the trait: those of all who implement it.
func (p *Program) implementations(f *File, i int) (all []*Function) {
	name := f.Text(i)
	if f.byte(i-1) != '.' {
		return nil
	}
	owner := p.owner(f, i)
	if !p.traits[owner] && (p.types[owner] || len(p.belong[owned{owner, name}]) > 0 || slices.Contains(common, name)) {
		return nil
	}
	for _, fn := range p.functions[name] {
		switch {
		case len(fn.Params) == 0 || fn.Params[0].Name != "self" || p.traits[owner] && fn.Trait != owner:
			continue
		case !p.traits[fn.Trait] || len(all) > 0 && all[0].Trait != fn.Trait:
			return nil
		}
		all = append(all, fn)
	}
	return all
}

// receiverType is the type of self, self.field, or a parameter, as far as it is written down.
func (p *Program) receiverType(f *File, in *Function, from, to int) string {
	switch {
	case in == nil:
		return ""
	case f.Is(from, "self") && to == from+1:
		return in.Type
	case f.Is(from, "self", ".") && to == from+3:
		for _, t := range p.fields[f.Text(from+2)] {
			if t.owner == in.Type && t.file.pkg == f.pkg {
				return t.file.inner(t.from, t.to)
			}
		}
	case f.IsWord(from) && to == from+1:
		for _, param := range in.Params {
			if param.Name == f.Text(from) {
				return f.inner(param.From, param.To)
			}
		}
		if lf, lt := f.let(in, f.Text(from), from); lf > 0 {
			return p.madeBy(f, lf, lt)
		}
	}
	return ""
}

// madeBy is the type that an initializer makes: T { .. }, T::new(..), or one of these in an Arc.
func (p *Program) madeBy(f *File, from, to int) string {
	for from < to && f.IsWord(from) {
		parts, after := f.path(from)
		if f.byte(after) == '{' && p.types[parts[len(parts)-1]] {
			return parts[len(parts)-1]
		}
		if len(parts) < 2 || f.byte(after) != '(' {
			return ""
		}
		if owner := parts[len(parts)-2]; owner != "Arc" && owner != "Box" && owner != "Rc" {
			if p.types[owner] {
				return owner
			}
			return ""
		}
		from = after + 1
	}
	return ""
}

// inner is the type inside references and the smart pointers that lend it: &Arc<T> is T.
func (f *File) inner(from, to int) string {
	for i := from; i < to; i++ {
		if !f.IsWord(i) || f.oneOf(i, "mut", "dyn", "impl") {
			continue
		}
		parts, after := f.path(i)
		last := parts[len(parts)-1]
		if (last == "Arc" || last == "Box" || last == "Rc") && f.byte(after) == '<' {
			i = after
			continue
		}
		return last
	}
	return ""
}

// Path is the whole path of a function, its type left out.
func (fn *Function) Path() string { return fn.path }

// callers are the places that call a function.
func (p *Program) callers(fn *Function) (all []Use) {
	for _, uses := range [][]Use{p.named[fn.Name], p.methods[fn.Name]} {
		for _, u := range uses {
			if u.Open >= 0 && !u.Macro && p.callee(u.File, u.Open) == fn {
				all = append(all, u)
			}
		}
	}
	return all
}

// Callee is the function of the service that a use calls, or nil.
func (p *Program) Callee(u Use) *Function {
	if u.Open < 0 || u.Macro {
		return nil
	}
	return p.callee(u.File, u.Open)
}

// FirstCall is the function of the service that the first argument of a use is a call of, or nil.
func (p *Program) FirstCall(u Use) *Function {
	if !u.File.IsWord(u.Open + 1) {
		return nil
	}
	if _, after := u.File.path(u.Open + 1); u.File.byte(after) == '(' {
		return p.callee(u.File, after)
	}
	return nil
}

// Edge is a call of one function of the service by another.
type Edge struct {
	Use
	Caller, Callee *Function
	// Maybe says that it is one of several implementations of a trait; Object, that what it is called on is written down to be
	// any of them.
	Maybe, Object bool
}

// Edges are the calls between functions of the service, in the order of files and of their text.
func (p *Program) Edges() []Edge { return p.edges() }

// EdgesIn are those between two tokens of a file.
func (p *Program) EdgesIn(f *File, from, to int) (all []Edge) {
	edges := p.Edges()
	first, _ := slices.BinarySearchFunc(edges, f, func(e Edge, f *File) int { return strings.Compare(e.File.Path, f.Path) })
	for _, e := range edges[first:] {
		if e.File != f || e.I >= to {
			break
		}
		if e.I > from {
			all = append(all, e)
		}
	}
	return all
}

func (p *Program) findEdges() []Edge {
	found := make([][]Edge, len(p.sorted))
	each(len(found), func(i int) { found[i] = p.edgesOf(p.sorted[i]) })
	return slices.Concat(found...)
}

func (p *Program) edgesOf(f *File) (all []Edge) {
	for i := range f.tokens {
		if f.tokens[i].Kind != rustlex.Word {
			continue
		}
		if next := f.byte(i + 1); next != '(' && next != ':' {
			continue
		}
		open := f.generics(i + 1)
		if f.byte(open) != '(' || len(p.functions[f.Text(i)]) == 0 || f.Is(i-1, "fn") {
			continue
		}
		caller := f.Enclosing(i)
		if caller == nil {
			continue
		}
		callees := []*Function{p.callee(f, open)}
		if callees[0] == nil {
			callees = p.implementations(f, i)
		}
		for _, callee := range callees {
			if caller != callee {
				several := len(callees) > 1
				all = append(all, Edge{Use{f, i, open, f.byte(i-1) == '.', false}, caller, callee, several, several && p.traits[p.owner(f, i)]})
			}
		}
	}
	return all
}
