// Package vcs is what rustgen needs of version control beside merging: fetching a template set, the first commit of a
// new service, and the index of the repository around one.
package vcs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"rustgen/internal/git"
)

// Repository finds the repository that dir, which need not exist, would lie in. It is "" outside one.
func Repository(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// Of what exists, as it is on the disk: a link may lead into a repository.
	for rest := ""; ; {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			at = filepath.Join(real, rest)
			break
		}
		rest = filepath.Join(filepath.Base(at), rest)
		at = filepath.Dir(at)
	}
	for {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", nil
		}
		at = up
	}
}

// Init makes a repository of dir, on the branch main. No template directory is copied into it: a hook there would read
// what the service holds.
func Init(ctx context.Context, dir string) error {
	_, err := git.Run(ctx, git.Call{Dir: dir, Args: []string{"init", "--quiet", "--template=", "--initial-branch=main"}})
	return err
}

// CommitAll commits all that is in dir, what a person's own ignore file names too: no part of a new service is to be
// missing from its first commit. Of the filters that the user has configured only Git LFS is run: others may be named by
// a path, which the files of a template set could fill.
func CommitAll(ctx context.Context, dir, message string) error {
	config, err := withoutFilters(ctx, dir)
	if err != nil {
		return err
	}
	if _, err := git.Run(ctx, git.Call{Dir: dir, Args: []string{"add", "--all", "--force"}, Config: config}); err != nil {
		return err
	}
	_, err = git.Run(ctx, git.Call{Dir: dir, Args: []string{"commit", "--quiet", "--message", message}, Config: config})
	return err
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
