package rust

import (
	"slices"
	"strings"
)

// threads are calls whose closure runs on a thread of its own, by their last words.
var threads = []string{
	"spawn_blocking", "block_in_place", "thread::spawn", "rayon::spawn", "rayon::scope", "rayon::join", "ThreadPool::install",
	"RecommendedWatcher::new", "PollWatcher::new", "notify::recommended_watcher", "new_debouncer", "asyncify", "blocking::unblock", "unblock", "rayon::spawn_fifo", "web::block", "spawn_compute", "tokio_rayon::spawn",
}

// markHelpers marks what runs off the workers: the closures of calls that hand them to threads, and of the service's own
// functions and macros that do.
func (p *Program) markHelpers() {
	for _, spelled := range threads {
		name := spelled[strings.LastIndex(spelled, ":")+1:]
		for _, u := range p.NamedLike("*" + spelled) {
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
