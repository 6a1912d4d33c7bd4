package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

func withRustgen(work string) (*contender, error) {
	program := filepath.Join(work, "rustgen")
	if err := command("", "go", "build", "-o", program, "./cmd/rustgen"); err != nil {
		return nil, err
	}
	for version := 1; version <= 2; version++ {
		set := filepath.Join(work, fmt.Sprintf("set%d", version))
		if err := writeFiles(filepath.Join(set, "files"), version); err != nil {
			return nil, err
		}
		if err := write(filepath.Join(set, "template.yaml"), fmt.Sprintf("name: bench\nversion: %d.0.0\n", version)); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(work, "service-rustgen")
	if err := command(work, program, "new", "svc", "--dir", dir, "--yes", "--vcs", "none", "--template", "set1"); err != nil {
		return nil, err
	}
	if err := edit(dir); err != nil {
		return nil, err
	}
	return &contender{name: "rustgen", dir: dir, upgrade: []string{program, "upgrade", "--template", filepath.Join(work, "set2")}}, commit(dir)
}

// withGit has the three trees as commits already: what is left is the merge.
func withGit(work string) (*contender, error) {
	dir := filepath.Join(work, "service-git")
	if err := writeFiles(dir, 1); err != nil {
		return nil, err
	}
	if err := commit(dir, []string{"git", "branch", "theirs"}); err != nil {
		return nil, err
	}
	if err := edit(dir); err != nil {
		return nil, err
	}
	if err := commit(dir, []string{"git", "branch", "ours"}, []string{"git", "switch", "--quiet", "theirs"}); err != nil {
		return nil, err
	}
	if err := writeFiles(dir, 2); err != nil {
		return nil, err
	}
	return &contender{name: "merge-tree", dir: dir, upgrade: []string{"git", "merge-tree", "--write-tree", "ours", "theirs"}},
		commit(dir, []string{"git", "switch", "--quiet", "ours"})
}

// withMerge does what an upgrade does beyond merging: it looks for uncommitted changes, and writes the work tree.
func withMerge(work string) (*contender, error) {
	return &contender{name: "merge", dir: filepath.Join(work, "service-git"), upgrade: []string{"git", "merge", "--quiet", "--no-edit", "theirs"}}, nil
}

func withCopier(work string) (*contender, error) {
	if _, err := exec.LookPath("copier"); err != nil {
		return nil, err
	}
	template := filepath.Join(work, "template-copier")
	if err := write(filepath.Join(template, "copier.yml"), "_subdirectory: files\nname: svc\n"); err != nil {
		return nil, err
	}
	if err := write(filepath.Join(template, "files", "{{_copier_conf.answers_file}}.jinja"), "{{ _copier_answers|to_nice_yaml -}}\n"); err != nil {
		return nil, err
	}
	for version := 1; version <= 2; version++ {
		if err := writeFiles(filepath.Join(template, "files"), version); err != nil {
			return nil, err
		}
		if err := commit(template, []string{"git", "tag", fmt.Sprintf("%d.0.0", version)}); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(work, "service-copier")
	if err := command(work, "copier", "copy", "--quiet", "--defaults", "--vcs-ref", "1.0.0", "git+file://"+template, dir); err != nil {
		return nil, err
	}
	if err := edit(dir); err != nil {
		return nil, err
	}
	return &contender{name: "copier", dir: dir, upgrade: []string{"copier", "update", "--quiet", "--defaults", "--vcs-ref", "2.0.0"}}, commit(dir)
}

func withCruft(work string) (*contender, error) {
	if _, err := exec.LookPath("cruft"); err != nil {
		return nil, err
	}
	template := filepath.Join(work, "template-cruft")
	if err := write(filepath.Join(template, "cookiecutter.json"), "{\"name\": \"service-cruft\"}\n"); err != nil {
		return nil, err
	}
	for version := 1; version <= 2; version++ {
		if err := writeFiles(filepath.Join(template, "{{cookiecutter.name}}"), version); err != nil {
			return nil, err
		}
		if err := commit(template, []string{"git", "tag", fmt.Sprintf("%d.0.0", version)}); err != nil {
			return nil, err
		}
	}
	if err := command(work, "cruft", "create", "--no-input", "--checkout", "1.0.0", template); err != nil {
		return nil, err
	}
	dir := filepath.Join(work, "service-cruft")
	if err := edit(dir); err != nil {
		return nil, err
	}
	return &contender{name: "cruft", dir: dir, upgrade: []string{"cruft", "update", "--skip-apply-ask", "--checkout", "2.0.0"}}, commit(dir)
}
