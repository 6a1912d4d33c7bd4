package rust

// Guard is a lock that is held over an await.
type Guard struct {
	File *File
	// I is the token of the method that takes it; Await, that of the await that it is held over.
	I, Await int
	// Async says that the lock itself is awaited, as tokio's is; Write, that it keeps all others out.
	Async, Write bool
	// Uses says that what is awaited is called on what the lock guards.
	Uses bool
}

// Line is where the lock is taken.
func (g Guard) Line() int { return g.File.Line(g.I) }

// HeldOverAwait finds the guards of mutexes and read-write locks that are alive at an await.
func (p *Program) HeldOverAwait() (all []Guard) {
	for _, name := range []string{"lock", "read", "write"} {
		for _, u := range p.methods[name] {
			if u.File.End(u.Open) != u.Open+2 || !u.OnWorker() {
				continue
			}
			if from, _ := u.Receiver(); u.File.oneOf(from, "stdout", "stderr", "stdin", "io", "std") {
				continue
			}
			if g, ok := p.held(u, name); ok {
				all = append(all, g)
			}
		}
	}
	return all
}

// held follows a guard from where it is taken to the end of its life.
func (p *Program) held(u Use, name string) (Guard, bool) {
	f := u.File
	g := Guard{File: f, I: u.I, Write: name != "read"}
	after := f.End(u.Open)
	if f.Is(after, ".", "await") {
		g.Async, after = true, after+2
	}
	after = f.unwrapped(after)
	start := f.start(u.I - 1)
	if variable := f.boundTo(start); variable != "" && f.byte(after) == ';' && f.byte(start-1) != '*' {
		return p.heldVariable(g, variable, after)
	}
	return f.heldTemporary(g, start, after)
}

// unwrapped skips what turns a Result of a guard into the guard.
func (f *File) unwrapped(i int) int {
	for {
		switch {
		case f.byte(i) == '?':
			i++
		case f.byte(i) == '.' && f.oneOf(i+1, "unwrap", "expect", "map_err", "unwrap_or_else", "ok", "into_inner") && f.byte(i+2) == '(':
			i = f.End(i + 2)
		default:
			return i
		}
	}
}

// heldVariable looks for an await until the guard's block ends, or it is dropped.
func (p *Program) heldVariable(g Guard, name string, from int) (Guard, bool) {
	f := g.File
	block := int(f.open[g.I])
	for block >= 0 && f.byte(block) != '{' {
		block = int(f.open[block])
	}
	end := f.End(block)
	for i := from; i < end; i++ {
		switch {
		case f.Is(i, "return") && f.open[i] == int32(block):
			return g, false
		case f.Is(i, "drop", "(", name, ")"):
			if f.open[i] == int32(block) {
				return g, false
			}
			i = f.End(int(f.open[i])) - 2 // what follows in this inner block runs without the guard
		case f.roles[int32(i)] != 0: // another task or thread has its own guards
			i = f.End(i) - 1
		case f.Is(i, ".", "await"):
			from := f.start(i)
			if f.takesLock(i) && !f.mentionsName(from, i, name) {
				continue
			}
			g.Await, g.Uses = i, f.mentionsName(from, i, name)
			return g, true
		}
	}
	return g, false
}

// takesLock reports whether what is awaited is another lock.
func (f *File) takesLock(to int) bool {
	return f.byte(to-1) == ')' && f.partner[to-1] > 0 && f.Text(int(f.partner[to-1])-1) == "lock"
}

func (f *File) mentionsName(from, to int, name string) bool {
	for i := from; i < to; i++ {
		if f.Is(i, name) && f.byte(i-1) != '.' {
			return true
		}
	}
	return false
}

// heldTemporary looks at a guard without a name: it lives until its statement ends, of a match or an if let with its
// blocks.
func (f *File) heldTemporary(g Guard, start, after int) (Guard, bool) {
	calls, end := f.Chain(after)
	for _, c := range calls {
		if c.Awaited {
			g.Uses, g.Await = true, c.I
			return g, true
		}
	}
	if len(calls) == 0 && end == after && f.byte(after) != '.' {
		// lock().await as an argument, or the subject of a match.
		if f.byte(after) != '{' {
			return g, false
		}
	}
	if f.byte(end) != '{' || !f.subject(start) {
		return g, false
	}
	for i, to := end, f.End(end); i < to; i++ {
		switch {
		case f.roles[int32(i)] != 0:
			i = f.End(i) - 1
		case f.Is(i, ".", "await"):
			g.Await = i
			return g, true
		}
	}
	return g, false
}

// subject reports whether an expression is that of a match, an if let or a while let, whose temporaries outlive it.
func (f *File) subject(start int) bool {
	i := start - 1
	for f.byte(i) == '&' || f.byte(i) == '*' || f.Is(i, "mut") {
		i--
	}
	if f.Is(i, "match") {
		return true
	}
	if f.Is(i, "in") {
		return true
	}
	if f.byte(i) != '=' {
		return false
	}
	for n := 0; n < 48 && i > 0; n, i = n+1, i-1 {
		if f.Is(i, "let") {
			return f.Is(i-1, "if") || f.Is(i-1, "while")
		}
		if c := f.byte(i); c == ';' || c == '{' || c == '}' {
			return false
		}
	}
	return false
}
