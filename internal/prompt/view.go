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
		left += " " + fmt.Sprint(name.Value)
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
	all := indented(m.refused.What)
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
	top := append(header, text[m.offset:end]...)
	if m.overflow > 0 {
		top = append(top, m.look.faint.Render(fmt.Sprintf("%s %s below", m.look.mark.more, plural(m.overflow, "more line"))))
	}
	return m.stretch(top, append(below, m.footer()...))
}

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
