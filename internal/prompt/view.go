package prompt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"

	"rustgen/internal/decision"
)

// The form is drawn in a column of at most widest, and below tallest a footer would be far from what it speaks of.
const (
	widest  = 92
	tallest = 30
)

// detail says how much of a question is drawn. What is least needed goes first when the terminal is small; the question,
// the choices and a refusal never go.
type detail struct {
	siblings, help, crumbs bool
	// reasons are those of all choices, reason that of the choice at the cursor.
	reasons, reason bool
	rows            int
}

// details are tried in this order until one fits. The last is for terminals in which nothing does.
func details(choices int) []detail {
	all := []detail{
		{siblings: true, help: true, crumbs: true, reasons: true, rows: choices},
		{help: true, crumbs: true, reasons: true, rows: choices},
		{crumbs: true, reasons: true, rows: choices},
		{reasons: true, rows: choices},
	}
	all = append(all, detail{reason: true, rows: choices})
	for rows := choices; rows > 0; rows-- {
		all = append(all, detail{rows: rows})
	}
	return all
}

// View draws the screen.
func (m *form) View() string {
	if m.fault != nil || m.aborted || m.done {
		return ""
	}
	var screen []string
	switch {
	case m.mode == explaining:
		screen = m.scrolled(m.explanation(), nil)
	case m.mode == changing:
		screen = m.list("Which decision to change?")
	case m.iv.at.kind == reviewStep:
		screen = m.scrolled(m.review(), m.picker.view(m.column(), false, len(m.picker.choices)))
	default:
		screen = m.fitted()
	}
	margin := "  "
	if m.width < 40 {
		margin = ""
	}
	return strings.Join(indent(margin, screen), "\n")
}

// column is the width of the text.
func (m *form) column() int {
	if m.width < 40 {
		return max(m.width-1, 1)
	}
	return min(m.width-4, widest)
}

// fitted is a question or the offer, in as much detail as fits.
func (m *form) fitted() []string {
	choices := 1
	if m.picker != nil {
		choices = len(m.picker.choices)
	}
	all := details(choices)
	var top, bottom []string
	for _, d := range all {
		top = append(m.header(d.crumbs), m.body(d)...)
		bottom = m.footer()
		if len(top)+len(bottom) <= m.height {
			break
		}
	}
	return m.stretch(top, bottom)
}

// stretch puts the footer at the bottom, and cuts what is too long above it.
func (m *form) stretch(top, bottom []string) []string {
	height := m.height
	if height > tallest {
		height = max(tallest, min(height, len(top)+len(bottom)))
	}
	room := max(height-len(bottom), 1)
	if len(top) > room {
		top = top[len(top)-room:]
	}
	for len(top) < room {
		top = append(top, "")
	}
	return append(top, bottom[:min(len(bottom), m.height-room)]...)
}

// header names the run and shows where in it one is.
func (m *form) header(crumbs bool) []string {
	left := m.iv.opts.Command
	if name, ok := m.iv.out.Answers[decision.NameID]; ok {
		left += " " + name.Value.String()
	}
	width := m.column()
	right := m.iv.opts.Title
	if lipgloss.Width(left)+2+lipgloss.Width(right) > width {
		right = ""
	}
	left = m.look.short(left, width)
	gap := strings.Repeat(" ", max(width-lipgloss.Width(left)-lipgloss.Width(right), 0))
	all := []string{m.look.title.Render(left) + gap + m.look.faint.Render(right)}
	if crumbs {
		all = append(all, m.crumbs(width))
	}
	return append(all, "")
}

// crumbs are the pages with the present one marked, or the present one alone where they do not fit.
func (m *form) crumbs(width int) string {
	var names []string
	at := -1
	for _, s := range m.iv.sections {
		ids := m.iv.questions(s)
		if len(ids) == 0 {
			continue
		}
		if m.iv.at.kind == questionStep && slices.Contains(s.ids, m.iv.at.id) {
			at = len(names)
		}
		names = append(names, s.title)
	}
	names = append(names, "Review")
	if m.iv.at.kind == reviewStep {
		at = len(names) - 1
	}
	if m.iv.at.kind == offerStep {
		at = slices.Index(names, m.iv.section(m.iv.rest()[0]).title)
	}
	separator := " " + m.look.mark.dot + " "
	if lipgloss.Width(strings.Join(names, separator))+len("[]") > width {
		return m.look.strong.Render(m.look.short(fmt.Sprintf("%s%s%d of %d", names[at], separator, at+1, len(names)), width))
	}
	for i, name := range names {
		switch {
		case i != at:
			names[i] = m.look.faint.Render(name)
		case m.look.plain:
			names[i] = "[" + name + "]"
		default:
			names[i] = m.look.strong.Render(name)
		}
	}
	return strings.Join(names, m.look.faint.Render(separator))
}

// list is a long list of choices under a question.
func (m *form) list(asked string) []string {
	top := append(m.header(false), m.look.strong.Render(m.look.short(asked, m.column())), "")
	bottom := m.footer()
	rows := max(m.height-len(top)-len(bottom), 1)
	return m.stretch(append(top, m.picker.view(m.column(), false, min(rows, len(m.picker.choices)))...), bottom)
}

// scrolled is a text as far as it fits between the header and what stands below it.
func (m *form) scrolled(text, below []string) []string {
	header := m.header(m.height >= 20)
	if len(below) > 0 {
		below = append([]string{""}, below...)
	}
	// The footer speaks of scrolling where there is something to scroll, which may make it longer.
	m.overflow = 1
	room := max(m.height-len(header)-len(below)-len(m.footer())-1, 1)
	m.offset = min(m.offset, max(len(text)-room, 0))
	m.page = room
	end := min(m.offset+room, len(text))
	m.overflow = len(text) - end
	top := slices.Concat(header, text[m.offset:end])
	if m.overflow > 0 {
		top = append(top, m.look.faint.Render(fmt.Sprintf("%s %s below", m.look.mark.more, plural(m.overflow, "more line"))))
	}
	return m.stretch(top, append(below, m.footer()...))
}

// footer is the keys that do something here.
func (m *form) footer() []string {
	type keyHelp struct{ key, does string }
	var keys []keyHelp
	next := keyHelp{"enter", "next"}
	back := keyHelp{"shift+tab", "back"}
	switch {
	case m.mode == explaining:
		keys = []keyHelp{{"enter", "back to the question"}}
		if m.overflow > 0 || m.offset > 0 {
			keys = append(keys, keyHelp{m.look.mark.arrows, "scroll"})
		}
	case m.mode == changing:
		keys = []keyHelp{{m.look.mark.arrows, "choose"}, {"enter", "change it"}, {"shift+tab", "back to the review"}}
	case m.iv.at.kind == reviewStep:
		keys = []keyHelp{{m.look.mark.arrows, "choose"}, {"enter", "confirm"}, back}
		if m.overflow > 0 || m.offset > 0 {
			keys = append(keys, keyHelp{"pgup/pgdn", "more"})
		}
	default:
		if m.picker != nil {
			keys = append(keys, keyHelp{m.look.mark.arrows, "choose"})
			if m.picker.several {
				keys = append(keys, keyHelp{"space", "pick"})
			}
		}
		if m.iv.editing {
			next.does, back.does = "done", "back"
		}
		keys = append(keys, next)
		if m.iv.at != m.iv.steps()[0] {
			keys = append(keys, back)
		}
		if m.iv.at.kind == questionStep {
			keys = append(keys, keyHelp{"?", "help"})
		}
	}
	keys = append(keys, keyHelp{"ctrl+c", "cancel"})
	all := []string{""}
	line, used := "", 0
	for _, k := range keys {
		size := lipgloss.Width(k.key) + 1 + lipgloss.Width(k.does)
		if used > 0 && used+3+size > m.column() {
			all = append(all, line)
			line, used = "", 0
		}
		if used > 0 {
			line += "   "
			used += 3
		}
		line += k.key + " " + m.look.faint.Render(k.does)
		used += size
	}
	return append(all, line)
}
