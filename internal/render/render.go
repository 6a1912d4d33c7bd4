// Package render turns a template set and the data of its decisions into a tree. It is pure: the same set and the same
// data give the same bytes, and nothing of a set can run code, read the clock, the environment or a file.
package render

import (
	"fmt"
	"strings"
	"text/template"

	"rustgen/internal/templateset"
	"rustgen/internal/tree"
)

// Render makes the tree of a set. An error is a fault of the set, with file and line.
func (e *Engine) Render(set *templateset.Set, data map[string]any) (tree.Tree, error) {
	out := tree.Tree{}
	origins := map[string]string{}
	for _, source := range set.Sources {
		// By the unrendered path first: a path may use what its own condition guards.
		wanted, err := e.wanted(set.RulesFor(source.Path), data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source.Origin, err)
		}
		if !wanted {
			continue
		}
		p, err := e.path(source, data)
		if err != nil {
			return nil, err
		}
		if p != source.Path {
			if wanted, err = e.wanted(set.RulesFor(p), data); err != nil {
				return nil, fmt.Errorf("%s: %w", source.Origin, err)
			} else if !wanted {
				continue
			}
		}
		if other, ok := origins[p]; ok {
			return nil, fmt.Errorf("%s and %s both render to %s", other, source.Origin, p)
		}
		origins[p] = source.Origin
		file := tree.File{Mode: set.Mode(source.Mode, source.Path, p), Data: source.Data}
		if source.Render {
			text, err := e.Text(source.Origin, string(source.Data), data)
			if err != nil {
				return nil, err
			}
			file.Data = []byte(text)
		}
		out[p] = file
	}
	if err := out.Check(); err != nil {
		return nil, err
	}
	return out, nil
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
	p, err := e.Text("path of "+source.Origin, text, data)
	if err != nil {
		return "", err
	}
	if err := tree.CheckPath(p); err != nil {
		return "", fmt.Errorf("%s: %w", source.Origin, err)
	}
	return p, nil
}
