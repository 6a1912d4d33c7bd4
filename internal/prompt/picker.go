package prompt

import (
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/huh"
	"github.com/charmbracelet/lipgloss"
)

// picker picks one choice, or several. What a select of huh shows is fixed when it is made, while what fits depends on
// the terminal and on where the cursor stands; so one select takes the keys, and each view is one made for it.
type picker struct {
	look    *look
	choices []choice
	several bool
	value   string
	values  []string
	keys    huh.Field
}

func newPicker(l *look, choices []choice, value string) *picker {
	p := &picker{look: l, choices: choices, value: value}
	if !slices.ContainsFunc(choices, func(c choice) bool { return c.value == value }) {
		p.value = choices[0].value
	}
	p.keys = p.one(choices, titles(choices), &p.value)
	return p
}

// newSeveralPicker starts with the values of a comma-separated text.
func newSeveralPicker(l *look, choices []choice, text string) *picker {
	p := &picker{look: l, choices: choices, several: true}
	for _, c := range choices {
		if slices.Contains(strings.Split(text, ","), c.value) {
			p.values = append(p.values, c.value)
		}
	}
	p.keys = p.many(choices, titles(choices), &p.values, 0)
	return p
}

func titles(choices []choice) []string {
	all := make([]string, len(choices))
	for i, c := range choices {
		all[i] = c.title
	}
	return all
}

func (p *picker) options(choices []choice, keys []string) []huh.Option[string] {
	options := make([]huh.Option[string], len(choices))
	for i, c := range choices {
		options[i] = huh.NewOption(keys[i], c.value)
	}
	return options
}

func (p *picker) one(choices []choice, keys []string, value *string) huh.Field {
	return p.dress(huh.NewSelect[string]().Options(p.options(choices, keys)...).Value(value))
}

func (p *picker) many(choices []choice, keys []string, values *[]string, at int) huh.Field {
	field := p.dress(huh.NewMultiSelect[string]().Options(p.options(choices, keys)...).Value(values))
	// A multi-select puts its cursor on the last value that is picked.
	field = update(field, tea.KeyMsg{Type: tea.KeyHome})
	for range at {
		field = update(field, tea.KeyMsg{Type: tea.KeyDown})
	}
	return field
}

// dress makes a field of ours. The command of its focus would make a cursor blink.
func (p *picker) dress(field huh.Field) huh.Field {
	field = field.WithTheme(p.look.theme).WithKeyMap(p.look.keys)
	field.Focus()
	return field
}

// update gives a field a key. Its commands ask for other fields or blink; there is nothing to do for them.
func update(field huh.Field, msg tea.KeyMsg) huh.Field {
	model, _ := field.Update(msg)
	return model.(huh.Field)
}

func (p *picker) press(msg tea.KeyMsg) { p.keys = update(p.keys, msg) }

// text is what is picked, as an answer.
func (p *picker) text() string {
	if p.several {
		return strings.Join(p.values, ",")
	}
	return p.value
}

// hovered is the place of the cursor.
func (p *picker) hovered() int {
	value := p.value
	if several, ok := p.keys.(*huh.MultiSelect[string]); ok {
		value, _ = several.Hovered()
	}
	return max(slices.IndexFunc(p.choices, func(c choice) bool { return c.value == value }), 0)
}

// view draws the choices, each with its reason where reasons are wanted, and at most rows of them.
func (p *picker) view(width int, reasons bool, rows int) []string {
	at := p.hovered()
	from := min(max(at-rows/2, 0), max(len(p.choices)-rows, 0))
	shown := p.choices[from:min(from+rows, len(p.choices))]
	room := width - lipgloss.Width(p.look.mark.current) - 1
	if p.several {
		room -= len("[x] ")
	}
	keys := make([]string, len(shown))
	for i, c := range shown {
		line := p.look.short(c.title, room)
		if tag := "  " + c.tag; c.tag != "" && lipgloss.Width(line+tag) <= room {
			line += p.look.faint.Render(tag)
		}
		if c.why != "" && reasons {
			why := indent("  ", fold(c.why, room-2))
			line = strings.Join(append([]string{line}, paint(p.look.faint, why)...), "\n")
		}
		keys[i] = line
	}
	var field huh.Field
	if p.several {
		values := slices.Clone(p.values)
		field = p.many(shown, keys, &values, at-from)
	} else {
		value := p.value
		field = p.one(shown, keys, &value)
	}
	return lines(field.WithWidth(width).View())
}

// lines are those of a view, without the spaces that fill it up.
func lines(view string) []string {
	all := strings.Split(view, "\n")
	for i, line := range all {
		all[i] = strings.TrimRight(line, " ")
	}
	return all
}
