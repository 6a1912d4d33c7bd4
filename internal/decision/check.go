package decision

import (
	"fmt"
	"regexp"
	"slices"
)

var idForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Check refuses a catalog that contradicts itself: what a template set's author got wrong. reserved are flags that the
// command line needs for itself.
func (c *Catalog) Check(reserved []string) error {
	seen := map[string]bool{}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if seen[d.ID] {
			return fmt.Errorf("decision %s is declared twice", d.ID)
		}
		seen[d.ID] = true
		if slices.Contains(reserved, d.ID) {
			return fmt.Errorf("decision %s: --%s is rustgen's own flag; choose another id", d.ID, d.ID)
		}
		if err := d.check(); err != nil {
			return fmt.Errorf("decision %s: %w", d.ID, err)
		}
	}
	for id, preset := range c.Presets {
		if err := c.checkConstant(id, func(d *Decision) error { _, err := d.ParseNode(&preset); return err }); err != nil {
			return fmt.Errorf("presets: %w", err)
		}
	}
	for id, lock := range c.Locked {
		if lock.Reason == "" {
			return fmt.Errorf("locked %s: a lock needs a reason, which people see when they ask for another answer", id)
		}
		if err := c.checkConstant(id, func(d *Decision) error { _, err := d.ParseNode(&lock.Value); return err }); err != nil {
			return fmt.Errorf("locked: %w", err)
		}
	}
	keys := map[string]bool{}
	for _, d := range c.Decisions {
		keys[d.Key()] = true
	}
	for _, v := range c.Derived {
		if keys[v.Name] {
			return fmt.Errorf("derived %s: there is already a value of that name", v.Name)
		}
		keys[v.Name] = true
	}
	for i, r := range c.Rules {
		if (r.Refuse == "") == (r.Warn == "") || r.Message == "" {
			return fmt.Errorf("rule %d: a rule has a message and either refuse or warn", i+1)
		}
	}
	return nil
}

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

func (d *Decision) check() error {
	switch {
	case !idForm.MatchString(d.ID):
		return fmt.Errorf("an id is kebab-case")
	case !slices.Contains(Types, d.Type):
		return fmt.Errorf("type %q is not one of %v", d.Type, Types)
	case d.Type == Choice && len(d.Options) == 0:
		return fmt.Errorf("a choice needs options")
	case len(d.Options) > 0 && d.Type != Choice && d.Type != List:
		return fmt.Errorf("only a choice or a list has options")
	}
	values := map[string]bool{}
	for _, o := range d.Options {
		if o.Value == "" || values[o.Value] {
			return fmt.Errorf("option %q is empty or stands twice", o.Value)
		}
		values[o.Value] = true
	}
	for _, v := range d.Validate {
		if v.Expr == "" || v.Message == "" {
			return fmt.Errorf("a validation has an expr and a message")
		}
	}
	if d.Nested != nil {
		if d.Nested.Reason == "" {
			return fmt.Errorf("nested: the answer needs a reason, which people see when it is taken")
		}
		if _, err := d.ParseNode(&d.Nested.Value); err != nil {
			return fmt.Errorf("nested: %w", err)
		}
	}
	if d.Default != nil && d.Default.Expr == "" {
		if _, err := d.ParseNode(&d.Default.Constant); err != nil {
			return fmt.Errorf("default: %w", err)
		}
	}
	return nil
}
