// Package proto says what the proto files of a service declare: read by a real compiler (protocompile), and checked for
// what the Rust build of a service (protox, prost-build, tonic-build) cannot take although the compiler does. It reads
// only through the file system that it is given.
package proto

import (
	"path"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Kind says which side of a method streams.
type Kind int

// The kinds of methods.
const (
	Unary Kind = iota
	ClientStreaming
	ServerStreaming
	Bidirectional
)

func (k Kind) String() string {
	return [...]string{"unary", "client streaming", "server streaming", "bidirectional streaming"}[k]
}

// RepliesStream reports whether the service answers with a stream.
func (k Kind) RepliesStream() bool { return k == ServerStreaming || k == Bidirectional }

// RequestsStream reports whether the caller sends a stream.
func (k Kind) RequestsStream() bool { return k == ClientStreaming || k == Bidirectional }

// API is what a set of proto files declares.
type API struct {
	// Files are the own files and then the foreign ones, each in the order of their import paths.
	Files []File
	// Services are those of the own files, by full name.
	Services []Service
	// Linked are the files and all that they import, those of every compiler as well, each after its own imports.
	Linked []protoreflect.FileDescriptor
	// Notes are what builds and still deserves a word.
	Notes []string
}

// File is one proto file, without the ones that every compiler has.
type File struct {
	// Path is how others import it; Shown is where it lies, as a person would write it.
	Path, Shown string
	// Own says that the file was given, and not only imported.
	Own     bool
	Package string
	Data    []byte
}

// Service is a service of an own file.
type Service struct {
	// Name is its name in its package, FullName with the package before it.
	Name, FullName string
	// Place is where it is declared: FILE:LINE:COLUMN.
	Place      string
	Deprecated bool
	Methods    []Method
	// Trait is the Rust trait of its handlers, and Module the module that the trait is in, below the one that all protos
	// are compiled to: `ride::v1::rides_server`.
	Trait, Module string
}

// Method is a method of a service.
type Method struct {
	Name  string
	Place string
	Kind  Kind
	// Comment is the comment before it, without its markers.
	Comment    string
	Deprecated bool
	// Idempotent says that the proto marks it as safe to repeat.
	Idempotent     bool
	Request, Reply Message
	// Rust is the name of its handler.
	Rust string
}

// Message is what a method takes or gives.
type Message struct {
	FullName string
	// Rust is its type. Where Own, a path below the module that all protos are compiled to.
	Rust string
	Own  bool
}

// Type is the message's Rust type, where pb is the path of the module that all protos are compiled to.
func (m Message) Type(pb string) string {
	if m.Own {
		return pb + "::" + m.Rust
	}
	return m.Rust
}

// Key names a method as policies and metrics do: PACKAGE.SERVICE/METHOD.
func (s *Service) Key(m *Method) string { return s.FullName + "/" + m.Name }

// Source says which protos are read, and from where.
type Source struct {
	// Roots are the directories that imports are looked for in, in this order.
	Roots []string
	// Own are the files of the API.
	Own []Path
	// Remote are the modules that a buf.yaml takes from a registry, which nothing here reads.
	Remote []string
}

// Path is a file: the import root that it lies in, and its path below it.
type Path struct{ Root, Name string }

// Full is the path in the file system.
func (p Path) Full() string { return path.Join(p.Root, p.Name) }

// below is the path of full under dir, if it lies there.
func below(dir, full string) (string, bool) {
	switch {
	case dir == ".":
		return full, true
	case dir == full:
		return ".", true
	default:
		return strings.CutPrefix(full, dir+"/")
	}
}
