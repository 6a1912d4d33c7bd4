package vcs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"rustgen/internal/git"
	"rustgen/internal/lazyregexp"
)

// Branch is the first branch of a new repository: the one that generated pipelines name.
const Branch = "main"

// Init makes a repository of dir. No template directory is copied into it: a hook there would read what the service
// holds.
func Init(ctx context.Context, dir string) error {
	_, err := git.Run(ctx, git.Call{Dir: dir, Args: []string{"init", "--quiet", "--template=", "--initial-branch=" + Branch}})
	return err
}

// CommitAll commits all that is in dir, what a person's own ignore file names too: no part of a new service is to be
// missing from its first commit. executable are the files that are committed as such, also where the file system cannot
// say so. Of the filters that the user has configured only Git LFS is run: others may be named by a path, which the files
// of a template set could fill.
func CommitAll(ctx context.Context, dir, message string, executable []string) error {
	config, err := withoutFilters(ctx, dir)
	if err != nil {
		return err
	}
	run := func(args ...string) error {
		_, err := git.Run(ctx, git.Call{Dir: dir, Args: args, Config: config})
		return err
	}
	if err := run("add", "--all", "--force"); err != nil {
		return err
	}
	if len(executable) > 0 {
		if err := run(append([]string{"update-index", "--chmod=+x", "--"}, executable...)...); err != nil {
			return err
		}
	}
	return run("commit", "--quiet", "--message", message)
}

// The files of a repository that Init and CommitAll have made, by their first names, and the settings in it. None is a
// program, or names one.
var (
	freshNames   = []string{"HEAD", "COMMIT_EDITMSG", "branches", "config", "description", "index", "logs", "objects", "refs"}
	freshSetting = lazyregexp.New(`^(\[(core|extensions)\]|\t(repositoryformatversion|filemode|bare|logallrefupdates|symlinks|ignorecase|precomposeunicode|objectformat|refstorage) = [a-z0-9]+|)$`)
)

// CheckNew refuses a repository that Init and CommitAll have not made: one that was planted could hold a hook, or a
// setting by which git runs a program.
func CheckNew(repository fs.FS) error {
	err := fs.WalkDir(repository, ".", func(p string, entry fs.DirEntry, err error) error {
		first, _, _ := strings.Cut(p, "/")
		switch {
		case err != nil || p == ".":
			return err
		case !slices.Contains(freshNames, first) || p == "objects/info/alternates" || !entry.IsDir() && !entry.Type().IsRegular():
			return fmt.Errorf("%q is in no repository that rustgen has made", ".git/"+p)
		case p == "config":
			info, err := entry.Info()
			if err == nil && info.Size() > 1<<16 {
				err = errors.New(".git/config is larger than that of any repository that rustgen has made")
			}
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	config, err := fs.ReadFile(repository, "config")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(config)) {
		if line = strings.TrimRight(line, "\n"); !freshSetting.MatchString(line) {
			return fmt.Errorf("%q is in the configuration of no repository that rustgen has made", line)
		}
	}
	return nil
}

// withoutFilters are the settings that turn off every filter but Git LFS.
func withoutFilters(ctx context.Context, dir string) ([]string, error) {
	// Exit code 1 says that there is none.
	out, err := git.Run(ctx, git.Call{Dir: dir, Args: []string{"config", "--null", "--get-regexp", `^filter\..*\.(clean|smudge|process)$`}})
	var failed *git.Failed
	if err != nil && !(errors.As(err, &failed) && failed.Code == 1) {
		return nil, err
	}
	var config []string
	for setting := range strings.SplitSeq(out, "\x00") {
		key, value, _ := strings.Cut(setting, "\n")
		if key == "" || strings.HasPrefix(value, "git-lfs ") || strings.HasPrefix(value, "git lfs ") {
			continue
		}
		name := key[:strings.LastIndexByte(key, '.')]
		config = append(config, key+"=", name+".required=false")
	}
	return config, nil
}

// Ignored lists those of the service's paths that git would not add, because an ignore rule names them.
func (s *Service) Ignored(ctx context.Context, paths []string) ([]string, error) {
	out, err := s.git(ctx, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", s.where())
	if err != nil {
		return nil, err
	}
	var ignored []string
	for p := range strings.SplitSeq(out, "\x00") {
		if p = strings.TrimPrefix(p, s.prefix); slices.Contains(paths, p) {
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
	looks, err := s.git(ctx, "config", "--type=bool", "--default=true", "core.fileMode")
	if err != nil || strings.TrimSpace(looks) != "false" {
		return err
	}
	args := []string{"--literal-pathspecs", "add", "--force", "--intent-to-add", "--chmod=+x", "--"}
	for _, p := range executable {
		args = append(args, s.prefix+p)
	}
	_, err = s.git(ctx, args...)
	return err
}
