package upgrade

import (
	"strings"

	"github.com/Masterminds/semver/v3"

	"rustgen/internal/project"
	"rustgen/internal/templateset"
)

// SetID names a template set in one of its versions.
type SetID struct{ Name, Version string }

func (id SetID) String() string {
	if id.Name == "" {
		return ""
	}
	return id.Name + " " + id.Version
}

// ParseSetID reads what String writes.
func ParseSetID(text string) SetID {
	name, version, _ := strings.Cut(text, " ")
	return SetID{name, version}
}

// Origin is what files are rendered from: a set and, where it extends another, that one.
type Origin struct{ Set, Under SetID }

func (o Origin) String() string {
	if o.Under.Name == "" {
		return o.Set.String()
	}
	return o.Set.String() + " on " + o.Under.String()
}

// rendered is what a service was rendered from.
func rendered(r *project.Record) Origin {
	return Origin{SetID{r.Template, r.Version}, ParseSetID(r.Extends)}
}

// OriginOf is what a set renders from.
func OriginOf(set *templateset.Set) Origin {
	return Origin{SetID{set.Name, set.Version}, ParseSetID(set.Base)}
}

// Origin is what the service was rendered from.
func (s *Service) Origin() Origin { return rendered(s.Record) }

// Relation is how one origin stands to another.
type Relation int

// The relations.
const (
	Same    Relation = iota
	Newer            // of a later version
	Older            // of an earlier version
	Unknown          // neither can be said
)

// compare says how another origin stands to this one.
func (o Origin) compare(other Origin) Relation {
	if o.Set.Name != other.Set.Name {
		// The service was made from the extended set, and the other is a step further.
		if o.Set.Name != other.Under.Name {
			return Unknown
		}
		if r := CompareVersions(o.Set.Version, other.Under.Version); r != Same {
			return r
		}
		return Newer
	}
	if r := CompareVersions(o.Set.Version, other.Set.Version); r != Same {
		return r
	}
	switch {
	case o.Under == other.Under:
		return Same
	case o.Under.Name != other.Under.Name:
		return Unknown
	default:
		return CompareVersions(o.Under.Version, other.Under.Version)
	}
}

// CompareVersions says how the second version stands to the first.
func CompareVersions(was, is string) Relation {
	if was == is {
		return Same
	}
	before, errBefore := semver.StrictNewVersion(was)
	now, errNow := semver.StrictNewVersion(is)
	switch {
	case errBefore != nil || errNow != nil:
		return Unknown
	case now.GreaterThan(before):
		return Newer
	case now.LessThan(before):
		return Older
	default:
		return Same
	}
}

// Compare says how a set stands to what a service was rendered from.
func (s *Service) Compare(set *templateset.Set) Relation { return s.Origin().compare(OriginOf(set)) }

// Difference is what a set has in another version than the service; "" for nothing.
func (s *Service) Difference(set *templateset.Set) string {
	was, is := s.Origin(), OriginOf(set)
	if was.Set.Name != is.Set.Name {
		return is.String()
	}
	var parts []string
	if was.Set != is.Set {
		parts = append(parts, is.Set.Version)
	}
	if was.Under != is.Under && is.Under.Name != "" {
		parts = append(parts, is.Under.String())
	}
	return strings.Join(parts, " on ")
}

// Title is the change from what the service was rendered from to a set, in one line.
func (s *Service) Title(set *templateset.Set) string {
	was, is := s.Origin(), OriginOf(set)
	switch {
	case was == is:
		return is.String()
	case was.Set.Name == is.Set.Name && was.Under == is.Under:
		return was.Set.String() + " -> " + is.Set.Version
	default:
		return was.String() + " -> " + is.String()
	}
}

// Section is what a changelog says of one version.
type Section struct {
	// Set is the extended set, where the section is not the set's own.
	Set     string `json:"set,omitempty"`
	Version string `json:"version"`
	Text    string `json:"text"`
}

// Heading names the version, and the set where it is the extended one.
func (s Section) Heading() string {
	if s.Set == "" {
		return s.Version
	}
	return s.Set + " " + s.Version
}

// sections are the parts of a changelog for the versions after one and up to another, newest first.
func sections(changelog, after, upTo string) []Section {
	from, errFrom := semver.StrictNewVersion(after)
	to, errTo := semver.StrictNewVersion(upTo)
	if errFrom != nil || errTo != nil {
		return nil
	}
	var found []Section
	var current *Section
	for line := range strings.Lines(changelog) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			if current != nil {
				found = append(found, *current)
				current = nil
			}
			word, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(title), "[]"), " ")
			v, err := semver.StrictNewVersion(strings.Trim(word, "[]"))
			if err == nil && v.GreaterThan(from) && !v.GreaterThan(to) {
				current = &Section{Version: v.String()}
			}
			continue
		}
		if current != nil {
			current.Text += line
		}
	}
	if current != nil {
		found = append(found, *current)
	}
	for i := range found {
		found[i].Text = strings.TrimSpace(found[i].Text)
	}
	return found
}

// Changelog is what a set, and then the one that it extends, say of the versions that the service comes to.
func (s *Service) Changelog(set *templateset.Set) []Section {
	was, is := s.Origin(), OriginOf(set)
	all := []Section{}
	under := was.Under
	if was.Set.Name == is.Set.Name {
		all = append(all, sections(set.Changelog, was.Set.Version, is.Set.Version)...)
	} else {
		// The service was made from the extended set.
		under = was.Set
	}
	if under.Name != is.Under.Name {
		return all
	}
	for _, section := range sections(set.BaseChangelog, under.Version, is.Under.Version) {
		section.Set = is.Under.Name
		all = append(all, section)
	}
	return all
}
