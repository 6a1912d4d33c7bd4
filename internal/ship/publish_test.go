package ship

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Stand-ins for what ci/image.sh calls: they note how, and answer as the programs do. A service is sick that never
// becomes healthy.
const (
	standInDocker = `#!/bin/sh
echo "docker $*" >> "$CALLS"
case "$1 $2" in
"buildx inspect" | "context inspect") exit 1 ;;
"buildx build")
	while [ $# -gt 0 ]; do
		if [ "$1" = --metadata-file ]; then
			printf '{\n  "containerimage.config.digest": "sha256:0",\n  "containerimage.digest": "%s"\n}\n' "$DIGEST" > "$2"
		fi
		shift
	done
	;;
"exec "*) [ -z "$SICK" ] ;;
"run "*) echo container ;;
"inspect "*) echo 0 ;;
esac
`
	standInCosign = "#!/bin/sh\necho \"cosign $*\" >> \"$CALLS\"\n"
	standInSleep  = "#!/bin/sh\n"

	pushedDigest = "sha256:0707070707070707070707070707070707070707070707070707070707070707"
)

// imageScript runs ci/image.sh of a tree among the stand-ins, and returns what it said and the programs that it called.
func imageScript(t *testing.T, r rendered, environment []string, arguments ...string) (output string, called []string, err error) {
	t.Helper()
	dir, bin := repository(t, r), t.TempDir()
	for name, text := range map[string]string{"docker": standInDocker, "cosign": standInCosign, "sleep": standInSleep} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	calls := filepath.Join(bin, "calls")
	command := append([]string{"env", "PATH=" + bin + ":" + os.Getenv("PATH"), "CALLS=" + calls, "DIGEST=" + pushedDigest}, environment...)
	output, err = run(t, dir, append(append(command, "ci/image.sh"), arguments...)...)
	text, _ := os.ReadFile(calls)
	return output, strings.Split(strings.TrimSpace(string(text)), "\n"), err
}

// publishScriptViolations are the ways in which a release would be another image than the one that was checked, or one
// whose origin nobody can tell.
func publishScriptViolations(t *testing.T, r rendered) []string {
	t.Helper()
	var found findings
	const image = "registry.example.com/team/hello"
	output, called, err := imageScript(t, r, []string{"TAG=v0.1.0", "CACHE=" + image + ":cache"}, "publish", image)
	if err != nil {
		return []string{"a release fails: " + output}
	}
	at := func(prefix string) int {
		return slices.IndexFunc(called, func(call string) bool { return strings.HasPrefix(call, prefix) })
	}
	pushed, checked, signed := at("docker buildx build"), at("docker run"), at("cosign sign")
	if pushed < 0 {
		return []string{"nothing is built"}
	}
	for why, option := range map[string]string{
		"is not for every platform":  "--platform linux/amd64,linux/arm64",
		"has no provenance":          "--provenance mode=max",
		"has no bill of materials":   "--attest type=sbom,generator=docker/buildkit-syft-scanner:stable-1@sha256:",
		"is not named after Cargo":   "--tag " + image + ":0.1.0 ",
		"does not say its version":   "--build-arg VERSION=0.1.0",
		"does not say its revision":  "--build-arg REVISION=",
		"is not pushed":              "--push",
		"is built without the cache": "--cache-from type=registry,ref=" + image + ":cache",
	} {
		found.wrong(strings.Contains(called[pushed], option), "the image %s: %s", why, called[pushed])
	}
	found.wrong(!strings.Contains(called[pushed], "REVISION=unknown"), "the image says no revision")
	found.wrong(strings.Contains(strings.Join(called, "\n"), "--driver-opt image=moby/buildkit:v0.31.2@sha256:"), "the engine is not pinned")
	found.wrong(slices.Contains(called, "docker pull --quiet "+image+"@"+pushedDigest) && pushed < checked && checked < signed, "what is pushed is not checked")
	found.wrong(slices.Contains(called, "cosign sign --yes "+image+"@"+pushedDigest), "what is pushed is not signed by its digest")

	_, called, _ = imageScript(t, r, []string{"TAG=v0.1.0", "SIGNING_KEY=env://KEY"}, "publish", image)
	found.wrong(slices.Contains(called, "cosign sign --yes --key env://KEY "+image+"@"+pushedDigest), "a key is not taken")

	output, called, err = imageScript(t, r, []string{"TAG=v0.2.0"}, "publish", image)
	found.wrong(err != nil && strings.Contains(output, "the tag is v0.2.0, and Cargo.toml says 0.1.0") && strings.Contains(output, "git tag v0.1.0") &&
		!strings.Contains(strings.Join(called, "\n"), "build"), "a release whose tag and version differ: %v, %s", err, output)
	_, called, err = imageScript(t, r, []string{"TAG=v0.1.0", "SICK=1"}, "publish", image)
	found.wrong(err != nil && !strings.Contains(strings.Join(called, "\n"), "cosign"), "a sick image is signed")
	output, called, err = imageScript(t, r, []string{"TAG=v0.1.0", "DIGEST="}, "publish", image)
	found.wrong(err != nil && strings.Contains(output, "no digest") && !strings.Contains(strings.Join(called, "\n"), "cosign"), "without a digest: %s", output)
	return found
}

func TestPublish(t *testing.T) {
	eachCase(t, "ci/image.sh", func(t *testing.T, r rendered) {
		for _, violation := range publishScriptViolations(t, r) {
			t.Error(violation)
		}
	})
}

func TestPublishFaults(t *testing.T) {
	for _, fault := range []struct{ old, new, found string }{
		{"linux/amd64,linux/arm64", "linux/amd64", "is not for every platform"},
		{"--provenance mode=max ", "", "has no provenance"},
		{`--attest "type=sbom,generator=$sbom" `, "", "has no bill of materials"},
		{`BUILT="$1@$digest" ci/check.sh image`, "", "what is pushed is not checked"},
		{`"${key[@]}" "$1@$digest"`, `"${key[@]}" "$1:$version"`, "is not signed by its digest"},
		{`[ "${TAG:-}" = "v$version" ]`, "true", "a release whose tag and version differ"},
		{"moby/buildkit:v0.31.2@sha256:", "moby/buildkit:v0.31.2-", "the engine is not pinned"},
		{`(--key "$SIGNING_KEY")`, "()", "a key is not taken"},
		{`[ -n "$digest" ]`, "true", "without a digest"},
	} {
		found := publishScriptViolations(t, renderTree(t, cases["default"]).with(t, "ci/image.sh", fault.old, fault.new))
		if !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%q was not found: %q", fault.found, found)
		}
	}
}

// What was compiled before is taken from a registry, and put there by the default branch alone.
func TestBuildCache(t *testing.T) {
	r := renderTree(t, cases["default"])
	const cache = "CACHE=registry.example.com/hello:cache"
	for _, test := range []struct {
		environment, arguments []string
		want, not              string
	}{
		{nil, []string{"build", "hello"}, "docker build --build-arg", "cache"},
		{[]string{cache}, []string{"build", "hello"}, "--cache-from type=registry,ref=registry.example.com/hello:cache --load --tag hello", "--cache-to"},
		{[]string{cache}, []string{"cache"}, "--platform linux/amd64,linux/arm64 --cache-to type=registry,ref=registry.example.com/hello:cache,mode=max", "--push"},
	} {
		output, called, err := imageScript(t, r, test.environment, test.arguments...)
		if all := strings.Join(called, "\n"); err != nil || !strings.Contains(all, test.want) || strings.Contains(all, test.not) {
			t.Errorf("%q: %v\n%s\n%s", test.arguments, err, output, all)
		}
	}
	for _, test := range []struct {
		arguments []string
		says      string
	}{
		{nil, "commands: build IMAGE, cache, publish IMAGE"},
		{[]string{"publish"}, "ci/image.sh publish IMAGE"},
		{[]string{"cache", "x"}, "cache takes no name"},
		{[]string{"cache"}, "CACHE names no image"},
	} {
		if output, called, err := imageScript(t, r, nil, test.arguments...); err == nil || !strings.Contains(output, test.says) || called[0] != "" {
			t.Errorf("%q: %v\n%s\n%q", test.arguments, err, output, called)
		}
	}
}

// A layer from a registry that asks for a token is built with it, and the token is no argument of the build.
func TestRegistryToken(t *testing.T) {
	r := renderTree(t, answers{"name": "hello", "layer": "registry"})
	_, called, err := imageScript(t, r, []string{"CARGO_REGISTRIES_COMPANY_TOKEN=s3cret"}, "build", "hello")
	all := strings.Join(called, "\n")
	if err != nil || !strings.Contains(all, "--secret id=CARGO_REGISTRIES_COMPANY_TOKEN,env=CARGO_REGISTRIES_COMPANY_TOKEN ") || strings.Contains(all, "s3cret") {
		t.Errorf("%v\n%s", err, all)
	}
}
