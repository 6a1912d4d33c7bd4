package audit

import (
	"strings"
	"testing"

	"rustgen/internal/tree"
)

// exampleManifest is that of the service in which the examples of Rust stand.
const exampleManifest = `[package]
name = "quotes"

[dependencies]
tonic = "0.14"
tokio = "1"
bcrypt = "0.17"
libc = "0.2"
tikv-jemallocator = "0.6"
`

// exampleImports are what the examples leave out.
const exampleImports = `use std::time::Duration;
use tokio::signal::unix::{signal, SignalKind};
use tokio::sync::{Mutex, Semaphore};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
`

// exampleTree is a service with an example in it.
func exampleTree(e Explanation, text string) tree.Tree {
	files := tree.Tree{"Cargo.toml": {Data: []byte(exampleManifest)}, "Cargo.lock": {Data: []byte("version = 4\n")}}
	source := e.Beside
	if strings.HasSuffix(e.File, ".rs") {
		source = text
		if !strings.Contains(text, "fn ") && !strings.Contains(text, "struct ") {
			source = "#[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {\n" + source + "    Ok(())\n}\n"
		}
		if strings.Contains(text, "&self") && !strings.Contains(text, "impl ") {
			source = "#[tonic::async_trait]\nimpl Quotes for Handlers {\n" + source + "}\n"
		}
		text = exampleImports + source
	}
	if source == "" || strings.HasSuffix(e.File, ".rs") {
		source = "fn main() {}"
	}
	files["src/main.rs"] = tree.File{Data: []byte(source)}
	files[e.File] = tree.File{Data: []byte(text)}
	return files
}

// TestEveryCheckIsExplained holds each check to its four parts: an example of the fault that the check finds, one of its
// mending that passes, the harm, and its source.
func TestEveryCheckIsExplained(t *testing.T) {
	for _, c := range Checks() {
		t.Run(c.ID, func(t *testing.T) {
			e, ok := Explain(c)
			if !ok || e.File == "" || e.Fault == "" || e.Mended == "" || e.Harm == "" || e.Source == "" {
				t.Fatalf("something is missing: %+v", e)
			}
			for text, want := range map[string]State{e.Fault: Failed, e.Mended: Passed} {
				for _, r := range run(t, exampleTree(e, text)) {
					if r.ID == c.ID && r.State != want {
						t.Errorf("%s, and not %s: %v %v %s\n%s", r.State, want, r.Findings, r.Unseen, r.Note, text)
					}
				}
			}
		})
	}
	if have, want := len(explanations()), len(Checks()); have != want {
		t.Errorf("%d explanations of %d checks", have, want)
	}
}
