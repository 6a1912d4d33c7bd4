package rust

import (
	"slices"
	"strings"
)

// common are names of methods that types of libraries have too, so that a name alone does not say whose it is.
var common = strings.Fields(`new get set insert push pop len clone read write load store send recv open find next flush close
run start stop connect build add remove update delete create save list query execute fetch process handle call poll wait join
lock unlock with init apply parse from into default drop finish key name id value iter map first last count exists contains
encode decode serialize deserialize hash verify take put merge reset clear send_message start_server commit rollback begin
status output publish subscribe spawn search check validate into_inner as_ref as_mut to_string load_from resolve describe
register index reload`)

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
		return p.method(f, i, candidates)
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
		return p.free(f, i, candidates)
	}
	return p.associated(f, i, parts, candidates)
}

// free is the function that a single name calls.
func (p *Program) free(f *File, i int, candidates []*Function) *Function {
	var found *Function
	resolved := p.Resolve(f, i, []string{f.Text(i)})
	for _, fn := range candidates {
		if fn.Type != "" {
			continue
		}
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
func (p *Program) associated(f *File, i int, parts []string, candidates []*Function) *Function {
	owner := parts[len(parts)-2]
	if owner == "Self" {
		if in := f.Enclosing(i); in != nil {
			owner = in.Type
		}
	}
	var found *Function
	for _, fn := range candidates {
		if fn.Type != "" && fn.Type == owner {
			if found != nil {
				return nil
			}
			found = fn
		}
	}
	if found != nil {
		return found
	}
	resolved := p.Resolve(f, i, parts)
	for _, fn := range candidates {
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

// method is the function that .name() calls: of self, of a field or parameter of a known type, or the only one of a name
// that no library has.
func (p *Program) method(f *File, i int, candidates []*Function) *Function {
	from := f.start(i - 1)
	in := f.Enclosing(i)
	owner := p.receiverType(f, in, from, i-1)
	var found *Function
	for _, fn := range candidates {
		switch {
		case fn.Type == "" || len(fn.Params) == 0 || fn.Params[0].Name != "self":
			continue
		case owner != "" && fn.Type != owner && fn.Trait != owner:
			continue
		case found != nil:
			return nil
		}
		found = fn
	}
	if owner == "" && (len(candidates) > 1 || slices.Contains(common, f.Text(i)) || found != nil && found.Trait != "") {
		return nil
	}
	return found
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

// threads are calls whose closure runs on a thread of its own, by their last words.
var threads = []string{
	"spawn_blocking", "block_in_place", "thread::spawn", "rayon::spawn", "rayon::scope", "rayon::join", "ThreadPool::install",
	"asyncify", "blocking::unblock", "unblock", "rayon::spawn_fifo", "web::block", "spawn_compute", "tokio_rayon::spawn",
}

// markHelpers marks what runs off the workers: the closures of calls that hand them to threads, and of the service's own
// functions and macros that do.
func (p *Program) markHelpers() {
	for _, spelled := range threads {
		name := spelled[strings.LastIndex(spelled, ":")+1:]
		for _, u := range p.named[name] {
			if u.Open >= 0 && (spelled == name || p.ends(u, spelled)) {
				u.File.handOver(u.Open)
			}
		}
	}
	for _, name := range []string{"spawn_blocking", "install", "block_in_place"} {
		for _, u := range p.methods[name] {
			u.File.handOver(u.Open)
		}
	}
	for _, u := range p.methods["spawn"] { // std::thread::Builder, a pool of threads
		if from := u.Open + 1; u.File.byte(from) == '|' || u.File.Is(from, "move", "|") {
			u.File.handOver(u.Open)
		}
	}
	for range 4 {
		if !p.markOwnHelpers() {
			return
		}
	}
}

func (p *Program) ends(u Use, spelled string) bool {
	return slices.ContainsFunc(p.Spelled(u), func(s string) bool { return s == spelled || strings.HasSuffix(s, "::"+spelled) })
}

// handOver marks the arguments at open, and the closures that variables among them hold.
func (f *File) handOver(open int) {
	f.roles[int32(open)] = offWorker
	if open+2 < len(f.tokens) && f.IsWord(open+1) && f.byte(open+2) == ')' {
		if fn := f.Enclosing(open); fn != nil {
			if from, to := f.let(fn, f.Text(open+1), open); from > 0 {
				for i := from; i < min(to, from+maxGenerics); i++ {
					if f.byte(i) == '{' {
						f.roles[int32(i)] = offWorker
						return
					}
				}
			}
		}
	}
}

// markOwnHelpers marks the closures that are handed to the service's own functions which hand them on to a thread.
func (p *Program) markOwnHelpers() (more bool) {
	for name, all := range p.functions {
		helpers, takers := 0, 0
		for _, fn := range all {
			if closure := p.closureParam(fn); closure != "" {
				takers++
				if p.handsOn(fn, closure) {
					helpers++
				}
			}
		}
		if helpers == 0 || helpers < takers {
			continue
		}
		for _, uses := range [][]Use{p.named[name], p.methods[name]} {
			for _, u := range uses {
				if u.Open >= 0 && u.File.roles[int32(u.Open)] == 0 && u.File.hasClosure(u.Open) {
					u.File.roles[int32(u.Open)] = offWorker
					more = true
				}
			}
		}
	}
	return more
}

func (f *File) hasClosure(open int) bool {
	for i, end := open+1, f.End(open); i < end; i++ {
		if f.byte(i) == '|' && !f.Is(i-1, "async") && !f.Is(i-2, "async") {
			return true
		}
		if c := f.byte(i); c == '{' {
			i = f.End(i) - 1
		}
	}
	return false
}

// closureParam is the name of a parameter that is a closure, or nothing.
func (p *Program) closureParam(fn *Function) string {
	f := fn.File
	for _, param := range fn.Params {
		for i := param.From; i < param.To; i++ {
			if f.oneOf(i, "FnOnce", "FnMut", "Fn") || p.closures[f.Text(i)] {
				return param.Name
			}
		}
		if param.To == param.From+1 && f.bounded(fn, f.Text(param.From)) {
			return param.Name
		}
	}
	return ""
}

// bounded reports whether a type parameter is bound by a closure's trait: F: FnOnce() -> T.
func (f *File) bounded(fn *Function, name string) bool {
	for i := fn.attributes[1]; i < fn.From; i++ {
		if !f.Is(i, name, ":") {
			continue
		}
		for j := i + 2; j < fn.From && j < i+32 && f.byte(j) != ','; j++ {
			if f.oneOf(j, "FnOnce", "FnMut", "Fn") {
				return true
			}
		}
	}
	return false
}

// handsOn reports whether a function gives its closure to a thread: named inside of what runs off the workers, or kept
// by a function that starts a thread for what is kept.
func (p *Program) handsOn(fn *Function, closure string) bool {
	f := fn.File
	starts, kept := false, false
	for i := fn.From; i < fn.To; i++ {
		if r := f.roles[int32(i)]; r == offWorker {
			starts = true
		}
		if !f.Is(i, closure) {
			continue
		}
		if f.Off(i) {
			return true
		}
		open := f.open[i]
		kept = kept || open >= 0 && f.byte(int(open)) == '(' && f.oneOf(int(open)-1, "push", "push_back", "send", "try_send")
	}
	return starts && kept
}

// Edge is a call of one function of the service by another.
type Edge struct {
	Use
	Caller, Callee *Function
}

// Edges are the calls between functions of the service, in the order of files and of their text.
func (p *Program) Edges() []Edge { return p.edges() }

func (p *Program) findEdges() []Edge {
	found := make([][]Edge, len(p.sorted))
	each(len(found), func(i int) { found[i] = p.edgesOf(p.sorted[i]) })
	return slices.Concat(found...)
}

func (p *Program) edgesOf(f *File) (all []Edge) {
	for i := range f.tokens {
		if f.tokens[i].kind != Word {
			continue
		}
		if next := f.byte(i + 1); next != '(' && next != ':' {
			continue
		}
		open := f.generics(i + 1)
		if f.byte(open) != '(' || len(p.functions[f.Text(i)]) == 0 || f.Is(i-1, "fn") {
			continue
		}
		callee := p.callee(f, open)
		caller := f.Enclosing(i)
		if callee != nil && caller != nil && caller != callee {
			all = append(all, Edge{Use{f, i, open, f.byte(i-1) == '.', false}, caller, callee})
		}
	}
	return all
}

// Repeats reports whether what stands at i runs more than once, or in a task of its own: inside of a loop, or what is
// handed to spawn.
func (f *File) Repeats(i int) bool {
	if i < 0 || i >= len(f.open) {
		return false
	}
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if f.bodies[o] != nil {
			return false
		}
		if f.byte(int(o)) == '(' && f.oneOf(int(o)-1, "spawn", "spawn_local", "service_fn", "spawn_on") || f.LoopAt(int(o)) != "" {
			return true
		}
	}
	return false
}

// LoopAt says which loop the brace at i is the body of: "loop", "while", "for", or nothing.
func (f *File) LoopAt(i int) string {
	if f.byte(i) != '{' {
		return ""
	}
	if f.Is(i-1, "loop") {
		return "loop"
	}
	for n, j := 0, i-1; n < 96 && j > 0; n, j = n+1, j-1 {
		switch c := f.byte(j); {
		case c == ';' || c == '{' || c == '}' && f.partner[j] < 0:
			return ""
		case c == ')' || c == ']' || c == '}':
			if f.partner[j] < 0 {
				return ""
			}
			if c == '}' && !f.Is(j+1, ".") && !f.Is(j+1, ")") {
				return ""
			}
			j = int(f.partner[j])
		case f.Is(j, "while"), f.Is(j, "for") && !f.Is(j+1, "<"):
			return f.Text(j)
		case f.Is(j, "if"), f.Is(j, "match"), f.Is(j, "else"), f.Is(j, "impl"), f.Is(j, "fn"), f.Is(j, "unsafe"):
			return ""
		}
	}
	return ""
}

// HasAttribute reports whether an attribute of a function is one of the names.
func (fn *Function) HasAttribute(names ...string) bool {
	for i := fn.attributes[0]; i < fn.attributes[1]; i++ {
		if fn.File.byte(i-1) == '[' && slices.Contains(names, fn.File.Text(i)) {
			return true
		}
		if fn.File.byte(i-1) == ':' && fn.File.byte(i+1) == '(' && slices.Contains(names, fn.File.Text(i)) {
			return true
		}
	}
	return false
}

// routers are functions that are given a handler by its name.
var routers = []string{"get", "post", "put", "patch", "delete", "any", "to", "route", "and_then", "service_fn", "on"}

// Routed reports whether a function is handed to a router, and so answers calls.
func (p *Program) Routed(fn *Function) bool {
	if !fn.Async || fn.Type != "" {
		return false
	}
	return p.routed[fn.Name] && len(p.functions[fn.Name]) > 0 && len(fn.Params) > 0
}

// routedIn are the functions that a file gives to routers.
func (p *Program) routedIn(f *File) (names []string) {
	for i := range f.tokens {
		if f.byte(i) != '(' || !f.IsWord(i+1) || !f.oneOf(i-1, routers...) {
			continue
		}
		parts, after := f.path(i + 1)
		if f.byte(after) == ')' && len(p.functions[parts[len(parts)-1]]) > 0 {
			names = append(names, parts[len(parts)-1])
		}
	}
	return names
}

// Names reports whether a file names a crate or an item of a path in its imports or its code.
func (f *File) Names(path string) bool {
	if !strings.Contains(f.Source, path) {
		return false
	}
	parts := strings.Split(path, "::")
	for i := range f.tokens {
		if f.Is(i, parts[0]) && (len(parts) == 1 || f.Is(i+1, ":", ":") && f.Is(i+3, parts[1])) {
			return true
		}
	}
	return false
}

// InTask reports whether what stands at i is handed to spawn, in its function.
func (f *File) InTask(i int) bool {
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth && f.bodies[o] == nil; o, n = f.open[o], n+1 {
		if f.byte(int(o)) == '(' && f.oneOf(int(o)-1, "spawn", "spawn_local", "spawn_on") {
			return true
		}
	}
	return false
}

// Returns reports whether the return type of a function names a word.
func (fn *Function) Returns(word string) bool {
	for i := fn.returns[0]; i < fn.returns[1]; i++ {
		if fn.File.Is(i, word) {
			return true
		}
	}
	return false
}
