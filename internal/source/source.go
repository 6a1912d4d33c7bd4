// Package source is where template sets come from: those in rustgen and their releases, a directory, a git repository.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/afero"

	"rustgen/internal/decision"
	"rustgen/internal/git"
	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/render"
	"rustgen/internal/templateset"
	"rustgen/internal/tree"
	"rustgen/internal/upgrade"
	"rustgen/internal/vcs"
	"rustgen/templates"
)

// Set is a template set and where it came from.
type Set struct {
	*templateset.Set
	Place
	Files  fs.FS
	Engine *render.Engine
	// Kept is what a service may keep of the source: a URL, never a path of this machine.
	Kept string
	// Current are the answers of the service that the set is opened for, for help and completion; Unread says that help
	// and completion have not fetched the set.
	Current map[string]decision.Recorded
	Unread  bool
	// Git says more of a set from a repository; nil of another.
	Git *vcs.Checkout
}

// Exact is what the set renders from.
func (s *Set) Exact() string { return upgrade.OriginOf(s.Set).String() }

// Template is the set as a service is changed by it. A directory is not recorded, and neither is the embedded set: what
// the service says of where its set is from then stays.
func (s *Set) Template(of *upgrade.Service) *upgrade.Template {
	t := &upgrade.Template{
		Set: s.Set, Engine: s.Engine, Source: s.Kept, Commit: s.Commit(),
		Fault: func(err error) error { return Fault(s.Source, err) },
	}
	if t.Source == "" && s.Source == "" {
		t.Source, t.Commit = of.Record.Source, of.Record.Commit
	}
	return t
}

// Commit is what the set was at in its repository; "" for one that is not from git.
func (s *Set) Commit() string {
	if s.Git == nil {
		return ""
	}
	return s.Git.Commit
}

// Place is where a template set is read from.
type Place struct {
	// Source is a directory or a git URL; "" is the embedded set. At is the commit to read of a repository, instead of
	// what the source says.
	Source, At string
	// Recorded says that nobody has typed the source: a service's record names it, and may come from anybody.
	Recorded bool
}

// PlaceOf is where a service's set comes from, unless --template names another place.
func PlaceOf(source string, record *project.Record) Place {
	if source != "" || record == nil {
		return Place{Source: source}
	}
	return Place{Source: record.Source, Recorded: true}
}

// Asks reports whether reading a set there tells another machine what nobody has told it to.
func (p Place) Asks() bool { return p.Recorded && vcs.Remote(p.Source) }

// Opener opens template sets. What it has fetched for them goes when it is closed.
type Opener struct {
	// Reserved are flags that no decision may take, Version is that of this rustgen.
	Reserved []string
	Version  string
	// Say tells a person what is fetched.
	Say func(format string, args ...any)

	clones []string
}

// Close removes what was fetched.
func (o *Opener) Close() {
	for _, dir := range o.clones {
		_ = os.RemoveAll(dir)
	}
	o.clones = nil
}

// Open reads the set at a place.
func (o *Opener) Open(ctx context.Context, from Place) (*Set, error) {
	return o.open(ctx, from, Embedded)
}

// OpenOwn reads the set that a service was rendered from, in the version that it was rendered from: a release that is
// kept, or the recorded commit. What --template names is taken as it is.
func (o *Opener) OpenOwn(ctx context.Context, source string, record *project.Record) (*Set, error) {
	under := upgrade.ParseSetID(record.Extends)
	if under.Name != "" {
		if _, err := o.released(under); err != nil {
			return nil, err
		}
	}
	base := func(name string) (fs.FS, error) {
		if name == under.Name {
			return o.released(under)
		}
		return Embedded(name)
	}
	if source != "" || record.Source != "" {
		from := PlaceOf(source, record)
		if from.Recorded {
			from.At = record.Commit
		}
		return o.open(ctx, from, base)
	}
	own := upgrade.SetID{Name: record.Template, Version: record.Version}
	if _, err := Embedded(own.Name); err != nil {
		return o.Open(ctx, Place{})
	}
	opened := &Set{Engine: render.NewEngineContext(ctx)}
	var err error
	if opened.Files, err = o.released(own); err != nil {
		return nil, err
	}
	if opened.Set, err = templateset.Load(opened.Files, base, o.Reserved); err != nil {
		return nil, Fault("", err)
	}
	return opened, nil
}

func (o *Opener) open(ctx context.Context, from Place, base templateset.Lookup) (*Set, error) {
	opened := &Set{Place: from, Engine: render.NewEngineContext(ctx)}
	var err error
	switch {
	case from.Source == "":
		opened.Files, err = Embedded(templates.Default)
	case vcs.IsURL(from.Source):
		opened.Kept = vcs.WithoutSecret(from.Source)
		opened.Files, opened.Git, err = o.cloned(ctx, from)
	default:
		opened.Files, err = directory(from.Source)
	}
	if err != nil {
		return nil, err
	}
	if err := templateset.Requires(opened.Files, o.Version); err != nil {
		return nil, hint.Fail("install a rustgen that it can be read by; rustgen version tells this one's", "%w", err)
	}
	opened.Set, err = templateset.Load(opened.Files, base, o.Reserved)
	if err != nil {
		return nil, Fault(from.Source, err)
	}
	return opened, nil
}

// Fault is an error in a template set; an embedded one has none that a test would not have found.
func Fault(source string, err error) error {
	var known *hint.Error
	if errors.As(err, &known) {
		return err
	}
	named, command := "the embedded template set", "rustgen template validate"
	if source != "" {
		named = vcs.WithoutSecret(source)
		command += " " + hint.Quote(named)
	}
	return hint.Fail(command+" names what else is wrong with the set", "%s: %w", named, err)
}

// Embedded is a set that is part of rustgen.
func Embedded(name string) (fs.FS, error) {
	if _, err := fs.Stat(templates.FS, name); err != nil || strings.Contains(name, "/") {
		return nil, fmt.Errorf("there is no embedded set %q; the embedded set is %s", name, templates.Default)
	}
	return fs.Sub(templates.FS, name)
}

// released is an embedded set in one of its released versions.
func (o *Opener) released(id upgrade.SetID) (fs.FS, error) {
	data, err := fs.ReadFile(templates.Releases, "releases/"+id.Name+"-"+id.Version+".tar.gz")
	if err != nil {
		current, err := Embedded(id.Name)
		if err != nil {
			return nil, err
		}
		set, err := templateset.Load(current, Embedded, o.Reserved)
		if err == nil && set.Version == id.Version {
			return current, nil
		}
		return nil, hint.Fail("install the rustgen of whoever upgraded the service last, or a newer one",
			"the service is of %s, which this rustgen does not have", id)
	}
	files, err := tree.FromArchive(data)
	if err != nil {
		return nil, err
	}
	memory := afero.NewMemMapFs()
	for p, f := range files {
		if err := afero.WriteFile(memory, p, f.Data, f.Mode); err != nil {
			return nil, err
		}
	}
	return afero.NewIOFS(memory), nil
}

func directory(dir string) (fs.FS, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, hint.Refuse("--template takes a directory or a git URL", "template set %s: %w", dir, hint.Cause(err))
	case !info.IsDir():
		return nil, hint.Refuse("--template takes the directory that holds template.yaml", "template set %s is not a directory", dir)
	}
	if _, err := os.Lstat(filepath.Join(dir, templateset.ManifestName)); errors.Is(err, fs.ErrNotExist) {
		return nil, hint.Refuse("--template takes the directory that holds template.yaml", "template set %s has no %s", dir, templateset.ManifestName)
	}
	return Rooted(dir)
}

// Rooted is a directory whose links cannot lead out of it.
func Rooted(dir string) (fs.FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return root.FS(), nil
}

// cloned reads a set from a git repository, at a commit or at what its source says. The clone goes when the run ends.
func (o *Opener) cloned(ctx context.Context, at Place) (fs.FS, *vcs.Checkout, error) {
	dir, err := os.MkdirTemp("", "rustgen-template-")
	if err != nil {
		return nil, nil, err
	}
	o.clones = append(o.clones, dir)
	mend := "check the URL, the @REF after it, and that git can reach it"
	if at.Recorded {
		mend = "the service's record names that set; --template SOURCE uses another place of it"
	}
	from := at.fromGit()
	if at.Asks() {
		o.Say("fetching the template set from %s, as the service's record says", at.Source)
	}
	checkout, err := from.Checkout(ctx, at.At, dir)
	if errors.Is(err, context.Canceled) {
		return nil, nil, err
	}
	if errors.Is(err, git.ErrMissing) {
		mend = "install git 2.38 or newer"
	}
	if err != nil {
		return nil, nil, hint.Fail(mend, "template set %s: %s",
			vcs.WithoutSecret(at.Source), strings.ReplaceAll(err.Error(), from.URL, vcs.WithoutSecret(from.URL)))
	}
	return subdirectory(at, from, checkout, dir)
}

// fromGit is a place in git.
func (p Place) fromGit() vcs.Source {
	from := vcs.ParseSource(p.Source)
	from.Recorded = p.Recorded
	return from
}

// subdirectory is the directory of a set within a clone of its repository.
func subdirectory(of Place, from vcs.Source, checkout *vcs.Checkout, clone string) (fs.FS, *vcs.Checkout, error) {
	at := filepath.Join(clone, filepath.FromSlash(from.Subdir))
	if _, err := os.Lstat(filepath.Join(at, templateset.ManifestName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, hint.Refuse("URL//DIR names the directory of the set within its repository",
			"template set %s: there is no %s at %s", vcs.WithoutSecret(of.Source), templateset.ManifestName, checkout.Name())
	}
	files, err := Rooted(at)
	return files, checkout, err
}

// NewerTag is the newest released version of a set that is held at a @REF, where it is newer than that. A branch is
// followed, and no release is newer than it.
func (s *Set) NewerTag(ctx context.Context) (vcs.Release, error) {
	newest, err := s.fromGit().Newest(ctx, ".")
	if err != nil || newest.Tag == "" || newest.Moves || upgrade.CompareVersions(s.Version, newest.Version) != upgrade.Newer {
		return vcs.Release{}, err
	}
	return newest, nil
}

// HeldAt is the source of the set, held at another ref.
func (s *Set) HeldAt(ref string) string {
	url, _ := vcs.SplitRef(s.Source)
	return url + "@" + ref
}

// Now is the answer of the service that the set is opened for.
func (s *Set) Now(d *decision.Decision) (string, bool) {
	recorded, ok := s.Current[d.ID]
	if !ok {
		return "", false
	}
	value, err := d.Read(recorded.Value)
	if err != nil {
		return "", false
	}
	return value.String(), true
}
