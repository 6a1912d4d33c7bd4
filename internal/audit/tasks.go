package audit

import (
	"slices"

	"rustgen/internal/audit/rust"
)

// spawns are the functions that start a task.
var spawns = []string{"tokio::spawn", "tokio::task::spawn", "tokio::task::spawn_local", "actix_web::rt::spawn", "actix_rt::spawn"}

// permitWords show that a task is bounded by something that it takes.
var permitWords = []string{
	"acquire", "acquire_owned", "try_acquire", "try_acquire_owned", "acquire_many_owned", "Semaphore", "permit", "buffer_unordered", "buffered",
	"for_each_concurrent", "try_reserve", "reserve", "JoinSet",
}

func unboundedTasks(s *service) (o outcome) {
	calledPer, bounded := map[*rust.Function]string{}, map[*rust.Function]bool{}
	for _, u := range append(s.named(spawns...), s.program.Methods("spawn")...) {
		fn := u.File.Enclosing(u.I)
		if u.Open < 0 || fn == nil || u.Method && !u.File.Is(u.I-2, "tokio") {
			continue
		}
		what := s.spawnsPer(u, fn)
		if what == "" && u.File.StatementAt(u.I) && u.File.Is(u.File.End(u.Open), ";") {
			known, ok := calledPer[fn]
			if !ok {
				known = s.calledPer(fn)
				calledPer[fn] = known
			}
			what = known
		}
		if what == "" {
			continue
		}
		permit, ok := bounded[fn]
		if !ok {
			permit = takesPermit(fn)
			bounded[fn] = permit
		}
		if !permit {
			o.findings = append(o.findings, at(place(u), "a task for each %s, in %s, and nothing bounds how many", what, fn.Name))
		}
	}
	return o
}

// calledPer says what a function is called for, as spawnsPer does.
func (s *service) calledPer(fn *rust.Function) string {
	seen := map[*rust.Function]bool{}
	for _, caller := range s.callers[fn] {
		if seen[caller] {
			continue
		}
		seen[caller] = true
		if takesPermit(caller) {
			continue
		}
		for _, e := range s.program.EdgesIn(caller.File, caller.From, caller.To) {
			if e.Callee != fn || e.Maybe {
				continue
			}
			if what := s.spawnsPer(e.Use, caller); what != "" {
				return what
			}
		}
	}
	return ""
}

// spawnsPer says what a task is spawned for, where that grows with the load: a connection or a message of a loop.
func (s *service) spawnsPer(u rust.Use, fn *rust.Function) string {
	open, ok := u.File.LoopAround(u.I)
	if !ok {
		return ""
	}
	for i := open - 64; i < u.I; i++ {
		if i < fn.From || !u.File.Is(i, ".") {
			continue
		}
		inside := i > open || u.File.LoopHead(i, open)
		if !inside {
			continue
		}
		switch u.File.Text(i + 1) {
		case "accept":
			if u.File.Is(i+2, "(", ")") {
				return "connection"
			}
		case "recv", "next", "recv_from", "message", "try_next", "recv_async":
			if u.File.Is(u.File.End(i+2), ".", "await") || u.File.Is(i+2, "(", ")") {
				return "message"
			}
		case "poll": // rumqttc's event loop
			if u.File.Is(i+2, "(", ")", ".", "await") {
				return "message"
			}
		}
	}
	return ""
}

// takesPermit reports whether a function names something that bounds its tasks.
func takesPermit(fn *rust.Function) bool {
	for i := fn.From; i < fn.To; i++ {
		if slices.Contains(permitWords, fn.File.Text(i)) && fn.File.IsWord(i) {
			return true
		}
	}
	return false
}

// droppedTasks finds background tasks whose handle nobody keeps.
func droppedTasks(s *service) (o outcome) {
	aborts := s.panics() == "abort"
	for _, u := range s.named(spawns...) {
		if u.Open < 0 {
			continue
		}
		end := u.File.End(u.Open)
		if !u.File.StatementAt(u.I) || !u.File.Is(end, ";") {
			continue
		}
		switch {
		case s.serves(u):
			o.findings = append(o.findings, at(place(u), "the handle of the task that serves is dropped: where its port is taken, only the task ends"))
		case !aborts && u.File.LoopsForever(u.Open, end):
			o.findings = append(o.findings, at(place(u), "the handle of a task that runs for ever is dropped"))
		}
	}
	if aborts && len(o.findings) == 0 {
		return absent("a panic ends the process")
	}
	return o
}

// serves reports whether a task is a server: what it is handed makes one, or is a function that does.
func (s *service) serves(u rust.Use) bool {
	makes := map[*rust.Function]bool{}
	for _, v := range s.servers {
		if v.file() == u.File && v.use.I == u.Open+1 {
			return true
		}
		makes[v.file().Enclosing(v.use.I)] = true
	}
	callee := s.program.FirstCall(u)
	return callee != nil && callee.Async && makes[callee]
}
