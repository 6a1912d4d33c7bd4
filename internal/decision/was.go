package decision

import "maps"

// moved gives recorded answers the ids that their decisions have now. renamed maps those to their former ones.
func (c *Catalog) moved(recorded map[string]Recorded) (now map[string]Recorded, renamed map[string]string) {
	now, renamed = maps.Clone(recorded), map[string]string{}
	for _, d := range c.Decisions {
		if d.Was == nil {
			continue
		}
		_, known := recorded[d.ID]
		answer, has := recorded[d.Was.ID]
		if known || !has {
			continue
		}
		answer.Value = answer.Value.mapped(d.Was.Values)
		now[d.ID] = answer
		renamed[d.ID] = d.Was.ID
		delete(now, d.Was.ID)
	}
	return now, renamed
}

// nowCalled is the decision that was once called id; "" where none was.
func (c *Catalog) nowCalled(id string) string {
	for _, d := range c.Decisions {
		if d.Was != nil && d.Was.ID == id {
			return d.ID
		}
	}
	return ""
}
