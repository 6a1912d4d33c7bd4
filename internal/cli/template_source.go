package cli

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

// reservedFlags are rustgen's own; no decision may take them.
var reservedFlags = []string{
	"abort", "accessible", "allow-dirty", "allow-downgrade", "answers", "check", "continue", "dir", "dry-run", "format",
	"help", "json", "set", "template", "vcs", "version", "yes",
}

// openedSet is a template set and where it came from.
type openedSet struct {
	*templateset.Set
	setPlace
	files  fs.FS
	engine *render.Engine
	// kept is what a service may keep of the source: a URL, never a path of this machine.
	kept string
	// current are the answers of the service that the set is opened for, for help and completion; unread says that help
	// and completion have not fetched the set.
	current map[string]decision.Recorded
	unread  bool
	// git says more of a set from a repository; nil of another.
	git *vcs.Checkout
}

// exact is what the set renders from.
func (s *openedSet) exact() string { return upgrade.OriginOf(s.Set).String() }

// template is the set as a service is changed by it. A directory is not recorded, and neither is the embedded set: what
// the service says of where its set is from then stays.
func (s *openedSet) template(of *upgrade.Service) *upgrade.Template {
	t := &upgrade.Template{
		Set: s.Set, Engine: s.engine, Source: s.kept, Commit: s.commit(),
		Fault: func(err error) error { return setFault(s.source, err) },
	}
	if t.Source == "" && s.source == "" {
		t.Source, t.Commit = of.Record.Source, of.Record.Commit
	}
	return t
}

// commit is what the set was at in its repository; "" for one that is not from git.
func (s *openedSet) commit() string {
	if s.git == nil {
		return ""
	}
	return s.git.Commit
}

// setPlace is where a template set is read from.
type setPlace struct {
	// source is a directory or a git URL; "" is the embedded set. commit is the one to read of a repository, instead of
	// what the source says.
	source, commit string
	// recorded says that nobody has typed the source: a service's record names it, and may come from anybody.
	recorded bool
}

// placeOf is where a service's set comes from, unless --template names another place.
func placeOf(source string, record *project.Record) setPlace {
	if source != "" || record == nil {
		return setPlace{source: source}
	}
	return setPlace{source: record.Source, recorded: true}
}

// asks reports whether reading a set there tells another machine what nobody has told it to.
func (p setPlace) asks() bool { return p.recorded && vcs.Remote(p.source) }

// openSet reads the set that --template names: the embedded one where it names none.
func (a *app) openSet(ctx context.Context, source string) (*openedSet, error) {
	return a.openPlace(ctx, setPlace{source: source})
}

func (a *app) openPlace(ctx context.Context, from setPlace) (*openedSet, error) {
	return a.open(ctx, from, embedded)
}

// openOwn reads the set that a service was rendered from, in the version that it was rendered from: a release that is
// kept, or the recorded commit. What --template names is taken as it is.
func (a *app) openOwn(ctx context.Context, source string, record *project.Record) (*openedSet, error) {
	under := upgrade.ParseSetID(record.Extends)
	if under.Name != "" {
		if _, err := released(under); err != nil {
			return nil, err
		}
	}
	base := func(name string) (fs.FS, error) {
		if name == under.Name {
			return released(under)
		}
		return embedded(name)
	}
	if source != "" || record.Source != "" {
		from := placeOf(source, record)
		if from.recorded {
			from.commit = record.Commit
		}
		return a.open(ctx, from, base)
	}
	own := upgrade.SetID{Name: record.Template, Version: record.Version}
	if _, err := embedded(own.Name); err != nil {
		return a.openSet(ctx, "")
	}
	opened := &openedSet{engine: render.NewEngineContext(ctx)}
	var err error
	if opened.files, err = released(own); err != nil {
		return nil, err
	}
	if opened.Set, err = templateset.Load(opened.files, base, reservedFlags); err != nil {
		return nil, setFault("", err)
	}
	return opened, nil
}

func (a *app) open(ctx context.Context, from setPlace, base templateset.Lookup) (*openedSet, error) {
	opened := &openedSet{setPlace: from, engine: render.NewEngineContext(ctx)}
	var err error
	switch {
	case from.source == "":
		opened.files, err = embedded(templates.Default)
	case vcs.IsURL(from.source):
		opened.kept = vcs.WithoutSecret(from.source)
		opened.files, opened.git, err = a.cloned(ctx, from)
	default:
		opened.files, err = directory(from.source)
	}
	if err != nil {
		return nil, err
	}
	if err := templateset.Requires(opened.files, readBuild().Version); err != nil {
		return nil, failed("install a rustgen that it can be read by; rustgen version tells this one's", "%w", err)
	}
	opened.Set, err = templateset.Load(opened.files, base, reservedFlags)
	if err != nil {
		return nil, setFault(from.source, err)
	}
	return opened, nil
}

// setFault is an error in a template set; an embedded one has none that a test would not have found.
func setFault(source string, err error) error {
	var known *hint.Error
	if errors.As(err, &known) {
		return err
	}
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

// released is an embedded set in one of its released versions.
func released(id upgrade.SetID) (fs.FS, error) {
	data, err := fs.ReadFile(templates.Releases, "releases/"+id.Name+"-"+id.Version+".tar.gz")
	if err != nil {
		current, err := embedded(id.Name)
		if err != nil {
			return nil, err
		}
		set, err := templateset.Load(current, embedded, reservedFlags)
		if err == nil && set.Version == id.Version {
			return current, nil
		}
		return nil, failed("install the rustgen of whoever upgraded the service last, or a newer one",
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

// cloned reads a set from a git repository, at a commit or at what its source says. The clone goes when the run ends.
func (a *app) cloned(ctx context.Context, at setPlace) (fs.FS, *vcs.Checkout, error) {
	dir, err := os.MkdirTemp("", "rustgen-template-")
	if err != nil {
		return nil, nil, err
	}
	a.atExit = append(a.atExit, func() { _ = os.RemoveAll(dir) })
	mend := "check the URL, the @REF after it, and that git can reach it"
	if at.recorded {
		mend = "the service's record names that set; --template SOURCE uses another place of it"
	}
	from := at.fromGit()
	if at.asks() {
		a.say("fetching the template set from %s, as the service's record says", at.source)
	}
	checkout, err := from.Checkout(ctx, at.commit, dir)
	if errors.Is(err, context.Canceled) {
		return nil, nil, err
	}
	if errors.Is(err, git.ErrMissing) {
		mend = "install git 2.38 or newer"
	}
	if err != nil {
		return nil, nil, failed(mend, "template set %s: %s",
			vcs.WithoutSecret(at.source), strings.ReplaceAll(err.Error(), from.URL, vcs.WithoutSecret(from.URL)))
	}
	return subdirectory(at, from, checkout, dir)
}

// fromGit is a place in git.
func (p setPlace) fromGit() vcs.Source {
	from := vcs.ParseSource(p.source)
	from.Recorded = p.recorded
	return from
}

// subdirectory is the directory of a set within a clone of its repository.
func subdirectory(of setPlace, from vcs.Source, checkout *vcs.Checkout, clone string) (fs.FS, *vcs.Checkout, error) {
	at := filepath.Join(clone, filepath.FromSlash(from.Subdir))
	if _, err := os.Lstat(filepath.Join(at, templateset.ManifestName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, usage("URL//DIR names the directory of the set within its repository",
			"template set %s: there is no %s at %s", vcs.WithoutSecret(of.source), templateset.ManifestName, checkout.Name())
	}
	files, err := rooted(at)
	return files, checkout, err
}

// bare is the cause of a path error, without the operation and the path, which the message names itself.
func bare(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}

// newerTag is the newest released version of a set that is held at a @REF, where it is newer than that. A branch is
// followed, and no release is newer than it.
func (s *openedSet) newerTag(ctx context.Context) (vcs.Release, error) {
	newest, err := s.fromGit().Newest(ctx, ".")
	if err != nil || newest.Tag == "" || newest.Moves || upgrade.CompareVersions(s.Version, newest.Version) != upgrade.Newer {
		return vcs.Release{}, err
	}
	return newest, nil
}

// held is the source of the set, held at another ref.
func (s *openedSet) held(ref string) string {
	url, _ := vcs.SplitRef(s.source)
	return url + "@" + ref
}
