package setcheck

import (
	"slices"

	"rustgen/internal/templateset"
)

// renames finds renames that lead nowhere, or in a circle.
func (c *checker) renames() {
	all := c.set.Renames
	for i, r := range c.ownRenames() {
		path := []any{"renames", i}
		switch to := c.follow(r); {
		case to == "":
			c.manifest(path, "renames: %s goes in a circle: it comes back to %s", r.From, r.From)
		case !c.isFile(to):
			c.manifest(path, "renames: %s moved to %s, and there is no file of that path", r.From, to)
		case c.isFile(r.From) && !slices.ContainsFunc(all, func(other templateset.Rename) bool { return other.To == r.From }):
			c.manifest(path, "renames: %s moved to %s, and is still there", r.From, r.To)
		}
	}
}

// follow is where a file ends after all renames; "" where they go in a circle.
func (c *checker) follow(r templateset.Rename) string {
	seen := map[string]bool{r.From: true}
	at := r.To
	for !seen[at] {
		seen[at] = true
		next := slices.IndexFunc(c.set.Renames, func(other templateset.Rename) bool { return other.From == at })
		if next < 0 {
			return at
		}
		at = c.set.Renames[next].To
	}
	return ""
}

// isFile reports whether the set has a file of a path, as written or as rendered.
func (c *checker) isFile(p string) bool {
	return c.rendered[p] || slices.ContainsFunc(c.set.Sources, func(s templateset.Source) bool { return s.Path == p })
}

// moved finds files that took the place of one of the extended set, which has moved since.
func (c *checker) moved() {
	if c.set.Under == nil {
		return
	}
	for _, s := range c.set.Own {
		for _, r := range c.set.Under.Renames {
			if r.From == s.Path && !slices.ContainsFunc(c.set.Under.Sources, func(u templateset.Source) bool { return u.Path == s.Path }) {
				c.file(s.Origin, 0, "%s moved %s to %s in %s, so this file replaces nothing; move it too", c.set.Base, r.From, r.To, r.Since)
			}
		}
	}
}
