package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/term"

	"rustgen/internal/decision"
)

// asker shows an interview line by line: plain text, nothing redrawn, every question complete when it is read aloud.
type asker struct {
	iv *interview
	// lines are those of the input, one a receive; closed at its end, with the reason in readErr.
	lines   <-chan string
	readErr error
	// echo repeats what is read, where no terminal does.
	echo bool
	page string
}

// errEnded says that the input ended before the interview did.
var errEnded = errors.New("the input ended")

// What may be typed instead of an answer.
const (
	backWord = "back"
	helpWord = "?"
)

func runLines(ctx context.Context, iv *interview) error {
	a := &asker{iv: iv, echo: !isTerminal(iv.opts.In)}
	stop := make(chan struct{})
	defer close(stop)
	a.lines = a.read(iv.opts.In, stop)
	err := a.run(ctx)
	if errors.Is(err, errEnded) {
		return a.ended()
	}
	return err
}

func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// read hands out lines, with one reader for all of them. It runs beside the asker, so that a wait for a line that never
// comes can be interrupted.
func (a *asker) read(in io.Reader, stop <-chan struct{}) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-stop:
				return
			}
		}
		a.readErr = scanner.Err()
	}()
	return lines
}

// ended is the end of the input as an error that says what is missing.
func (a *asker) ended() error {
	if a.readErr != nil {
		return fmt.Errorf("the answers cannot be read: %w", a.readErr)
	}
	err := a.iv.out.Err()
	var refused *decision.Error
	if errors.As(err, &refused) {
		return decision.Refuse(refused.Hint, "the input ended before every decision was made: %w", refused)
	}
	return decision.Refuse("end the input with the line yes", "the input ended before the review was confirmed")
}

func (a *asker) run(ctx context.Context) error {
	a.say("%s, %s.", a.iv.opts.Command, a.iv.opts.Title)
	a.say("An empty line takes what is recommended, %s explains a question, %s goes to the one before.", helpWord, backWord)
	for {
		var done bool
		var err error
		switch a.iv.at.kind {
		case questionStep:
			err = a.question(ctx, a.iv.at.id)
		case offerStep:
			err = a.offer(ctx)
		case reviewStep:
			done, err = a.review(ctx)
		}
		if err != nil || done {
			return err
		}
	}
}

func (a *asker) say(format string, args ...any) {
	fmt.Fprintf(a.iv.opts.Out, format+"\n", args...)
}

// ask reads one line behind a label.
func (a *asker) ask(ctx context.Context, label string) (string, error) {
	fmt.Fprintf(a.iv.opts.Out, "%s: ", label)
	select {
	case <-ctx.Done():
		a.say("")
		return "", ErrAborted
	case line, ok := <-a.lines:
		if !ok {
			a.say("")
			return "", errEnded
		}
		line = strings.TrimSpace(line)
		if a.echo {
			a.say("%s", printable(line))
		}
		return line, nil
	}
}

// printable is a line without what would move a terminal's cursor.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, line)
}

func (a *asker) question(ctx context.Context, id string) error {
	d := a.iv.find(id)
	choices, err := a.iv.choices(id)
	if err != nil {
		return err
	}
	fallback, called, err := a.iv.fallback(id)
	if err != nil {
		return err
	}
	a.pageOf(id)
	a.say("")
	a.say("%s: %s", title(d), question(d))
	for i, c := range choices {
		a.say("%d. %s%s", i+1, c.value, describe(c))
	}
	if refused := a.iv.refusal(id, a.iv.out); refused != nil {
		a.refuse(refused)
	}
	// An answer that was changed before is kept by an empty line; one that was not stands at the fallback anyway.
	empty := fallback
	if _, answered := a.iv.answers[id]; answered {
		if empty = a.iv.current(id); empty != fallback {
			called = "as before"
		}
	}
	for {
		line, err := a.ask(ctx, label(d, choices, empty, called))
		if err != nil {
			return err
		}
		switch line {
		case backWord:
			if !a.iv.back() {
				a.say("This is the first question.")
				continue
			}
			return nil
		case helpWord:
			a.explain(d)
			continue
		case "":
			line = empty
		}
		if refused, err := a.iv.answer(id, picked(d, choices, line)); err != nil {
			return err
		} else if refused != nil {
			a.refuse(refused)
			continue
		}
		a.iv.next()
		return nil
	}
}

// pageOf names the page when it is another than before.
func (a *asker) pageOf(id string) {
	if s := a.iv.section(id); s.title != a.page {
		a.page = s.title
		a.say("")
		a.say("Page: %s", s.title)
	}
}

func describe(c choice) string {
	text := ""
	if c.tag != "" {
		text = " (" + c.tag + ")"
	}
	if c.why != "" {
		text += ": " + c.why
	}
	return text
}

// label says what may be typed.
func label(d *decision.Decision, choices []choice, empty, called string) string {
	what := title(d)
	switch {
	case len(choices) > 0 && d.Type == decision.List:
		what += ", numbers or values with commas"
	case len(choices) > 0:
		what += ", number or value"
	}
	if empty == "" {
		return what
	}
	return fmt.Sprintf("%s [%s, %s]", what, empty, called)
}

// picked turns the numbers of choices into their values. A value that is itself a number stays what it is.
func picked(d *decision.Decision, choices []choice, line string) string {
	if len(choices) == 0 {
		return line
	}
	parts := []string{line}
	if d.Type == decision.List {
		parts = strings.Split(line, ",")
	}
	for i, part := range parts {
		part = strings.TrimSpace(part)
		isValue := slices.ContainsFunc(choices, func(c choice) bool { return c.value == part })
		if n, err := strconv.Atoi(part); err == nil && !isValue && n >= 1 && n <= len(choices) {
			parts[i] = choices[n-1].value
		}
	}
	return strings.Join(parts, ",")
}

func (a *asker) refuse(refused *decision.Problem) {
	a.say("Not taken: %s.", refused.Err)
	if mend := hint(refused); mend != "" {
		a.say("Hint: %s.", mend)
	}
}

func (a *asker) explain(d *decision.Decision) {
	if d.Help != "" {
		a.say("%s", d.Help)
	}
	for _, o := range d.Options {
		a.say("%s: %s", o.Value, o.Why)
	}
	for _, v := range d.Validate {
		a.say("Valid: %s.", v.Message)
	}
	a.say("From a script: %s %s, or %s.", d.Flag(), d.Syntax(), d.Env())
}

func (a *asker) offer(ctx context.Context) error {
	a.say("")
	a.say("What is left can stay as it is:")
	for _, id := range a.iv.rest() {
		a.say("%s: %s", title(a.iv.find(id)), a.iv.current(id))
	}
	for {
		line, err := a.ask(ctx, "Go through them, yes or no [no]")
		if err != nil {
			return err
		}
		switch strings.ToLower(line) {
		case backWord:
			a.iv.back()
			return nil
		case helpWord:
			a.say("no keeps all of these; the review shows them again, and each can be changed there. yes asks for each.")
		case "", "no", "n":
			a.iv.through = false
			a.iv.next()
			return nil
		case "yes", "y":
			a.iv.through = true
			a.iv.next()
			return nil
		default:
			a.say("Not taken: %q is neither yes nor no.", line)
		}
	}
}

// review shows everything once more, and reports whether it was confirmed.
func (a *asker) review(ctx context.Context) (bool, error) {
	a.page = "Review"
	a.say("")
	a.say("Page: Review")
	a.say("")
	for _, r := range a.iv.rows() {
		reason := ""
		if r.reason != "" {
			reason = ": " + r.reason
		}
		a.say("%s: %s (%s%s)", r.title, r.value, r.origin, reason)
	}
	for _, w := range a.iv.out.Warnings {
		a.say("Warning: %s", w)
	}
	unready := a.iv.out.Err()
	if unready == nil {
		var plan, command string
		if plan, command, unready = a.iv.opts.Review(a.iv.given(a.iv.answers), a.iv.out); unready == nil {
			a.say("")
			a.say("%s", plan)
			a.say("")
			a.say("The same from a script: %s", command)
		}
	}
	a.say("")
	if unready != nil {
		a.say("This cannot be done: %v.", unready)
	}
	return a.confirm(ctx, unready)
}

func (a *asker) confirm(ctx context.Context, unready error) (bool, error) {
	ids := a.iv.order()
	label := a.iv.opts.Confirm + "? yes, no, back, or the id of a decision to change"
	if unready != nil {
		label = "no, back, or the id of a decision to change"
	}
	for {
		line, err := a.ask(ctx, label)
		if err != nil {
			return false, err
		}
		word := strings.ToLower(line)
		switch {
		case slices.Contains(ids, line):
			a.iv.edit(line)
			return false, nil
		case word == backWord:
			if a.iv.back() {
				return false, nil
			}
			a.say("There is nothing to go back to.")
		case word == helpWord:
			a.say("The ids are %s.", strings.Join(ids, ", "))
		case word == "no" || word == "n":
			return false, ErrAborted
		case unready == nil && (word == "yes" || word == "y"):
			return true, nil
		default:
			a.say("Not taken: %q is none of these. The ids are %s.", line, strings.Join(ids, ", "))
		}
	}
}
