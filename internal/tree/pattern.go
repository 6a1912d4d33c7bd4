package tree

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// What a pattern may be: matching takes as many tries as there are ways to choose among its alternatives.
const (
	maxPattern      = 1024
	maxAlternatives = 64
)

// Match reports whether a path matches a pattern that CheckPattern has taken: * stays within a part of the path, ** does
// not, and {a,b} is either.
func Match(pattern, p string) bool { return doublestar.MatchUnvalidated(pattern, p) }

// CheckPattern refuses what is not a pattern, and one that would take long to match.
func CheckPattern(pattern string) error {
	if pattern == "" || len(pattern) > maxPattern || !doublestar.ValidatePattern(pattern) {
		return fmt.Errorf("%.200q is not a path pattern", pattern)
	}
	ways := 1
	for group := range strings.SplitSeq(pattern, "{") {
		// What stands before the first brace has no part in this, and a comma outside of braces makes the count too
		// high: a pattern at the limit is written as two.
		if ways *= 1 + strings.Count(group, ","); ways > maxAlternatives {
			return fmt.Errorf("pattern %.200q has more than %d alternatives", pattern, maxAlternatives)
		}
	}
	return nil
}
