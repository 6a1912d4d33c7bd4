package rustsrc

import (
	"cmp"
	"slices"
	"strings"
)

// Insertion is text that is put into a file. Whole lines are added and none that is there is changed, but where the
// brackets around the place stand on one line: then that line is parted.
type Insertion struct {
	at   int
	Text string
}

// Into puts lines at the end of the block.
func (m *Impl) Into(lines string) Insertion { return m.File.before(m.end, lines) }

// After puts lines after the block.
func (m *Impl) After(lines string) Insertion {
	f := m.File
	if m.end >= len(f.tokens) {
		return Insertion{len(f.source), "\n" + lines}
	}
	at := f.tokens[m.end].start + 1
	if end := strings.IndexByte(f.source[at:], '\n'); end >= 0 && strings.TrimSpace(f.source[at:at+end]) == "" {
		return Insertion{at + end + 1, "\n" + lines}
	}
	return Insertion{at, "\n\n" + lines}
}

// Add puts lines into the table: at its end, or at its beginning where a comma after the last entry is missing.
func (t *Table) Add(lines string) Insertion {
	f := t.File
	if len(t.Entries) == 0 || f.is(t.end-1, ",") {
		return f.before(t.end, lines)
	}
	at := f.tokens[t.open].start + 1
	if end := strings.IndexByte(f.source[at:], '\n'); end >= 0 && strings.TrimSpace(f.source[at:at+end]) == "" {
		return Insertion{at + end + 1, lines}
	}
	return Insertion{at, "\n" + lines}
}

// before puts lines before a closing bracket, which goes on standing where it stands.
func (f *File) before(i int, lines string) Insertion {
	if i >= len(f.tokens) {
		return Insertion{len(f.source), "\n" + lines}
	}
	at := f.tokens[i].start
	start := strings.LastIndexByte(f.source[:at], '\n') + 1
	if strings.TrimSpace(f.source[start:at]) == "" {
		return Insertion{start, lines}
	}
	return Insertion{at, "\n" + lines}
}

// Insert is the file with all insertions, with the line ends that it has.
func (f *File) Insert(all []Insertion) []byte {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Insertion) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	at := 0
	for _, one := range sorted {
		b.WriteString(f.source[at:one.at])
		text := one.Text
		if strings.Contains(f.source, "\r\n") {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		b.WriteString(text)
		at = one.at
	}
	b.WriteString(f.source[at:])
	return []byte(b.String())
}

// Same reports whether two insertions are at one place.
func (i Insertion) Same(other Insertion) bool { return i.at == other.at }
