package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"rustgen/internal/decision"
)

// screen is a form in a terminal of some size, driven by keys.
type screen struct {
	t    *testing.T
	form *form
}

func open(t *testing.T, opts Options, width, height int) *screen {
	t.Helper()
	s := &screen{t, newForm(begin(t, opts))}
	s.form.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

var keyTypes = map[string]tea.KeyType{
	"enter": tea.KeyEnter, "tab": tea.KeyTab, "back": tea.KeyShiftTab, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown,
	"pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "ctrl+c": tea.KeyCtrlC, "ctrl+u": tea.KeyCtrlU, "space": tea.KeySpace,
}

// press types keys: names of keyTypes, or text.
func (s *screen) press(keys ...string) {
	for _, k := range keys {
		if kind, ok := keyTypes[k]; ok {
			msg := tea.KeyMsg{Type: kind}
			if kind == tea.KeySpace {
				msg.Runes = []rune{' '}
			}
			s.form.Update(msg)
		} else {
			for _, r := range k {
				s.form.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
			}
		}
		s.form.View()
	}
}

func (s *screen) wants(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.text(), text) {
			s.t.Fatalf("there is no %q on\n%s", text, s.form.View())
		}
	}
}

func (s *screen) lacks(text string) {
	s.t.Helper()
	if strings.Contains(s.text(), text) {
		s.t.Fatalf("there is %q on\n%s", text, s.form.View())
	}
}

// text is what the screen says, without line breaks and the spaces around them.
func (s *screen) text() string { return strings.Join(strings.Fields(s.form.View()), " ") }

func noColor(opts Options) Options {
	opts.Getenv = func(name string) string { return map[string]string{"NO_COLOR": "1", "LANG": "C.UTF-8"}[name] }
	return opts
}

func TestFormToTheEnd(t *testing.T) {
	s := open(t, noColor(options(load(t, shop))), 80, 24)
	s.wants("What is it called?", "Service")
	s.press("Hello", "enter")
	s.wants(`name "Hello": a name is lower-case letters`, "hint: use hello", "What is it called?")
	s.press("x")
	s.lacks("hint:")
	s.press("ctrl+u", "hello", "enter")
	s.wants("✓ Name hello", "Which package?", "leave it empty for hello.v1 (default)")
	s.press("enter")
	s.wants("Does it hold state?", "State decides what a panic may do.", "nothing to save", "› stateless recommended")
	s.press("down", "enter")
	s.wants("✓ State stateful", "What does a panic do?", "› unwind default")
	s.press("up", "enter")
	s.wants("✗ stateful needs unwind", "What does a panic do?")
	s.lacks("hint:")
	s.press("back", "up", "enter")
	s.wants("› abort default")
	s.press("enter", "64KiB", "enter")
	s.wants("memory 64KiB: at least 1MiB")
	s.press("ctrl+u", "1GiB", "enter", "enter")
	s.wants("Take the 3 defaults", "Colors green", "› Take them")
	s.press("enter")
	s.wants("3 files in ./it", "Name hello chosen", "Panic abort default", "warning: port 80 needs a privilege",
		"› Create the service")
	s.press("pgdown")
	s.wants("The same from a script: rustgen new memory name state", "src/ 2 files")
	s.press("enter")
	if !s.form.done {
		t.Fatal("the form is not done")
	}
	wantGiven(t, s.form.iv, "name=hello", "state=stateless", "memory=1GiB")
}

func TestFormGoesThroughTheRest(t *testing.T) {
	s := open(t, noColor(options(load(t, shop), "--name=hello", "--state=stateless", "--memory=1GiB")), 80, 24)
	s.press("down", "enter", "enter", "enter")
	s.wants("Which colors?", "› [ ] red", "[x] green", "space pick")
	s.press("space", "down", "space", "enter")
	s.wants("Is it fast?", "› Yes default")
	s.press("down", "enter")
	s.wants("Which port?", "✓ Fast no")
	s.press("eighty", "enter")
	s.wants(`port: "eighty" is not a whole number`)
	s.press("ctrl+u", "8080", "tab", "enter")
	s.wants("Review", "Colors red chosen", "Fast no chosen", "Port 8080 chosen", "State stateless chosen by --state")
}

func TestFormChangesFromTheReview(t *testing.T) {
	s := open(t, noColor(options(load(t, shop), "--name=hello", "--state=stateless", "--memory=1GiB")), 80, 24)
	s.press("enter")
	s.wants("› Create the service")
	s.press("down", "enter")
	s.wants("Which decision to change?", "› Package hello.v1", "Message 1MiB")
	s.lacks("State")
	s.press("esc")
	s.wants("› Create the service")
	s.press("down", "enter", "down", "down", "down", "enter")
	s.wants("Is it fast?")
	s.press("down", "enter")
	s.wants("Fast no chosen", "› Create the service")
	s.press("back")
	s.wants("› Take them")
	s.press("enter", "up", "enter")
	if !s.form.aborted {
		t.Error("cancelling the review does not end the prompt")
	}
}

func TestFormExplains(t *testing.T) {
	s := open(t, noColor(options(load(t, shop), "--name=hello")), 40, 12)
	s.press("?")
	s.wants("Does it hold state?", "State decides what a panic may do.", "more lines below")
	s.press("pgdown", "pgdown", "pgdown", "pgdown")
	s.wants("From a script: --state stateless|stateful, or RUSTGEN_STATE")
	s.press("enter")
	s.wants("› stateless")
	s = open(t, noColor(options(load(t, shop))), 80, 24)
	s.press("a?")
	s.wants("> a?|")
}

func TestFormReviewOfWhatCannotBe(t *testing.T) {
	opts := noColor(options(load(t, shop), "--name=hello", "--state=stateless", "--memory=1GiB"))
	opts.Review = func(map[string]decision.Input, *decision.Outcome) (string, string, error) {
		return "", "", errors.New("./hello is in the way")
	}
	s := open(t, opts, 80, 24)
	s.press("enter")
	s.wants("✗ ./hello is in the way", "› Change a decision")
	s.lacks("Create")
}

func TestFormSaysWhatAgreeingDoes(t *testing.T) {
	opts := noColor(options(load(t, shop), "--name=hello", "--state=stateless", "--memory=1GiB"))
	opts.Command, opts.Confirm = "rustgen upgrade", "Print the plan, and write nothing"
	s := open(t, opts, 80, 24)
	s.press("enter")
	s.wants("rustgen upgrade hello", "› Print the plan, and write nothing")
	s.lacks("Create")
}

func TestFormSuggestsAName(t *testing.T) {
	opts := noColor(options(load(t, shop)))
	opts.Suggest = map[string]string{"name": "here"}
	s := open(t, opts, 80, 24)
	s.wants("leave it empty for here (suggested)")
	s.press("enter")
	s.wants("✓ Name here")
}

// At every step of the embedded set, in every size: the whole question and a choice or the input can be seen, nothing
// is wider or higher than the terminal, and Ctrl-C ends it.
func TestFormFits(t *testing.T) {
	set := hotpath(t)
	for _, size := range [][2]int{{120, 40}, {80, 24}, {60, 20}, {60, 16}, {40, 14}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			s := open(t, noColor(options(set)), size[0], size[1])
			for n := 0; ; n++ {
				if n > 100 {
					t.Fatal("the form does not end")
				}
				s.fits(size[0], size[1])
				s.abortable()
				iv := s.form.iv
				if iv.at.kind == questionStep {
					s.wants(strings.Join(strings.Fields(question(iv.find(iv.at.id))), " "))
				}
				if s.form.picker != nil {
					s.wants("› " + s.form.picker.choices[s.form.picker.hovered()].title)
				} else {
					s.wants("> ")
				}
				if iv.at.kind == questionStep {
					s.press("?")
					s.fits(size[0], size[1])
					s.press("esc")
				}
				switch {
				case iv.at.kind == reviewStep:
					s.press("down", "enter")
					s.wants("Which decision to change?", "› Name")
					s.fits(size[0], size[1])
					return
				case iv.at.id == decision.NameID:
					s.press("-", "enter")
					s.wants("✗ name")
					s.fits(size[0], size[1])
					s.press("ctrl+u", "hello")
				case iv.at.kind == offerStep:
					s.press("down")
				}
				s.press("enter")
			}
		})
	}
}

func (s *screen) fits(width, height int) {
	s.t.Helper()
	view := s.form.View()
	if h := lipgloss.Height(view); h > height {
		s.t.Fatalf("%d lines in a terminal of %d:\n%s", h, height, view)
	}
	if w := lipgloss.Width(view); w > width {
		s.t.Fatalf("%d columns in a terminal of %d:\n%s", w, width, view)
	}
	s.wants("ctrl+c cancel")
}

// abortable tries Ctrl-C, and takes it back.
func (s *screen) abortable() {
	s.t.Helper()
	s.press("ctrl+c")
	if !s.form.aborted {
		s.t.Fatalf("ctrl+c does not end\n%s", s.form.View())
	}
	s.form.aborted = false
}

func TestFormKeepsAnswersWhenTheTerminalChanges(t *testing.T) {
	s := open(t, noColor(options(load(t, shop), "--name=hello")), 80, 24)
	s.press("down")
	s.form.Update(tea.WindowSizeMsg{Width: 50, Height: 10})
	s.wants("› stateful")
	s.form.Update(tea.WindowSizeMsg{})
	s.wants("› stateful")
}

func TestColors(t *testing.T) {
	set := load(t, shop)
	opts := options(set)
	if view := open(t, opts, 80, 24).form.View(); !strings.Contains(view, "\x1b[") {
		t.Errorf("there is no colour in\n%s", view)
	}
	plain := open(t, noColor(opts), 80, 24)
	for range 12 {
		if view := plain.form.View(); strings.Contains(view, "\x1b") {
			t.Fatalf("NO_COLOR is set, and there is an escape sequence in\n%q", view)
		}
		plain.press("hello", "enter")
	}
	// Without a UTF-8 locale the signs are ASCII.
	ascii := open(t, opts, 80, 24)
	for range 8 {
		if i := strings.IndexFunc(ascii.form.View(), func(r rune) bool { return r > 126 }); i >= 0 {
			t.Fatalf("no UTF-8, and there is %q", ascii.form.View()[i:])
		}
		ascii.press("hello", "enter")
	}
}

func TestIsUTF8(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{}, false},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "de_DE.utf8"}, true},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.UTF-8"}, true},
	} {
		if got := isUTF8(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, ""},
		{"one two three", 7, "one two|three"},
		{"one two three", 100, "one two three"},
		{"abcdefghij", 4, "abcd|efgh|ij"},
		{"a abcdefghij b", 4, "a|abcd|efgh|ij b"},
		{"日本語 日本", 4, "日本|語|日本"},
		{"a\nb", 4, "a|b"},
		{"abc", 0, "a|b|c"},
	} {
		if got := strings.Join(fold(c.text, c.width), "|"); got != c.want {
			t.Errorf("fold(%q, %d) is %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

// A cancelled context ends the form as Ctrl-C does, with the terminal as it was.
func TestFormEndsWithItsContext(t *testing.T) {
	in, writer := io.Pipe()
	defer writer.Close()
	var out bytes.Buffer
	opts := options(load(t, shop))
	opts.In, opts.Out = in, &out
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := Ask(ctx, opts); !errors.Is(err, ErrAborted) {
		t.Fatalf("the error is %v", err)
	}
	const entered, left, cursor = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
	if got := out.String(); !strings.Contains(got, entered) || strings.LastIndex(got, left) < strings.LastIndex(got, entered) ||
		!strings.Contains(got[strings.LastIndex(got, entered):], cursor) {
		t.Errorf("the terminal is left as\n%q", got)
	}
}
