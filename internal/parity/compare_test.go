package parity

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"rustgen/internal/parity/live"
)

func upperSnake(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// deliberate are differences that stay, by an expression that matches them, and why.
type deliberate struct{ matches, why string }

// differences are what a reader of both would notice: names, types, help, labels, buckets, values. Families whose name
// matches are compared; both are the exports of the same calls.
func differences(goes, ours live.Families, matching *regexp.Regexp) []string {
	var found []string
	note := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	names := map[string]bool{}
	for _, families := range []live.Families{goes, ours} {
		for name := range families {
			names[name] = matching.MatchString(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !names[name] {
			continue
		}
		in, out := goes[name], ours[name]
		switch {
		case out == nil:
			note("%s: only Go exports it", name)
			continue
		case in == nil:
			note("%s: Go does not export it", name)
			continue
		}
		if in.GetType() != out.GetType() {
			note("%s: %v, in Go %v", name, out.GetType(), in.GetType())
		}
		if in.GetHelp() != out.GetHelp() {
			note("%s: help %q, in Go %q", name, out.GetHelp(), in.GetHelp())
		}
		there, here := series(in), series(out)
		keys := maps.Clone(there)
		maps.Copy(keys, here)
		for _, labels := range slices.Sorted(maps.Keys(keys)) {
			one, other := there[labels], here[labels]
			switch {
			case other == nil:
				note("%s%s: only Go exports it", name, labels)
			case one == nil:
				note("%s%s: Go does not export it", name, labels)
			default:
				if buckets := bounds(one); buckets != bounds(other) {
					note("%s%s: buckets %s, in Go %s", name, labels, bounds(other), buckets)
				}
				if value, goes := number(other), number(one); value != goes {
					note("%s%s: value %v, in Go %v", name, labels, value, goes)
				}
				// Durations differ, but not by a unit: no call here is longer than half a second.
				sum, goes := other.GetHistogram().GetSampleSum(), one.GetHistogram().GetSampleSum()
				if math.Abs(sum-goes) > 0.25*(1+number(one)) {
					note("%s%s: sum %v, in Go %v", name, labels, sum, goes)
				}
			}
		}
	}
	return found
}

// unexplained are the differences that are not deliberate, and the deliberate ones that do not occur.
func unexplained(differences []string, explained []deliberate) []string {
	var left []string
	used := map[string]bool{}
	for _, difference := range differences {
		known := false
		for _, d := range explained {
			if regexp.MustCompile(d.matches).MatchString(difference) {
				known, used[d.matches] = true, true
			}
		}
		if !known {
			left = append(left, difference)
		}
	}
	for _, d := range explained {
		if !used[d.matches] {
			left = append(left, "no such difference any more: "+d.matches)
		}
	}
	return left
}

// series are the metrics of a family by their labels, written as they are exported.
func series(family *dto.MetricFamily) map[string]*dto.Metric {
	all := map[string]*dto.Metric{}
	for _, metric := range family.GetMetric() {
		var labels []string
		for _, label := range metric.Label {
			value := label.GetValue()
			if slices.Contains(speaker, label.GetName()) && value != "" {
				value = "(whoever measured)"
			}
			labels = append(labels, fmt.Sprintf("%s=%q", label.GetName(), value))
		}
		slices.Sort(labels)
		all["{"+strings.Join(labels, ",")+"}"] = metric
	}
	return all
}

func bounds(metric *dto.Metric) string {
	var all []string
	for _, bucket := range metric.GetHistogram().GetBucket() {
		all = append(all, strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))
	}
	return strings.Join(all, " ")
}

// number is a counter's or gauge's value, and the count of a histogram.
func number(metric *dto.Metric) float64 {
	return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
}
