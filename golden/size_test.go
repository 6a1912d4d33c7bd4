package golden

import (
	"bytes"
	"path"
	"slices"
	"strings"
	"testing"

	"rustgen/internal/decision"
	"rustgen/internal/render"
	"rustgen/internal/tree"
)

// What a reader can hold in the head. A line of code is one that is neither empty nor only a comment, above the file's
// unit tests.
const (
	mostOfHotpath = 2000
	mostOfSrc     = 250
	mostOfAFile   = 350 // of all its lines
)

// TestSize holds the Rust that a service is given to its limits, for every combination of the decisions that add to it.
func TestSize(t *testing.T) {
	set, engine := hotpath(t), render.NewEngine()
	var hotpathMost, srcMost int
	for answers := range combinations(map[string][]string{
		"state":      {"stateless", "stateful"},
		"downstream": {"", "features", "features,user-profiles"},
		"queue":      {"none", "256"},
		"panic":      {"abort", "unwind"},
		"metrics":    {"go-grpc-middleware", "otelgrpc"},
		"traces":     {"otlp", "none"},
		"target-cpu": {"generic", "x86-64-v3"},
	}) {
		given := map[string]decision.Input{decision.NameID: decision.Text("hello", "name", true)}
		for id, answer := range answers {
			given[id] = decision.Text(answer, id, true)
		}
		if answers["state"] == "stateful" && answers["panic"] == "abort" {
			continue // refused
		}
		out, err := set.Catalog.Resolve(engine.Eval, decision.Request{Given: given, AcceptDefaults: true})
		if err == nil {
			err = out.Err()
		}
		if err != nil {
			t.Fatalf("%v: %v", answers, err)
		}
		rendered, err := engine.Render(set, out.Data)
		if err != nil {
			t.Fatalf("%v: %v", answers, err)
		}
		hotpathCode, srcCode := 0, 0
		for _, p := range rendered.Paths() {
			if path.Ext(p) != ".rs" {
				continue
			}
			code, all := lines(rendered[p])
			switch {
			case strings.HasPrefix(p, "crates/hotpath/src/"):
				hotpathCode += code
			case strings.HasPrefix(p, "src/"):
				srcCode += code
			}
			if all > mostOfAFile {
				t.Errorf("%v: %s has %d lines, and %d is the most", answers, p, all, mostOfAFile)
			}
			if keeps := []string{"alloc.rs", "target_cpu.rs"}; bytes.Contains(rendered[p].Data, []byte("unsafe {")) && !slices.Contains(keeps, path.Base(p)) && strings.Contains(p, "src/") {
				t.Errorf("%v: %s is unsafe", answers, p)
			}
		}
		if hotpathCode >= mostOfHotpath || srcCode >= mostOfSrc {
			t.Errorf("%v: %d lines of code in crates/hotpath, %d in src", answers, hotpathCode, srcCode)
		}
		hotpathMost, srcMost = max(hotpathMost, hotpathCode), max(srcMost, srcCode)
	}
	t.Logf("at most %d lines of code in crates/hotpath, %d in src", hotpathMost, srcMost)
}

// lines of code of a Rust file, and all of its lines.
func lines(f tree.File) (code, all int) {
	tests := false
	for line := range bytes.Lines(f.Data) {
		all++
		line = bytes.TrimSpace(line)
		tests = tests || bytes.Equal(line, []byte("#[cfg(test)]"))
		if !tests && len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			code++
		}
	}
	return code, all
}

// combinations yields one answer of each, in every way.
func combinations(answers map[string][]string) func(yield func(map[string]string) bool) {
	all := []map[string]string{{}}
	for id, texts := range answers {
		var more []map[string]string
		for _, one := range all {
			for _, text := range texts {
				next := map[string]string{id: text}
				for k, v := range one {
					next[k] = v
				}
				more = append(more, next)
			}
		}
		all = more
	}
	return slices.Values(all)
}
