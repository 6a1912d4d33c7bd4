package vcs

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
)

// Branch is the first branch of a new repository: the one that generated pipelines name.
const Branch = "main"

// Init makes a repository of dir.
func Init(ctx context.Context, dir string) error {
	_, err := Git(ctx, dir, "init", "--quiet", "--initial-branch="+Branch)
	return err
}

// CommitAll commits all that is in dir, what a person's own ignore file names too: no part of a new service is to be
// missing from its first commit. executable are the files that are committed as such, also where the file system cannot
// say so.
func CommitAll(ctx context.Context, dir, message string, executable []string) error {
	if _, err := Git(ctx, dir, "add", "--all", "--force"); err != nil {
		return err
	}
	if len(executable) > 0 {
		if _, err := Git(ctx, dir, append([]string{"update-index", "--chmod=+x", "--"}, executable...)...); err != nil {
			return err
		}
	}
	_, err := Git(ctx, dir, "commit", "--quiet", "--message", message)
	return err
}

// Ignored lists those of the service's paths that git would not add, because an ignore rule names them.
func (s *Service) Ignored(ctx context.Context, paths []string) ([]string, error) {
	out, err := Git(ctx, filepath.Join(s.Top, filepath.FromSlash(s.prefix)), "ls-files", "-z", "--others", "--ignored", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var ignored []string
	for p := range strings.SplitSeq(out, "\x00") {
		if slices.Contains(paths, p) {
			ignored = append(ignored, p)
		}
	}
	return ignored, nil
}

// KeepModes notes in the index that new files are executable, where the repository is told not to look at that on the
// disk: a later git add would leave it out.
func (s *Service) KeepModes(ctx context.Context, executable []string) error {
	if len(executable) == 0 {
		return nil
	}
	dir := filepath.Join(s.Top, filepath.FromSlash(s.prefix))
	looks, err := Git(ctx, dir, "config", "--type=bool", "--default=true", "core.fileMode")
	if err != nil || strings.TrimSpace(looks) != "false" {
		return err
	}
	_, err = Git(ctx, dir, append([]string{"--literal-pathspecs", "add", "--force", "--intent-to-add", "--chmod=+x", "--"}, executable...)...)
	return err
}
