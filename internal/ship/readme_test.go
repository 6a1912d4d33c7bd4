package ship

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	readmePath     = regexp.MustCompile("[`(]((?:src|crates|deploy|clients|ci|proto|\\.github|\\.cargo)/[\\w./-]*|\\.gitlab-ci\\.yml)")
	readmeSetting  = regexp.MustCompile("(?m)^\\| (`[A-Z_`, ]+`)")
	readmeStep     = regexp.MustCompile(`ci/check\.sh((?: [a-z]+)+)`)
	readmeAnchor   = regexp.MustCompile(`see (Hotpath\w+)`)
	readmeExitCode = regexp.MustCompile(`(?m)^\| (\d+) \|`)
)

// readmeViolations are the words of the runbook that nothing in the tree answers to.
func readmeViolations(r rendered) []string {
	var found findings
	text := string(r.Tree["README.md"].Data)
	sources := ""
	for name, file := range r.Tree {
		if path.Ext(name) == ".rs" {
			sources += string(file.Data)
		}
	}
	for _, match := range readmePath.FindAllStringSubmatch(text, -1) {
		wanted := strings.Trim(match[1], "/.")
		if strings.HasPrefix(match[1], ".") {
			wanted = "." + wanted
		}
		found.wrong(slices.ContainsFunc(r.Paths(), func(p string) bool { return p == wanted || strings.HasPrefix(p, wanted+"/") }), "there is no %s", match[1])
	}
	for _, match := range readmeSetting.FindAllStringSubmatch(text, -1) {
		for _, setting := range strings.Split(strings.ReplaceAll(match[1], "`", ""), ", ") {
			found.wrong(strings.Contains(sources, `"`+setting+`"`) || strings.HasPrefix(setting, "DOWNSTREAM_"), "the service knows no setting %s", setting)
		}
	}
	steps := strings.Fields(string(steps.FindSubmatch(r.Tree["ci/check.sh"].Data)[1]))
	steps = append(steps, "doctor") // It is none that `ci/check.sh` alone takes.
	for _, match := range readmeStep.FindAllStringSubmatch(text, -1) {
		for _, step := range strings.Fields(match[1]) {
			found.wrong(slices.Contains(steps, step), "ci/check.sh has no step %s", step)
		}
	}
	for _, match := range readmeAnchor.FindAllStringSubmatch(text, -1) {
		found.wrong(strings.Contains(text, "### "+match[1]+"\n"), "there is no section %s", match[1])
	}
	for _, match := range readmeExitCode.FindAllStringSubmatch(text, -1) {
		found.wrong(match[1] == "0" || strings.Contains(sources, ": u8 = "+match[1]), "no exit code %s", match[1])
	}
	for _, panel := range regexp.MustCompile(`\*([A-Z][\w ]+)\*`).FindAllStringSubmatch(strings.ReplaceAll(text, "\n", " "), -1) {
		found.wrong(strings.Contains(string(r.Tree["deploy/base/dashboard.json"].Data), `"title": "`+panel[1]) || strings.Contains(text, "## "+panel[1]) || strings.Contains(text, "**"+panel[1]), "no panel and no section is called %s", panel[1])
	}
	for number, line := range strings.Split(text, "\n") {
		found.wrong(len(line) <= 125 || strings.HasPrefix(line, "|"), "line %d is %d long", number+1, len(line))
	}
	return found
}

func TestReadme(t *testing.T) {
	eachCase(t, "README.md", func(t *testing.T, r rendered) {
		for _, violation := range readmeViolations(r) {
			t.Error(violation)
		}
	})
	for name, given := range tlsCases {
		t.Run(name, func(t *testing.T) {
			for _, violation := range readmeViolations(renderTree(t, given)) {
				t.Error(violation)
			}
		})
	}
}

func TestReadmeFaults(t *testing.T) {
	for _, fault := range []struct{ old, new, found string }{
		{"`src/policy.rs`", "`src/policies.rs`", "there is no src/policies.rs"},
		{"`CONNECTIONS`", "`CONNECTION`", "no setting CONNECTION"},
		{"ci/check.sh load", "ci/check.sh loads", "no step loads"},
		{"see HotpathShedding", "see HotpathShed", "no section HotpathShed"},
		{"| 75 |", "| 76 |", "no exit code 76"},
		{"*Wait at the CPU door*", "*Wait at the door*", "is called Wait at the door"},
	} {
		r := renderTree(t, cases["default"]).with(t, "README.md", fault.old, fault.new)
		if found := readmeViolations(r); !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%q was not found: %q", fault.found, found)
		}
	}
}
