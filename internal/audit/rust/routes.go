package rust

import (
	"slices"
	"strings"
)

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

// Mentioned reports whether the name of a function stands anywhere but in its declaration and in imports.
func (p *Program) Mentioned(fn *Function) bool {
	for _, f := range p.sorted {
		if !strings.Contains(f.Source, fn.Name) {
			continue
		}
		importing := false
		for i := range f.tokens {
			switch {
			case f.Is(i, "use"):
				importing = f.byte(i-1) != '.'
			case f.byte(i) == ';':
				importing = false
			case !importing && f.Is(i, fn.Name) && !f.Is(i-1, "fn"):
				return true
			}
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
