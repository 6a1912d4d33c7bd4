// Command picture makes docs/prompt.svg: what a terminal shows of the prompt, driven in tmux. Run it in the root of the
// repository: go run ./docs/picture
package main

import (
	"fmt"
	"html"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	target        = "docs/prompt.svg"
	columns, rows = 80, 22
)

// scene is what is typed, each after the text that it waits for. The picture is of the screen on which the last of them
// is seen and nothing more is typed.
var scene = []struct{ sees, keys string }{
	{"ready>", "rustgen new orders"},
	{"rustgen new orders", "Enter"},
	{"Does the service hold state", "Down"},
	{"› Stateful", "Enter"},
	{"› Unwind  default", "Enter"},
	{"Which allocator serves the heap?", "Down"},
	{"› jemalloc", ""},
}

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal("picture: ", err)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "picture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "rustgen"), "./cmd/rustgen").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	screen, err := play(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(target, []byte(draw(screen)), 0o644)
}

// play acts the scene and gives the last screen, with its colours.
func play(dir string) (string, error) {
	tmux := func(args ...string) (string, error) {
		cmd := exec.Command("tmux", append([]string{"-S", filepath.Join(dir, "tmux")}, args...)...)
		cmd.Env = append(os.Environ(), "TMUX=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
		}
		return string(out), nil
	}
	_, err := tmux("-f", os.DevNull, "-u", "new-session", "-d", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows), "-c", dir,
		"env", "-u", "NO_COLOR", "LC_ALL=C.UTF-8", "PS1=ready> ", "ENV=", "PATH="+dir+":"+os.Getenv("PATH"), "sh")
	if err != nil {
		return "", err
	}
	defer func() { _, _ = tmux("kill-server") }()
	for _, step := range scene {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			screen, err := tmux("capture-pane", "-p")
			if err != nil {
				return "", err
			}
			if strings.Contains(screen, step.sees) {
				break
			}
			if time.Now().After(deadline) {
				return "", fmt.Errorf("there is no %q on\n%s", step.sees, screen)
			}
		}
		if step.keys != "" {
			if _, err := tmux("send-keys", step.keys); err != nil {
				return "", err
			}
		}
	}
	return tmux("capture-pane", "-p", "-e")
}

// The size of a character cell and of the frame around them, in pixels.
const (
	cellWidth, cellHeight = 8.4, 19
	left, top, bottom     = 12, 44, 14
)

// style is what the codes of a terminal have set.
type style struct {
	color                string
	bold, faint, reverse bool
}

var colors = map[int]string{
	30: "#5c6370", 31: "#e06c75", 32: "#98c379", 33: "#e5c07b", 34: "#61afef", 35: "#c678dd", 36: "#56c8d8", 37: "#d7dae0",
}

const foreground, background = "#d7dae0", "#1e222a"

// draw turns a screen into SVG. Every run of characters is given its length, so that the columns stand whatever font
// there is.
func draw(screen string) string {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	width := columns*cellWidth + 2*left
	height := float64(len(lines)*cellHeight + top + bottom)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img">`+"\n", width, height, width, height)
	b.WriteString("<title>rustgen new, asking for the allocator</title>\n")
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", background)
	for i, color := range []string{"#ff5f57", "#febc2e", "#28c840"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="20" r="6" fill="%s"/>`+"\n", 22+20*i, color)
	}
	fmt.Fprintf(&b, `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="%s">`+"\n", foreground)
	now := style{}
	for row, line := range lines {
		column := 0
		for line != "" {
			text := line
			if i := strings.IndexByte(line, '\x1b'); i == 0 {
				line = now.set(line)
				continue
			} else if i > 0 {
				text = line[:i]
			}
			line = line[len(text):]
			now.write(&b, text, row, column)
			column += len([]rune(text))
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// set takes the codes at the beginning of a text, and gives what comes after them.
func (s *style) set(text string) string {
	codes, after, _ := strings.Cut(strings.TrimPrefix(text, "\x1b["), "m")
	for field := range strings.SplitSeq(codes, ";") {
		// No code at all means 0.
		code, _ := strconv.Atoi(field)
		switch {
		case code == 0:
			*s = style{}
		case code == 1:
			s.bold = true
		case code == 2:
			s.faint = true
		case code == 7:
			s.reverse = true
		case code == 39:
			s.color = ""
		case colors[code] != "":
			s.color = colors[code]
		}
	}
	return after
}

// noBreak is a space that is drawn wherever it stands; SVG draws several plain ones as one.
const noBreak = "&#160;"

func (s *style) write(b *strings.Builder, text string, row, column int) {
	trimmed := strings.TrimLeft(text, " ")
	column += len(text) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, " ")
	if trimmed == "" {
		return
	}
	x, y := left+float64(column)*cellWidth, top+row*cellHeight+14
	length := float64(len([]rune(trimmed))) * cellWidth
	attributes := ""
	if s.color != "" {
		attributes += fmt.Sprintf(` fill="%s"`, s.color)
	}
	if s.bold {
		attributes += ` font-weight="bold"`
	}
	if s.faint {
		attributes += ` opacity="0.6"`
	}
	if s.reverse {
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y-14, length, cellHeight, foreground)
		attributes += fmt.Sprintf(` fill="%s"`, background)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</text>`+"\n",
		x, y, length, attributes, strings.ReplaceAll(html.EscapeString(trimmed), " ", noBreak))
}
