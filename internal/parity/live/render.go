// Package live renders, builds, starts and stops generated services, for tests and benchmarks that talk to them.
package live

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"rustgen/internal/decision"
	"rustgen/internal/layertest"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/templates"
)

// Tree is a rendered service, and the values that its templates saw.
type Tree struct {
	Files tree.Tree
	Data  map[string]any
}

// Render renders the embedded set for decisions that are not the defaults, as a person would type them.
func Render(name string, answers map[string]string) (*Tree, error) {
	given := map[string]decision.Input{}
	for id, value := range answers {
		given[id] = decision.Text(value, decision.FromFlag(id))
	}
	return renderGiven(name, given)
}

// RenderYAML is Render for answers as a YAML file holds them.
func RenderYAML(name string, answers map[string]decision.Raw) (*Tree, error) {
	given := map[string]decision.Input{}
	for id, raw := range answers {
		given[id] = decision.Input{Raw: raw, From: decision.FromFlag(id)}
	}
	return renderGiven(name, given)
}

func renderGiven(name string, given map[string]decision.Input) (*Tree, error) {
	files, err := fs.Sub(templates.FS, templates.Default)
	if err != nil {
		return nil, err
	}
	set, err := templateset.Load(files, nil, nil)
	if err != nil {
		return nil, err
	}
	given[decision.NameID] = decision.Text(name, decision.FromArgument())
	engine := render.NewEngine()
	outcome, err := set.Catalog.Resolve(engine.Eval, decision.Request{Given: given, AcceptDefaults: true})
	if err != nil {
		return nil, err
	}
	if err := outcome.Err(); err != nil {
		return nil, err
	}
	rendered, err := engine.Render(set, outcome.Data)
	if err != nil {
		return nil, err
	}
	return &Tree{rendered, outcome.Data}, nil
}

// Text is a decision or derived value that is a string.
func (t *Tree) Text(key string) string { return t.Data[key].(string) }

// With is the tree with one text in one file replaced. The text must be there.
func (t *Tree) With(name, old, new string) (*Tree, error) {
	file, ok := t.Files[name]
	if !ok || !bytes.Contains(file.Data, []byte(old)) {
		return nil, fmt.Errorf("%s holds no %q", name, old)
	}
	changed := &Tree{t.Files.Clone(), t.Data}
	file.Data = bytes.Replace(file.Data, []byte(old), []byte(new), 1)
	changed.Files[name] = file
	return changed, nil
}

// Write lays the tree out in dir, which holds nothing else afterwards. Every file is new: cargo tells the crates of two
// services that share a target folder apart by nothing but the age of their files.
func (t *Tree) Write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, file := range t.Files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.Data, file.Mode.Perm()); err != nil {
			return err
		}
	}
	if t.Text("layer") == "registry" {
		return layertest.Share(dir)
	}
	return nil
}
