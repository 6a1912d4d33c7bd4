package audit

import (
	"slices"
	"strings"

	"rustgen/internal/audit/rust"
)

// flow finds the functions that run for a call (handlers and all that they reach), and those that run once at the start
// (main and what only main reaches).
func (s *service) flow() {
	calls := map[*rust.Function][]*rust.Function{}
	callers := map[*rust.Function][]*rust.Function{}
	repeated, onThread, elsewhere := map[*rust.Function]bool{}, map[*rust.Function]bool{}, map[*rust.Function]bool{}
	for _, u := range s.program.Edges() {
		caller, callee := u.Caller, u.Callee
		calls[caller] = append(calls[caller], callee)
		callers[callee] = append(callers[callee], caller)
		if u.File.GoesOn(u.I) {
			repeated[callee] = true
		}
		if u.File.Off(u.I) {
			onThread[callee] = true
		} else {
			elsewhere[callee] = true
		}
	}
	s.aside = map[*rust.Function]bool{}
	for fn := range onThread {
		s.aside[fn] = fn.Async && !elsewhere[fn]
	}
	s.hot = map[*rust.Function]bool{}
	var pending []*rust.Function
	for _, f := range s.program.Files() {
		for _, fn := range f.Functions() {
			if (handles(fn) || s.program.Routed(fn)) && !(helps(fn) && len(callers[fn]) > 0) {
				pending = append(pending, fn)
			}
		}
	}
	for len(pending) > 0 {
		fn := pending[0]
		pending = pending[1:]
		if !s.hot[fn] {
			s.hot[fn] = true
			pending = append(pending, calls[fn]...)
		}
	}
	s.callers = callers
	s.findRereading()
	s.findStartup(repeated)
}

// findRereading takes the functions that read what has changed: they wait for changes of files, or only such call them.
func (s *service) findRereading() {
	watches := map[*rust.Function]bool{}
	for _, f := range s.program.Files() {
		for _, fn := range f.Functions() {
			watches[fn] = watchesFiles(fn)
		}
	}
	s.rereads = map[*rust.Function]bool{}
	for fn, own := range watches {
		callers := s.callers[fn]
		s.rereads[fn] = own || !s.hot[fn] && len(callers) > 0 && !slices.ContainsFunc(callers, func(c *rust.Function) bool { return !watches[c] })
	}
}

// findStartup takes main, and then every function that only such functions call, outside of loops.
func (s *service) findStartup(repeated map[*rust.Function]bool) {
	s.startup = map[*rust.Function]bool{}
	for again := true; again; {
		again = false
		for _, f := range s.program.Files() {
			for _, fn := range f.Functions() {
				if s.startup[fn] || s.hot[fn] || repeated[fn] || fn.Trait != "" {
					continue
				}
				from := s.callers[fn]
				once := len(from) > 0 && !slices.ContainsFunc(from, func(c *rust.Function) bool { return !s.startup[c] })
				if once || fn.Name == "main" && fn.Type == "" {
					s.startup[fn], again = true, true
				}
			}
		}
	}
}

// requests are the types by which a parameter shows that a function answers calls.
var requests = []string{"Request", "HttpRequest", "ServiceRequest", "Multipart", "Extension", "Json", "Form", "Query"}

// handles reports whether a function answers calls: a method of a service's trait, a handler of axum or actix, a
// middleware.
func handles(fn *rust.Function) bool {
	if fn.HasAttribute("get", "post", "put", "patch", "delete", "head", "handler", "utoipa") && fn.Async {
		return true
	}
	if fn.AnswersRPC() {
		return true
	}
	f := fn.File
	if fn.Async && fn.Returns("Status") && len(fn.Params) > 0 && fn.Params[0].Name == "self" {
		return true
	}
	for _, p := range fn.Params {
		for i := p.From; i < p.To; i++ {
			name := f.Text(i)
			if !slices.Contains(requests, name) {
				continue
			}
			if fn.Trait != "" && (fn.Async || fn.Name == "call") && !strings.Contains(fn.Trait, "FromRequest") {
				return true
			}
			if fn.Trait == "" && fn.Async && name != "Request" && f.Is(i+1, "<") {
				return true
			}
		}
	}
	return false
}

// helps reports whether a function only looks like a handler by the status that it returns: its callers say what it is for.
func helps(fn *rust.Function) bool {
	f := fn.File
	for _, p := range fn.Params {
		for i := p.From; i < p.To; i++ {
			if slices.Contains(requests, f.Text(i)) {
				return false
			}
		}
	}
	return fn.Trait == "" && fn.Returns("Status") && !fn.Returns("Response")
}

// once reports whether a use runs at the start alone, or in an async function that has a thread to itself.
func (s *service) once(u rust.Use) bool {
	fn := u.File.Enclosing(u.I)
	return fn != nil && (s.startup[fn] && !u.File.GoesOn(u.I) || s.aside[fn] && !u.File.InTask(u.I))
}

// isHot reports whether a use runs for every call.
func (s *service) isHot(u rust.Use) bool { return s.hot[u.File.Enclosing(u.I)] }

// spelled reports whether a use means one of some paths: a whole path, or its end after "*".
func (s *service) spelled(u rust.Use, names ...string) (string, bool) {
	if u.Method {
		name := "." + u.File.Text(u.I)
		return name, slices.Contains(names, name)
	}
	for _, whole := range s.program.Spelled(u) {
		for _, name := range names {
			if matches(whole, name) {
				return whole, true
			}
		}
	}
	return "", false
}

// named finds the uses of paths or methods: a whole path, its end after "*", or ".method".
func (s *service) named(names ...string) (all []rust.Use) {
	for _, name := range names {
		if method, ok := strings.CutPrefix(name, "."); ok {
			all = append(all, s.program.Methods(method)...)
			continue
		}
		for _, u := range s.program.NamedLike(name) {
			if _, ok := s.spelled(u, name); ok {
				all = append(all, u)
			}
		}
	}
	return all
}

func matches(have, want string) bool {
	if end, ok := strings.CutPrefix(want, "*"); ok {
		return have == strings.TrimPrefix(end, "::") || strings.HasSuffix(have, end)
	}
	return have == want
}
