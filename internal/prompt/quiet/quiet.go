// Package quiet keeps a library from talking to the terminal before rustgen runs.
//
// As bubbletea is initialised it asks the terminal for its background colour, in every command and whether or not
// anything will be drawn, and waits up to five seconds for a terminal that does not answer. The prompt uses the
// terminal's own colours and has no use for the answer. Nothing is asked of a dumb terminal, so this package makes it
// one until [Restore].
//
// Packages are initialised as soon as what they import is, those that come first by import path first (The Go
// Programming Language Specification, "Package initialization"). This one imports os alone and so is initialised before
// the standard packages that bubbletea needs; a test of package prompt watches over that.
package quiet

import "os"

const variable = "TERM"

var before, was = os.LookupEnv(variable)

func init() { _ = os.Setenv(variable, "dumb") }

// Restore gives the terminal its name back. It is to be called as a package that imports bubbletea is initialised.
func Restore() {
	if was {
		_ = os.Setenv(variable, before)
	} else {
		_ = os.Unsetenv(variable)
	}
}
