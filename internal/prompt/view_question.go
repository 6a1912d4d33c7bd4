package prompt

import (
	"fmt"
	"slices"

	"github.com/charmbracelet/lipgloss"

	"rustgen/internal/decision"
)

func (m *form) body(d detail) []string {
	if m.iv.at.kind == offerStep {
		return m.offer(d)
	}
	id, width := m.iv.at.id, m.column()
	asked := m.iv.find(id)
	var all []string
	if d.siblings {
		all = append(all, m.siblings(id, width)...)
	}
	all = append(all, paint(m.look.strong, fold(question(asked), width))...)
	if asked.Help != "" && d.help {
		all = append(all, fold(asked.Help, width)...)
	}
	if d.crumbs {
		all = append(all, "")
	}
	return append(append(all, m.field(d, width)...), m.refusal(width)...)
}

// siblings are the questions of the page that are answered.
func (m *form) siblings(id string, width int) []string {
	ids := m.iv.questions(m.iv.section(id))
	before := ids[:slices.Index(ids, id)]
	if len(before) == 0 {
		return nil
	}
	widest := 0
	for _, id := range before {
		widest = max(widest, lipgloss.Width(title(m.iv.find(id))))
	}
	var all []string
	for _, id := range before {
		line := m.look.short(pad(title(m.iv.find(id)), widest)+"  "+m.iv.current(id), width-2)
		all = append(all, m.look.good.Render(m.look.mark.done)+" "+m.look.faint.Render(line))
	}
	return append(all, "")
}

func question(d *decision.Decision) string {
	if d.Question == "" {
		return title(d)
	}
	return d.Question
}

// field is the input with what it stands for when empty, or the choices.
func (m *form) field(d detail, width int) []string {
	if m.input != nil {
		all := lines(m.input.WithWidth(width).View())
		if m.empty != "" {
			standing := fmt.Sprintf("leave it empty for %s (%s)", m.empty, m.called)
			all = append(all, paint(m.look.faint, indent("  ", fold(standing, width-2)))...)
		}
		return all
	}
	all := m.picker.view(width, d.reasons, d.rows)
	if why := m.picker.choices[m.picker.hovered()].why; d.reason && why != "" {
		all = append(append(all, ""), paint(m.look.faint, fold(why, width))...)
	}
	return all
}

// refusal is why the answer was not taken, in the words of the command line.
func (m *form) refusal(width int) []string {
	if m.refused == nil {
		return nil
	}
	indented := func(text string) []string { return indent("  ", fold(text, width-2)) }
	all := indented(m.refused.Err.Error())
	all[0] = m.look.mark.wrong + all[0][1:]
	all = append([]string{""}, paint(m.look.bad, all)...)
	if mend := hint(m.refused); mend != "" {
		all = append(all, indented("hint: "+mend)...)
	}
	return all
}

func (m *form) offer(d detail) []string {
	width := m.column()
	rest := m.iv.rest()
	all := paint(m.look.strong, fold("Take the "+plural(len(rest), "default")+" for what is left to decide?", width))
	if d.siblings {
		all = append(all, "")
		widest := 0
		for _, id := range rest {
			widest = max(widest, lipgloss.Width(title(m.iv.find(id))))
		}
		for _, id := range rest {
			line := m.look.short(pad(title(m.iv.find(id)), widest)+"  "+m.iv.current(id), width)
			all = append(all, m.look.faint.Render(line))
		}
	}
	all = append(all, "")
	return append(all, m.field(d, width)...)
}

// explanation is all that there is to know about a question.
func (m *form) explanation() []string {
	d, width := m.iv.find(m.iv.at.id), m.column()
	all := paint(m.look.strong, fold(question(d), width))
	if d.Help != "" {
		all = append(append(all, ""), fold(d.Help, width)...)
	}
	if len(d.Options) > 0 {
		all = append(all, "")
	}
	for _, o := range d.Options {
		all = append(all, m.look.accent.Render(m.look.short(o.Value, width)))
		all = append(all, indent("  ", fold(o.Why, width-2))...)
	}
	if len(d.Validate) > 0 {
		all = append(all, "")
	}
	for _, v := range d.Validate {
		lines := indent("  ", fold(v.Message, width-2))
		lines[0] = m.look.mark.dot + lines[0][1:]
		all = append(all, lines...)
	}
	all = append(all, "", m.look.faint.Render("From a script:"))
	return append(all, indent("  ", fold(d.Flag()+" "+d.Syntax()+", or "+d.Env(), width-2))...)
}
