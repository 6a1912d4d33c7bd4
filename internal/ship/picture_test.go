package ship

import (
	"flag"
	"fmt"
	"html"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rustgen/internal/ship/picture"
)

// go test -run DashboardPicture -update-picture
var updatePicture = flag.Bool("update-picture", false, "draw docs/dashboard.svg anew, from a service under load")

const dashboardPicture = "../../docs/dashboard.svg"

// The picture in docs is of the dashboard that the set renders, with data in every panel. It is drawn from what a real
// Prometheus answers to the dashboard's own queries.
func TestDashboardPicture(t *testing.T) {
	r := renderTree(t, answers{"name": "hello", "downstream": "prices", "queue": "256"})
	if *updatePicture {
		drawDashboard(t, r)
	}
	drawn, err := os.ReadFile(dashboardPicture)
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range pictureViolations(t, r, string(drawn)) {
		t.Error(violation)
	}
	faulty := r.with(t, "deploy/base/dashboard.json", `"title": "Traffic"`, `"title": "Calls"`)
	if found := pictureViolations(t, faulty, string(drawn)); len(found) != 1 {
		t.Errorf("a panel that the picture lacks was not found: %q", found)
	}
	empty := regexp.MustCompile(`<path d="M[^"]+" fill="none"`).ReplaceAllString(string(drawn), `<path d="" fill="none"`)
	if found := pictureViolations(t, r, empty); len(found) == 0 {
		t.Error("a picture without data was not found")
	}
}

func pictureViolations(t *testing.T, r rendered, drawn string) []string {
	var found []string
	panels := 0
	for _, panel := range parseDashboard(t, r).Panels {
		if panel.Type != "row" {
			panels++
			if !strings.Contains(drawn, ">"+html.EscapeString(panel.Title)+"</text>") {
				found = append(found, "the picture lacks "+panel.Title+": go test -run DashboardPicture -update-picture")
			}
		}
	}
	if lines := len(regexp.MustCompile(`<path d="M[^"]+L[^"]+" fill="none"`).FindAllString(drawn, -1)); lines < panels {
		found = append(found, fmt.Sprintf("the picture has %d lines in %d panels", lines, panels))
	}
	if len(drawn) > 300<<10 {
		found = append(found, fmt.Sprintf("the picture has %d bytes", len(drawn)))
	}
	return found
}

func drawDashboard(t *testing.T, r rendered) {
	t.Helper()
	driver := buildDriver(t)
	listen, admin := serve(t, r.binary(t, r.write(t), "--release"), "DOWNSTREAM_PRICES=http://"+downstream(t))
	p := startPrometheus(t, r, admin)
	from := time.Now()
	mustRun(t, ".", driver, "-mode", "day", "-target", listen)
	to := time.Now()
	d := parseDashboard(t, r)
	drawing := picture.Dashboard{Title: d.Title, From: from, To: to}
	for _, panel := range d.Panels {
		one := picture.Panel{Title: panel.Title, X: panel.GridPos.X, Y: panel.GridPos.Y, W: panel.GridPos.W, H: panel.GridPos.H}
		if panel.Type != "row" {
			one.Unit = panel.FieldConfig.Defaults.Unit
		}
		for _, target := range panel.Targets {
			one.Series = append(one.Series, p.series(t, target.Expr, target.LegendFormat, from, to)...)
		}
		drawing.Panels = append(drawing.Panels, one)
	}
	if err := os.WriteFile(dashboardPicture, picture.SVG(drawing), 0o644); err != nil {
		t.Fatal(err)
	}
}

var label = regexp.MustCompile(`\{\{ *(\w+) *\}\}`)

// series are what a panel's query gives over a span, under the names of its legend.
func (p *prometheus) series(t *testing.T, expression, legend string, from, to time.Time) []picture.Series {
	t.Helper()
	var answer []struct {
		Metric map[string]string
		Values [][2]any
	}
	err := p.ask("query_range", url.Values{
		"query": {allChosen(expression, "5s")},
		"start": {from.Format(time.RFC3339)}, "end": {to.Format(time.RFC3339)}, "step": {"2s"},
	}, &answer)
	if err != nil {
		t.Fatal(err)
	}
	var all []picture.Series
	for _, one := range answer {
		series := picture.Series{Name: label.ReplaceAllStringFunc(legend, func(found string) string {
			return one.Metric[label.FindStringSubmatch(found)[1]]
		})}
		for _, value := range one.Values {
			number, err := strconv.ParseFloat(value[1].(string), 64)
			if err != nil {
				t.Fatal(err)
			}
			series.Points = append(series.Points, picture.Point{Time: time.Unix(int64(value[0].(float64)), 0), Value: number})
		}
		all = append(all, series)
	}
	return all
}
