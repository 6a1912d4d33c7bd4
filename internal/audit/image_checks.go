package audit

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"rustgen/internal/lazyregexp"
)

// image is a check of the stage that each Dockerfile ships.
func image(look func(s *service, d dockerfile, base from, own []instruction) []Finding) func(*service) outcome {
	return func(s *service) (o outcome) {
		for _, d := range s.images {
			if base, own := d.last(); base.image != "" {
				o.findings = append(o.findings, look(s, d, base, own)...)
			}
		}
		if len(s.images) == 0 {
			return absent("there is no Dockerfile of it")
		}
		return o
	}
}

var imageChecks = []Check{
	{
		ID: "image-base", Area: "image", Severity: Risk, Title: "The image holds the service and little else",
		Why:  "a compiler and its packages are an attacker's tools, and a gigabyte or two to pull when a node is new",
		Mend: "a last stage from distroless, scratch or a slim image, with the binary copied in",
		look: image(func(_ *service, d dockerfile, base from, _ []instruction) []Finding {
			name, _, _ := strings.Cut(base.image[strings.LastIndex(base.image, "/")+1:], ":")
			switch name, _, _ = strings.Cut(name, "@"); {
			case name == "rust" || strings.HasPrefix(name, "rust-") || strings.Contains(name, "muslrust"):
				return []Finding{at(Place{d.path, base.line}, "the image is made from %s, which holds a compiler", clear(base.image))}
			case name == "buildpack-deps" || name == "golang" || name == "node" || name == "gcc":
				return []Finding{at(Place{d.path, base.line}, "the image is made from %s", clear(base.image))}
			}
			return nil
		}),
	},
	{
		ID: "image-release", Area: "image", Severity: Fault, Title: "The image holds a release build",
		Why:  "a debug build is 10 to 100 times slower, and `cargo run` compiles when the container starts",
		Mend: "cargo build --release --locked in a stage of its own, and the binary as ENTRYPOINT",
		look: func(s *service) outcome {
			o := image(imageRelease)(s)
			for _, d := range s.images {
				o.unseen = append(o.unseen, buildArguments(d)...)
			}
			return o
		},
	},
	{
		ID: "image-pinned", Area: "image", Severity: Risk, Title: "Base images are named by version",
		Why:  "the same commit builds another image tomorrow",
		Mend: "FROM rust:1.95-bookworm, not latest and not nothing; a digest is better still",
		look: image(imagePinned),
	},
	{
		ID: "image-user", Area: "image", Severity: Risk, Title: "The image runs as a numeric user, not as root",
		Why:  "Kubernetes cannot tell whether a name is root, and refuses it under runAsNonRoot",
		Mend: "USER 65532:65532",
		look: image(imageUser),
	},
	{
		ID: "image-exec", Area: "image", Severity: Fault, Title: "The service is PID 1, not a shell",
		Why:  "a shell does not pass SIGTERM on: every stop is a kill after the grace period",
		Mend: `ENTRYPOINT ["/service"]; a script ends with exec`,
		look: image(imageExec),
	},
	{
		ID: "image-locked", Area: "image", Severity: Risk, Title: "The image is built from Cargo.lock",
		Why:  "without --locked cargo takes newer versions than those that were tested",
		Mend: "cargo build --release --locked",
		look: image(func(_ *service, d dockerfile, _ from, _ []instruction) (all []Finding) {
			for _, in := range d.instructions {
				if in.name == "RUN" && cargoBuild.MatchString(in.value) && !strings.Contains(in.value, "--locked") && !strings.Contains(in.value, "--frozen") {
					return []Finding{at(Place{d.path, in.line}, "cargo without --locked")}
				}
			}
			return all
		}),
	},
}

var (
	cargoBuild = lazyregexp.New(`\bcargo (\+\S+ )?(auditable )?(build|install|chef cook)\b`)
	// ownBuild is a build of the service, not of a tool that is installed.
	ownBuild = lazyregexp.New(`\bcargo (\+\S+ )?(auditable |zigbuild |\w+ )?build\b[^\n&;|]*`)
	// buildsOwn is what an image does that holds what lies here: builds it, or runs it by cargo.
	buildsOwn    = lazyregexp.New(`\bcargo["', ]+(\+\S+ )?(\w+ )?(build|run|watch|chef|zigbuild|auditable)\b|\bcargo install [^\n&;|]*--path`)
	buildsFaster = lazyregexp.New(`--release|-r\b|--profile`)
)

func imageRelease(_ *service, d dockerfile, _ from, own []instruction) (all []Finding) {
	if in, ok := start(own); ok && strings.Contains(strings.Join(in.words, " "), "cargo run") || ok && strings.Contains(in.value, "cargo watch") {
		return []Finding{at(Place{d.path, in.line}, "it starts by %s", clear(strings.Join(in.words, " ")))}
	}
	for _, in := range d.instructions {
		if in.name != "RUN" {
			continue
		}
		for _, build := range ownBuild.FindAllString(d.expand(in.value), -1) {
			if !buildsFaster.MatchString(build) && !strings.Contains(build, "$") {
				all = append(all, at(Place{d.path, in.line}, "cargo build without --release"))
			}
		}
	}
	// A debug build of dependencies alone ships nothing.
	for _, in := range d.instructions {
		if in.name == "COPY" && strings.Contains(in.value, "target/") && strings.Contains(in.value, "/release/") {
			return nil
		}
	}
	return all
}

// buildArguments finds builds that are debug builds unless an argument without a default says otherwise.
func buildArguments(d dockerfile) (all []Finding) {
	for _, in := range d.instructions {
		if in.name != "RUN" {
			continue
		}
		for _, build := range ownBuild.FindAllString(d.expand(in.value), -1) {
			for _, m := range variable.FindAllStringSubmatch(build, -1) {
				if !buildsFaster.MatchString(build) && d.asksFor(m[1]) {
					all = append(all, at(Place{d.path, in.line}, "what %s holds: without --release in it, the build is a debug build", m[1]))
				}
			}
		}
	}
	return all
}

// asksFor reports whether a file has an argument without a default.
func (d dockerfile) asksFor(name string) bool {
	return slices.ContainsFunc(d.instructions, func(in instruction) bool {
		return in.name == "ARG" && slices.Contains(in.words, name)
	})
}

func imagePinned(_ *service, d dockerfile, _ from, _ []instruction) (all []Finding) {
	stages := map[string]bool{"scratch": true}
	loose := func(image string, line int, verb string) {
		name, digest, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], "@")
		_, tag, _ := strings.Cut(name, ":")
		if digest == "" && !strings.Contains(image, "$") && !stages[image] && !versioned(tag, name) {
			all = append(all, at(Place{d.path, line}, "%s%s", verb, clear(image)))
		}
	}
	froms := d.froms()
	for _, f := range froms {
		loose(f.image, f.line, "FROM ")
		stages[f.name] = true
	}
	for _, in := range d.instructions {
		if in.name == "COPY" && strings.HasPrefix(in.value, "--from=") {
			image, _, _ := strings.Cut(strings.TrimPrefix(in.value, "--from="), " ")
			if _, err := strconv.Atoi(image); err != nil {
				loose(d.expand(image), in.line, "COPY --from=")
			}
		}
	}
	return all
}

var digits = lazyregexp.New(`\d`)

// suites are names of releases of Debian and Ubuntu, which are versions without a digit.
var suites = lazyregexp.New(`bullseye|bookworm|trixie|buster|jammy|noble|focal`)

// versioned reports whether a tag names a version. distroless names it in the image: cc-debian12.
func versioned(tag, name string) bool {
	if tag == "latest" {
		return false
	}
	return digits.MatchString(tag) || suites.MatchString(tag) || strings.Contains(name, "-debian")
}

func imageUser(_ *service, d dockerfile, base from, own []instruction) []Finding {
	user, ok := find(own, "USER")
	switch name, _, _ := strings.Cut(strings.Trim(d.expand(user.value), `"'`), ":"); {
	case !ok && (strings.Contains(base.image, "nonroot") || strings.Contains(base.image, "$") || strings.Contains(base.image, "unprivileged") || strings.Contains(base.image, "chainguard")):
		return nil
	case !ok:
		return []Finding{at(Place{d.path, base.line}, "no USER, so it is root")}
	case name == "0" || name == "root":
		return []Finding{at(Place{d.path, user.line}, "USER %s is root", clear(user.value))}
	case strings.Contains(name, "$"):
		return nil
	default:
		if _, err := strconv.Atoi(name); err != nil {
			return []Finding{at(Place{d.path, user.line}, "USER %s is no number", clear(user.value))}
		}
	}
	return nil
}

// shells are programs that do not pass signals on, or that keep a container alive without the service.
var shells = []string{"sh", "bash", "ash", "dash", "supervisord", "tail", "sleep", "npm", "make", "watchexec"}

func imageExec(s *service, d dockerfile, base from, own []instruction) []Finding {
	in, ok := start(own)
	switch {
	case !ok && (!strings.Contains(base.image, "/") || strings.Contains(base.image, "distroless")):
		return []Finding{at(Place{d.path, base.line}, "neither ENTRYPOINT nor CMD")}
	case !ok:
		return nil // its base image may have one
	case !in.exec && !strings.HasPrefix(strings.TrimSpace(in.value), "exec "):
		return []Finding{at(Place{d.path, in.line}, "%s in the shell form", in.name)}
	case len(in.words) == 0:
		return nil
	}
	program := path.Base(in.words[0])
	rest := strings.Join(in.words[1:], " ")
	switch {
	case slices.Contains(shells, program) && !strings.Contains(rest, "exec ") && !strings.HasSuffix(rest, ".sh"):
		return []Finding{at(Place{d.path, in.line}, "%s runs %s", in.name, clear(strings.Join(in.words, " ")))}
	case strings.HasSuffix(program, ".sh") || slices.Contains(shells, program):
		return s.script(d, in)
	}
	return nil
}

// script looks whether an entrypoint script ends with exec.
func (s *service) script(d dockerfile, in instruction) []Finding {
	name := ""
	for _, w := range in.words {
		if strings.HasSuffix(w, ".sh") {
			name = path.Base(w)
		}
	}
	for _, p := range s.paths {
		if path.Base(p) != name || !s.files[p].IsText() {
			continue
		}
		if !lazyregexp.New(`(?m)^\s*exec\s`).MatchString(s.text(p)) {
			return []Finding{at(Place{d.path, in.line}, "%s runs %s, which does not exec the service", in.name, name)}
		}
		return nil
	}
	return nil
}

// clear takes out what a terminal would obey.
func clear(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
