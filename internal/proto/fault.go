package proto

import (
	"fmt"
	"io/fs"
)

// Fault is something that a service cannot be built from: where it is, what it is, and how to mend it.
type Fault struct {
	// Place is FILE, or FILE:LINE:COLUMN; "" where the fault is in no one file.
	Place string
	What  string
	Hint  string
}

// Error is the fault in one line.
func (f *Fault) Error() string {
	if f.Place == "" {
		return f.What
	}
	return f.Place + ": " + f.What
}

func fault(place, hint, format string, args ...any) error {
	return &Fault{place, fmt.Sprintf(format, args...), hint}
}

// position is a place in a file; line and column count from one.
func position(file string, line, column int) string {
	return fmt.Sprintf("%s:%d:%d", file, line, column)
}

// cause is what went wrong with a file, without its path and the operation.
func cause(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
