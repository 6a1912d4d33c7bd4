package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"rustgen/internal/apply"
	"rustgen/internal/cargo"
	"rustgen/internal/decision"
	"rustgen/internal/git"
	"rustgen/internal/hint"
	"rustgen/internal/report"
	"rustgen/internal/tree"
	"rustgen/internal/vcs"
)

// Place is where a new service would stand, and what the run does about what is around it.
type Place struct {
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

// FindPlace looks at what is around a directory that need not exist yet.
func FindPlace(dir string) (*Place, error) {
	real, err := vcs.Real(dir)
	if err != nil {
		return nil, err
	}
	p := &Place{dir: real}
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

// Answers are what a set answers for a service below the root of a repository, as far as nobody else has.
func (p *Place) Answers(c *decision.Catalog, given map[string]decision.Input) map[string]decision.Input {
	if p.repository == "" {
		return given
	}
	all := maps.Clone(given)
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if _, ok := given[d.ID]; !ok && d.Nested != nil {
			all[d.ID] = decision.Input{Raw: d.Nested.Value, From: decision.Source{Way: decision.ByPlace, Name: "the repository around it"}}
		}
	}
	return all
}

// Claim works out what keeps Cargo working in the workspace above a service, and refuses what rustgen cannot mend.
func (p *Place) Claim(t tree.Tree) error {
	p.excluded = nil
	if p.workspace == "" || !isPackage(t) {
		return nil
	}
	w, err := cargo.ReadWorkspace(p.manifest)
	if err != nil {
		return err
	}
	rel := p.relative(p.workspace)
	manifest := report.Near(filepath.Join(p.workspace, cargo.ManifestName))
	switch claim, member := w.Claims(rel, packages(rel, t)); claim {
	case cargo.ByName:
		return hint.Fail(fmt.Sprintf("take %q out of members; the service is a workspace of its own", member),
			"%s lists %q among its members, and Cargo allows no workspace within another", manifest, member)
	case cargo.ByPattern:
		if p.excluded, err = cargo.Exclude(p.manifest, rel); err != nil {
			return hint.Fail("write under [workspace]: "+cargo.Line(rel),
				"%s takes %s for a member by %q, and it cannot be excluded there: %w", manifest, rel, member, err)
		}
	}
	return nil
}

// relative is the way from a directory above the service to it, with slashes.
func (p *Place) relative(from string) string {
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

// Notes say where the service stands and what was done about it.
func (b *Service) Notes(c *decision.Catalog, dryRun bool) []string {
	p := b.Place
	notes := []string{}
	if p.repository != "" {
		notes = append(notes, fmt.Sprintf("%s lies in a repository that exists (its root: %s): no repository and no commit of its own",
			report.Shown(b.Dir), report.Near(p.repository)))
		for i := range c.Decisions {
			d := &c.Decisions[i]
			answer, ok := b.Out.Answers[d.ID]
			if !ok || d.Nested == nil {
				continue
			}
			nested, err := d.Read(d.Nested.Value)
			if err != nil || b.Given[d.ID].From.Way == decision.ByPlace {
				notes = append(notes, fmt.Sprintf("%s %s: %s", d.ID, answer.Value, d.Nested.Reason))
			} else if !nested.Equal(answer.Value) {
				notes = append(notes, fmt.Sprintf("%s %s was asked for, but %s", d.ID, answer.Value, d.Nested.Reason))
			}
		}
	}
	if p.workspace == "" || !isPackage(b.Tree) {
		return notes
	}
	manifest := report.Near(filepath.Join(p.workspace, cargo.ManifestName))
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
func (p *Place) exclude() (undo func(), err error) {
	if p.excluded == nil {
		return func() {}, nil
	}
	file := filepath.Join(p.workspace, cargo.ManifestName)
	now, err := os.ReadFile(file)
	if err != nil || !slices.Equal(now, p.manifest) {
		return nil, hint.Fail("run it again", "%s has changed meanwhile; nothing was written", report.Near(file))
	}
	if err := apply.Replace(p.workspace, cargo.ManifestName, p.excluded); err != nil {
		return nil, hint.Fail("make it writable, or write under [workspace]: "+cargo.Line(p.relative(p.workspace)), "%s: %w", report.Near(p.workspace), err)
	}
	return func() { _ = apply.Replace(p.workspace, cargo.ManifestName, p.manifest) }, nil
}

// settle tells git of what it would otherwise lose: files that an ignore rule names, and executable bits where the
// repository does not look at them.
func (b *Service) settle(ctx context.Context, say Say) {
	repo, err := vcs.Open(b.Place.dir)
	if err != nil || repo == nil {
		return
	}
	ignored, err := repo.Ignored(ctx, b.Tree.Paths())
	if err == nil && len(ignored) > 0 {
		say("warning: git ignores %s, by a rule above %s or of your own: other clones will lack what is ignored", hint.Some(ignored), report.Shown(b.Dir))
		say("hint: git -C %s add --force %s", hint.Quote(b.Dir), quoted(ignored))
	}
	if err := repo.KeepModes(ctx, executables(b.Tree)); err != nil && !errors.Is(err, git.ErrMissing) {
		say("warning: the repository does not look at executable bits, and the index could not be given them: %v", err)
	}
}

func quoted(words []string) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += " "
		}
		text += hint.Quote(w)
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

// AnswersAround adds the answers that follow from the repository around the place of a service, if there is one, to those that
// were given. dir is where it goes; "" is the directory of its name.
func AnswersAround(c *decision.Catalog, given map[string]decision.Input, setName, dir string) (map[string]decision.Input, error) {
	if dir == "" {
		if dir = given[decision.NameID].Raw.String(); decision.CheckName(dir) != nil {
			dir = setName
		}
	}
	around, err := FindPlace(filepath.Clean(dir))
	if err != nil {
		return nil, hint.Fail("choose another --dir", "%s: %w", dir, hint.Cause(err))
	}
	return around.Answers(c, given), nil
}
