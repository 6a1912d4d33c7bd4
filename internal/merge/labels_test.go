package merge

import (
	"bytes"
	"strings"
	"testing"
)

var testLabels = newLabels([3]string{strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40)})

// Whatever a merged file holds, only markers that git has written get another name, and no line comes or goes.
func FuzzLabels(f *testing.F) {
	l := testLabels
	for _, text := range []string{
		"a\n<<<<<<< " + l.ours + "\nx\n||||||| " + l.base + "\ny\n=======\nz\n>>>>>>> " + l.theirs + "\n",
		"<<<<<<<<< " + l.ours + ":src/a b.rs\r\n", "<<<<<<< yours\n", ">>>>>>> template 1.0.0\n", "<<<<<<< " + l.ours, l.theirs, "\x00\xff<<<<<<< " + l.base + "\n",
	} {
		f.Add([]byte(text), "src/a~"+l.theirs+"_0")
	}
	f.Fuzz(func(t *testing.T, data []byte, p string) {
		renamed, found := l.rename(bytes.Clone(data), "1.0.0", "1.1.0")
		if !found && !bytes.Equal(renamed, data) {
			t.Fatal("it changed without a marker")
		}
		before, after := bytes.Split(data, []byte("\n")), bytes.Split(renamed, []byte("\n"))
		if len(before) != len(after) {
			t.Fatalf("%d lines became %d", len(before), len(after))
		}
		for i := range before {
			if !bytes.Equal(before[i], after[i]) && !bytes.Contains(before[i], []byte(l.base)) && !bytes.Contains(before[i], []byte(l.ours)) &&
				!bytes.Contains(before[i], []byte(l.theirs)) {
				t.Fatalf("line %d: %q became %q", i, before[i], after[i])
			}
		}
		home, beside, users := l.home(p)
		if !strings.HasPrefix(p, home) || beside == (home == p) || users && !strings.Contains(p, l.ours) {
			t.Fatalf("%q is at home in %q (%v, %v)", p, home, beside, users)
		}
	})
}

// Whatever git answers, it is read or refused.
func FuzzOutcome(f *testing.F) {
	object := strings.Repeat("d", 40)
	f.Add(object + "\x00100644 " + object + " 1\ta/b\x00\x001\x00a/b\x00CONFLICT (contents)\x00text\n\x00")
	f.Add(object + "\x00\x00-1\x00")
	f.Add(object + "\x00\x0099999999999\x00a\x00")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOutcome(text)
		if err != nil {
			return
		}
		for _, s := range o.stages {
			if s.number < 1 || s.number > 3 || !strings.Contains(text, s.path) {
				t.Fatalf("stage %+v", s)
			}
		}
	})
}
