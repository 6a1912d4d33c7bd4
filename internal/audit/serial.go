package audit

import (
	"fmt"

	"rustgen/internal/audit/rust"
)

// serialWorkers finds threads that work off the calls of all connections one after the other: a loop over a channel's
// messages, in a thread that is started once, which computes or waits for each and sends an answer back.
//
// A task or a thread that owns state, and only looks it up or changes it, has the same form and is as it should be. So
// there has to be evidence that a turn is long: foreign code (unsafe), a call that blocks or hashes, a loop of very many
// turns, in what the loop calls. And what runs for calls has to wait for an answer of its own, by a oneshot channel.
func serialWorkers(s *service) (o outcome) {
	waits := s.answered()
	for _, u := range s.named("*::spawn_blocking", "std::thread::spawn", ".spawn_blocking") {
		fn := u.File.Enclosing(u.I)
		if u.Open < 0 || fn == nil || s.hot[fn] || u.File.Repeats(u.I) || !waits[u.File.Package()] {
			continue
		}
		if work := s.longTurn(u); work != "" {
			o.findings = append(o.findings, at(place(u), "one thread answers each call in turn, and computes for it: %s", work))
		}
	}
	return o
}

// answered are the packages in which what runs for a call makes a channel for its answer.
func (s *service) answered() map[*rust.Package]bool {
	packages := map[*rust.Package]bool{}
	for _, u := range s.named("*oneshot::channel") {
		if u.Open >= 0 && s.isHot(u) {
			packages[u.File.Package()] = true
		}
	}
	return packages
}

// longTurn is what makes a turn of the loop over messages long, in what a thread is given or in the function that this
// calls; nothing where there is no such loop, or no evidence.
func (s *service) longTurn(u rust.Use) string {
	from, to := u.Open, u.File.End(u.Open)
	if loop, end, ok := u.File.AnsweringLoop(from, to); ok {
		return s.evidence(u.File, loop, end)
	}
	for _, e := range s.program.EdgesIn(u.File, from, to) {
		f := e.Callee.File
		if loop, end, ok := f.AnsweringLoop(e.Callee.From, e.Callee.To); ok {
			return s.evidence(f, loop, end)
		}
	}
	return ""
}

// maxReach is how many calls deep evidence is looked for.
const maxReach = 5

// evidence looks for what takes long between two tokens, and in the functions that are called there.
func (s *service) evidence(f *rust.File, from, to int) string {
	if at := f.Find(from, to, "unsafe", "{"); at > 0 {
		return fmt.Sprintf("foreign code (%s)", Place{f.Path, f.Line(at)})
	}
	long := s.longCalls()
	seen := map[*rust.Function]bool{}
	var pending []*rust.Function
	for _, e := range s.program.EdgesIn(f, from, to) {
		if !e.Maybe {
			pending = append(pending, e.Callee)
		}
	}
	for _, c := range long[f.Enclosing(from)] {
		if c.use.File == f && from < c.use.I && c.use.I < to {
			return fmt.Sprintf("%s (%s)", c.what, place(c.use))
		}
	}
	for range maxReach {
		var next []*rust.Function
		for _, fn := range pending {
			if seen[fn] {
				continue
			}
			seen[fn] = true
			if at := fn.File.Find(fn.From, fn.To, "unsafe", "{"); at > 0 {
				return fmt.Sprintf("foreign code (%s)", Place{fn.File.Path, fn.File.Line(at)})
			}
			if all := long[fn]; len(all) > 0 {
				return fmt.Sprintf("%s (%s)", all[0].what, place(all[0].use))
			}
			if all := s.program.LongLoops(fn); len(all) > 0 {
				return fmt.Sprintf("a loop of %s turns (%s)", all[0].Turns, Place{fn.File.Path, fn.File.Line(all[0].I)})
			}
			for _, e := range s.program.EdgesIn(fn.File, fn.From, fn.To) {
				if !e.Maybe {
					next = append(next, e.Callee)
				}
			}
		}
		pending = next
	}
	return ""
}

// longCalls are the calls that block or hash, by the function that they stand in; those that a thread waits for its messages
// with are none.
func (s *service) longCalls() map[*rust.Function][]cause {
	all := map[*rust.Function][]cause{}
	for _, c := range append(s.waits(), s.hashes()...) {
		if name := c.use.File.Text(c.use.I); name != "blocking_recv" && name != "recv" && name != "blocking_send" {
			fn := c.use.File.Enclosing(c.use.I)
			all[fn] = append(all[fn], c)
		}
	}
	return all
}
