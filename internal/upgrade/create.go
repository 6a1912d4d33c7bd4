package upgrade

import "rustgen/internal/tree"

// Action is what becomes of a path where there was no service: it is created.
type Action struct {
	Path string `json:"path"`
	Verb string `json:"action"`
	Mode string `json:"mode"`
	Size int    `json:"size"`
}

// Create lists what a new service consists of.
func Create(t tree.Tree) []Action {
	actions := make([]Action, 0, len(t))
	for _, p := range t.Paths() {
		actions = append(actions, Action{Path: p, Verb: "create", Mode: t[p].GitMode(), Size: len(t[p].Data)})
	}
	return actions
}
