// Package hint holds the one kind of error that a person is to mend: a line that says what is wrong and where, and a
// hint with what mends it. How a run ends follows from the kind of its error.
package hint

import (
	"fmt"
	"io/fs"
	"strings"
)

// Kind is how a run ends that meets an error.
type Kind int

// The kinds.
const (
	Failed    Kind = iota // it could not be done
	Usage                 // a wrong call or a wrong answer
	Conflicts             // conflicts are left
	Found                 // a check found something
)

// Error is an error with the hint that mends it.
type Error struct {
	Kind Kind
	Err  error
	// Hint is a command or a short sentence; empty where nothing is known to help.
	Hint string
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind.
func New(kind Kind, hint, format string, args ...any) *Error {
	return &Error{kind, fmt.Errorf(format, args...), hint}
}

// Fail makes the error of a run that could not be done.
func Fail(hint, format string, args ...any) error { return New(Failed, hint, format, args...) }

// Refuse makes the error of a wrong call or a wrong answer.
func Refuse(hint, format string, args ...any) error { return New(Usage, hint, format, args...) }

// most is how many names a message lists.
const most = 3

// Some lists names, the first few of many.
func Some(names []string) string {
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Count is a number of things.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Quote is a word as a shell takes it for one.
func Quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_=./,:@%+", r))
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Cause is the cause of a path error, without the operation and the path, which the message names itself.
func Cause(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
