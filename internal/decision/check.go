package decision

import (
	"fmt"
	"maps"
	"slices"

	"rustgen/internal/lazyregexp"
)

var idForm = lazyregexp.New(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Fault is a contradiction in a catalog: what a template set's author got wrong.
type Fault struct {
	// Path leads to it in template.yaml: keys, ids of decisions, indices of rules.
	Path []any
	Err  error
}

// Check refuses a catalog that contradicts itself, with the first of its faults.
func (c *Catalog) Check(reserved []string) error {
	if faults := c.Faults(reserved); len(faults) > 0 {
		return faults[0].Err
	}
	return nil
}

// Faults finds all contradictions. reserved are flags that the command line needs for itself.
func (c *Catalog) Faults(reserved []string) []Fault {
	var faults []Fault
	add := func(path []any, format string, args ...any) {
		faults = append(faults, Fault{path, fmt.Errorf(format, args...)})
	}
	seen := map[string]bool{}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		path := []any{"decisions", d.ID}
		if seen[d.ID] {
			add(path, "decision %s is declared twice", d.ID)
			continue
		}
		seen[d.ID] = true
		if slices.Contains(reserved, d.ID) {
			add(append(path, "id"), "decision %s: --%s is rustgen's own flag; choose another id", d.ID, d.ID)
		}
		for _, f := range d.faults() {
			add(append(path, f.Path...), "decision %s: %w", d.ID, f.Err)
		}
	}
	c.formerIDs(add)
	for _, id := range sorted(c.Presets) {
		preset := c.Presets[id]
		if err := c.checkConstant(id, func(d *Decision) error { _, err := d.Read(preset); return err }); err != nil {
			add([]any{"presets", id}, "presets: %w", err)
		}
	}
	for _, id := range sorted(c.Locked) {
		lock := c.Locked[id]
		if lock.Reason == "" {
			add([]any{"locked", id}, "locked %s: a lock needs a reason, which people see when they ask for another answer", id)
		}
		if err := c.checkConstant(id, func(d *Decision) error { _, err := d.Read(lock.Value); return err }); err != nil {
			add([]any{"locked", id}, "locked: %w", err)
		}
	}
	c.values(add)
	return faults
}

// formerIDs checks the ids that decisions had before.
func (c *Catalog) formerIDs(add func(path []any, format string, args ...any)) {
	by := map[string]string{}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if d.Was == nil {
			continue
		}
		path := []any{"decisions", d.ID, "was"}
		_, taken := c.Find(d.Was.ID)
		switch {
		case !idForm.MatchString(d.Was.ID):
			add(path, "decision %s: was: the former id %q is not kebab-case", d.ID, d.Was.ID)
		case taken:
			add(path, "decision %s: was: %s is still a decision of its own", d.ID, d.Was.ID)
		case by[d.Was.ID] != "":
			add(path, "decision %s: was: %s was %s already", d.ID, d.Was.ID, by[d.Was.ID])
		}
		by[d.Was.ID] = d.ID
		for _, old := range sorted(d.Was.Values) {
			if _, err := d.Parse(d.Was.Values[old]); err != nil {
				add(path, "decision %s: was: values: %s: %w", d.ID, old, err)
			}
		}
	}
}

// values checks the names of derived values, and the rules.
func (c *Catalog) values(add func(path []any, format string, args ...any)) {
	keys := map[string]bool{}
	for _, d := range c.Decisions {
		keys[d.Key()] = true
	}
	for _, v := range c.Derived {
		if keys[v.Name] {
			add([]any{"derived", v.Name}, "derived %s: there is already a value of that name", v.Name)
		}
		keys[v.Name] = true
	}
	for i, r := range c.Rules {
		if (r.Refuse == "") == (r.Warn == "") || r.Message == "" {
			add([]any{"rules", i}, "rule %d: a rule has a message and either refuse or warn", i+1)
		}
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *Catalog) checkConstant(id string, parse func(*Decision) error) error {
	d, ok := c.Find(id)
	if !ok {
		if near := Nearest(id, c.IDs()); near != "" {
			return fmt.Errorf("there is no decision %q; did you mean %q?", id, near)
		}
		return fmt.Errorf("there is no decision %q", id)
	}
	if err := parse(d); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return nil
}

// faults are what contradicts itself in one decision, each with its way from the decision.
func (d *Decision) faults() []Fault {
	var faults []Fault
	add := func(key, format string, args ...any) {
		faults = append(faults, Fault{[]any{key}, fmt.Errorf(format, args...)})
	}
	switch {
	case !idForm.MatchString(d.ID):
		add("id", "an id is kebab-case")
	case !slices.Contains(Types, d.Type):
		add("type", "type %q is not one of %v", d.Type, Types)
		return faults
	case d.Type == Choice && len(d.Options) == 0:
		add("options", "a choice needs options")
		return faults
	case len(d.Options) > 0 && d.Type != Choice && d.Type != List:
		add("options", "only a choice or a list has options")
	}
	values := map[string]bool{}
	for _, o := range d.Options {
		if o.Value == "" || values[o.Value] {
			add("options", "option %q is empty or stands twice", o.Value)
		}
		values[o.Value] = true
	}
	for _, v := range d.Validate {
		if v.Expr == "" || v.Message == "" {
			add("validate", "a validation has an expr and a message")
		}
	}
	if d.Nested != nil {
		if d.Nested.Reason == "" {
			add("nested", "nested: the answer needs a reason, which people see when it is taken")
		}
		if _, err := d.Read(d.Nested.Value); err != nil {
			add("nested", "nested: %w", err)
		}
	}
	switch {
	case d.Default == nil:
	case d.Default.malformed:
		add("default", "a default is a constant or {expr: ...}")
	case d.Default.Expr == "":
		if _, err := d.Read(d.Default.Constant); err != nil {
			add("default", "default: %w", err)
		}
	}
	return faults
}
