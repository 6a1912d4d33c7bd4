package rust

import "slices"

// Call is one method of a chain: its name, and the bracket of its arguments.
type Call struct {
	File    *File
	Name    string
	I, Open int
	// Awaited says that .await follows.
	Awaited bool
}

// Args are the tokens between its parentheses.
func (c Call) Args() (from, to int) { return c.Open + 1, c.File.End(c.Open) - 1 }

// Line is where it stands.
func (c Call) Line() int { return c.File.Line(c.I) }

// Chain follows what is called on an expression from i on, and says where it ends.
func (f *File) Chain(i int) (calls []Call, end int) {
	for i < len(f.tokens) {
		switch c := f.byte(i); {
		case c == '?':
			i++
		case c == '(' || c == '[':
			i = f.End(i)
		case c == '.' && f.Is(i+1, "await"):
			if len(calls) > 0 {
				calls[len(calls)-1].Awaited = true
			}
			i += 2
		case c == '.' && f.IsWord(i+1):
			after := f.generics(i + 2)
			if f.byte(after) == '(' {
				calls = append(calls, Call{File: f, Name: f.Text(i + 1), I: i + 1, Open: after})
				i = f.End(after)
			} else {
				i = after
			}
		default:
			return calls, i
		}
	}
	return calls, i
}

// start is where the expression begins that ends before i, the dot of a method.
func (f *File) start(i int) int {
	for n := 0; n < maxHead && i > 0; n++ {
		switch c := f.byte(i - 1); {
		case (c == ')' || c == ']') && f.partner[i-1] >= 0:
			i = int(f.partner[i-1])
			if f.byte(i-1) == '!' {
				i--
			}
		case c == '?' || c == '.':
			i--
		case c == ':' && f.byte(i-2) == ':':
			i -= 2
		case c == '>':
			open := f.anglesBack(i - 1)
			if open < 0 {
				return i
			}
			i = open
		case f.IsWord(i-1) && !f.oneOf(i-1, "return", "in", "if", "match", "while", "else", "move", "let", "mut", "ref", "break"):
			i--
			if c := f.byte(i - 1); c != '.' && c != ':' {
				return i
			}
		default:
			return i
		}
	}
	return i
}

func (f *File) anglesBack(i int) int {
	depth := 0
	for n := 0; n < 64 && i-n >= 0; n++ {
		switch f.byte(i - n) {
		case '>':
			depth++
		case '<':
			if depth--; depth == 0 && f.byte(i-n-1) == ':' {
				return i - n
			}
		case ';', '{', '}':
			return -1
		}
	}
	return -1
}

// Receiver is the expression that a method is called on.
func (u Use) Receiver() (from, to int) { return u.File.start(u.I - 1), u.I - 1 }

// bound finds the variable that an expression from start is bound to: let [mut] name [: type] = expression.
func (f *File) boundTo(start int) string {
	i := start - 1
	for n := 0; n < 8 && f.oneOf(i, "&", "mut"); n++ {
		i--
	}
	if f.byte(i) != '=' || f.byte(i-1) == '=' {
		return ""
	}
	for n := 0; n < 64 && i > 0; n++ {
		i--
		if c := f.byte(i); c == ';' || c == '{' || c == '}' {
			break
		}
		if f.Is(i, "let") {
			if f.Is(i+1, "mut") {
				i++
			}
			if f.IsWord(i + 1) {
				return f.Text(i + 1)
			}
			return ""
		}
	}
	if f.IsWord(start-2) && f.byte(start-3) != '.' { // name = expression;
		return f.Text(start - 2)
	}
	return ""
}

// Traced is a builder from where it begins: all that it is told, and whether its end was seen.
type Traced struct {
	Calls []Call
	// Lost says where it went out of sight, or is empty.
	Lost string
	// LostAt is the token of it.
	LostAt int
}

// Trace follows a builder that begins at the use: its chain, the variable that it is bound to, helper functions of the
// service that it is handed to or returned from.
func (p *Program) Trace(u Use) Traced {
	t := Traced{}
	from := u.File.End(u.Open)
	p.follow(&t, u.File, u.I, from, maxSteps)
	return t
}

// follow takes the chain of the expression that begins at start, from its postfix on.
func (p *Program) follow(t *Traced, f *File, start, postfix, steps int) {
	calls, end := f.Chain(postfix)
	t.Calls = append(t.Calls, calls...)
	if steps == 0 {
		return
	}
	if slices.ContainsFunc(calls, func(c Call) bool { return finishes(c.Name) }) {
		return
	}
	fn := f.Enclosing(start)
	if name := f.boundTo(start); name != "" && fn != nil {
		p.followVariable(t, f, fn, name, end, steps)
		return
	}
	if fn != nil && p.returned(f, fn, start, end) {
		p.followCallers(t, fn, steps)
		return
	}
	if open := f.open[start]; open >= 0 && f.byte(int(open)) == '(' && f.IsWord(int(open)-1) {
		if p.followArgument(t, f, int(open), start, steps) {
			return
		}
	}
	if f.byte(start-1) == ':' || f.byte(end) == ',' || f.byte(end) == ')' {
		t.Lost, t.LostAt = f.Text(start), start
	}
}

// finishes are methods that end a builder of a server or of a connection.
func finishes(name string) bool {
	switch name {
	case "serve", "serve_with_shutdown", "serve_with_incoming", "serve_with_incoming_shutdown", "serve_connection", "build",
		"serve_connection_with_upgrades", "connect", "connect_lazy", "connect_with_connector", "connect_with_connector_lazy":
		return true
	}
	return false
}

// followVariable takes all that is called on a variable in its function, and where it is handed to.
func (p *Program) followVariable(t *Traced, f *File, fn *Function, name string, from, steps int) {
	for i := from; i < fn.To; i++ {
		if !f.Is(i, name) || f.byte(i-1) == '.' || f.byte(i-1) == ':' || f.byte(i+1) == ':' && f.byte(i+2) == ':' {
			continue
		}
		switch c := f.byte(i + 1); {
		case c == '.' || c == '?':
			calls, end := f.Chain(i + 1)
			t.Calls = append(t.Calls, calls...)
			if slices.ContainsFunc(calls, func(c Call) bool { return finishes(c.Name) }) {
				continue
			}
			if other := f.boundTo(i); other != "" && other != name {
				p.followVariable(t, f, fn, other, end, steps-1)
			} else if p.returned(f, fn, i, end) {
				p.followCallers(t, fn, steps)
			}
			if steps == 0 {
				return
			}
		case c == '}' && i+2 >= fn.To, p.returned(f, fn, i, i+1):
			p.followCallers(t, fn, steps)
		case c == ',' || c == ')':
			if open := int(f.open[i]); open >= 0 && f.byte(open) == '(' && steps > 0 {
				if !p.followArgument(t, f, open, i, steps) && t.Lost == "" && f.IsWord(open-1) && !f.oneOf(open-1, "Ok", "Some", "Box", "drop") {
					t.Lost, t.LostAt = f.Text(open-1), open-1
				}
			}
		}
	}
}

// returned reports whether an expression is what its function returns.
func (p *Program) returned(f *File, fn *Function, start, end int) bool {
	for f.byte(start-1) == '(' && f.byte(end) == ')' && f.oneOf(start-2, "Ok", "Some") {
		start, end = start-2, end+1
	}
	if f.Is(start-1, "return") {
		return true
	}
	return end == fn.To-1 && fn.From < start
}

// followCallers goes on where a function is called.
func (p *Program) followCallers(t *Traced, fn *Function, steps int) {
	if steps == 0 {
		return
	}
	callers := p.callers(fn)
	if len(callers) == 0 {
		t.Lost, t.LostAt = fn.Name, fn.From
	}
	for n, u := range callers {
		if n == 8 {
			break
		}
		start := u.I
		if u.Method {
			start = u.File.start(u.I - 1)
		}
		p.follow(t, u.File, start, u.File.End(u.Open), steps-1)
	}
}

// followArgument goes on in the function that the expression at i is handed to.
func (p *Program) followArgument(t *Traced, f *File, open, i, steps int) bool {
	fn := p.callee(f, open)
	if fn == nil {
		return false
	}
	at := f.argument(open, i)
	if len(fn.Params) > 0 && fn.Params[0].Name == "self" && f.byte(open-2) == '.' {
		at++
	}
	if at >= len(fn.Params) {
		return false
	}
	p.followVariable(t, fn.File, fn, fn.Params[at].Name, fn.From, steps-1)
	return true
}

// argument counts which argument of the call at open holds the token i.
func (f *File) argument(open, i int) (n int) {
	for j := open + 1; j < i; j++ {
		switch f.byte(j) {
		case ',':
			n++
		case '(', '[', '{':
			if e := f.End(j) - 1; e < i {
				j = e
			}
		}
	}
	return n
}
