package picture

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	for _, test := range []struct {
		value      float64
		unit, want string
	}{
		{0, "s", "0 s"}, {0.000123, "s", "123 µs"}, {0.0254, "s", "25.4 ms"}, {1.5, "s", "1.5 s"},
		{0.805, "percentunit", "80.5%"}, {0, "percentunit", "0%"},
		{512 << 20, "bytes", "512 MiB"}, {1.5 * (1 << 30), "bytes", "1.5 GiB"}, {100, "bytes", "100 B"},
		{1234, "reqps", "1.23 K req/s"}, {7, "reqps", "7 req/s"}, {100, "short", "100"},
		{math.NaN(), "s", "-"},
	} {
		if got := format(test.value, test.unit); got != test.want {
			t.Errorf("%v %s: %q, not %q", test.value, test.unit, got, test.want)
		}
	}
}

func TestTick(t *testing.T) {
	for _, test := range []struct {
		most float64
		unit string
		want float64
	}{{0, "short", 1}, {95, "reqps", 50}, {1, "percentunit", 0.5}, {0.3, "s", 0.1}, {512 << 20, "bytes", 256 << 20}} {
		if got := tick(test.most, test.unit); math.Abs(got-test.want) > test.want/1e9 {
			t.Errorf("%v %s: %v, not %v", test.most, test.unit, got, test.want)
		}
	}
}

func TestSVG(t *testing.T) {
	from := time.Unix(1000, 0).UTC()
	points := []Point{
		{from, 1}, {from.Add(time.Minute), math.NaN()}, {from.Add(2 * time.Minute), math.Inf(1)},
		{from.Add(3 * time.Minute), 2}, {from.Add(4 * time.Minute), 3},
	}
	drawn := string(SVG(Dashboard{Title: "a < b", From: from, To: from.Add(4 * time.Minute), Panels: []Panel{
		{Title: "row", W: 24, H: 1},
		{Title: "panel", Unit: "short", Y: 1, W: 8, H: 8, Series: []Series{{"line", points}, {"nothing", nil}}},
		{Title: "empty", Unit: "bytes", X: 8, Y: 1, W: 8, H: 8},
	}}))
	for decoder := xml.NewDecoder(strings.NewReader(drawn)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a &lt; b", "⌄ row", ">panel<", ">line<", ">nothing<", ">3<", ">-<"} {
		if !strings.Contains(drawn, want) {
			t.Errorf("there is no %s", want)
		}
	}
	// What is no number interrupts the line, and is never a coordinate.
	many := string(SVG(Dashboard{From: from, To: from.Add(time.Minute), Panels: []Panel{{Title: "many", Unit: "short", W: 8, H: 8, Series: []Series{
		{"e", []Point{{from, 1}}}, {"d", []Point{{from, 2}}}, {"c", []Point{{from, 3}}}, {"b", []Point{{from, 4}}}, {"none", nil}, {"a", []Point{{from, 5}}},
	}}}}))
	if names := regexp.MustCompile(`>([a-e]|none|and 2 more)<`).FindAllStringSubmatch(many, -1); len(names) != 5 || names[0][1] != "and 2 more" || names[1][1] != "d" || names[4][1] != "a" {
		t.Errorf("the legend is %q", names)
	}
	line := regexp.MustCompile(`d="([^"]+)" fill="none"`).FindStringSubmatch(drawn)
	if line == nil || strings.Count(line[1], "M") != 2 || strings.Count(line[1], "L") != 1 || strings.ContainsAny(line[1], "NI") {
		t.Errorf("the line is %q", line)
	}
}
