// Package layer makes a Cargo workspace to publish out of the crates of the server layer. It is pure: files in, a tree
// out.
package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"rustgen/internal/lazyregexp"
	"rustgen/internal/tree"
)

// folder is where the crates lie in the files of the template set.
const folder = "files/crates"

// Export is the layer as a workspace that `cargo package` and `cargo publish` accept.
type Export struct {
	// Version is that of every crate.
	Version string
	// Crates are the names of the crates, each after those that it depends on.
	Crates []string
	// Tree holds the files of the workspace.
	Tree tree.Tree
}

// registryName is what cargo takes for the name of a registry.
var registryName = lazyregexp.New(`^[A-Za-z][A-Za-z0-9_-]*$`)

// New makes the workspace out of the files of a template set. With a registry the crates may be published there and
// nowhere else, and find each other there: a dependency with a version alone would be looked for on the public one.
func New(set fs.FS, registry string) (*Export, error) {
	if registry != "" && !registryName.MatchString(registry) {
		return nil, fmt.Errorf("registry %q: a name is letters, digits, hyphens and underscores, a letter first", registry)
	}
	files, err := fs.Sub(set, folder)
	if err != nil {
		return nil, err
	}
	crates, err := tree.FromFS(files)
	if err != nil {
		return nil, err
	}
	out := &Export{Tree: tree.Tree{}}
	manifests := map[string]string{}
	for p, f := range crates {
		if crate, ok := strings.CutSuffix(p, "/Cargo.toml"); ok {
			manifests[crate] = string(f.Data)
			f.Data = []byte(publishable(string(f.Data), registry))
		}
		out.Tree[path.Join("crates", p)] = f
	}
	if len(manifests) == 0 {
		return nil, errors.New("the template set has no crates")
	}
	if out.Crates, err = inOrder(manifests); err != nil {
		return nil, err
	}
	if out.Version, err = commonVersion(manifests); err != nil {
		return nil, err
	}
	lints, err := fs.ReadFile(set, "files/Cargo.toml.tmpl")
	if err != nil {
		return nil, err
	}
	for name, data := range map[string]string{
		"Cargo.toml": workspace(out.Crates, string(lints)),
		"README.md":  readme(out, registry),
		".gitignore": "/target\n",
	} {
		out.Tree[name] = tree.File{Mode: tree.ModeFile, Data: []byte(data)}
	}
	out.Tree["publish.sh"] = tree.File{Mode: tree.ModeExec, Data: []byte(publishScript(out.Crates, registry))}
	for _, name := range []string{"clippy.toml", "rustfmt.toml"} {
		data, err := fs.ReadFile(set, "files/"+name)
		if err != nil {
			return nil, err
		}
		out.Tree[name] = tree.File{Mode: tree.ModeFile, Data: data}
	}
	return out, nil
}

// dependency is a line by which one crate of the layer depends on another.
var dependency = lazyregexp.New(`(?m)^(hotpath[a-z-]*) = \{ path = "\.\./[a-z-]+", version = "=?([0-9.]+)"(.*)\}$`)

// publishable is a crate's manifest with the registry written into it.
func publishable(manifest, registry string) string {
	if registry == "" {
		return manifest
	}
	manifest = dependency.ReplaceAllStringFunc(manifest, func(line string) string {
		return strings.Replace(line, `, version = `, fmt.Sprintf(`, registry = %q, version = `, registry), 1)
	})
	return strings.Replace(manifest, "\nlicense = ", fmt.Sprintf("\npublish = [%q]\nlicense = ", registry), 1)
}

// inOrder sorts crates so that each comes after those that it depends on.
func inOrder(manifests map[string]string) ([]string, error) {
	var sorted []string
	left := slices.Sorted(func(yield func(string) bool) {
		for name := range manifests {
			if !yield(name) {
				return
			}
		}
	})
	for len(left) > 0 {
		ready := slices.IndexFunc(left, func(name string) bool {
			for _, m := range dependency.FindAllStringSubmatch(manifests[name], -1) {
				if !slices.Contains(sorted, m[1]) {
					return false
				}
			}
			return true
		})
		if ready < 0 {
			return nil, fmt.Errorf("the crates %s depend on each other in a circle", strings.Join(left, ", "))
		}
		sorted = append(sorted, left[ready])
		left = slices.Delete(left, ready, ready+1)
	}
	return sorted, nil
}

var version = lazyregexp.New(`(?m)^version = "([^"]+)"$`)

// commonVersion is the version that all crates have.
func commonVersion(manifests map[string]string) (string, error) {
	common := ""
	for name, text := range manifests {
		m := version.FindStringSubmatch(text)
		if m == nil {
			return "", fmt.Errorf("crates/%s/Cargo.toml has no version", name)
		}
		if common != "" && common != m[1] {
			return "", fmt.Errorf("the crates have different versions: %s and %s", common, m[1])
		}
		common = m[1]
	}
	return common, nil
}

// workspace is the manifest over the crates, with the lints of a service.
func workspace(crates []string, service string) string {
	from := strings.Index(service, "[workspace.lints.rust]")
	to := strings.Index(service, "[lints]")
	lints := ""
	if from >= 0 && to > from {
		lints = templateTag.ReplaceAllString(service[from:to], "")
	}
	var members []string
	for _, name := range crates {
		members = append(members, fmt.Sprintf("%q", "crates/"+name))
	}
	return fmt.Sprintf("[workspace]\nresolver = \"3\"\nmembers = [%s]\n\n%s\n", strings.Join(members, ", "), strings.TrimSpace(lints))
}

var templateTag = lazyregexp.New(`<%.*?%>`)

func readme(e *Export, registry string) string {
	where, flag := "a registry", ""
	if registry != "" {
		where, flag = fmt.Sprintf("the registry `%s`", registry), "--registry "+registry+" "
	}
	return fmt.Sprintf(`# The server layer of hotpath services, %s

The crates that generated services are built on: %s. They are plain Rust and the same for every service.

- Check: `+"`cargo clippy --all-targets -- -Dwarnings && cargo test`"+`
- Try what would be published: `+"`cargo publish --workspace --dry-run %s`"+`
- Publish to %s: `+"`./publish.sh`"+`, which leaves out what is there already, so that it can be run again.

A fix of the company's own is a version of its own: raise the version of every crate, and of the dependencies between
them, and publish. Services take it by `+"`cargo update`"+`.
`, e.Version, "`"+strings.Join(e.Crates, "`, `")+"`", strings.TrimSpace(flag), where)
}

func publishScript(crates []string, registry string) string {
	flag := ""
	if registry != "" {
		flag = " --registry " + registry
	}
	return fmt.Sprintf(`#!/usr/bin/env bash
# Publishes the crates, each after those that it depends on. What the registry has in this version already is left out,
# so a run that was cut off is ended by another. Arguments go to cargo publish. The token is cargo's own: CARGO_REGISTRIES_NAME_TOKEN or cargo login.
set -euo pipefail
cd "$(dirname "$0")"
for crate in %s; do
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "crates/$crate/Cargo.toml")
    # Outside of the workspace, where cargo asks the registry and not the folder beside it.
    if (cd / && cargo info%s "$crate@$version") >/dev/null 2>&1; then
        echo "$crate $version is there"
    else
        cargo publish%s --package "$crate" "$@"
    fi
done
`, strings.Join(crates, " "), flag, flag)
}
