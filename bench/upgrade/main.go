// Command upgrade measures an upgrade of a service of 40 files, a quarter of them edited: rustgen beside copier and
// cruft on the same files, and beside the bare git merge-tree of the three trees and a git merge of them. Every run starts from a fresh copy,
// committed in a repository.
//
//	go run ./bench/upgrade [-runs 10] [-check]
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The goals that -check holds, between the fastest runs.
const (
	overCruft = 10
	underGit  = 3
)

// files is how many the template has.
const files = 40

func main() {
	runs := flag.Int("runs", 10, "how often to run each")
	check := flag.Bool("check", false, "fail where rustgen is not 10 times faster than cruft and within 3 times of git merge-tree")
	flag.Parse()
	if err := run(*runs, *check); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// contender upgrades a service that it has made before.
type contender struct {
	name string
	// dir is the service before the upgrade.
	dir     string
	upgrade []string
	took    []time.Duration
}

func run(runs int, check bool) (err error) {
	work, err := os.MkdirTemp("", "rustgen-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	home := filepath.Join(work, "home")
	if err := write(filepath.Join(home, ".gitconfig"), "[user]\n\tname = Bench\n\temail = bench@example.com\n"); err != nil {
		return err
	}
	os.Setenv("HOME", home)
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	var contenders []*contender
	for _, prepare := range []func(string) (*contender, error){withRustgen, withGit, withMerge, withCopier, withCruft} {
		c, err := prepare(work)
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Fprintf(os.Stderr, "skipped: %v\n", err)
			continue
		}
		if err != nil {
			return err
		}
		contenders = append(contenders, c)
	}
	// In turns, so that a busy moment hits all of them.
	for i := range runs {
		for _, c := range contenders {
			if err := c.run(filepath.Join(work, fmt.Sprintf("run-%s-%d", c.name, i))); err != nil {
				return err
			}
		}
	}
	return report(contenders, runs, check)
}

func (c *contender) run(dir string) error {
	if err := command("", "cp", "-r", c.dir, dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	started := time.Now()
	if err := command(dir, c.upgrade...); err != nil {
		return err
	}
	c.took = append(c.took, time.Since(started))
	if c.name == "merge-tree" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName(0)))
	if err != nil {
		return err
	}
	for _, want := range []string{"an edit", "changed by the template"} {
		if !strings.Contains(string(data), want) {
			return fmt.Errorf("%s lost %q", c.name, want)
		}
	}
	return nil
}

func report(contenders []*contender, runs int, check bool) error {
	fmt.Printf("%d runs each; %d files, 10 edited here, 14 changed by the template\n\n", runs, files)
	fmt.Printf("%-10s %10s %10s %10s\n", "", "fastest", "median", "rustgen is")
	fastest := map[string]time.Duration{}
	for _, c := range contenders {
		slices.Sort(c.took)
		fastest[c.name] = c.took[0]
		ratio := float64(c.took[0]) / float64(fastest["rustgen"])
		note := fmt.Sprintf("%.1fx faster", ratio)
		switch {
		case c.name == "rustgen":
			note = ""
		case ratio < 1:
			note = fmt.Sprintf("%.1fx slower", 1/ratio)
		}
		fmt.Printf("%-10s %10s %10s   %s\n", c.name, millis(c.took[0]), millis(c.took[len(c.took)/2]), note)
	}
	if !check {
		return nil
	}
	if cruft, ok := fastest["cruft"]; ok && cruft < overCruft*fastest["rustgen"] {
		return fmt.Errorf("not %d times faster than cruft", overCruft)
	}
	if fastest["rustgen"] > underGit*fastest["merge-tree"] {
		return fmt.Errorf("not within %d times of git merge-tree", underGit)
	}
	return nil
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", cmp.Or(float64(d)/float64(time.Millisecond), 0))
}

func command(dir string, words ...string) error {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, out)
	}
	return nil
}

func write(at, text string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	return os.WriteFile(at, []byte(text), 0o644)
}

func fileName(i int) string { return fmt.Sprintf("part%d/file%d.txt", i%5, i) }

// writeFiles writes the template's files in one of two versions.
func writeFiles(dir string, version int) error {
	for i := range files {
		var lines []string
		for line := range 60 {
			lines = append(lines, fmt.Sprintf("file %d line %d", i, line))
		}
		if version == 2 && i%3 == 0 {
			lines[50] = "changed by the template"
		}
		if err := write(filepath.Join(dir, fileName(i)), strings.Join(lines, "\n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// edit makes the user's changes.
func edit(dir string) error {
	for i := range 10 {
		at := filepath.Join(dir, fileName(i))
		data, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		if err := os.WriteFile(at, append([]byte("an edit\n"), data...), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// commit commits all of a directory, in a repository of its own if need be.
func commit(dir string, extra ...[]string) error {
	steps := append([][]string{{"git", "init", "--quiet"}, {"git", "add", "--all"}, {"git", "commit", "--quiet", "--message", "x"}}, extra...)
	for _, step := range steps {
		if err := command(dir, step...); err != nil {
			return err
		}
	}
	return nil
}
