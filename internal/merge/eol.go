package merge

import (
	"bytes"

	"rustgen/internal/tree"
)

// eol is how the lines of a text end.
type eol int

const (
	none eol = iota // one line or none, a binary, or a link
	lf
	crlf
)

// hasLines reports whether a file is merged by line: as for git, text in any encoding is, and what has a NUL is not.
func hasLines(f tree.File) bool { return !f.IsLink() && bytes.IndexByte(f.Data, 0) < 0 }

// eolOf is how most lines of a file end, and whether some end otherwise.
func eolOf(f tree.File) (style eol, mixed bool) {
	if !hasLines(f) {
		return none, false
	}
	all := bytes.Count(f.Data, []byte{'\n'})
	long := bytes.Count(f.Data, []byte("\r\n"))
	switch {
	case all == 0:
		return none, false
	case long*2 > all:
		return crlf, long < all
	default:
		return lf, long > 0
	}
}

// unified is the file with LF endings, as all sides are merged.
func unified(f tree.File) tree.File {
	if style, mixed := eolOf(f); style == crlf || mixed {
		f.Data = bytes.ReplaceAll(f.Data, []byte("\r\n"), []byte{'\n'})
	}
	return f
}

// ending is a file of LF endings with endings of a style.
func ending(f tree.File, style eol) tree.File {
	if style == crlf && hasLines(f) {
		f.Data = bytes.ReplaceAll(f.Data, []byte{'\n'}, []byte("\r\n"))
	}
	return f
}

// side holds a tree as it stands and as it is merged.
type side struct{ raw, unified tree.Tree }

func newSide(t tree.Tree) side {
	s := side{raw: t, unified: make(tree.Tree, len(t))}
	for p, f := range t {
		s.unified[p] = unified(f)
	}
	return s
}

// restored gives a merged file its line endings: the user's where the user changed them, else the template's. Content
// that is one side's own comes back as it was, byte by byte.
func restored(merged tree.File, base, ours, theirs *tree.File) tree.File {
	style := func(f *tree.File) eol {
		if f == nil {
			return none
		}
		e, _ := eolOf(*f)
		return e
	}
	was, is, will := style(base), style(ours), style(theirs)
	users := is != none && is != was || will == none || will == was
	if users && ours != nil && merged.Equal(unified(*ours)) {
		return *ours
	}
	if theirs != nil && merged.Equal(unified(*theirs)) && (!users || is == will || is == none) {
		return *theirs
	}
	if users && is != none {
		return ending(merged, is)
	}
	return ending(merged, will)
}
