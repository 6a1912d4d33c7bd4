package audit

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var buildChecks = []Check{
	{
		ID: "lockfile", Area: "build", Title: "Cargo.lock is part of the tree",
		Why:  "without it the first build in CI is of versions that nobody has tested",
		Mend: "commit Cargo.lock, and build with --locked",
		look: func(s *service) outcome {
			if _, ok := s.files["Cargo.lock"]; !ok {
				return found(at(Place{}, "there is no Cargo.lock"))
			}
			if n := line(s.text(".gitignore"), regexp.MustCompile(`(?m)^/?Cargo\.lock\s*$`)); n > 0 {
				return found(at(Place{".gitignore", n}, "git ignores Cargo.lock"))
			}
			return found()
		},
	},
	{
		ID: "release-profile", Area: "build", Title: "The release profile links as one: lto and one codegen unit",
		Why:  "the binary is 4 MB instead of 11 MB, and calls between crates are inlined",
		Mend: "[profile.release] lto = true, codegen-units = 1",
		look: func(s *service) (o outcome) {
			place := s.root.at("profile.release", "")
			switch lto := s.root.key("profile", "release", "lto"); lto {
			case true, "fat", "thin":
			case nil:
				o.findings = append(o.findings, at(place, "[profile.release] has no lto"))
			default:
				o.findings = append(o.findings, at(s.root.at("profile.release", "lto"), "lto is %v", lto))
			}
			switch units := s.root.key("profile", "release", "codegen-units"); units {
			case int64(1):
			case nil:
				o.findings = append(o.findings, at(place, "[profile.release] has no codegen-units, so there are 16"))
			default:
				o.findings = append(o.findings, at(s.root.at("profile.release", "codegen-units"), "codegen-units is %v", units))
			}
			return o
		},
	},
	{
		ID: "panic-strategy", Area: "build", Title: "What a panic does was decided",
		Why:  "with abort it ends the process; with unwind tokio swallows it, and the service goes on with half its state",
		Mend: `[profile.release] panic = "abort", or "unwind" with a boundary around every handler`,
		look: func(s *service) outcome {
			if s.root.key("profile", "release", "panic") == nil {
				return found(at(s.root.at("profile.release", ""), "[profile.release] has no panic, so it is unwind"))
			}
			return found()
		},
	},
	{
		ID: "backtraces", Area: "build", Title: "Backtraces keep their names",
		Why:  "a backtrace of addresses in a log is of no use to who is woken by it",
		Mend: `[profile.release] strip = "debuginfo"`,
		look: func(s *service) outcome {
			if strip := s.root.key("profile", "release", "strip"); strip == true || strip == "symbols" {
				return found(at(s.root.at("profile.release", "strip"), "strip takes the names away too"))
			}
			return found()
		},
	},
	{
		ID: "rust-version", Area: "build", Title: "The oldest compiler is stated",
		Why:  "with an older one the build fails somewhere inside a dependency, instead of saying so",
		Mend: "[package] or [workspace.package] rust-version",
		look: func(s *service) outcome {
			for _, m := range s.manifests {
				if m.key("package", "rust-version") != nil || m.key("workspace", "package", "rust-version") != nil {
					return found()
				}
			}
			return found(at(s.root.at("package", ""), "there is no rust-version"))
		},
	},
	{
		ID: "target-cpu", Area: "build", Title: "The CPU is named, not that of whoever builds",
		Why:  "target-cpu=native dies of SIGILL on an older machine of the fleet",
		Mend: "-C target-cpu=x86-64-v2 or v3, for what the fleet's oldest machine has",
		look: func(s *service) outcome {
			files := regexp.MustCompile(`(^|/)(\.cargo/config(\.toml)?|Cargo\.toml|Makefile|justfile|Dockerfile[^/]*|[^/]*\.(sh|ya?ml))$`)
			if place, ok := s.anywhere(files, regexp.MustCompile(`(?m)^[^#\n]*target-cpu=native`)); ok {
				return found(at(place, "target-cpu=native"))
			}
			return found()
		},
	},
	{
		ID: "wildcards", Area: "build", Title: `No dependency is "*"`,
		Why:  "any update takes any version, with whatever it breaks",
		Mend: `name the version: tokio = "1"`,
		look: func(s *service) (o outcome) {
			for _, m := range s.manifests {
				for _, table := range []string{"dependencies", "build-dependencies", "dev-dependencies", "workspace.dependencies"} {
					deps, _ := m.key(strings.Split(table, ".")...).(map[string]any)
					for _, name := range slices.Sorted(maps.Keys(deps)) {
						version := deps[name]
						if spec, ok := version.(map[string]any); ok {
							version = spec["version"]
						}
						if version == "*" {
							o.findings = append(o.findings, at(m.at(table, name), `%s = "*"`, name))
						}
					}
				}
			}
			return o
		},
	},
}
