package proto

import (
	"errors"
	"io/fs"
	"path"

	"go.yaml.in/yaml/v3"
)

// workspace is what a buf.yaml or buf.work.yaml says of import roots.
type workspace struct {
	modules, excludes []string
	// remote are the modules that buf would take from a registry.
	remote []string
}

// bufFile is what is read of a buf.yaml of any version, and of a buf.work.yaml.
type bufFile struct {
	Version string   `yaml:"version"`
	Deps    []string `yaml:"deps"`
	Modules []struct {
		Path     string   `yaml:"path"`
		Excludes []string `yaml:"excludes"`
	} `yaml:"modules"`
	Build struct {
		Roots    []string `yaml:"roots"`
		Excludes []string `yaml:"excludes"`
	} `yaml:"build"`
	Directories []string `yaml:"directories"`
}

// findBuf reads the configuration that governs a path: a buf.work.yaml or a buf.yaml of version 2 at or above it, else
// the nearest buf.yaml. It is nil where there is none.
func findBuf(files Files, p string) (*workspace, error) {
	dir := p
	if info, err := fs.Stat(files.FS, p); err == nil && !info.IsDir() {
		dir = path.Dir(p)
	}
	var nearest *workspace
	for {
		work, err := readWork(files, dir)
		if work != nil || err != nil {
			return work, err
		}
		config, err := readBuf(files, path.Join(dir, "buf.yaml"))
		if err != nil {
			return nil, err
		}
		if config != nil {
			w := config.roots(dir)
			if config.Version == "v2" {
				return w, nil
			}
			if nearest == nil {
				nearest = w
			}
		}
		if dir == "." || exists(files, path.Join(dir, ".git")) {
			return nearest, nil
		}
		dir = path.Dir(dir)
	}
}

func readBuf(files Files, p string) (*bufFile, error) {
	data, err := files.read(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault(files.shown(p), "rustgen must be able to read it", "%v", cause(err))
	}
	var f bufFile
	if err := yaml.Unmarshal(data, &f); err != nil {
		return nil, fault(files.shown(p), "buf build says what is wrong with it", "%v", err)
	}
	return &f, nil
}

// roots are the import roots that a buf.yaml in a directory says.
func (f *bufFile) roots(dir string) *workspace {
	w := &workspace{remote: f.Deps}
	add := func(to *[]string, names []string, under string) {
		for _, name := range names {
			if p := path.Join(under, name); fs.ValidPath(p) {
				*to = append(*to, p)
			}
		}
	}
	if f.Version == "v2" && len(f.Modules) > 0 {
		for _, m := range f.Modules {
			add(&w.modules, []string{m.Path}, dir)
			add(&w.excludes, m.Excludes, dir)
		}
		return w
	}
	add(&w.modules, f.Build.Roots, dir)
	if len(w.modules) == 0 {
		w.modules = []string{dir}
	}
	add(&w.excludes, f.Build.Excludes, dir)
	return w
}

// readWork reads the modules of a buf.work.yaml, each with a buf.yaml of its own.
func readWork(files Files, dir string) (*workspace, error) {
	work, err := readBuf(files, path.Join(dir, "buf.work.yaml"))
	if work == nil || err != nil {
		return nil, err
	}
	all := &workspace{}
	for _, name := range work.Directories {
		module := path.Join(dir, name)
		if !fs.ValidPath(module) {
			continue
		}
		config, err := readBuf(files, path.Join(module, "buf.yaml"))
		if err != nil {
			return nil, err
		}
		if config == nil {
			config = &bufFile{}
		}
		w := config.roots(module)
		all.modules = append(all.modules, w.modules...)
		all.excludes = append(all.excludes, w.excludes...)
		all.remote = append(all.remote, w.remote...)
	}
	return all, nil
}
