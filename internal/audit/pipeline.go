package audit

import (
	"path"
	"strings"

	"rustgen/internal/lazyregexp"
)

// pipelineFiles are what continuous integration reads, at the top of a repository.
var pipelineFiles = lazyregexp.New(`^(\.github/workflows/[^/]*\.ya?ml|\.gitlab-ci\.ya?ml|\.gitlab/.*\.ya?ml|\.circleci/config\.yml|\.buildkite/.*\.ya?ml|azure-pipelines\.ya?ml|Jenkinsfile|\.drone\.ya?ml|\.travis\.yml|cloudbuild\.ya?ml|\.woodpecker.*\.ya?ml|bitbucket-pipelines\.yml|\.cirrus\.yml)$`)

// scripts are what a pipeline calls.
var scripts = lazyregexp.New(`(^|/)(\.github/actions/.*\.ya?ml|Makefile(\.toml)?|[Jj]ustfile|\.justfile|Taskfile\.ya?ml|\.ci/.*|ci/.*|scripts?/.*|\.pre-commit-config\.yaml|xtask/.*\.rs|deny\.toml)$`)

// runs is a check that continuous integration does something: in what it reads, or in what that calls.
func runs(missing string, pattern *lazyregexp.Regexp, also func(*service) bool) func(*service) outcome {
	return func(s *service) outcome {
		paths := s.matching(pipelineFiles)
		if len(paths) == 0 {
			return absent("there is no pipeline")
		}
		for _, p := range append(paths, s.matching(scripts)...) {
			if pattern.MatchString(withoutComments(s.text(p))) {
				return found()
			}
		}
		if also(s) {
			return found()
		}
		return found(at(Place{paths[0], 0}, "%s", missing))
	}
}

var (
	comments  = lazyregexp.New(`(?m)^\s*#.*$`)
	continued = lazyregexp.New(`\\\n\s*`)
)

// withoutComments joins continued lines, and leaves comments out.
func withoutComments(text string) string {
	return continued.ReplaceAllString(comments.ReplaceAllString(text, ""), " ")
}

// deniesWarnings reports whether Cargo itself refuses warnings: a table of lints, or flags for rustc.
func (s *service) deniesWarnings() bool {
	for _, m := range s.manifests() {
		for _, keys := range [][]string{{"lints", "rust", "warnings"}, {"workspace", "lints", "rust", "warnings"}, {"lints", "clippy", "all"}, {"workspace", "lints", "clippy", "all"}} {
			v := m.key(keys...)
			if table, ok := v.(map[string]any); ok {
				v = table["level"]
			}
			if v == "deny" || v == "forbid" {
				return true
			}
		}
	}
	for _, name := range []string{".cargo/config.toml", ".cargo/config"} {
		if strings.Contains(strings.ReplaceAll(s.text(path.Join(s.dir, name)), `", "`, " "), "-D warnings") {
			return true
		}
	}
	for _, f := range s.program.Files() {
		if strings.Contains(f.Source[:min(len(f.Source), 4096)], "#![deny(warnings") || strings.Contains(f.Source[:min(len(f.Source), 4096)], "#![deny(clippy::all") {
			return true
		}
	}
	return false
}

var pipelineChecks = []Check{
	{
		ID: "ci-clippy", Area: "pipeline", Severity: Advice, Title: "CI refuses what clippy warns of",
		Why:  "a lock held over an await, among others, is a warning and no error",
		Mend: "cargo clippy --all-targets --locked -- -D warnings",
		look: runs("no cargo clippy with -D warnings",
			lazyregexp.New(`clippy[^\n]*(-D ?"?(warnings|clippy::all)|--deny[ =]warnings)|RUSTFLAGS["']?\s*[:=][^\n]*(-D ?warnings|--deny[ =]warnings)`), (*service).deniesWarnings),
	},
	{
		ID: "ci-advisories", Area: "pipeline", Severity: Risk, Title: "CI looks for known vulnerabilities",
		Why:  "an advisory is published for a version that was fine when it was taken",
		Mend: "cargo deny check advisories, or cargo audit; also on a schedule",
		look: runs("neither cargo-deny nor cargo-audit",
			lazyregexp.New(`cargo[ -]deny\b(?:[^\n]*\bcheck\b)?(?:[^\n]*\b(advisories|all)\b|\s*$|\s*\n|[ \t]+--?\S+\s*$)|cargo-deny-action|cargo[ -]audit\b|(rustsec|actions-rs|actions-rust-lang)/audit|trivy|osv-scanner|grype|snyk`), (*service).watched),
	},
	{
		ID: "ci-pinned", Area: "pipeline", Severity: Advice, Title: "Actions are pinned to commits",
		Why:  "a tag can be moved to other code, which then has the pipeline's secrets",
		Mend: "uses: actions/checkout@<commit> # v7",
		look: func(s *service) (o outcome) {
			paths := s.matching(lazyregexp.New(`^\.github/workflows/[^/]*\.ya?ml$`))
			if len(paths) == 0 {
				return absent("there is no GitHub workflow")
			}
			for _, p := range paths {
				loose := 0
				var first Finding
				for i, l := range strings.Split(s.text(p), "\n") {
					if m := action.FindStringSubmatch(l); m != nil && !commit.MatchString(m[1]) {
						if loose++; loose == 1 {
							first = at(Place{p, i + 1}, "uses: %s", clear(m[1]))
						}
					}
				}
				if loose > 0 {
					o.findings = append(o.findings, first)
				}
			}
			return o
		},
	},
}

// watched reports whether the forge looks for vulnerabilities itself.
func (s *service) watched() bool {
	for _, p := range []string{".github/dependabot.yml", ".github/dependabot.yaml"} {
		if strings.Contains(s.text(p), "cargo") {
			return true
		}
	}
	for _, p := range []string{"renovate.json", ".github/renovate.json", ".github/renovate.json5", "renovate.json5", ".renovaterc", ".renovaterc.json"} {
		if _, ok := s.files[p]; ok {
			return true
		}
	}
	for _, p := range s.matching(pipelineFiles) {
		if lazyregexp.New(`cargo[ -]deny[^\n]*check *("|'|$|\n)`).MatchString(withoutComments(s.text(p))) {
			return true
		}
	}
	return false
}

var (
	// action is one that is fetched from elsewhere.
	action = lazyregexp.New(`^\s*(?:-\s+)?uses:\s*["']?(\w[\w.-]*/[^\s"'#]+)`)
	commit = lazyregexp.New(`@[0-9a-f]{40}$`)
)
