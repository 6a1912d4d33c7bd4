package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"rustgen/internal/hint"
	"rustgen/internal/project"
	"rustgen/internal/tree"
)

// damaged is an error in the record, with the way back that leads out of this very situation.
func (s *Service) damaged(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, project.ErrNewer):
		return hint.Fail("install the rustgen of whoever upgraded the service last, or a newer one", "%w", err)
	case errors.Is(err, project.ErrPointer):
		return hint.Fail("git lfs pull brings the file itself; .rustgen/.gitattributes keeps LFS away from it from the next upgrade on", "%w", err)
	}
	if s.Repo != nil && s.recordUnmerged(ctx) {
		return s.recordConflict(ctx)
	}
	ways := s.waysBack(ctx)
	if len(ways) == 0 {
		ways = []string{"no commit here has a good one: a copy of .rustgen from elsewhere is the only way back"}
	}
	mend := strings.Join(ways, "; ")
	if errors.Is(err, project.ErrEdited) {
		mend = "decisions change by rustgen set; " + mend
	}
	return hint.Fail(mend, "%w", err)
}

// waysBack are the commands that bring the record back, tried before they are named.
func (s *Service) waysBack(ctx context.Context) []string {
	var ways []string
	if s.Repo != nil {
		if s.good(ctx, "") {
			ways = append(ways, "git restore .rustgen brings the committed one back")
		} else if commit := s.lastGood(ctx); commit != "" {
			ways = append(ways, fmt.Sprintf("git restore --source=%s .rustgen brings the last good one back", commit))
		}
	}
	_, base, edited, err := project.Salvage(s.Root)
	switch {
	case err != nil || edited && base == nil:
	case edited:
		ways = append(ways, "rustgen restore .rustgen makes it anew from what it says")
	default:
		ways = append(ways, "rustgen restore .rustgen makes it anew")
	}
	return ways
}

// lastGood is the newest commit with a record that is as rustgen wrote it.
func (s *Service) lastGood(ctx context.Context) string {
	const most = "50"
	commits, err := s.Repo.History(ctx, most, project.Dir)
	if err != nil {
		return ""
	}
	for _, c := range commits {
		if s.good(ctx, c) {
			return c
		}
	}
	return ""
}

// good reports whether a commit, or the index (""), has a record that is as rustgen wrote it.
func (s *Service) good(ctx context.Context, revision string) bool {
	answers, err := s.Repo.Show(ctx, revision, project.AnswersPath)
	if err != nil {
		return false
	}
	snapshot, err := s.Repo.Show(ctx, revision, project.SnapshotPath)
	return err == nil && project.Vouches(answers, snapshot)
}

// recordUnmerged reports whether a merge by git has left the record in conflict.
func (s *Service) recordUnmerged(ctx context.Context) bool {
	unmerged, err := s.Repo.Unmerged(ctx)
	if err != nil {
		return false
	}
	for p := range unmerged {
		if strings.HasPrefix(p, project.Dir+"/") {
			return true
		}
	}
	return false
}

// recordConflict explains the conflict of two upgrades, each on a branch of its own: both have rewritten the record, and
// only one of them can be what the template wrote last.
func (s *Service) recordConflict(ctx context.Context) error {
	side, other := "--ours", "--theirs"
	ours, theirs := s.recordOf(ctx, ":2"), s.recordOf(ctx, ":3")
	if ours == nil || theirs != nil && rendered(theirs).compare(rendered(ours)) == Older {
		side, other = other, side
	}
	describe := func(r *project.Record) string {
		if r == nil {
			return "none"
		}
		return rendered(r).String()
	}
	return hint.Fail(
		fmt.Sprintf("take one side of all that conflicts: git checkout %s -- . && git add --all . && git commit --no-edit; then rustgen upgrade (or rustgen set) brings in the rest (%s takes the other side)", side, other),
		"git's merge has left .rustgen in conflict: ours is of %s, theirs of %s", describe(ours), describe(theirs))
}

// recordOf is the record in a stage of the index, if there is a good one.
func (s *Service) recordOf(ctx context.Context, stage string) *project.Record {
	data, err := s.Repo.Show(ctx, stage, project.AnswersPath)
	if err != nil {
		return nil
	}
	r, err := project.Decode(data)
	if err != nil {
		return nil
	}
	return r
}

// Salvaged reads what is still good of a damaged record, so that its set can be found.
func (s *Service) Salvaged(ctx context.Context) (*project.Record, error) {
	record, base, edited, err := project.Salvage(s.Root)
	if err == nil && edited && base == nil {
		err = errors.New("answers.yaml was edited and base.tar.gz is not its snapshot: neither vouches for the other")
	}
	if err != nil {
		return nil, s.damaged(ctx, err)
	}
	s.Service = &project.Service{Record: record}
	return record, nil
}

// Mend plans what makes a damaged record good again: rendered is what the template of the record's own version writes
// with the record's decisions, for where the snapshot is lost.
func (s *Service) Mend(order []string, rendered func() (tree.Tree, error)) (*Plan, error) {
	record, base, _, err := project.Salvage(s.Root)
	if err != nil {
		return nil, err
	}
	if base == nil {
		if base, err = rendered(); err != nil {
			return nil, err
		}
	}
	files, err := record.Files(order, base)
	if err != nil {
		return nil, err
	}
	before, err := project.Own(s.Root)
	if err != nil {
		return nil, err
	}
	p := &Plan{What: "rustgen restore"}
	for _, at := range files.Paths() {
		p.Changes = append(p.Changes, between(before, files, at))
	}
	return p, nil
}

// Absent reports whether an error says that there is nothing.
func Absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
