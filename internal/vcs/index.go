package vcs

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"rustgen/internal/git"
	"rustgen/internal/tree"
)

// Service is a directory inside a repository.
type Service struct {
	// Top is the repository's work tree, prefix the way from there to the service, with a slash behind it.
	Top, prefix string
}

// Open finds the repository that dir lies in; nil outside one.
func Open(dir string) (*Service, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, err
	}
	top, err := Repository(real)
	if err != nil || top == "" {
		return nil, err
	}
	prefix, err := filepath.Rel(top, real)
	if err != nil {
		return nil, err
	}
	s := &Service{Top: top}
	if prefix != "." {
		s.prefix = filepath.ToSlash(prefix) + "/"
	}
	return s, nil
}

// Dirty lists the files of the service that are tracked and not as they were committed.
func (s *Service) Dirty(ctx context.Context) (map[string]bool, error) {
	out, err := s.git(ctx, "--no-optional-locks", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no",
		"--ignore-submodules", "--", s.where())
	if err != nil {
		return nil, err
	}
	dirty := map[string]bool{}
	for entry := range strings.SplitSeq(out, "\x00") {
		if len(entry) > 3 {
			dirty[strings.TrimPrefix(entry[3:], s.prefix)] = true
		}
	}
	return dirty, nil
}

// where limits a command to the service. Git runs at the top and not in the service: there it would take a HEAD, objects
// and refs that the service holds for a repository, and do what their configuration says.
func (s *Service) where() string {
	if s.prefix == "" {
		return "."
	}
	return ":(top,literal)" + strings.TrimSuffix(s.prefix, "/")
}

func (s *Service) git(ctx context.Context, args ...string) (string, error) {
	return git.Run(ctx, git.Call{Dir: s.Top, Args: args})
}

// Files lists the files of the service that git tracks, and those that it neither tracks nor ignores.
func (s *Service) Files(ctx context.Context) (tracked, untracked map[string]bool, err error) {
	list := func(which ...string) (map[string]bool, error) {
		args := append([]string{"ls-files", "-z"}, which...)
		out, err := s.git(ctx, append(args, "--", s.where())...)
		if err != nil {
			return nil, err
		}
		files := map[string]bool{}
		for p := range strings.SplitSeq(strings.TrimSuffix(out, "\x00"), "\x00") {
			files[strings.TrimPrefix(p, s.prefix)] = p != ""
		}
		return files, nil
	}
	if tracked, err = list("--cached"); err != nil {
		return nil, nil, err
	}
	untracked, err = list("--others", "--exclude-standard")
	return tracked, untracked, err
}

// Unmerged lists the paths of the service that the index holds as conflicts.
func (s *Service) Unmerged(ctx context.Context) (map[string]bool, error) {
	out, err := s.git(ctx, "ls-files", "-z", "--unmerged", "--", s.where())
	if err != nil {
		return nil, err
	}
	paths := map[string]bool{}
	for entry := range strings.SplitSeq(out, "\x00") {
		if _, p, ok := strings.Cut(entry, "\t"); ok {
			paths[strings.TrimPrefix(p, s.prefix)] = true
		}
	}
	return paths, nil
}

// Tracks reports whether git has anything at or below a path of the service.
func (s *Service) Tracks(ctx context.Context, p string) (bool, error) {
	out, err := s.git(ctx, "--literal-pathspecs", "ls-files", "-z", "--", s.prefix+p)
	return out != "", err
}

// Entries reads what the index holds of paths, as UpdateIndex takes it.
func (s *Service) Entries(ctx context.Context, paths []string) ([]string, error) {
	args := []string{"--literal-pathspecs", "ls-files", "-z", "--stage", "--full-name", "--"}
	for _, p := range paths {
		args = append(args, s.prefix+p)
	}
	out, err := s.git(ctx, args...)
	if err != nil {
		return nil, err
	}
	var entries []string
	for entry := range strings.SplitSeq(out, "\x00") {
		if head, p, ok := strings.Cut(entry, "\t"); ok {
			entries = append(entries, head+"\t"+strings.TrimPrefix(p, s.prefix))
		}
	}
	return entries, nil
}

// Committed reports whether the last commit has a file as it stands, whatever the index says of its path. It is false, too,
// where git cannot tell.
func (s *Service) Committed(ctx context.Context, p string, f tree.File) bool {
	entry, err := s.git(ctx, "--literal-pathspecs", "ls-tree", "-z", "HEAD", "--", s.prefix+p)
	if err != nil {
		return false
	}
	object, err := s.object(ctx, p, f)
	head, _, _ := strings.Cut(entry, "\t")
	return err == nil && head == f.GitMode()+" blob "+object
}

// Conflict puts the three sides of a path into the index, so that git and editors see a merge.
type Conflict struct {
	Path   string
	Stages [3]*tree.File
}

// Stage writes conflicts into the index, and files beside them, ignored or not, as git add does.
func (s *Service) Stage(ctx context.Context, conflicts []Conflict, files tree.Tree) error {
	var lines []string
	for _, p := range files.Paths() {
		object, err := s.object(ctx, p, files[p], "-w")
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%s %s 0\t%s", files[p].GitMode(), object, s.prefix+p))
	}
	none, err := s.none(ctx)
	if err != nil {
		return err
	}
	for _, c := range conflicts {
		lines = append(lines, removal(none, s.prefix+c.Path))
		for i, f := range c.Stages {
			if f == nil {
				continue
			}
			object, err := s.object(ctx, c.Path, *f, "-w")
			if err != nil {
				return err
			}
			lines = append(lines, fmt.Sprintf("%s %s %d\t%s", f.GitMode(), object, i+1, s.prefix+c.Path))
		}
	}
	return s.updateIndex(ctx, lines)
}

// Restore puts entries back that Entries has read, and removes what else the index holds of paths.
func (s *Service) Restore(ctx context.Context, paths, entries []string) error {
	none, err := s.none(ctx)
	if err != nil {
		return err
	}
	var lines []string
	for _, p := range paths {
		lines = append(lines, removal(none, s.prefix+p))
	}
	for _, e := range entries {
		head, p, ok := strings.Cut(e, "\t")
		if ok {
			lines = append(lines, head+"\t"+s.prefix+p)
		}
	}
	return s.updateIndex(ctx, lines)
}

func removal(none, p string) string { return "0 " + none + "\t" + p }

// none is the name of no object: as many zeros as the repository's names have digits.
func (s *Service) none(ctx context.Context) (string, error) {
	format, err := s.git(ctx, "rev-parse", "--show-object-format")
	if strings.TrimSpace(format) == "sha256" {
		return strings.Repeat("0", 64), err
	}
	return strings.Repeat("0", 40), err
}

// object names content as git would on adding the path, with the filters and line endings of the repository; the option
// -w stores it, too.
func (s *Service) object(ctx context.Context, p string, f tree.File, options ...string) (string, error) {
	args := append([]string{"hash-object", "--stdin"}, options...)
	if !f.IsLink() {
		args = append(args, "--path="+s.prefix+p)
	}
	out, err := git.Run(ctx, git.Call{Dir: s.Top, Args: args, Input: f.Data})
	return strings.TrimSpace(out), err
}

func (s *Service) updateIndex(ctx context.Context, lines []string) error {
	in := []byte(strings.Join(lines, "\x00") + "\x00")
	_, err := git.Run(ctx, git.Call{Dir: s.Top, Args: []string{"update-index", "-z", "--index-info"}, Input: in})
	return err
}
