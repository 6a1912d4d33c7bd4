package vcs

import (
	"context"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/lazyregexp"
)

// Source is where in which repository a template set lies: URL[//SUBDIR][@REF].
type Source struct {
	URL, Subdir, Ref string
	// Recorded says that nobody has typed it: a service's record names it. Only git's own transports are used then.
	Recorded bool
}

// ParseSource reads a source that IsURL has found to be one.
func ParseSource(source string) Source {
	url, ref := SplitRef(source)
	s := Source{URL: url, Ref: ref}
	from := hostEnd(url) + 1
	if from > len(url) {
		return s
	}
	if at := strings.Index(url[from:], "//"); at >= 0 {
		s.URL, s.Subdir = url[:from+at], strings.Trim(url[from+at:], "/")
	}
	return s
}

// Checkout is a commit of a repository that was fetched.
type Checkout struct {
	// Commit is its name, Tag the newest released version that it was found by, Held the @REF that was asked for.
	Commit, Tag, Held string
}

// Name is what the checkout is of, for a person.
func (c *Checkout) Name() string {
	switch {
	case c.Held != "":
		return c.Held
	case c.Tag != "":
		return c.Tag
	default:
		return c.Commit
	}
}

// Checkout fetches into dir, which is empty: the commit where one is given, else the @REF, else the newest semantic
// version among the tags, or what the repository has as its HEAD where there is none.
func (s Source) Checkout(ctx context.Context, commit, dir string) (*Checkout, error) {
	c := &Checkout{Held: s.Ref}
	ref := s.Ref
	if ref == "" && commit == "" {
		newest, err := s.Newest(ctx, dir)
		if err != nil {
			return nil, err
		}
		c.Tag = newest.Tag
		ref = newest.Tag
		if ref != "" {
			ref = "refs/tags/" + ref
		}
	}
	if commit != "" {
		ref = commit
	}
	var err error
	c.Commit, err = s.clone(ctx, ref, dir)
	return c, err
}

// Release is a tag that is a semantic version. The zero Release says that there is none.
type Release struct {
	Tag, Version string
	// Moves says that the @REF that was asked for is a branch: it has its own newest commit, whatever is released.
	Moves bool
}

// Newest finds the tag of the newest released version. Where tags of the form SUBDIR/v1.2.3 exist for the source's
// directory, they count alone. dir is any directory to run git in.
func (s Source) Newest(ctx context.Context, dir string) (Release, error) {
	url, reach, err := s.remote()
	if err != nil {
		return Release{}, err
	}
	reach.Dir, reach.Args = dir, []string{"ls-remote", "--tags", "--refs", "--", url}
	out, err := transfer(ctx, reach, "", askBound)
	if err != nil {
		return Release{}, err
	}
	var tags []string
	for line := range strings.Lines(out) {
		if _, tag, ok := strings.Cut(strings.TrimSpace(line), "refs/tags/"); ok {
			tags = append(tags, tag)
		}
	}
	found := Release{}
	if s.Subdir != "" {
		found = newest(tags, s.Subdir+"/")
	}
	if found.Tag == "" {
		found = newest(tags, "")
	}
	found.Moves = s.Ref != "" && !hexForm.MatchString(s.Ref) && !slices.Contains(tags, strings.TrimPrefix(s.Ref, "refs/tags/"))
	return found, nil
}

func newest(tags []string, prefix string) Release {
	var best *semver.Version
	var found Release
	for _, tag := range tags {
		text, ok := strings.CutPrefix(tag, prefix)
		v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
		if !ok || err != nil || v.Prerelease() != "" || best != nil && !v.GreaterThan(best) {
			continue
		}
		best, found = v, Release{Tag: tag, Version: v.String()}
	}
	return found
}

// hexForm is what a commit's name looks like, shortened or not.
var hexForm = lazyregexp.New(`^[0-9a-f]{7,64}$`)
