package upgrade

import (
	"context"
	"slices"
	"strings"

	"rustgen/internal/hint"
	"rustgen/internal/tree"
)

// Written finds the template's files at a path or below it. An owned file is only found by its own path.
func (s *Service) Written(p string) []string {
	return slices.DeleteFunc(s.Base.Paths(), func(b string) bool {
		below := p == "." || strings.HasPrefix(b, p+"/")
		return b != p && (!below || s.owned(b))
	})
}

// Restore plans how files come back to what the template last wrote. Edits that are nowhere else are only lost with force.
func (s *Service) Restore(ctx context.Context, paths []string, force bool) (*Plan, error) {
	ours, err := s.Worktree(ctx, nil, paths)
	if err != nil {
		return nil, err
	}
	p := &Plan{What: "rustgen restore"}
	for _, at := range paths {
		if c := between(ours, s.Base, at); c.Writes() {
			c.Verdict = Restored
			p.Changes = append(p.Changes, c)
		}
	}
	if err := s.refuseAbsent(p); err != nil || force {
		return p, err
	}
	return p, s.refuseLoss(ctx, ours, p.Touched())
}

// refuseLoss refuses to overwrite an edit that is nowhere else.
func (s *Service) refuseLoss(ctx context.Context, ours tree.Tree, paths []string) error {
	edited := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { _, ok := ours[p]; return !ok })
	if s.Repo != nil && len(edited) > 0 {
		dirty, err := s.Dirty(ctx)
		if err != nil {
			return err
		}
		tracked, _, err := s.Repo.Files(ctx)
		if err != nil {
			return gitFault("tell what is committed", err)
		}
		// A conflict in which the user's side stays is dirty by its index alone.
		edited = slices.DeleteFunc(edited, func(p string) bool {
			return tracked[p] && !dirty[p] || dirty[p] && s.Repo.Committed(ctx, p, ours[p])
		})
	}
	if len(edited) > 0 {
		return hint.Fail("commit or copy them, or --allow-dirty", "the edits are not committed and would be lost: %s", hint.Some(edited))
	}
	return nil
}
