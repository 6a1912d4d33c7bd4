package cli

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rustgen/internal/source"
)

// Which set a command line asks for is known before the flags of its decisions are.
func TestFindCall(t *testing.T) {
	t.Parallel()
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, nil)
	for line, want := range map[string]call{
		"new hello --template x":                {command: "new", template: "x", given: true, dir: ".", argument: "hello"},
		"new hello --template=x --yes":          {command: "new", template: "x", given: true, dir: ".", argument: "hello"},
		"new --state stateful --template x":     {command: "new", template: "x", given: true, dir: "."},
		"new --template x --template=y hello":   {command: "new", template: "y", given: true, dir: ".", argument: "hello"},
		"new --template= hello":                 {command: "new", given: true, dir: ".", argument: "hello"},
		"new hello -- --template x":             {command: "new", dir: ".", argument: "hello"},
		"upgrade --abort=true --dir d":          {command: "upgrade", dir: "d", setless: true},
		"upgrade --abort":                       {command: "upgrade", dir: ".", setless: true},
		"upgrade --abort=false":                 {command: "upgrade", dir: "."},
		"upgrade --set a=--abort":               {command: "upgrade", dir: "."},
		"set --set --continue":                  {command: "set", dir: "."},
		"set a=b --help":                        {command: "set", dir: ".", describes: true, argument: "a=b"},
		"help template export":                  {command: "template export", dir: ".", describes: true},
		"__complete new --template u -- --stat": {command: "new", template: "u", given: true, dir: ".", describes: true, argument: "--stat"},
		"__complete set allo":                   {command: "set", dir: ".", describes: true, argument: "allo"},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			if got := a.findCall(strings.Fields(line)); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// A quoted word is what a POSIX shell reads back.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "a", "a b", "it's", "$(id)", "`id`", "a\\b", "*", "~", "-n", "é", "a\"b", "!x", "#", "a=b", "{a,b}", "\t"} {
		f.Add(seed)
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("sh is not on the PATH")
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) {
			return
		}
		out, err := exec.Command(shell, "-c", "printf %s "+quote(word)+" | cat").Output()
		if err != nil || string(out) != word {
			t.Errorf("%q is quoted as %s, which a shell reads as %q (%v)", word, quote(word), out, err)
		}
	})
}

// No decision may take a flag of rustgen's own: reservedFlags names all of them.
func TestReservedFlags(t *testing.T) {
	t.Parallel()
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, nil)
	set, err := a.sets.Open(context.Background(), source.Place{Source: ""})
	if err != nil {
		t.Fatal(err)
	}
	root := a.commands(set)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if _, ok := set.Catalog.Find(f.Name); !ok && !slices.Contains(reservedFlags, f.Name) && cmd.Parent() == root && takesDecisions(cmd) {
				t.Errorf("%s has the flag --%s, which a set could declare as a decision", cmd.CommandPath(), f.Name)
			}
			if strings.TrimSpace(f.Usage) == "" {
				t.Errorf("%s: --%s is not explained", cmd.CommandPath(), f.Name)
			}
		})
		for _, c := range cmd.Commands() {
			if c.Short == "" {
				t.Errorf("%s is not explained", c.CommandPath())
			}
			visit(c)
		}
	}
	visit(root)
}

// takesDecisions reports whether a command has a flag for every decision.
func takesDecisions(cmd *cobra.Command) bool { return cmd.Flags().Lookup("set") != nil }

// Whatever an answers file holds, the run ends with a service or with one line of what is wrong and one that mends it.
func FuzzAnswersFile(f *testing.F) {
	for _, seed := range []string{
		"", "port: 1", "port: many", "{\"port\": 1}", "{", "- port", "port: 1\nport: 2", "a: &a [*a]", "<<: {port: 1}", "? [a]\n: b", "port: !!binary aGk=",
		"decisions: {port: {value: 1, from: chosen}}", "decisions: ~", "decisions: []", "---\n---", "port: ~", "tags: [[a]]", "tags: [a, ~]", "note: \"\\x1b[1m\"",
		"\xef\xbb\xbfport: 1", "\xff", "port: 0x10", "port: 1_000", "note: |\n  a\n  b\n", "name: ../x", "name: 5", "tags: 'a,,b'", "room: -1", "wait: 99999999999h",
	} {
		f.Add(seed)
	}
	set := filepath.Join(f.TempDir(), "set")
	manifest := `name: acme
version: 1.0.0
decisions:
  - {id: port, type: int, default: 1}
  - {id: tags, type: list, default: []}
  - {id: note, type: string, default: ''}
  - {id: room, type: size, default: 1MiB}
  - {id: wait, type: duration, default: 1s}
`
	if err := os.MkdirAll(filepath.Join(set, "files"), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(set, "template.yaml"), []byte(manifest), 0o644); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(set, "files", "a.tmpl"), []byte("<% .port %> <% .note %> <% .room %> <% .wait %> <% .tags %>"), 0o644); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		code, stdout, stderr := execute(t, text, "new", "hello", "--template", set, "--answers", "-", "--dry-run")
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		switch {
		case code == exitDone && strings.HasPrefix(stdout, "create "):
		case code == exitUsage && stdout == "" && len(lines) == 2 && strings.HasPrefix(lines[0], "error: ") && strings.HasPrefix(lines[1], "hint: "):
		default:
			t.Errorf("%q: exit %d\n%s\n%s", text, code, stdout, stderr)
		}
		if strings.ContainsFunc(strings.ReplaceAll(stderr, "\n", ""), unicode.IsControl) {
			t.Errorf("%q: the error has control characters: %q", text, stderr)
		}
	})
}
