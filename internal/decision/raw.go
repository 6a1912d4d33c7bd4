package decision

import (
	"encoding/json"
	"slices"
	"strings"
)

// form is what a raw answer looks like.
type form int

const (
	absent form = iota // nothing, as a null is
	text               // one text
	list               // a list of texts
	other              // what no decision takes, such as a mapping
)

// Raw is an answer as it was written, before anything is known about its decision: a text, or a list of texts. The zero
// value is no answer.
type Raw struct {
	form  form
	text  string
	items []string
	// plain is the text as a number or a boolean, which files hold without quotes.
	plain any
}

// RawText is an answer that was written as one text.
func RawText(s string) Raw { return Raw{form: text, text: s} }

// RawList is an answer that was written as a list.
func RawList(items ...string) Raw { return Raw{form: list, items: slices.Clone(items)} }

// UnmarshalYAML reads an answer out of a file in YAML or JSON. Decoders of YAML call it by its name; what they make of
// the text is given back to them, so that 007 and 1.0 stay as they were written.
func (r *Raw) UnmarshalYAML(decode func(any) error) error {
	*r = Raw{form: other}
	var one string
	var items []*string
	switch {
	case decode(&one) == nil:
		*r = RawText(one)
		var plain any
		if decode(&plain) == nil {
			switch plain.(type) {
			case bool, int:
				r.plain = plain
			}
		}
	case decode(&items) == nil && !slices.Contains(items, nil):
		r.form = list
		for _, item := range items {
			r.items = append(r.items, *item)
		}
	}
	return nil
}

// MarshalYAML gives what a file holds.
func (r Raw) MarshalYAML() (any, error) { return r.Plain(), nil }

// MarshalJSON gives what a file holds.
func (r Raw) MarshalJSON() ([]byte, error) { return json.Marshal(r.Plain()) }

// Plain is what a file holds: a text, a list of texts, or a number or boolean that was written without quotes.
func (r Raw) Plain() any {
	switch {
	case r.form == list:
		return append([]string{}, r.items...)
	case r.plain != nil:
		return r.plain
	case r.form == text:
		return r.text
	default:
		return nil
	}
}

// Texts are the texts that an answer consists of. ok is false where it is of a form that no decision takes.
func (r Raw) Texts() (texts []string, ok bool) {
	switch r.form {
	case text:
		return []string{r.text}, true
	case list:
		return slices.Clone(r.items), true
	default:
		return nil, r.form == absent
	}
}

// String is the answer on one line, as it was written.
func (r Raw) String() string {
	if r.form == list {
		return strings.Join(r.items, ",")
	}
	return r.text
}

// mapped is the answer with some of its texts called otherwise.
func (r Raw) mapped(names map[string]string) Raw {
	if r.form == list {
		items := make([]string, len(r.items))
		for i, item := range r.items {
			items[i] = item
			if now, ok := names[item]; ok {
				items[i] = now
			}
		}
		return RawList(items...)
	}
	if now, ok := names[r.text]; ok && r.form == text {
		return RawText(now)
	}
	return r
}
