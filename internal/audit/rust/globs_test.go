package rust

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestModulesThatImportAllOfEachOther has a name resolved through 200 modules of which each imports all of all others.
func TestModulesThatImportAllOfEachOther(t *testing.T) {
	const modules = 200
	var root strings.Builder
	files := []*File{}
	for i := range modules {
		fmt.Fprintf(&root, "pub mod m%d;\n", i)
		var b strings.Builder
		for j := range modules {
			if j != i {
				fmt.Fprintf(&b, "pub use crate::m%d::*;\n", j)
			}
		}
		if i == modules-1 {
			b.WriteString("pub use tonic::transport::Server;\n")
		}
		fmt.Fprintf(&b, "async fn f%d() { Server::builder(); }\n", i)
		for n := range 20 {
			fmt.Fprintf(&b, "fn g%d_%d() { unknown%d(); Type%d::make%d(); }\n", i, n, n, n, i)
		}
		files = append(files, Parse(fmt.Sprintf("src/m%d.rs", i), b.String()))
	}
	root.WriteString("fn main() {}\n")
	files = append(files, Parse("src/main.rs", root.String()))
	done := make(chan *Program)
	go func() {
		p := Link(files, []*Package{{Ident: "app", Dir: ".", Binaries: []string{"src/main.rs"}, Dependencies: map[string]bool{"tonic": true}}})
		for _, u := range p.Named("builder") {
			p.Spelled(u)
		}
		for n := range 20 {
			for _, u := range p.Named(fmt.Sprintf("unknown%d", n)) {
				p.Spelled(u)
			}
		}
		p.Edges()
		done <- p
	}()
	select {
	case p := <-done:
		if got := len(p.Named("builder")); got != modules {
			t.Errorf("%d uses of builder, want %d", got, modules)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
