// Package picture draws a Grafana dashboard with its data as an SVG, near enough to what Grafana shows that a reader
// knows what to expect. It draws time series with a legend as a table, which is all that the generated dashboard has.
package picture

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Dashboard is what is drawn, over one span of time.
type Dashboard struct {
	Title    string
	From, To time.Time
	Panels   []Panel
}

// Panel lies on Grafana's grid of 24 columns. One without series and unit is the title of a row of panels.
type Panel struct {
	Title, Unit string
	X, Y, W, H  int
	Series      []Series
}

// Series is a line. A value that is not a number interrupts it.
type Series struct {
	Name   string
	Points []Point
}

// Point is a value at a time.
type Point struct {
	Time  time.Time
	Value float64
}

const (
	width, margin, top = 1200, 8, 44
	column, row        = (width - 2*margin) / 24.0, 27.0
	gap                = 6.0
	axis, lineHeight   = 58.0, 15.0
	legendRows         = 4
)

// colors are Grafana's classic palette.
var colors = []string{"#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#5794f2", "#ba43a9", "#b877d9"}

// SVG draws it.
func SVG(d Dashboard) []byte {
	rows := 0
	for _, panel := range d.Panels {
		rows = max(rows, panel.Y+panel.H)
	}
	var out bytes.Buffer
	height := top + float64(rows)*row + margin
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" font-family="Inter, Helvetica, Arial, sans-serif" font-size="11" fill="#9fa1ab">`+"\n", width, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%.0f" fill="#111217"/>`+"\n", width, height)
	text(&out, margin+gap, 28, `font-size="17" fill="#d8d9e4"`, d.Title)
	text(&out, width-margin-gap, 28, `text-anchor="end"`, d.From.Format("15:04:05")+" to "+d.To.Format("15:04:05"))
	for _, panel := range d.Panels {
		panel.draw(&out, d.From, d.To)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func (p Panel) draw(out *bytes.Buffer, from, to time.Time) {
	x, y := margin+float64(p.X)*column, top+float64(p.Y)*row
	w, h := float64(p.W)*column-gap, float64(p.H)*row-gap
	if p.Unit == "" {
		text(out, x+gap, y+18, `font-size="14" fill="#d8d9e4"`, "⌄ "+p.Title)
		return
	}
	fmt.Fprintf(out, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" rx="2" fill="#181b1f" stroke="#25272e"/>`+"\n", x, y, w, h)
	text(out, x+10, y+18, `font-size="12.5" fill="#d8d9e4"`, p.Title)

	// The highest first, and no more than fit: Grafana's legend scrolls.
	slices.SortStableFunc(p.Series, func(a, b Series) int { return cmp.Compare(b.highest(), a.highest()) })
	named := p.Series[:min(len(p.Series), legendRows)]
	legend := float64(min(len(p.Series), legendRows+1)+1) * lineHeight
	left, right, above, below := x+axis, x+w-12, y+32, y+h-legend-24
	most := 0.0
	if len(p.Series) > 0 && p.Series[0].highest() > 0 {
		most = p.Series[0].highest()
	}
	step := tick(most, p.Unit)
	scale := step * math.Max(1, math.Ceil(most/step))
	across := func(at time.Time) float64 {
		return left + (right-left)*float64(at.Sub(from))/float64(to.Sub(from))
	}
	up := func(value float64) float64 { return below - (below-above)*value/scale }
	for value := 0.0; value <= scale*1.001; value += step {
		fmt.Fprintf(out, `<path d="M%.0f %.1fH%.0f" stroke="#2a2d34"/>`+"\n", left, up(value), right)
		text(out, left-6, up(value)+4, `text-anchor="end"`, format(value, p.Unit))
	}
	for _, at := range marks(from, to) {
		fmt.Fprintf(out, `<path d="M%.1f %.0fV%.0f" stroke="#22252b"/>`+"\n", across(at), above, below)
		text(out, across(at), below+14, `text-anchor="middle"`, at.Format("15:04:05"))
	}

	text(out, right-70, y+h-legend+3, `text-anchor="end"`, "Last")
	text(out, right, y+h-legend+3, `text-anchor="end"`, "Max")
	for i, series := range slices.Backward(p.Series) {
		color := colors[i%len(colors)]
		var line strings.Builder
		pen := "M"
		for _, point := range series.Points {
			if math.IsNaN(point.Value) || math.IsInf(point.Value, 0) {
				pen = "M"
				continue
			}
			fmt.Fprintf(&line, "%s%.0f %.1f", pen, across(point.Time), up(point.Value))
			pen = "L"
		}
		fmt.Fprintf(out, `<path d="%s" fill="none" stroke="%s" stroke-width="1.3" stroke-linejoin="round"/>`+"\n", line.String(), color)
		at := y + h - legend + 3 + float64(i+1)*lineHeight
		if i == len(named) {
			text(out, x+30, at, "", fmt.Sprintf("and %d more", len(p.Series)-len(named)))
		}
		if i >= len(named) {
			continue
		}
		fmt.Fprintf(out, `<path d="M%.0f %.1fh12" stroke="%s" stroke-width="3"/>`+"\n", x+12, at-4, color)
		text(out, x+30, at, `fill="#ccccdc"`, series.Name)
		text(out, right-70, at, `text-anchor="end"`, format(series.last(), p.Unit))
		text(out, right, at, `text-anchor="end"`, format(series.highest(), p.Unit))
	}
}

// highest is the highest number, or none.
func (s Series) highest() float64 {
	highest := math.NaN()
	for _, point := range s.Points {
		if !math.IsInf(point.Value, 0) && !math.IsNaN(point.Value) && !(highest >= point.Value) {
			highest = point.Value
		}
	}
	return highest
}

// last is the last number, or none.
func (s Series) last() float64 {
	for _, point := range slices.Backward(s.Points) {
		if !math.IsInf(point.Value, 0) && !math.IsNaN(point.Value) {
			return point.Value
		}
	}
	return math.NaN()
}

func text(out *bytes.Buffer, x, y float64, attributes, content string) {
	fmt.Fprintf(out, `<text x="%.1f" y="%.1f" %s>%s</text>`+"\n", x, y, attributes, html.EscapeString(content))
}

// tick is a round distance of the lines behind the data: three or so up to the highest value.
func tick(most float64, unit string) float64 {
	if most <= 0 {
		return 1
	}
	base := 10.0
	if unit == "bytes" {
		base = 2
	}
	rough := most / 3
	power := math.Pow(base, math.Floor(math.Log(rough)/math.Log(base)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if power*factor >= rough {
			return power * factor
		}
	}
	return power
}

// marks are the round times of a span: four or so.
func marks(from, to time.Time) []time.Time {
	every := time.Second
	for _, step := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
		if every = step; to.Sub(from) <= 5*step {
			break
		}
	}
	var all []time.Time
	for at := from.Truncate(every).Add(every); at.Before(to); at = at.Add(every) {
		all = append(all, at)
	}
	return all
}

// format writes a value as Grafana does in these units.
func format(value float64, unit string) string {
	if math.IsNaN(value) {
		return "-"
	}
	switch unit {
	case "percentunit":
		return number(value*100) + "%"
	case "s":
		switch {
		case value == 0:
			return "0 s"
		case value < 1e-3:
			return number(value*1e6) + " µs"
		case value < 1:
			return number(value*1e3) + " ms"
		}
		return number(value) + " s"
	case "bytes":
		for _, suffix := range []string{" B", " KiB", " MiB", " GiB"} {
			if value < 1024 || suffix == " GiB" {
				return number(value) + suffix
			}
			value /= 1024
		}
	case "reqps":
		return format(value, "short") + " req/s"
	}
	if value >= 1e3 {
		return number(value/1e3) + " K"
	}
	return number(value)
}

// number has three digits that say something.
func number(value float64) string {
	digits := 2
	if value >= 100 {
		digits = 0
	} else if value >= 10 {
		digits = 1
	}
	short := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(short, ".") {
		short = strings.TrimRight(strings.TrimRight(short, "0"), ".")
	}
	return short
}
