package rust

import (
	"strconv"
	"strings"
)

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
