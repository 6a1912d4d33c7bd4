// Package render turns a template set and the data of its decisions into a tree. It is pure: the same set and the same
// data give the same bytes, and nothing of a set can run code, read the clock, the environment or a file.
package render

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
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
	out, faults := e.RenderAll(set, data)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	return out, nil
}

// withOwnAPI says that there is no own_api where nothing does.
func withOwnAPI(data map[string]any) map[string]any {
	if _, ok := data["own_api"]; ok {
		return data
	}
	data = maps.Clone(data)
	data["own_api"] = false
	return data
}

// RenderAll is Render that goes on after a fault, and gives all of them with what could be rendered.
func (e *Engine) RenderAll(set *templateset.Set, data map[string]any) (tree.Tree, []error) {
	type result struct {
		tree   tree.Tree
		faults []error
	}
	r, err := within(e.budget, func() (result, error) {
		t, faults := e.render(set, data)
		return result{t, faults}, nil
	})
	if err != nil {
		return nil, []error{err}
	}
	return r.tree, r.faults
}

func (e *Engine) render(set *templateset.Set, data map[string]any) (tree.Tree, []error) {
	todo, faults := e.selected(set, withOwnAPI(data))
	// The largest first: whoever meets one at the end would keep the others waiting.
	order := make([]int, len(todo))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return todo[b].cost() - todo[a].cost() })
	e.inParallel(len(todo), func(e *Engine, i int) {
		r := &todo[order[i]]
		r.path, r.file, r.err = e.file(set, r.source, r.data)
	})
	out := make(tree.Tree, len(todo))
	origins := make(map[string]string, len(todo))
	for _, r := range todo {
		if r.err != nil {
			faults = append(faults, r.err)
			continue
		}
		if r.path == "" {
			continue
		}
		switch other, ok := origins[r.path]; {
		case ok && other == r.source.Origin:
			faults = append(faults, fmt.Errorf("%s renders to %s more than once; its path needs .item", other, r.path))
			continue
		case ok:
			faults = append(faults, fmt.Errorf("%s and %s both render to %s", other, r.source.Origin, r.path))
			continue
		}
		origins[r.path] = r.source.Origin
		out[r.path] = r.file
	}
	if err := out.Check(); err != nil && len(faults) == 0 {
		faults = append(faults, err)
	}
	return out, faults
}

// Origin is what a rendered file is made of: a file of the set, and the item that it was rendered for, if it is one of
// several.
type Origin struct{ Source, Item string }

// Origins are the origins of the files that a set renders, by their paths.
func (e *Engine) Origins(set *templateset.Set, data map[string]any) (map[string]Origin, error) {
	return within(e.budget, func() (map[string]Origin, error) { return e.origins(set, data) })
}

func (e *Engine) origins(set *templateset.Set, data map[string]any) (map[string]Origin, error) {
	todo, faults := e.selected(set, withOwnAPI(data))
	if len(faults) > 0 {
		return nil, faults[0]
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

// cost is about how long a rendering takes: that of a template as long as its text.
func (r *rendering) cost() int {
	if !r.source.Render {
		return 0
	}
	return len(r.source.Data)
}

// selected are the renderings that the rules of a set ask for, and what is wrong with the rules.
func (e *Engine) selected(set *templateset.Set, data map[string]any) (todo []rendering, faults []error) {
	for _, source := range set.Sources {
		// By the unrendered path first: a path may use what its own condition guards.
		rules := set.RulesFor(source.Path)
		wanted, err := e.wanted(rules, data)
		if err == nil && !wanted {
			continue
		}
		var each []map[string]any
		if err == nil {
			each, err = e.each(rules, data)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", source.Origin, err))
			continue
		}
		for _, data := range each {
			if todo = append(todo, rendering{source: source, data: data}); len(todo) > tree.MaxFiles {
				return nil, append(faults, fmt.Errorf("%s: renders to more than %d files", source.Origin, tree.MaxFiles))
			}
		}
	}
	return todo, faults
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
		others.Go(func() { work(newEngine(template.Must(e.blank.Clone()), e.budget)) })
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
		file.Data, err = e.text(source.Origin, string(source.Data), data)
	} else if err = e.budget.write(len(source.Data)); err != nil {
		err = fmt.Errorf("%s: %w", source.Origin, err)
	}
	if err != nil {
		return "", tree.File{}, err
	}
	return p, file, nil
}

// each gives the data of every rendering of a file that rules speak of.
func (e *Engine) each(rules []templateset.FileRule, data map[string]any) ([]map[string]any, error) {
	for _, r := range rules {
		if r.Each != "" {
			return e.items(r.Each, data)
		}
	}
	return []map[string]any{data}, nil
}

// Each gives the data once where there is no expression, or for every item of the list that it gives, the same with .item.
func (e *Engine) Each(expression string, data map[string]any) ([]map[string]any, error) {
	if expression == "" {
		return []map[string]any{data}, nil
	}
	return within(e.budget, func() ([]map[string]any, error) { return e.items(expression, data) })
}

func (e *Engine) items(expression string, data map[string]any) ([]map[string]any, error) {
	value, err := e.eval(expression, data)
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
		value, err := e.eval(r.When, data)
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
	rendered, err := e.text("path of "+source.Origin, text, data)
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
	return within(e.budget, func() (string, error) { return e.path(templateset.Source{Path: p, Origin: p}, data) })
}
