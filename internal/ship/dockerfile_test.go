package ship

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

var (
	numericUser = regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`)
	// The version of Rust and the suite of Debian are in the tag; the digest decides.
	builderImage = regexp.MustCompile(`^rust:([0-9.]+)-([a-z]+)@sha256:[0-9a-f]{64}$`)
	runtimeImage = regexp.MustCompile(`^gcr[.]io/distroless/cc-debian[0-9]+:nonroot@sha256:[0-9a-f]{64}$`)
	suites       = map[string]string{"bookworm": "debian12", "trixie": "debian13"}
)

// parseDockerfile gives the stages, and the values of the arguments before the first.
func parseDockerfile(text []byte) ([]instructions.Stage, map[string]string, error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	stages, global, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, nil, err
	}
	arguments := map[string]string{}
	for _, group := range global {
		for _, argument := range group.Args {
			if argument.Value != nil {
				arguments[argument.Key] = *argument.Value
			}
		}
	}
	return stages, arguments, nil
}

// dockerfileViolations are the ways in which the image would not be what the service promises.
func dockerfileViolations(r rendered) []string {
	var found findings
	text := r.Tree["Dockerfile"].Data
	stages, arguments, err := parseDockerfile(text)
	if err != nil {
		return []string{err.Error()}
	}
	found.wrong(!regexp.MustCompile(`(?mi)^#\s*syntax\s*=`).Match(text), "a # syntax line fetches a program from elsewhere")
	found.wrong(len(stages) == 2, "%d stages", len(stages))
	if len(stages) != 2 {
		return found
	}
	build, final := stages[0], stages[1]
	found.wrong(build.BaseName == "${BUILDER}", "the builder is %s", build.BaseName)
	found.wrong(build.Platform == "${BUILDPLATFORM}", "the build is emulated on %q", build.Platform)
	builder := builderImage.FindStringSubmatch(arguments["BUILDER"])
	found.wrong(builder != nil, "the builder %s is not pinned by digest", arguments["BUILDER"])
	if r.data["base"] == "scratch" {
		found.wrong(final.BaseName == "scratch", "the base is %s", final.BaseName)
	} else {
		runtime := arguments["RUNTIME"]
		found.wrong(final.BaseName == "${RUNTIME}", "the base is %s", final.BaseName)
		if builder != nil {
			suite := suites[builder[2]]
			found.wrong(suite != "" && strings.Contains(runtime, "cc-"+suite+":"), "builder suite %s, runtime %s", builder[2], runtime)
		}
		found.wrong(runtimeImage.MatchString(runtime), "the runtime %s is not nonroot, by digest", runtime)
	}

	// Every manifest comes in before the first build, every source after it.
	copied, built := map[string]bool{}, 0
	for _, command := range build.Commands {
		switch command := command.(type) {
		case *instructions.CopyCommand:
			for _, source := range command.SourcePaths {
				copied[source] = true
				// What a team may add, and what need not be there, comes in by a pattern.
				found.wrong(source == "." || strings.Contains(source, "[") || slices.ContainsFunc(r.Paths(), func(name string) bool {
					return name == source || strings.HasPrefix(name, source+"/")
				}), "there is no %s to copy", source)
			}
			found.wrong(!slices.Contains(command.SourcePaths, ".") || built == 1, "the sources come in before the dependencies are built")
		case *instructions.RunCommand:
			line := strings.Join(command.CmdLine, " ")
			if strings.Contains(line, "cargo auditable build") {
				built++
				found.wrong(strings.Contains(line, "--locked"), "a build without --locked")
			}
			if built == 1 {
				for _, name := range r.Paths() {
					if path.Base(name) == "Cargo.toml" || name == "Cargo.lock" {
						// The layer is copied whole: it is one of the dependencies.
						there := copied[name] || copied["crates"] && strings.HasPrefix(name, "crates/")
						found.wrong(there, "%s is not there when the dependencies are built", name)
					}
				}
			}
		}
	}
	found.wrong(copied[".carg[o]"], "cargo's own settings do not reach the build")
	vendored := copied["vendo[r]"] && bytes.Contains(r.Tree[".dockerignore"].Data, []byte("\n!vendor\n"))
	found.wrong(vendored, "vendored sources do not reach the build")
	found.wrong(built == 2, "%d builds, not one of the dependencies and one of the code", built)

	var user, health, entry bool
	labels := map[string]bool{}
	for _, command := range final.Commands {
		switch command := command.(type) {
		case *instructions.UserCommand:
			user = numericUser.MatchString(command.User)
		case *instructions.EntrypointCommand:
			entry = !command.PrependShell && slices.Equal(command.CmdLine, []string{"/" + r.data["name"].(string)})
		case *instructions.HealthCheckCommand:
			health = slices.Equal(command.Health.Test, []string{"CMD", "/" + r.data["name"].(string), "healthcheck"})
		case *instructions.LabelCommand:
			for _, label := range command.Labels {
				labels[label.Key] = true
			}
		case *instructions.RunCommand:
			found.wrong(false, "the final image has no shell to run %v", command.CmdLine)
		}
	}
	found.wrong(user, "the user is not numeric")
	found.wrong(entry, "the entry point is not in exec form")
	found.wrong(health, "the health check is not the binary's own")
	for _, label := range []string{"title", "version", "revision", "source"} {
		found.wrong(labels["org.opencontainers.image."+label], "no label %s", label)
	}
	return found
}

func TestDockerfile(t *testing.T) {
	eachCase(t, "Dockerfile", func(t *testing.T, r rendered) {
		for _, violation := range dockerfileViolations(r) {
			t.Error(violation)
		}
	})
}

func TestDockerfileFaults(t *testing.T) {
	for _, fault := range []struct{ old, new, found string }{
		{"# By digest", "# syntax=docker/dockerfile:1\n# By digest", "syntax line"},
		{"rust:1.95-bookworm@", "rust:1.95-trixie@", "builder suite trixie"},
		{"rust:1.95-bookworm@sha256:", "rust:1.95-bookworm-", "is not pinned by digest"},
		{"--platform=${BUILDPLATFORM} ", "", "the build is emulated"},
		{":nonroot@", ":latest@", "not nonroot"},
		{":nonroot@sha256:", ":nonroot-", "not nonroot, by digest"},
		{"USER 65532:65532", "USER nonroot", "user is not numeric"},
		{`ENTRYPOINT ["/hello"]`, "ENTRYPOINT /hello", "not in exec form"},
		{`"healthcheck"]`, `"health"]`, "health check is not"},
		{"COPY loadtest/Cargo.toml loadtest/\n", "", "loadtest/Cargo.toml is not there"},
		{"COPY .carg[o] .cargo/\n", "COPY .cargo/config .cargo\n", "there is no .cargo/config to copy"},
		{"COPY .carg[o] .cargo/\n", "", "cargo's own settings do not reach the build"},
		{"COPY vendo[r] vendor/\n", "", "vendored sources do not reach the build"},
		{"COPY .carg[o] .cargo/\n", "COPY . .\n", "sources come in before"},
		{"build --locked --release", "build --release", "without --locked"},
		{"image.revision", "image.commit", "no label revision"},
		{"FROM ${RUNTIME}", "FROMM ${RUNTIME}", "unknown instruction"},
	} {
		r := renderTree(t, cases["default"]).with(t, "Dockerfile", fault.old, fault.new)
		if found := dockerfileViolations(r); !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%q was not found: %q", fault.found, found)
		}
	}
}
