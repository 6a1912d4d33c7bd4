// Package manual lays out the help of commands: names and texts in columns, and manual pages in the man macros.
package manual

import (
	"fmt"
	"strings"

	"rustgen/internal/report"
)

// helpWidth is the line length of help.
const helpWidth = 110

// Row is a name and what it means.
type Row struct{ Name, Text string }

// Columns writes names and texts in two columns. A name that is too long for its column has a line of its own.
func Columns(b *strings.Builder, rows []Row) {
	const most = 30
	width := 0
	for _, r := range rows {
		if len(r.Name) <= most {
			width = max(width, len(r.Name))
		}
	}
	indent := strings.Repeat(" ", width+5)
	for _, r := range rows {
		text := strings.TrimSpace(report.Fold(r.Text, helpWidth, indent))
		if len(r.Name) > width {
			fmt.Fprintf(b, "  %s\n%s%s\n", r.Name, indent, text)
			continue
		}
		fmt.Fprintf(b, "  %-*s   %s\n", width, r.Name, text)
	}
}

// Section writes a section of names and texts; nothing where there are none.
func Section(b *strings.Builder, title string, rows []Row) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, r := range rows {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", Roff(strings.TrimSpace(r.Name)), Roff(r.Text))
	}
}

// Text writes paragraphs; lines that are indented keep their form.
func Text(b *strings.Builder, text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(b, ".nf\n%s\n.fi\n", Roff(paragraph))
			continue
		}
		fmt.Fprintf(b, "%s\n", Roff(paragraph))
	}
}

// Roff keeps a text from being read as macros and escapes.
func Roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
