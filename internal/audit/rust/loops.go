package rust

import (
	"strconv"
	"strings"
)

// Repeats reports whether what stands at i runs more than once, or in a task of its own: inside of a loop, or what is
// handed to spawn.
func (f *File) Repeats(i int) bool { return f.repeats(i, true) }

// GoesOn reports whether what stands at i runs on and on: as Repeats, but a for loop ends.
func (f *File) GoesOn(i int) bool { return f.repeats(i, false) }

func (f *File) repeats(i int, ends bool) bool {
	if i < 0 || i >= len(f.open) {
		return false
	}
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if f.bodies[o] != nil {
			return false
		}
		if f.byte(int(o)) == '(' && f.oneOf(int(o)-1, "spawn", "spawn_local", "service_fn", "spawn_on") {
			return true
		}
		if loop := f.LoopAt(int(o)); loop != "" && (ends || loop != "for" || f.Is(int(o)-3, "incoming")) {
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

// InTask reports whether what stands at i is handed to spawn, in its function.
func (f *File) InTask(i int) bool {
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth && f.bodies[o] == nil; o, n = f.open[o], n+1 {
		if f.byte(int(o)) == '(' && f.oneOf(int(o)-1, "spawn", "spawn_local", "spawn_on") {
			return true
		}
	}
	return false
}

// LoopAround is the brace of the innermost loop or while around i, in its function.
func (f *File) LoopAround(i int) (open int, ok bool) {
	for o, n := f.open[i], 0; o >= 0 && n < maxDepth; o, n = f.open[o], n+1 {
		if f.bodies[o] != nil {
			return 0, false
		}
		if kind := f.LoopAt(int(o)); kind == "loop" || kind == "while" {
			return int(o), true
		}
	}
	return 0, false
}

// Bound is the variable that the value of a method's call is bound to, or nothing.
func (f *File) Bound(u Use) string {
	from, _ := u.Receiver()
	return f.boundTo(from)
}

// PairBound is the second name of the pair that a call is bound to: let (sender, receiver) = channel().
func (f *File) PairBound(u Use) string {
	for i := u.I; i > u.I-16 && i > 3; i-- {
		if f.byte(i) == '=' && f.byte(i-1) == ')' && f.IsWord(i-2) {
			return f.Text(i - 2)
		}
	}
	return ""
}

// LoopOverMessages reports whether a function receives messages in a loop after i, and uses a name in it.
func (f *File) LoopOverMessages(fn *Function, i int, name string) bool {
	for ; i < fn.To; i++ {
		if !f.Is(i, "while", "let") {
			continue
		}
		receives := false
		open := i
		for ; open < min(i+64, fn.To) && f.byte(open) != '{'; open++ {
			receives = receives || f.Is(open, ".", "recv")
		}
		if receives && f.byte(open) == '{' && f.mentionsName(open, f.End(open), name) {
			return true
		}
	}
	return false
}

// LoopHead reports whether i stands between the word of the loop and its brace at open.
func (f *File) LoopHead(i, open int) bool {
	for j := i; j > i-48 && j > 0; j-- {
		if f.Is(j, "while") {
			return f.LoopAt(open) == "while"
		}
		if c := f.byte(j); c == ';' || c == '{' || c == '}' {
			return false
		}
	}
	return false
}

// StatementAt reports whether a statement begins at i.
func (f *File) StatementAt(i int) bool {
	c := f.byte(i - 1)
	return c == ';' || c == '{' || c == '}'
}

// LoopsForever reports whether there is a loop without a break or return between two tokens.
func (f *File) LoopsForever(from, to int) bool {
	for i := from; i < to; i++ {
		if !f.Is(i, "loop", "{") {
			continue
		}
		leaves := false
		for j, end := i+1, f.End(i+1); j < end; j++ {
			leaves = leaves || f.oneOf(j, "break", "return")
		}
		return !leaves
	}
	return false
}

// LongLoop is a loop over a range that is written down as very long.
type LongLoop struct {
	I     int
	Turns string
}

// longLoop is how many turns make a loop long: a worker is held for about a millisecond.
const longLoop = 1_000_000

// LongLoops finds the loops of a function over ranges of a million turns or more, without an await inside.
func (p *Program) LongLoops(fn *Function) (all []LongLoop) {
	f := fn.File
	for i := fn.From; i < fn.To; i++ {
		if !f.Is(i, "for") {
			continue
		}
		for j := i + 1; j < i+48 && f.byte(j) != '{'; j++ {
			if f.byte(j) != '.' || f.byte(j+1) != '.' {
				continue
			}
			at := j + 2
			if f.byte(at) == '=' {
				at++
			}
			turns := f.Text(at)
			if c := p.constants[turns]; len(c) > 0 && c[0].to == c[0].from+1 {
				turns = c[0].file.Text(c[0].from)
			}
			n, err := strconv.Atoi(strings.TrimRight(strings.ReplaceAll(turns, "_", ""), "uisz"))
			body := at
			for body < at+8 && f.byte(body) != '{' {
				body++
			}
			if err == nil && n >= longLoop && f.byte(body) == '{' && !f.awaits(body, f.End(body)) {
				all = append(all, LongLoop{i, f.Text(at)})
			}
			break
		}
	}
	return all
}

func (f *File) awaits(from, to int) bool {
	for i := from; i < to; i++ {
		if f.Is(i, ".", "await") {
			return true
		}
	}
	return false
}

// TypeAt is the last word of the path to a type at i; PathAt, all of its words.
func (f *File) TypeAt(i int) string {
	name, _ := f.typeName(i)
	return name
}

// PathAt is the path at i.
func (f *File) PathAt(i int) []string {
	parts, _ := f.path(i)
	return parts
}

// maxLoops is how many loops are looked into for one that answers.
const maxLoops = 16

// AnsweringLoop is the body of a loop over the messages of a channel, between two tokens, which sends something for each and
// starts nothing else that would work on it.
func (f *File) AnsweringLoop(from, to int) (start, end int, ok bool) {
	for i, loops := from, 0; i < to && loops < maxLoops; i++ {
		if !f.oneOf(i, "while", "for", "loop") {
			continue
		}
		loops++
		open := i + 1
		for ; open < min(i+64, to) && f.byte(open) != '{'; open++ {
			if c := f.byte(open); c == '(' || c == '[' {
				open = f.End(open) - 1
			}
		}
		if f.byte(open) != '{' {
			continue
		}
		head, body := open, f.End(open)
		if f.Is(i, "loop") {
			head = body
		}
		receives := f.Is(i, "for") && f.Find(i, open, "in") > 0 && f.names(i, open, "rx", "receiver", "requests", "commands", "jobs")
		if (receives || f.names(i, head, "recv", "blocking_recv", "iter", "recv_timeout")) &&
			f.names(open, body, "send", "respond", "reply") && !f.names(open, body, "spawn", "spawn_blocking", "install", "spawn_fifo", "scope") {
			return open, body, true
		}
	}
	return 0, 0, false
}

// names reports whether a word of some stands between two tokens.
func (f *File) names(from, to int, words ...string) bool {
	for i := from; i < to; i++ {
		if f.IsWord(i) && f.oneOf(i, words...) {
			return true
		}
	}
	return false
}

// Find is the first place of tokens that follow each other, between two others, or -1.
func (f *File) Find(from, to int, texts ...string) int {
	for i := max(from, 0); i < to; i++ {
		if f.Is(i, texts...) {
			return i
		}
	}
	return -1
}
