// Package plan says what a run would do to a directory, before anything is done. It is pure; package apply carries a
// plan out.
package plan

import (
	"rustgen/internal/tree"
)

// Verb is what happens to one path.
type Verb string

// The verbs of a new service.
const (
	Create Verb = "create"
)

// Action is what happens to one path.
type Action struct {
	Path string `json:"path"`
	Verb Verb   `json:"action"`
	Mode string `json:"mode"`
	Size int    `json:"size"`
}

// Create plans a tree where there was none.
func New(t tree.Tree) []Action {
	actions := make([]Action, 0, len(t))
	for _, p := range t.Paths() {
		actions = append(actions, Action{Path: p, Verb: Create, Mode: t[p].GitMode(), Size: len(t[p].Data)})
	}
	return actions
}
