package merge

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rustgen/internal/tree"
)

// labels are the names that git writes into markers and beside files in each other's way. They hold a digest of what is
// merged, so that no line and no path of a user can look like one.
type labels struct {
	base, ours, theirs string
	marker             *regexp.Regexp
	beside             *regexp.Regexp
}

func newLabels(commits [3]string) labels {
	l := labels{base: commits[0], ours: "yours-" + commits[1], theirs: "template-" + commits[2]}
	l.marker = regexp.MustCompile(fmt.Sprintf(`(?m)^(<{7,}|\|{7,}|>{7,}) (%s|%s|%s)((?::.*)?\r?)$`, l.base, l.ours, l.theirs))
	l.beside = regexp.MustCompile(fmt.Sprintf(`~(%s|%s)(_\d+)?$`, l.ours, l.theirs))
	return l
}

// rename gives markers the names that a person reads.
func (l labels) rename(data []byte, base, theirs string) ([]byte, bool) {
	found := false
	data = l.marker.ReplaceAllFunc(data, func(line []byte) []byte {
		found = true
		m := l.marker.FindSubmatch(line)
		name := "yours"
		switch string(m[2]) {
		case l.base:
			name = "base " + base
		case l.theirs:
			name = "template " + theirs
		}
		return []byte(string(m[1]) + " " + name + string(m[3]))
	})
	return data, found
}

// home is the path of a file that git put beside another, and whose it is.
func (l labels) home(p string) (home string, beside, users bool) {
	m := l.beside.FindStringSubmatchIndex(p)
	if m == nil {
		return p, false, false
	}
	return p[:m[0]], true, p[m[2]:m[3]] == l.ours
}

// policy turns git's conflicts into the user's.
func (m *merger) policy() {
	settled := map[string]bool{}
	for _, msg := range m.out.messages {
		if msg.kind == "CONFLICT (rename/rename)" && len(msg.paths) == 3 {
			m.bothRenamed(msg.paths[0], msg.paths[1], msg.paths[2])
			for _, p := range msg.paths {
				settled[p] = true
			}
		}
	}
	for _, p := range m.merged.Paths() {
		if home, beside, users := m.labels.home(p); beside {
			m.inTheWay(p, home, users)
			settled[home] = true
		}
	}
	groups := map[string]map[int]stage{}
	for _, st := range m.out.stages {
		home, _, _ := m.labels.home(st.path)
		if groups[home] == nil {
			groups[home] = map[int]stage{}
		}
		groups[home][st.number] = st
	}
	for p, group := range groups {
		if settled[p] {
			continue
		}
		_, ours := group[2]
		_, theirs := group[3]
		switch {
		case !ours:
			delete(m.merged, p)
			m.result.KeptDeleted = append(m.result.KeptDeleted, p)
		case !theirs:
			m.conflict(p, TemplateDeleted)
		default:
			m.conflict(p, m.kindOf(p, group))
		}
	}
}

func (m *merger) kindOf(p string, group map[int]stage) Kind {
	_, based := group[1]
	// What git has put markers into has lines, whatever else is in it.
	marked := m.labels.marker.Match(m.merged[p].Data)
	switch {
	case group[2].mode == modeLink || group[3].mode == modeLink:
		return Link
	case !marked && (!hasLines(m.merged[p]) || m.said(p, "CONFLICT (binary)")):
		return Binary
	case !based:
		return BothAdded
	default:
		return Content
	}
}

func (m *merger) said(p, kind string) bool {
	return slices.ContainsFunc(m.out.messages, func(msg message) bool {
		return msg.kind == kind && slices.Contains(msg.paths, p)
	})
}

func (m *merger) conflict(p string, kind Kind) {
	base, ours, theirs := m.origins(p)
	if kind == BothAdded {
		base = nil
	}
	m.result.Conflicts = append(m.result.Conflicts, Conflict{Path: p, Kind: kind, Stages: [3]*tree.File{base, ours, theirs}})
}

// bothRenamed keeps the user's name for a file that each side moved elsewhere.
func (m *merger) bothRenamed(_, users, template string) {
	if f, ok := m.sides[1].unified[template]; ok {
		m.merged[template] = f
	} else {
		delete(m.merged, template)
	}
	m.conflict(users, BothRenamed)
}

// inTheWay keeps the user's file or directory where the template has the other kind of thing. beside is where git put
// the one that had no room.
func (m *merger) inTheWay(beside, home string, users bool) {
	delete(m.merged, beside)
	kind := Type
	if m.said(home, "CONFLICT (file/directory)") {
		kind = Directory
	}
	if users {
		for p := range m.merged {
			if p == home || strings.HasPrefix(p, home+"/") {
				m.drop(p)
			}
		}
		if f, ok := m.sides[1].unified[home]; ok {
			m.merged[home] = f
		}
	}
	if !users {
		m.giveBack(home)
	}
	if !slices.ContainsFunc(m.result.Conflicts, func(c Conflict) bool { return c.Path == home }) {
		m.conflict(home, kind)
	}
}

// drop leaves out a file of the template, and gives the user's back that it may have been merged from.
func (m *merger) drop(p string) {
	delete(m.merged, p)
	m.giveBack(p)
}

func (m *merger) giveBack(p string) {
	if from, ok := keyOf(m.templateMoves, p); ok {
		if f, ok := m.sides[1].unified[from]; ok {
			m.merged[from] = f
			delete(m.templateMoves, from)
		}
	}
}

// keepUsers is the net under all of it: whatever the user made or changed is in the result, by its own name or by the
// template's new one.
func (m *merger) keepUsers() {
	ours := m.sides[1].unified
	for _, p := range ours.Paths() {
		if has(m.merged, p) {
			continue
		}
		if was, ok := m.sides[0].unified[p]; ok && was.Equal(ours[p]) {
			continue
		}
		if to, ok := m.templateMoves[p]; ok && has(m.merged, to) {
			continue
		}
		m.merged[p] = ours[p]
		m.conflict(p, TemplateDeleted)
	}
}
