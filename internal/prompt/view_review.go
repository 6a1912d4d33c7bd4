package prompt

import (
	"strings"

	"github.com/charmbracelet/lipgloss"

	"rustgen/internal/decision"
)

// review is every decision with its value and how it came about, what would be written, and the run as one line.
func (m *form) review() []string {
	width := m.column()
	var all []string
	if m.unready != nil {
		all = append(all, m.problem(m.unready, width)...)
		all = append(all, "")
	}
	for _, w := range m.iv.out.Warnings {
		all = append(all, fold("warning: "+w, width)...)
	}
	if len(m.iv.out.Warnings) > 0 {
		all = append(all, "")
	}
	decisions := m.table(width)
	if m.plan == "" {
		return append(all, decisions...)
	}
	command := fold(m.command, width-4)
	for i := range command[:len(command)-1] {
		command[i] += " \\"
	}
	script := append([]string{"", m.look.faint.Render("The same from a script:")}, indent("  ", command)...)
	plan := strings.Split(m.plan, "\n")
	if left := widestOf(decisions) + len("    "); m.width-4 >= left+widestOf(plan) && m.width > widest {
		return append(append(all, beside(decisions, plan, left)...), script...)
	}
	all = append(append(all, plan[0], ""), decisions...)
	all = append(all, script...)
	if len(plan) > 1 {
		all = append(append(all, ""), plan[1:]...)
	}
	return all
}

func widestOf(all []string) int {
	width := 0
	for _, line := range all {
		width = max(width, lipgloss.Width(line))
	}
	return width
}

// beside puts two columns next to each other.
func beside(left, right []string, width int) []string {
	var all []string
	for i := range max(len(left), len(right)) {
		var l, r string
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		all = append(all, strings.TrimRight(pad(l, width)+r, " "))
	}
	return all
}

func (m *form) table(width int) []string {
	rows := m.iv.rows()
	titles, values, origins := 0, 0, 0
	for _, r := range rows {
		origins = max(origins, lipgloss.Width(r.origin))
		titles = max(titles, lipgloss.Width(r.title))
		values = max(values, lipgloss.Width(r.value))
	}
	titles = min(titles, width*2/5)
	values = min(values, max(width-titles-origins-4, width/4))
	var all []string
	for _, r := range rows {
		line := m.look.faint.Render(pad(m.look.short(r.title, titles), titles)) + "  "
		line += pad(m.look.short(r.value, values), values) + "  "
		room := width - titles - values - 4
		style := m.look.faint
		if r.origin != string(decision.Defaulted) {
			style = m.look.accent
		}
		all = append(all, line+style.Render(m.look.short(r.origin, room)))
		if r.reason != "" {
			all = append(all, paint(m.look.faint, indent("    ", fold(r.reason, width-4)))...)
		}
	}
	return all
}

func (m *form) problem(err error, width int) []string {
	return paint(m.look.bad, fold(m.look.mark.wrong+" "+err.Error(), width))
}
