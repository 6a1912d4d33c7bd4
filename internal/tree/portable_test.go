package tree

import (
	"strings"
	"testing"
)

func TestCheckPortable(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]bool{
		"src/main.rs": true, ".github/a": true, "a.b.c": true, "auxiliary.rs": true, "proto/{% .item %}.proto": true, "<% .name %>/a": true, "com10": true,
		"aux.rs": false, "src/NUL": false, "con/a": false, "a:b": false, "a.": false, "a /b": false, "a?b": false, "lpt1.txt": false,
		"console.rs": true, "a/.x": true, "com/x": true, "a/COM1.tar.gz": false, "conin$": false, "nul .txt": false, "x /y": false, "a|b": false,
	} {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			if err := CheckPortable(p); (err == nil) != want {
				t.Errorf("it is %v", err)
			}
			if err := (Tree{p: {Mode: ModeFile}}).Check(); !strings.ContainsAny(p, "<%") && (err == nil) != want {
				t.Errorf("a tree with it is %v", err)
			}
		})
	}
}
