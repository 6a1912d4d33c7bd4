package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rustgen/internal/decision"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/vcs"
	"rustgen/templates"
)

// reservedFlags are rustgen's own; no decision may take them.
var reservedFlags = []string{
	"abort", "accessible", "allow-dirty", "answers", "check", "continue", "dir", "dry-run", "format", "help", "json",
	"set", "template", "vcs", "version", "yes",
}

// openedSet is a template set and where it came from.
type openedSet struct {
	*templateset.Set
	files  fs.FS
	engine *render.Engine
	// source is what --template said; recorded is what a service may keep of it: a URL, never a path of this machine.
	source, recorded string
	// current are the answers of the service that the set is opened for, for help and completion; unread says that help
	// and completion have not fetched the set.
	current map[string]decision.Recorded
	unread  bool
}

// exact is what the set renders from.
func (s *openedSet) exact() string { return exactly(s.Name, s.Version, s.Base) }

// openSet reads the set that --template names: the embedded one where it names none.
func (a *app) openSet(ctx context.Context, source string) (*openedSet, error) {
	opened := &openedSet{source: source, engine: render.NewEngine()}
	var err error
	switch {
	case source == "":
		opened.files, err = embedded(templates.Default)
	case vcs.IsURL(source):
		opened.recorded = vcs.WithoutSecret(source)
		opened.files, err = a.cloned(ctx, source)
	default:
		opened.files, err = directory(source)
	}
	if err != nil {
		return nil, err
	}
	if err := templateset.Requires(opened.files, readBuild().Version); err != nil {
		return nil, failed("install a rustgen that it can be read by; rustgen version tells this one's", "%w", err)
	}
	opened.Set, err = templateset.Load(opened.files, embedded, reservedFlags)
	if err != nil {
		return nil, setFault(source, err)
	}
	return opened, nil
}

// setFault is an error in a template set; an embedded one has none that a test would not have found.
func setFault(source string, err error) error {
	named, command := "the embedded template set", "rustgen template validate"
	if source != "" {
		named = vcs.WithoutSecret(source)
		command += " " + quote(named)
	}
	return failed(command+" names what else is wrong with the set", "%s: %w", named, err)
}

func embedded(name string) (fs.FS, error) {
	if _, err := fs.Stat(templates.FS, name); err != nil || strings.Contains(name, "/") {
		return nil, fmt.Errorf("there is no embedded set %q; the embedded set is %s", name, templates.Default)
	}
	return fs.Sub(templates.FS, name)
}

func directory(dir string) (fs.FS, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, usage("--template takes a directory or a git URL", "template set %s: %w", dir, bare(err))
	case !info.IsDir():
		return nil, usage("--template takes the directory that holds template.yaml", "template set %s is not a directory", dir)
	}
	if _, err := os.Lstat(filepath.Join(dir, templateset.ManifestName)); errors.Is(err, fs.ErrNotExist) {
		return nil, usage("--template takes the directory that holds template.yaml", "template set %s has no %s", dir, templateset.ManifestName)
	}
	return rooted(dir)
}

// rooted is a directory whose links cannot lead out of it.
func rooted(dir string) (fs.FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return root.FS(), nil
}

// cloned reads a set from a git repository. The clone goes when the run ends.
func (a *app) cloned(ctx context.Context, source string) (fs.FS, error) {
	url, ref := vcs.SplitRef(source)
	dir, err := os.MkdirTemp("", "rustgen-template-")
	if err != nil {
		return nil, err
	}
	a.atExit = append(a.atExit, func() { _ = os.RemoveAll(dir) })
	if err := vcs.Clone(ctx, url, ref, dir); errors.Is(err, context.Canceled) {
		return nil, err
	} else if err != nil {
		return nil, failed("check the URL, the @REF after it, and that git can reach it", "template set %s: %s",
			vcs.WithoutSecret(source), strings.ReplaceAll(err.Error(), url, vcs.WithoutSecret(url)))
	}
	return rooted(dir)
}

// bare is the cause of a path error, without the operation and the path, which the message names itself.
func bare(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
