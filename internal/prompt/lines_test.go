package prompt

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"rustgen/internal/decision"
)

// ask answers line by line, and gives what the person read.
func ask(t *testing.T, opts Options, lines ...string) (map[string]decision.Input, string, error) {
	t.Helper()
	var out bytes.Buffer
	opts.In, opts.Out, opts.Accessible = strings.NewReader(strings.Join(lines, "\n")), &out, true
	given, err := Ask(context.Background(), opts)
	if strings.ContainsAny(out.String(), "\x1b\r\b") {
		t.Errorf("something moves the cursor in\n%q", out.String())
	}
	return given, out.String(), err
}

func answers(given map[string]decision.Input) []string {
	var all []string
	for id, input := range given {
		all = append(all, id+"="+input.Raw.String())
	}
	slices.Sort(all)
	return all
}

func TestLines(t *testing.T) {
	opts := options(load(t, shop))
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
		says  []string
	}{
		{
			"numbers, values and empty lines",
			[]string{"hello", "", "2", "unwind", "", "1GiB", "", "no", "yes"},
			[]string{"memory=1GiB", "name=hello", "state=stateful"},
			[]string{"1. stateless (recommended): nothing to save", "2. stateful: something to save",
				"Package [hello.v1, default]: ", "2. unwind (default)", "Page: Failure", "Name: hello (chosen)",
				"The same from a script: rustgen new memory name state"},
		},
		{
			"wrong lines",
			[]string{"Hello", "hello", "x y", "3", "stateless", "", "1", "1GiB", "", "perhaps", "no", "perhaps", "yes"},
			[]string{"memory=1GiB", "name=hello", "package=x y", "state=stateless"},
			[]string{`Not taken: name "Hello": a name is`, "Hint: use hello.", `Not taken: state: "3" is not one of stateless, stateful.`,
				"Not taken: memory 1: at least 1MiB.", `Not taken: "perhaps" is neither yes nor no.`, `Not taken: "perhaps" is none of these.`},
		},
		{
			"back",
			[]string{"back", "hello", "back", "other", "", "stateless", "unwind", "back", "", "2GiB", "back", "", "", "back", "", "", "yes"},
			[]string{"memory=2GiB", "name=other", "panic=unwind", "state=stateless"},
			[]string{"This is the first question.", "Package [other.v1, default]: ", "[unwind, as before]: "},
		},
		{
			"help",
			[]string{"?", "hello", "", "?", "", "", "?", "", "", "?", "", "?", "yes"},
			[]string{"memory=512MiB", "name=hello", "state=stateless"},
			[]string{"From a script: --name TEXT, or RUSTGEN_NAME.", "State decides what a panic may do.", "Valid: at least 1MiB.",
				"no keeps all of these", "The ids are name, package, state, panic, memory, message, color, fast, port."},
		},
		{
			"the rest, and a change from the review",
			[]string{"hello", "", "", "", "", "", "yes", "1, 3", "no", "81", "color", "none", "state", "stateful", "yes"},
			[]string{"color=none", "fast=no", "memory=512MiB", "name=hello", "port=81", "state=stateful"},
			[]string{"Colors, numbers or values with commas [green, default]: ", "Colors: red,blue (chosen)", "Panic: unwind (default)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			given, said, err := ask(t, opts, c.lines...)
			if err != nil {
				t.Fatalf("%v after\n%s", err, said)
			}
			if got := answers(given); !slices.Equal(got, c.want) {
				t.Errorf("answers %v, want %v", got, c.want)
			}
			for _, text := range c.says {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q in\n%s", text, said)
				}
			}
		})
	}
}

// Wherever the input ends it is an error that says what is missing, and never an answer.
func TestLinesEnd(t *testing.T) {
	opts := options(load(t, shop))
	all := []string{"hello", "", "", "", "", "", "", "yes"}
	for n := range all {
		_, said, err := ask(t, opts, append(slices.Clone(all[:n]), "")...)
		var refused *decision.Error
		if !errors.As(err, &refused) || refused.Hint == "" || !strings.HasPrefix(refused.Error(), "the input ended before") {
			t.Errorf("after %d lines the error is %v; said\n%s", n, err, said)
		}
	}
	_, _, err := ask(t, opts, "hello", "")
	for _, flag := range []string{"--state stateless|stateful", "--memory SIZE"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%v does not name %s", err, flag)
		}
	}
}

func TestLinesRefusedAtTheReview(t *testing.T) {
	opts := options(load(t, shop), "--name=hello", "--state=stateless", "--memory=1GiB")
	if _, _, err := ask(t, opts, "no", "no"); !errors.Is(err, ErrAborted) {
		t.Errorf("no at the review is %v", err)
	}
	opts.Review = func(map[string]decision.Input, *decision.Outcome) (string, string, error) {
		return "", "", errors.New("./hello is in the way")
	}
	_, said, err := ask(t, opts, "no", "yes", "no")
	if !errors.Is(err, ErrAborted) || !strings.Contains(said, "This cannot be done: ./hello is in the way.") {
		t.Errorf("%v after\n%s", err, said)
	}
}

func TestLinesCannotBeRead(t *testing.T) {
	opts := options(load(t, shop))
	broken := errors.New("the wire is cut")
	opts.In, opts.Out, opts.Accessible = iotest.ErrReader(broken), io.Discard, true
	if _, err := Ask(context.Background(), opts); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

// What is piped in is repeated, without what would move the cursor of a terminal that a log is read in.
func TestLinesAreRepeatedWhereNoTerminalDoes(t *testing.T) {
	_, said, _ := ask(t, options(load(t, shop)), "he\x1b[2Jllo\b", "hello", "")
	if !strings.Contains(said, "Name: he[2Jllo\n") {
		t.Errorf("said\n%q", said)
	}
}

func TestLinesEndWithTheirContext(t *testing.T) {
	in, writer := io.Pipe()
	defer writer.Close()
	opts := options(load(t, shop))
	opts.In, opts.Out, opts.Accessible = in, io.Discard, true
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.WriteString(writer, "hello\n")
		// A second write returns when the first line has been read and answered.
		_, _ = io.WriteString(writer, "\n")
		cancel()
	}()
	answers, err := Ask(ctx, opts)
	if !errors.Is(err, ErrAborted) {
		t.Errorf("the error is %v", err)
	}
	if got := answers["name"].Raw.String(); got != "hello" {
		t.Errorf("the name that was answered is %q", got)
	}
}
