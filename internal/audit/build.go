package audit

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"rustgen/internal/lazyregexp"
)

var buildChecks = []Check{
	{
		ID: "lockfile", Area: "build", Severity: Risk, Title: "Cargo.lock is part of the tree",
		Why:  "without it the first build in CI is of versions that nobody has tested",
		Mend: "commit Cargo.lock, and build with --locked",
		look: func(s *service) outcome {
			if _, ok := s.files[path.Join(s.dir, "Cargo.lock")]; !ok {
				return found(at(Place{}, "there is no Cargo.lock"))
			}
			for _, p := range []string{path.Join(s.dir, ".gitignore"), ".gitignore"} {
				if n := line(s.text(p), lazyregexp.New(`(?m)^/?Cargo\.lock\s*$`)); n > 0 {
					return found(at(Place{p, n}, "git ignores Cargo.lock"))
				}
			}
			return found()
		},
	},
	{
		ID: "release-profile", Area: "build", Severity: Advice, Title: "The release profile links as one: lto and one codegen unit",
		Why:  "the binary is 4 MB instead of 11 MB, and calls between crates are inlined",
		Mend: "[profile.release] lto = true, codegen-units = 1",
		look: releaseProfile,
	},
	{
		ID: "release-checks", Area: "build", Severity: Fault, Title: "The release is optimised",
		Why:  "code without optimisation is 10 to 100 times slower; incremental code and debug assertions cost less, and always",
		Mend: "leave opt-level, debug-assertions, overflow-checks and incremental of [profile.release] alone, or opt-level = 3",
		look: func(s *service) (o outcome) {
			for key, bad := range map[string][]any{"opt-level": {int64(0), "0", int64(1)}, "debug-assertions": {true}, "incremental": {true}} {
				if v := s.profile(key); v != nil && slices.Contains(bad, v) {
					o.findings = append(o.findings, at(s.root.at("profile.release", key), "[profile.release] %s = %v", key, v))
				}
			}
			return o
		},
	},
	{
		ID: "panic-strategy", Area: "build", Severity: Advice, Title: "What a panic does was decided",
		Why:  "with abort it ends the process; with unwind tokio swallows it, and the service goes on with half its state",
		Mend: `[profile.release] panic = "abort", or "unwind" with a boundary around every handler`,
		look: func(s *service) outcome {
			if s.profile("panic") == nil {
				return found(at(s.root.at("profile.release", ""), "[profile.release] has no panic, so it is unwind"))
			}
			return found()
		},
	},
	{
		ID: "backtraces", Area: "build", Severity: Advice, Title: "Backtraces keep their names",
		Why:  "a backtrace of addresses in a log is of no use to who is woken by it",
		Mend: `[profile.release] strip = "debuginfo"`,
		look: func(s *service) outcome {
			if strip := s.profile("strip"); strip == true || strip == "symbols" {
				return found(at(s.root.at("profile.release", "strip"), "strip takes the names away too"))
			}
			return found()
		},
	},
	{
		ID: "rust-version", Area: "build", Severity: Advice, Title: "The oldest compiler is stated",
		Why:  "with an older one the build fails somewhere inside a dependency, instead of saying so",
		Mend: "[package] or [workspace.package] rust-version, or a rust-toolchain.toml",
		look: func(s *service) outcome {
			for _, m := range s.manifests() {
				if m.key("package", "rust-version") != nil || m.key("workspace", "package", "rust-version") != nil {
					return found()
				}
			}
			for _, name := range []string{"rust-toolchain.toml", "rust-toolchain"} {
				if _, ok := s.files[path.Join(s.dir, name)]; ok {
					return found()
				}
			}
			return found(at(s.root.at("package", ""), "there is no rust-version"))
		},
	},
	{
		ID: "target-cpu", Area: "build", Severity: Fault, Title: "The CPU is named, not that of whoever builds",
		Why:  "target-cpu=native dies of SIGILL on an older machine of the fleet",
		Mend: "-C target-cpu=x86-64-v2 or v3, for what the fleet's oldest machine has",
		look: func(s *service) outcome {
			files := lazyregexp.New(`(^|/)(\.cargo/config(\.toml)?|Cargo\.toml|Makefile|justfile|Dockerfile[^/]*|Containerfile[^/]*|[^/]*\.(sh|ya?ml))$`)
			for _, p := range s.matching(files) {
				if n := line(s.text(p), lazyregexp.New(`(?m)^[^#\n]*target-cpu=native`)); n > 0 && isService(p) {
					return found(at(Place{p, n}, "target-cpu=native"))
				}
			}
			return found()
		},
	},
	{
		ID: "wildcards", Area: "build", Severity: Risk, Title: `No dependency is "*"`,
		Why:  "any update takes any version, with whatever it breaks",
		Mend: `name the version: tokio = "1"`,
		look: wildcards,
	},
}

// releaseProfile is one finding where there is no profile at all.
func releaseProfile(s *service) outcome {
	place := s.root.at("profile.release", "")
	lto, units := s.profile("lto"), s.profile("codegen-units")
	var what []string
	switch lto {
	case true, "fat", "thin":
	case nil:
		what = append(what, "has no lto")
	default:
		place = s.root.at("profile.release", "lto")
		what = append(what, fmt.Sprintf("has lto = %v", lto))
	}
	switch units {
	case int64(1):
	case nil:
		what = append(what, "has no codegen-units, so there are 16")
	default:
		place = s.root.at("profile.release", "codegen-units")
		what = append(what, fmt.Sprintf("has codegen-units = %v", units))
	}
	if len(what) == 0 {
		return found()
	}
	return found(at(place, "[profile.release] %s", strings.Join(what, ", and ")))
}

func wildcards(s *service) (o outcome) {
	for _, m := range s.manifests() {
		tables := []string{"dependencies", "build-dependencies", "workspace.dependencies"}
		if targets, ok := m.key("target").(map[string]any); ok {
			for _, target := range slices.Sorted(maps.Keys(targets)) {
				o.findings = append(o.findings, looseIn(m, m.key("target", target, "dependencies"), "target."+target+".dependencies")...)
			}
		}
		for _, table := range tables {
			o.findings = append(o.findings, looseIn(m, m.key(strings.Split(table, ".")...), table)...)
		}
	}
	return o
}

// looseIn finds the dependencies of a table that any update may change to anything.
func looseIn(m manifest, table any, name string) (all []Finding) {
	deps, _ := table.(map[string]any)
	for _, dep := range slices.Sorted(maps.Keys(deps)) {
		version := deps[dep]
		if spec, ok := version.(map[string]any); ok {
			version = spec["version"]
		}
		if version == "*" {
			all = append(all, at(m.at(name, dep), `%s = "*"`, dep))
		}
	}
	return all
}
