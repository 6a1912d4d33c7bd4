package prompt

import (
	"io"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/huh"
	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

// look is how the form is drawn: the terminal's own sixteen colours, which its owner has chosen to be readable, and
// faint for what is secondary.
type look struct {
	title, accent, strong, faint, good, bad lipgloss.Style
	theme                                   *huh.Theme
	keys                                    *huh.KeyMap
	mark                                    marks
	// plain says that there are no colours, so that a place has to be marked by a sign.
	plain bool
}

// marks are the signs; without a UTF-8 locale they are ASCII.
type marks struct {
	done, current, dot, arrows, wrong, more string
}

var (
	unicodeMarks = marks{done: "✓", current: "›", dot: "·", arrows: "↑/↓", wrong: "✗", more: "…"}
	asciiMarks   = marks{done: "*", current: ">", dot: "-", arrows: "up/down", wrong: "!", more: "..."}
)

func newLook(out io.Writer, getenv func(string) string) look {
	profile := termenv.ANSI
	if getenv("NO_COLOR") != "" {
		profile = termenv.Ascii
	}
	renderer := lipgloss.NewRenderer(out)
	renderer.SetColorProfile(profile)
	style := renderer.NewStyle
	l := look{
		title:  style().Bold(true).Foreground(lipgloss.Color("6")),
		accent: style().Foreground(lipgloss.Color("6")),
		strong: style().Bold(true),
		faint:  style().Faint(true),
		good:   style().Foreground(lipgloss.Color("2")),
		bad:    style().Foreground(lipgloss.Color("1")),
		mark:   asciiMarks,
		plain:  profile == termenv.Ascii,
	}
	if isUTF8(getenv) {
		l.mark = unicodeMarks
	}
	l.theme = l.huhTheme(renderer)
	l.keys = quietKeys()
	return l
}

// isUTF8 reads the locale as the C library does: the first of the three that is set decides.
func isUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

func (l *look) huhTheme(renderer *lipgloss.Renderer) *huh.Theme {
	plain := renderer.NewStyle()
	cursor := plain
	if l.plain {
		// The cursor is drawn in reverse, which is not to be seen here.
		cursor = plain.Transform(func(under string) string { return "|" + under })
	}
	fields := huh.FieldStyles{
		Base:                plain,
		SelectSelector:      l.accent.SetString(l.mark.current + " "),
		MultiSelectSelector: l.accent.SetString(l.mark.current + " "),
		SelectedOption:      l.accent,
		UnselectedOption:    plain,
		SelectedPrefix:      l.good.SetString("[x] "),
		UnselectedPrefix:    plain.SetString("[ ] "),
		TextInput: huh.TextInputStyles{
			Cursor: cursor, CursorText: plain, Placeholder: l.faint, Prompt: l.accent, Text: plain,
		},
	}
	return &huh.Theme{Focused: fields, Blurred: fields}
}

// quietKeys leaves to huh's fields what moves within a field. Moving between questions is the form's.
func quietKeys() *huh.KeyMap {
	keys := huh.NewDefaultKeyMap()
	none := key.NewBinding(key.WithDisabled())
	keys.Input.Next, keys.Input.Prev, keys.Input.Submit, keys.Input.AcceptSuggestion = none, none, none, none
	keys.Select.Next, keys.Select.Prev, keys.Select.Submit, keys.Select.Filter = none, none, none, none
	keys.MultiSelect.Next, keys.MultiSelect.Prev, keys.MultiSelect.Submit, keys.MultiSelect.Filter = none, none, none, none
	return keys
}

// fold breaks a text into lines of at most width columns, between words where it can.
func fold(text string, width int) []string {
	width = max(width, 1)
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			for lipgloss.Width(word) > width {
				head, tail := cut(word, width)
				if line != "" {
					lines = append(lines, line)
					line = ""
				}
				lines = append(lines, head)
				word = tail
			}
			switch {
			case line == "":
				line = word
			case lipgloss.Width(line)+1+lipgloss.Width(word) <= width:
				line += " " + word
			default:
				lines = append(lines, line)
				line = word
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// cut divides a word after at most width columns, and at least one character.
func cut(word string, width int) (head, tail string) {
	columns := 0
	for i, r := range word {
		columns += lipgloss.Width(string(r))
		if columns > width && i > 0 {
			return word[:i], word[i:]
		}
	}
	return word, ""
}

// short is a text of at most width columns.
func (l *look) short(text string, width int) string {
	if lipgloss.Width(text) <= width {
		return text
	}
	head, _ := cut(text, max(width-lipgloss.Width(l.mark.more), 1))
	return head + l.mark.more
}

// pad fills a text to width columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-lipgloss.Width(text), 0))
}

// paint styles every line by itself, so that no line carries a style into the next.
func paint(style lipgloss.Style, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		if line != "" {
			out[i] = style.Render(line)
		}
	}
	return out
}

func indent(by string, lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		if line != "" {
			out[i] = by + line
		}
	}
	return out
}
