package vcs

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rustgen/internal/git"
)

// standIn puts a shell script in the place of git.
func standIn(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script stands in for git")
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// A server that never ends to send, and one that never begins, are given up.
func TestTransferIsBounded(t *testing.T) {
	for _, test := range []struct {
		name, script, want string
		most               bound
	}{
		{"endless", "while :; do head -c 1000000 /dev/zero >>pack; done\n", "git fetch: more than 4 MiB are sent, and no more is taken",
			bound{bytes: 4 << 20, time: time.Hour}},
		{"silent", "exec sleep 1000\n", "git fetch: it is not done in 100ms", bound{bytes: 4 << 20, time: 100 * time.Millisecond}},
		{"sudden", "head -c 5000000 /dev/zero >pack\n", "git fetch: more than 4 MiB are sent, and no more is taken", bound{bytes: 4 << 20, time: time.Hour}},
		{"fitting", "head -c 4000000 /dev/zero >pack\n", "", bound{bytes: 4 << 20, time: time.Hour}},
	} {
		t.Run(test.name, func(t *testing.T) {
			standIn(t, test.script)
			dir := t.TempDir()
			_, err := transfer(t.Context(), git.Call{Dir: dir, Args: []string{"fetch"}}, dir, test.most)
			if got := messageOf(err); got != test.want {
				t.Errorf("it ends with %q, want %q", got, test.want)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		standIn(t, "exec sleep 1000\n")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := transfer(ctx, git.Call{Dir: t.TempDir(), Args: []string{"fetch"}}, "", fetchBound); !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	})
}

func messageOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A repository that is too large is refused by its size as it comes, and nothing of it is checked out.
func TestCloneIsBounded(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not on the PATH")
	}
	from := t.TempDir()
	data := make([]byte, 2<<20)
	_, _ = rand.Read(data)
	if err := os.WriteFile(filepath.Join(from, "noise"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a"}} {
		if _, err := git.Run(t.Context(), git.Call{Dir: from, Unconfigured: true, Args: args}); err != nil {
			t.Fatal(err)
		}
	}
	was := fetchBound
	t.Cleanup(func() { fetchBound = was })
	fetchBound.bytes = 1 << 20
	dir := t.TempDir()
	_, err := Source{URL: "file://" + filepath.ToSlash(from)}.clone(t.Context(), "", dir)
	if err == nil || !strings.Contains(err.Error(), "more than 1 MiB are sent") {
		t.Errorf("it ends with %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "noise")); err == nil {
		t.Error("it is checked out")
	}
}
