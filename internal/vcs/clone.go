package vcs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rustgen/internal/git"
)

// The most that the commit of a template set may hold, and that git may say of it.
const (
	maxCloneFiles   = 100_000
	maxCloneBytes   = 256 << 20
	maxCloneListing = 64 << 20
)

// fetchOne are git's options for a fetch that brings nothing but what is named.
var fetchOne = []string{"fetch", "--quiet", "--no-tags", "--no-recurse-submodules"}

// clone fetches one commit of a repository into dir, which is empty. Nothing of the repository is run: no hook and no
// submodule, nor a filter of the user's that its attributes name. The same commit gives the same bytes everywhere. It
// returns the commit's name.
//
// Errors: a transfer beyond fetchBound, and a commit of more than 100,000 files or 256 MiB, before any of it is written
// out.
func (s Source) clone(ctx context.Context, ref, dir string) (commit string, err error) {
	url, reach, err := s.remote()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(ref, "-") {
		return "", fmt.Errorf("%q is not a branch, a tag or a commit", ref)
	}
	if ref == "" {
		ref = "HEAD"
	}
	run := func(c git.Call, args ...string) (string, error) {
		c.Dir, c.Args = dir, args
		return git.Run(ctx, c)
	}
	alone := git.Call{Unconfigured: true}
	if _, err := run(alone, "init", "--quiet", "--template="); err != nil {
		return "", err
	}
	// Only the user's configuration knows how to reach it.
	reach.Config = append(reach.Config, "core.attributesFile="+os.DevNull)
	fetched := "FETCH_HEAD"
	fetch := func(args ...string) error {
		reach.Dir, reach.Args = dir, append(slices.Clone(fetchOne), args...)
		_, err := transfer(ctx, reach, dir, fetchBound)
		return err
	}
	err = fetch("--depth=1", "--", url, ref)
	if err != nil && hexForm.MatchString(ref) && ctx.Err() == nil {
		// Not every server gives out a commit by its name, and none by a short one.
		fetched = ref
		err = fetch("--", url, "+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*")
	}
	if err != nil {
		return "", err
	}
	if err := checkSize(ctx, dir, fetched); err != nil {
		return "", err
	}
	if _, err := run(alone, "checkout", "--quiet", fetched); err != nil {
		return "", err
	}
	if commit, err = run(alone, "rev-parse", "HEAD"); err != nil {
		return "", err
	}
	return strings.TrimSpace(commit), os.RemoveAll(filepath.Join(dir, ".git"))
}

// remote is the repository's URL as git's argument, and a call that reaches it.
func (s Source) remote() (url string, reach git.Call, err error) {
	if strings.HasPrefix(s.URL, "-") {
		return "", reach, fmt.Errorf("%q is not a git URL", s.URL)
	}
	if url, reach.Config, reach.Env, err = access(s.URL); err != nil {
		return "", reach, err
	}
	if s.Recorded {
		if err := Recordable(s.URL); err != nil {
			return "", reach, err
		}
		reach.Config, reach.Env = append(reach.Config, "protocol.file.allow=always"), append(reach.Env, "GIT_PROTOCOL_FROM_USER=0")
	}
	return url, reach, nil
}

// checkSize refuses a commit that would not fit: a small repository can name the same directory any number of times.
func checkSize(ctx context.Context, dir, commit string) error {
	tooLarge := fmt.Errorf("the set is too large: more than %d files or %d MiB", maxCloneFiles, maxCloneBytes>>20)
	list, err := git.Run(ctx, git.Call{Dir: dir, Unconfigured: true, Limit: maxCloneListing, Args: []string{"ls-tree", "-r", "-l", "-z", commit}})
	if errors.Is(err, git.ErrLimit) {
		return tooLarge
	}
	if err != nil {
		return err
	}
	files, bytes := 0, int64(0)
	for entry := range strings.SplitSeq(list, "\x00") {
		head, _, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(head)
		if len(fields) != 4 {
			continue
		}
		// The size of a submodule's entry is a hyphen.
		size, _ := strconv.ParseInt(fields[3], 10, 64)
		files, bytes = files+1, bytes+size
		if files > maxCloneFiles || bytes > maxCloneBytes {
			return tooLarge
		}
	}
	return nil
}
