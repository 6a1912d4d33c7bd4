// Package render turns a template set and the data of its decisions into a tree. It is pure: the same set and the same
// data give the same bytes, and nothing of a set can run code, read the clock, the environment or a file.
package render

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"text/template"

	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

// maxWorkers is where an engine more costs what it saves.
const maxWorkers = 4

// Render makes the tree of a set. An error is a fault of the set, with file and line: the first one, in the order of the
// paths.
//
// Files may ask for own_api, which is there only where a service is made around an API that exists; it is false elsewhere.
func (e *Engine) Render(set *templateset.Set, data map[string]any) (tree.Tree, error) {
	if _, ok := data["own_api"]; !ok {
		data = maps.Clone(data)
		data["own_api"] = false
	}
	todo, err := e.selected(set, data)
	if err != nil {
		return nil, err
	}
	e.inParallel(len(todo), func(e *Engine, i int) {
		r := &todo[i]
		r.path, r.file, r.err = e.file(set, r.source, r.data)
	})
	out := make(tree.Tree, len(todo))
	origins := make(map[string]string, len(todo))
	for _, r := range todo {
		if r.err != nil {
			return nil, r.err
		}
		if r.path == "" {
			continue
		}
		switch other, ok := origins[r.path]; {
		case ok && other == r.source.Origin:
			return nil, fmt.Errorf("%s renders to %s more than once; its path needs .item", other, r.path)
		case ok:
			return nil, fmt.Errorf("%s and %s both render to %s", other, r.source.Origin, r.path)
		}
		origins[r.path] = r.source.Origin
		out[r.path] = r.file
	}
	if err := out.Check(); err != nil {
		return nil, err
	}
	return out, nil
}

// Origin is what a rendered file is made of: a file of the set, and the item that it was rendered for, if it is one of
// several.
type Origin struct{ Source, Item string }

// Origins are the origins of the files that a set renders, by their paths.
func (e *Engine) Origins(set *templateset.Set, data map[string]any) (map[string]Origin, error) {
	todo, err := e.selected(set, data)
	if err != nil {
		return nil, err
	}
	origins := make(map[string]Origin, len(todo))
	for _, r := range todo {
		p, err := e.path(r.source, r.data)
		if err != nil {
			return nil, err
		}
		item, _ := r.data["item"].(string)
		origins[p] = Origin{Source: r.source.Path, Item: item}
	}
	return origins, nil
}

// rendering is one file to render, and what came of it.
type rendering struct {
	source templateset.Source
	data   map[string]any
	path   string
	file   tree.File
	err    error
}

// selected are the renderings that the rules of a set ask for.
func (e *Engine) selected(set *templateset.Set, data map[string]any) ([]rendering, error) {
	var todo []rendering
	for _, source := range set.Sources {
		// By the unrendered path first: a path may use what its own condition guards.
		rules := set.RulesFor(source.Path)
		wanted, err := e.wanted(rules, data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Origin, err)
		}
		if !wanted {
			continue
		}
		each, err := e.each(rules, data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Origin, err)
		}
		for _, data := range each {
			todo = append(todo, rendering{source: source, data: data})
		}
	}
	return todo, nil
}

// inParallel calls do for 0 to n-1, on every processor, each with an engine of its own.
func (e *Engine) inParallel(n int, do func(e *Engine, i int)) {
	var next atomic.Int64
	work := func(e *Engine) {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(e, i)
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxWorkers) - 1 {
		others.Go(func() { work(newEngine(template.Must(e.blank.Clone()))) })
	}
	work(e)
	others.Wait()
}

// file renders one source; the path is empty where a condition on the rendered path leaves it out.
func (e *Engine) file(set *templateset.Set, source templateset.Source, data map[string]any) (string, tree.File, error) {
	p, err := e.path(source, data)
	if err != nil {
		return "", tree.File{}, err
	}
	if p != source.Path {
		wanted, err := e.wanted(set.RulesFor(p), data)
		if err != nil {
			return "", tree.File{}, fmt.Errorf("%s: %w", source.Origin, err)
		}
		if !wanted {
			return "", tree.File{}, nil
		}
	}
	file := tree.File{Mode: set.Mode(source.Mode, source.Path, p), Data: source.Data}
	if source.Render {
		if file.Data, err = e.Text(source.Origin, string(source.Data), data); err != nil {
			return "", tree.File{}, err
		}
	}
	return p, file, nil
}

// each gives the data of every rendering of a file that rules speak of.
func (e *Engine) each(rules []templateset.FileRule, data map[string]any) ([]map[string]any, error) {
	for _, r := range rules {
		if r.Each != "" {
			return e.Each(r.Each, data)
		}
	}
	return []map[string]any{data}, nil
}

// Each gives the data once where there is no expression, or for every item of the list that it gives, the same with .item.
func (e *Engine) Each(expression string, data map[string]any) ([]map[string]any, error) {
	if expression == "" {
		return []map[string]any{data}, nil
	}
	value, err := e.Eval(expression, data)
	if err != nil {
		return nil, err
	}
	items, ok := value.([]string)
	if !ok {
		return nil, fmt.Errorf("each: %q gives no list of strings", expression)
	}
	var all []map[string]any
	for _, item := range items {
		with := maps.Clone(data)
		with["item"] = item
		all = append(all, with)
	}
	return all, nil
}

// wanted reports whether every condition among the rules holds.
func (e *Engine) wanted(rules []templateset.FileRule, data map[string]any) (bool, error) {
	for _, r := range rules {
		if r.When == "" {
			continue
		}
		value, err := e.Eval(r.When, data)
		if err != nil {
			return false, err
		}
		if ok, _ := template.IsTrue(value); !ok {
			return false, nil
		}
	}
	return true, nil
}

// pathDelims are the delimiters under another spelling: neither Windows nor go:embed can hold < and > in a file's name.
var pathDelims = strings.NewReplacer("{%", leftDelim, "%}", rightDelim)

func (e *Engine) path(source templateset.Source, data map[string]any) (string, error) {
	text := pathDelims.Replace(source.Path)
	if !strings.Contains(text, leftDelim) {
		return source.Path, nil
	}
	rendered, err := e.Text("path of "+source.Origin, text, data)
	if err != nil {
		return "", err
	}
	p := string(rendered)
	if err := tree.CheckPath(p); err != nil {
		return "", fmt.Errorf("%s: %w", source.Origin, err)
	}
	return p, nil
}

// Path renders a path that is not a file's own, such as one that a rename records.
func (e *Engine) Path(p string, data map[string]any) (string, error) {
	return e.path(templateset.Source{Path: p, Origin: p}, data)
}
