package vcs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Source is where a template set is fetched from.
type Source struct {
	// URL is the repository, Ref a branch, a tag or a commit of it; "" for its HEAD.
	URL, Ref string
	// Recorded says that nobody has typed the URL: a service's record names it. Only git's own transports are used then.
	Recorded bool
}

// Clone fetches one commit of a repository into dir, which is empty. Nothing of the repository is run: no hook and no
// submodule, nor a filter of the user's that its attributes name. The same commit gives the same bytes everywhere.
//
// Errors: a commit of more than 100,000 files or 256 MiB, before any of it is written out.
func Clone(ctx context.Context, from Source, dir string) error {
	if strings.HasPrefix(from.URL, "-") || strings.HasPrefix(from.Ref, "-") {
		return fmt.Errorf("%q is not a git URL", from.URL)
	}
	url, config, env, err := access(from.URL)
	if err != nil {
		return err
	}
	if from.Recorded {
		if err := Recordable(from.URL); err != nil {
			return err
		}
		config, env = append(config, "protocol.file.allow=always"), append(env, "GIT_PROTOCOL_FROM_USER=0")
	}
	ref := from.Ref
	if ref == "" {
		ref = "HEAD"
	}
	run := func(c git.Call) error {
		c.Dir = dir
		_, err := git.Run(ctx, c)
		return err
	}
	if err := run(git.Call{Unconfigured: true, Args: []string{"init", "--quiet", "--template="}}); err != nil {
		return err
	}
	// Only the user's configuration knows how to reach it.
	fetch := []string{"fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, ref}
	if err := run(git.Call{Args: fetch, Config: append(config, "core.attributesFile="+os.DevNull), Env: env}); err != nil {
		return err
	}
	if err := checkSize(ctx, dir); err != nil {
		return err
	}
	if err := run(git.Call{Unconfigured: true, Args: []string{"checkout", "--quiet", "FETCH_HEAD"}}); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, ".git"))
}

// checkSize refuses a commit that would not fit: a small repository can name the same directory any number of times.
func checkSize(ctx context.Context, dir string) error {
	tooLarge := fmt.Errorf("the set is too large: more than %d files or %d MiB", maxCloneFiles, maxCloneBytes>>20)
	list, err := git.Run(ctx, git.Call{Dir: dir, Unconfigured: true, Limit: maxCloneListing, Args: []string{"ls-tree", "-r", "-l", "-z", "FETCH_HEAD"}})
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
