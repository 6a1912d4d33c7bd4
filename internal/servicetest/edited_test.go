package servicetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rustgen/internal/tree"
)

// edited is a service of the first release as a team has it months later. What the team did is testdata/edits/NAME.patch.
type edited struct {
	// answers are its decisions, sub is the folder of the repository that it lies in; bare is one in no repository.
	answers []string
	sub     string
	bare    bool
	// verdicts are what the upgrade must say of some paths.
	verdicts map[string]string
	// resolved are the conflicts that it must leave, each with what the team makes of the two sides; with nil the file goes.
	resolved map[string]func(yours, template string) string
	// tests are the team's own.
	tests []string
}

var teams = map[string]edited{
	// An RPC, a dependency, a module that moved, tests through the front door, tuned manifests, a new overlay, a deleted
	// autoscaler, a step in the pipeline.
	"quote-engine": {
		verdicts: map[string]string{
			"Cargo.toml": "kept", "deploy/base/hpa.yaml": "kept-deleted", ".github/workflows/check.yml": "merged", "README.md": "merged",
		},
		tests: []string{
			"pricing::tests::a_larger_size_has_a_wider_spread", "pricing::score::tests::it_ends_with_its_caller",
			"a_quote_has_both_sides", "too_large_a_size_is_out_of_range",
		},
	},
	// In a folder of a larger repository: a state that grew and was renamed, a new RPC, the real API of the service that is
	// called, a deeper queue, a README with an editor's line endings, a stage in the pipeline.
	"cart-ledger": {
		answers: []string{
			"--state", "stateful", "--downstream", "prices", "--queue", "128", "--metrics", "otelgrpc", "--ci", "gitlab", "--go-client=false",
		},
		sub:      "services/cart-ledger",
		verdicts: map[string]string{"README.md": "merged", "src/handlers.rs": "merged", "deploy/base/pdb.yaml": "kept-deleted"},
		// Both added a stage.
		resolved: map[string]func(yours, template string) string{
			".gitlab-ci.yml": func(_, template string) string { return strings.Replace(template, "]", ", announce]", 1) },
		},
		tests: []string{"ledger::tests::a_snapshot_of_version_1_is_read", "before_the_first_score_there_is_no_last"},
	},
	// In no repository, and edited in the template's own room: in a file that moved since, in one that is gone since, and
	// in one that stayed.
	"edge-cache": {
		answers: []string{
			"--allocator", "mimalloc", "--runtime", "current-thread", "--panic", "unwind", "--base", "scratch", "--ci", "none",
			"--deploy", "none", "--go-client=false", "--memory", "128MiB",
		},
		bare:     true,
		verdicts: map[string]string{"src/score.rs": "kept", "crates/hotpath/src/routes.rs": "deleted"},
		resolved: map[string]func(yours, template string) string{
			"crates/hotpath/src/connections.rs": func(yours, template string) string {
				mine, _, _ := strings.Cut(yours, "    http2\n")
				return strings.Replace(template, "        .keep_alive_timeout(limits.keepalive / 3);\n", mine, 1)
			},
			"crates/hotpath-telemetry/src/logs.rs": func(_, template string) string {
				return strings.Replace(template, ",opentelemetry=warn", ",opentelemetry=warn,tower=warn", 1)
			},
			"crates/hotpath/src/decisions.rs": nil,
		},
		tests: []string{"score::tests::a_round_is_small"},
	},
}

// TestEditedServices upgrades services of the first release that teams have edited to the set of today: no edit is lost,
// the way back gives the service as it was, and what comes out compiles and passes its tests, the team's own among them.
func TestEditedServices(t *testing.T) {
	rustgen, set := program(t), unpack(t, firstRelease)
	for name, team := range teams {
		t.Run(name, func(t *testing.T) {
			patch, err := filepath.Abs(filepath.Join("testdata", "edits", name+".patch"))
			if err != nil {
				t.Fatal(err)
			}
			repo := filepath.Join(t.TempDir(), "repo")
			dir := filepath.Join(repo, team.sub)
			args := []string{"new", name, "--yes", "--vcs", "none", "--template", set, "--dir", dir}
			run(t, ".", 0, rustgen, append(args, team.answers...)...)
			if !team.bare {
				run(t, ".", 0, "git", "init", "--quiet", "--initial-branch=main", repo)
			}
			team.commit(t, repo, "bootstrap")
			run(t, repo, 0, "git", "apply", "--whitespace=nowarn", "--directory="+team.sub, patch)
			team.commit(t, repo, "months of work")
			before := snapshot(t, dir)

			verdicts, moved := team.upgrade(t, rustgen, dir)
			for p, want := range team.verdicts {
				if verdicts[p] != want {
					t.Errorf("%s is %q, want %q", p, verdicts[p], want)
				}
			}
			after := snapshot(t, dir)
			team.checkEdits(t, patch, moved, before, after)
			if after.Equal(before) {
				t.Fatal("the upgrade changed nothing")
			}
			team.commit(t, repo, "upgrade")
			if len(team.resolved) > 0 {
				checkBuild(t, dir, team.tests)
				return
			}
			edited{}.upgrade(t, rustgen, dir, "--template", set, "--allow-downgrade")
			if back := snapshot(t, dir); !back.Equal(before) {
				t.Errorf("the way back gives another service: %s", different(before, back))
			}
			run(t, repo, 0, "git", "restore", "--quiet", ".")
			run(t, repo, 0, "git", "clean", "--quiet", "--force", "-d")
			checkBuild(t, dir, team.tests)
		})
	}
}

// upgrade merges the newest set in, ends it as the team does, and returns the verdicts, and where files went that moved.
func (e edited) upgrade(t *testing.T, rustgen, dir string, flags ...string) (verdicts, moved map[string]string) {
	t.Helper()
	code, check := 0, 0
	if len(e.resolved) > 0 {
		code, check = 3, 4
	}
	out := run(t, dir, code, rustgen, append([]string{"upgrade", "--yes", "--json"}, flags...)...)
	var report struct {
		Files []struct{ Path, Verdict, From string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	verdicts, moved = map[string]string{}, map[string]string{}
	for _, f := range report.Files {
		verdicts[f.Path], moved[f.From] = f.Verdict, f.Path
		if _, ok := e.resolved[f.Path]; ok != strings.HasPrefix(f.Verdict, "conflict") {
			t.Errorf("%s is %q", f.Path, f.Verdict)
		}
	}
	run(t, dir, check, rustgen, "status", "--check=conflicts,damaged")
	for p, both := range e.resolved {
		e.resolve(t, dir, p, both)
	}
	if len(e.resolved) > 0 {
		run(t, dir, 0, rustgen, "upgrade", "--continue")
		run(t, dir, 0, rustgen, "status", "--check=conflicts,damaged")
	}
	return verdicts, moved
}

var markers = regexp.MustCompile(`(?s)<<<<<<< yours\n(.*?)\|\|\|\|\|\|\| base [0-9.]+\n.*?=======\n(.*?)>>>>>>> template [0-9.]+\n`)

// resolve makes one file of a conflict's two sides.
func (e edited) resolve(t *testing.T, dir, p string, both func(yours, template string) string) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(p))
	if both == nil {
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	} else {
		data, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		found := markers.FindAllSubmatchIndex(data, -1)
		if len(found) != 1 {
			t.Fatalf("%s has %d conflicts:\n%s", p, len(found), data)
		}
		m := found[0]
		text := string(data[:m[0]]) + both(string(data[m[2]:m[3]]), string(data[m[4]:m[5]])) + string(data[m[1]:])
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !e.bare {
		run(t, dir, 0, "git", "add", p)
	}
}

var fileHeader = regexp.MustCompile(`^(\+\+\+|---|rename from|rename to) (?:[ab]/)?(.*)$`)

// checkEdits looks for everything that a patch did in the upgraded service: lines that it added, but for those that the
// team resolved, files that it moved away, programs.
func (e edited) checkEdits(t *testing.T, patch string, moved map[string]string, before, after tree.Tree) {
	t.Helper()
	data, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, p := range after.Paths() {
		all.Write(after[p].Data)
	}
	file := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if m := fileHeader.FindStringSubmatch(line); m != nil {
			if _, ok := after[m[2]]; ok && m[1] == "rename from" {
				t.Errorf("%s, which the team moved away, is back", m[2])
			}
			file = m[2]
			continue
		}
		if _, ok := e.resolved[cmp.Or(moved[file], file)]; ok {
			continue
		}
		// With another line ending it is still the template's line.
		if added, ok := strings.CutPrefix(line, "+"); ok && !bytes.Contains(data, []byte("\n-"+added+"\n")) && !bytes.Contains(all.Bytes(), []byte(added)) {
			t.Errorf("the team's line is lost: %s", added)
		}
	}
	for _, p := range before.Paths() {
		if _, ok := after[p]; !ok && before[p].Mode == tree.ModeExec {
			t.Errorf("the program %s is gone", p)
		}
	}
}

func (e edited) commit(t *testing.T, repo, message string) {
	t.Helper()
	if e.bare {
		return
	}
	run(t, repo, 0, "git", "add", "--all")
	run(t, repo, 0, "git", "-c", "user.name=team", "-c", "user.email=team@example.com", "commit", "--quiet", "--message", message)
}
