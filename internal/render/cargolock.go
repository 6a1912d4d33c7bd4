package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/lazyregexp"
)

var lockEntry = lazyregexp.New(`^\[\[package\]\]\nname = "([^"]+)"\nversion = "([^"]+)"`)

// sortCargoLock puts the [[package]] entries of a Cargo.lock, and the dependencies within each, in the order in which
// Cargo keeps them: entries by name and then by version, dependencies by their text. So `cargo build --locked` finds
// nothing to rewrite, whatever the service is called.
func sortCargoLock(text string) (string, error) {
	type entry struct {
		name    string
		version *semver.Version
		text    string
	}
	var entries []entry
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		block = strings.TrimSpace(block)
		if block == "" {
			continue
		}
		m := lockEntry.FindStringSubmatch(block)
		if m == nil {
			return "", fmt.Errorf("not a [[package]] entry: %.60q", block)
		}
		version, err := semver.NewVersion(m[2])
		if err != nil {
			return "", fmt.Errorf("%s: %w", m[1], err)
		}
		entries = append(entries, entry{m[1], version, sortDependencies(block)})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.name, b.name), a.version.Compare(b.version))
	})
	blocks := make([]string, len(entries))
	for i, e := range entries {
		blocks[i] = e.text
	}
	return strings.Join(blocks, "\n\n") + "\n", nil
}

// sortDependencies sorts the lines of an entry's dependencies.
func sortDependencies(block string) string {
	const opening, closing = "dependencies = [\n", "\n]"
	head, rest, ok := strings.Cut(block, opening)
	if !ok {
		return block
	}
	list, tail, _ := strings.Cut(rest, closing)
	lines := strings.Split(list, "\n")
	slices.Sort(lines)
	return head + opening + strings.Join(lines, "\n") + closing + tail
}
