package prompt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/huh"
	"github.com/charmbracelet/lipgloss"

	"rustgen/internal/decision"
)

// form shows an interview on a terminal.
type form struct {
	iv            *interview
	look          look
	width, height int
	mode          mode
	// picker or input is the field of the screen; text is what the input holds, and empty what it stands for when it
	// holds nothing.
	picker *picker
	input  huh.Field
	text   string
	empty  string
	called string
	// refused is why the answer was not taken.
	refused *decision.Problem
	// offset is how far the review or the explanation is scrolled, page how much of it is on the screen, and overflow how
	// much below.
	offset, page, overflow int
	// plan and command describe the run that the review is of; unready is why it cannot be.
	plan, command string
	unready       error
	// fault is of the set, not of the person.
	fault   error
	aborted bool
	done    bool
}

// mode is what stands on the screen of a step.
type mode int

const (
	asking     mode = iota
	explaining      // a question, in full
	changing        // of the review: which decision to change
)

// What can be done at the offer and at the review.
const (
	takeDefaults = "take"
	goThrough    = "through"
	create       = "create"
	change       = "change"
	cancel       = "cancel"
)

func newForm(iv *interview) *form {
	m := &form{iv: iv, look: newLook(iv.opts.Out, iv.opts.Getenv), width: 80, height: 24}
	m.enter()
	return m
}

func runForm(ctx context.Context, iv *interview) error {
	program := tea.NewProgram(newForm(iv),
		tea.WithContext(ctx),
		tea.WithInput(iv.opts.In),
		tea.WithOutput(iv.opts.Out),
		tea.WithAltScreen(),
		// The caller's context ends with the signals, and so does the program.
		tea.WithoutSignalHandler(),
	)
	model, err := program.Run()
	if err != nil {
		return fmt.Errorf("the prompt ended: %w", err)
	}
	m, ok := model.(*form)
	switch {
	case !ok:
		return errors.ErrUnsupported
	case m.fault != nil:
		return m.fault
	case m.aborted:
		return ErrAborted
	}
	return nil
}

// Init has nothing to start: a form waits for keys.
func (m *form) Init() tea.Cmd { return nil }

// Update takes a key or a new size.
func (m *form) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 {
			m.width, m.height = msg.Width, msg.Height
		}
	case tea.KeyMsg:
		if msg.Type == tea.KeyCtrlZ {
			return m, tea.Suspend
		}
		m.press(msg)
	}
	if m.fault != nil || m.aborted || m.done {
		return m, tea.Quit
	}
	return m, nil
}

func (m *form) press(msg tea.KeyMsg) {
	name := msg.String()
	switch {
	case msg.Type == tea.KeyCtrlC:
		m.aborted = true
	case m.mode == explaining:
		if !m.scroll(name) {
			m.mode, m.offset = asking, 0
		}
	case name == "?" && m.iv.at.kind == questionStep && (m.input == nil || m.text == ""):
		m.mode, m.offset = explaining, 0
	case name == "shift+tab" || name == "esc":
		m.back()
	case name == "enter" || name == "tab":
		m.take()
	case m.iv.at.kind == reviewStep && m.mode == asking && m.scroll(name):
	case m.input != nil:
		m.refused = nil
		m.input = update(m.input, msg)
	default:
		m.refused = nil
		m.picker.press(msg)
	}
}

// scroll moves what is longer than the screen, and reports whether the key was for that.
func (m *form) scroll(name string) bool {
	switch name {
	case "pgdown", " ":
		m.offset += min(m.page, m.overflow)
	case "pgup":
		m.offset = max(m.offset-m.page, 0)
	default:
		if m.mode != explaining {
			return false
		}
		switch name {
		case "down", "j":
			m.offset += min(1, m.overflow)
		case "up", "k":
			m.offset = max(m.offset-1, 0)
		default:
			return false
		}
	}
	return true
}

func (m *form) back() {
	if m.mode == changing {
		m.enter()
		return
	}
	if m.iv.back() {
		m.enter()
	}
}

// take does what enter says on this screen.
func (m *form) take() {
	switch {
	case m.iv.at.kind == questionStep:
		m.answer()
	case m.iv.at.kind == offerStep:
		m.iv.through = m.picker.text() == goThrough
		m.iv.next()
		m.enter()
	case m.mode == changing:
		m.iv.edit(m.picker.text())
		m.enter()
	case m.picker.text() == create:
		m.done = true
	case m.picker.text() == change:
		m.change()
	default:
		m.aborted = true
	}
}

func (m *form) answer() {
	text := m.text
	if m.input == nil {
		text = m.picker.text()
	} else if text = strings.TrimSpace(text); text == "" {
		text = m.empty
	}
	refused, err := m.iv.answer(m.iv.at.id, text)
	if err != nil {
		m.fault = err
		return
	}
	if m.refused = refused; refused == nil {
		m.iv.next()
		m.enter()
	}
}

// enter makes the screen of the step that the interview is at.
func (m *form) enter() {
	m.mode, m.offset, m.refused, m.picker, m.input = asking, 0, nil, nil, nil
	switch m.iv.at.kind {
	case questionStep:
		m.enterQuestion(m.iv.at.id)
	case offerStep:
		m.picker = newPicker(&m.look, []choice{
			{value: takeDefaults, title: "Take them", why: "the review shows them, and each can be changed there"},
			{value: goThrough, title: "Go through them", why: "one by one, each with its reasons"},
		}, "")
	case reviewStep:
		m.enterReview()
	}
}

func (m *form) enterQuestion(id string) {
	d := m.iv.find(id)
	m.refused = m.iv.refusal(id, m.iv.out)
	choices, err := m.iv.choices(id)
	if err != nil {
		m.fault = err
		return
	}
	current := m.iv.current(id)
	if len(choices) > 0 {
		if d.Type == decision.List {
			m.picker = newSeveralPicker(&m.look, choices, current)
		} else {
			m.picker = newPicker(&m.look, choices, current)
		}
		return
	}
	if m.empty, m.called, err = m.iv.fallback(id); err != nil {
		m.fault = err
		return
	}
	m.text = ""
	if _, answered := m.iv.answers[id]; answered && current != m.empty {
		m.text = current
	}
	m.input = huh.NewInput().Placeholder(m.empty).Value(&m.text).WithTheme(m.look.theme).WithKeyMap(m.look.keys)
	m.input.Focus()
}

func (m *form) enterReview() {
	m.plan, m.command, m.unready = "", "", m.iv.out.Err()
	if m.unready == nil {
		m.plan, m.command, m.unready = m.iv.opts.Review(m.iv.given(m.iv.answers), m.iv.out)
	}
	var choices []choice
	if m.unready == nil {
		choices = append(choices, choice{value: create, title: m.iv.opts.Confirm})
	}
	if len(m.iv.order()) > 0 {
		choices = append(choices, choice{value: change, title: "Change a decision"})
	}
	m.picker = newPicker(&m.look, append(choices, choice{value: cancel, title: "Cancel"}), "")
}

// change asks which decision to change.
func (m *form) change() {
	ids := m.iv.order()
	var choices []choice
	width := 0
	for _, r := range m.iv.rows() {
		width = max(width, lipgloss.Width(r.title))
	}
	for _, r := range m.iv.rows() {
		if slices.Contains(ids, r.id) {
			choices = append(choices, choice{value: r.id, title: pad(r.title, width+2) + r.value})
		}
	}
	m.mode, m.picker = changing, newPicker(&m.look, choices, "")
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
