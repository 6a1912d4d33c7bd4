package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"rustgen/internal/apply"
	"rustgen/internal/cargo"
	"rustgen/internal/decision"
	"rustgen/internal/git"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// place is where a new service would stand, and what the run does about what is around it.
type place struct {
	// dir is the service's directory without links, repository the root of the repository above it; "" outside one, or
	// where the service is its root.
	dir, repository string
	// workspace is the directory of the Cargo workspace above, manifest what its manifest holds; "" without one.
	workspace string
	manifest  []byte
	// excluded is the manifest with the service left out, where the workspace would take the service for its own.
	excluded []byte
}

// maxWorkspace is the most that is read of a workspace's manifest.
const maxWorkspace = 1 << 20

// findPlace looks at what is around a directory that need not exist yet.
func findPlace(dir string) (*place, error) {
	real, err := vcs.Real(dir)
	if err != nil {
		return nil, err
	}
	p := &place{dir: real}
	if p.repository, err = vcs.Repository(real); err != nil {
		return nil, err
	}
	if p.repository == real {
		p.repository = ""
	}
	for at := filepath.Dir(real); ; at = filepath.Dir(at) {
		manifest, err := tree.ReadRegular(os.DirFS(at), cargo.ManifestName, maxWorkspace)
		if err == nil {
			// What Cargo cannot read either is no workspace.
			if w, err := cargo.ReadWorkspace(manifest); err == nil && w != nil {
				p.workspace, p.manifest = at, manifest
				return p, nil
			}
		}
		if at == filepath.Dir(at) {
			return p, nil
		}
	}
}

// answers are what a set answers for a service below the root of a repository, as far as nobody else has.
func (p *place) answers(set *openedSet, given map[string]decision.Input) map[string]decision.Input {
	if p.repository == "" {
		return given
	}
	all := maps.Clone(given)
	for i := range set.Catalog.Decisions {
		d := &set.Catalog.Decisions[i]
		if _, ok := given[d.ID]; !ok && d.Nested != nil {
			all[d.ID] = decision.Input{Raw: d.Nested.Value, From: decision.Source{Way: decision.ByPlace, Name: "the repository around it"}}
		}
	}
	return all
}

// claim works out what keeps Cargo working in the workspace above a service, and refuses what rustgen cannot mend.
func (p *place) claim(t tree.Tree) error {
	p.excluded = nil
	if p.workspace == "" || !isPackage(t) {
		return nil
	}
	w, err := cargo.ReadWorkspace(p.manifest)
	if err != nil {
		return err
	}
	rel := p.relative(p.workspace)
	manifest := near(filepath.Join(p.workspace, cargo.ManifestName))
	switch claim, member := w.Claims(rel, packages(rel, t)); claim {
	case cargo.ByName:
		return failed(fmt.Sprintf("take %q out of members; the service is a workspace of its own", member),
			"%s lists %q among its members, and Cargo allows no workspace within another", manifest, member)
	case cargo.ByPattern:
		if p.excluded, err = cargo.Exclude(p.manifest, rel); err != nil {
			return failed("write under [workspace]: "+cargo.Line(rel),
				"%s takes %s for a member by %q, and it cannot be excluded there: %w", manifest, rel, member, err)
		}
	}
	return nil
}

// relative is the way from a directory above the service to it, with slashes.
func (p *place) relative(from string) string {
	rel, err := filepath.Rel(from, p.dir)
	if err != nil {
		return p.dir
	}
	return filepath.ToSlash(rel)
}

func isPackage(t tree.Tree) bool { _, ok := t[cargo.ManifestName]; return ok }

// packages lists the directories below the service that hold a package.
func packages(service string, t tree.Tree) []string {
	var dirs []string
	for _, p := range t.Paths() {
		if dir, name := path.Split(p); name == cargo.ManifestName && dir != "" {
			dirs = append(dirs, path.Join(service, dir))
		}
	}
	return dirs
}

// notes say where the service stands and what was done about it.
func (p *place) notes(set *openedSet, b *bootstrap, dryRun bool) []string {
	notes := []string{}
	if p.repository != "" {
		notes = append(notes, fmt.Sprintf("%s lies in a repository that exists (its root: %s): no repository and no commit of its own",
			shown(b.dir), near(p.repository)))
		for i := range set.Catalog.Decisions {
			d := &set.Catalog.Decisions[i]
			answer, ok := b.out.Answers[d.ID]
			if !ok || d.Nested == nil {
				continue
			}
			nested, err := d.Read(d.Nested.Value)
			if err != nil || b.given[d.ID].From.Way == decision.ByPlace {
				notes = append(notes, fmt.Sprintf("%s %s: %s", d.ID, answer.Value, d.Nested.Reason))
			} else if !nested.Equal(answer.Value) {
				notes = append(notes, fmt.Sprintf("%s %s was asked for, but %s", d.ID, answer.Value, d.Nested.Reason))
			}
		}
	}
	if p.workspace == "" || !isPackage(b.tree) {
		return notes
	}
	manifest := near(filepath.Join(p.workspace, cargo.ManifestName))
	did := "was"
	if dryRun {
		did = "would be"
	}
	if p.excluded == nil {
		return append(notes, fmt.Sprintf("the Cargo workspace of %s does not take it for a member: it is a workspace of its own", manifest))
	}
	return append(notes, fmt.Sprintf("%q %s added to exclude in %s, whose workspace would take it for a member: it is a workspace of its own",
		p.relative(p.workspace), did, manifest))
}

// exclude writes the manifest that leaves the service out. undo brings the old one back.
func (p *place) exclude() (undo func(), err error) {
	if p.excluded == nil {
		return func() {}, nil
	}
	file := filepath.Join(p.workspace, cargo.ManifestName)
	now, err := os.ReadFile(file)
	if err != nil || !slices.Equal(now, p.manifest) {
		return nil, failed("run it again", "%s has changed meanwhile; nothing was written", near(file))
	}
	if err := apply.Replace(p.workspace, cargo.ManifestName, p.excluded); err != nil {
		return nil, failed("make it writable, or write under [workspace]: "+cargo.Line(p.relative(p.workspace)), "%s: %w", near(p.workspace), err)
	}
	return func() { _ = apply.Replace(p.workspace, cargo.ManifestName, p.manifest) }, nil
}

// settle tells git of what it would otherwise lose: files that an ignore rule names, and executable bits where the
// repository does not look at them.
func (a *app) settle(ctx context.Context, p *place, b *bootstrap) {
	repo, err := vcs.Open(p.dir)
	if err != nil || repo == nil {
		return
	}
	ignored, err := repo.Ignored(ctx, b.tree.Paths())
	if err == nil && len(ignored) > 0 {
		a.say("warning: git ignores %s, by a rule above %s or of your own: other clones will lack what is ignored", some(ignored), shown(b.dir))
		a.say("hint: git -C %s add --force %s", quote(b.dir), quoted(ignored))
	}
	if err := repo.KeepModes(ctx, executables(b.tree)); err != nil && !errors.Is(err, git.ErrMissing) {
		a.say("warning: the repository does not look at executable bits, and the index could not be given them: %v", err)
	}
}

func quoted(words []string) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += " "
		}
		text += quote(w)
	}
	return text
}

func executables(t tree.Tree) []string {
	var paths []string
	for _, p := range t.Paths() {
		if t[p].Mode == tree.ModeExec {
			paths = append(paths, p)
		}
	}
	return paths
}

// refuseExisting refuses a directory that is to be made and exists, or that cannot be made where it is to be.
func refuseExisting(dir, mend string) error {
	_, err := os.Lstat(dir)
	switch {
	case err == nil:
		return failed(mend, "%s exists", dir)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return failed(mend, "%s: %w", dir, bare(err))
	}
}

// absentDir reports whether a directory does not exist.
func absentDir(dir string) bool {
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist)
}
