package proto

import (
	"fmt"
	"go/token"
	"path"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// checker finds what compiles as proto and not as Rust: above all names that are two in proto and one in Rust.
type checker struct {
	l *loader
	// taken maps a Rust name with the module, type or trait that it stands in to what has it.
	taken map[string]claim
}

// claim is what has a Rust name.
type claim struct {
	what string
	// at is what is declared; for a package a file of it.
	at protoreflect.Descriptor
	// id is the same for what may share the name: the messages of one package are all in its module.
	id string
}

// check goes through the files that were loaded, in their order.
func (l *loader) check(files []protoreflect.FileDescriptor) error {
	c := &checker{l, map[string]claim{}}
	for _, fd := range files {
		if err := c.file(fd); err != nil {
			return err
		}
	}
	return nil
}

// claim takes a name in a scope, or says who has it.
func (c *checker) claim(scope, name string, by claim) error {
	if name == "" {
		return fault(c.l.place(by.at), "give it a name with a letter", "%s has no letter and no digit, so that Rust has no name for it", by.what)
	}
	key := scope + "\x00" + name
	other, ok := c.taken[key]
	if !ok {
		c.taken[key] = by
		return nil
	}
	if other.id != "" && other.id == by.id {
		return nil
	}
	return fault(c.l.place(by.at), "rename one of them", "%s is %s in Rust, and so is %s at %s", by.what, name, other.what, c.l.place(other.at))
}

func named(what string, d protoreflect.Descriptor) claim {
	return claim{what: what + " " + string(d.FullName()), at: d}
}

func (c *checker) file(fd protoreflect.FileDescriptor) error {
	if err := c.packages(fd); err != nil {
		return err
	}
	if c.l.loaded[fd.Path()].Own {
		if err := c.goPackage(fd); err != nil {
			return err
		}
	}
	module := moduleOf(fd.Package())
	for i := range fd.Enums().Len() {
		if err := c.enum(module, fd.Enums().Get(i)); err != nil {
			return err
		}
	}
	for i := range fd.Messages().Len() {
		if err := c.message(module, fd.Messages().Get(i)); err != nil {
			return err
		}
	}
	for i := range fd.Services().Len() {
		if err := c.service(module, fd.Services().Get(i)); err != nil {
			return err
		}
	}
	return nil
}

// accessors takes the names of the functions that prost gives a message for a field: one that reads an enum, or a scalar that
// is marked optional, and one that sets the enum, or adds it to a list or a map.
func (c *checker) accessors(f protoreflect.FieldDescriptor) error {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return nil
	}
	read := Snake(string(f.Name()))
	plain := strings.TrimPrefix(read, "r#")
	var functions []string
	switch {
	case f.IsMap():
		if f.MapValue().Enum() == nil {
			return nil
		}
		if plain != read {
			return fault(c.l.place(f), "rename it", "field %s is a map of enums and has the name of a Rust keyword, which the Rust build (prost-derive) cannot take", f.FullName())
		}
		functions = []string{"get_" + plain, "insert_" + plain}
	case f.Enum() != nil && f.IsList():
		functions = []string{read, "push_" + plain}
	case f.Enum() != nil:
		functions = []string{read, "set_" + plain}
	case f.HasOptionalKeyword() && f.Message() == nil:
		functions = []string{read}
	}
	for _, name := range functions {
		if err := c.claim("functions of message "+string(f.Parent().FullName()), name, named("an accessor of field", f)); err != nil {
			return err
		}
	}
	return nil
}

// packages takes the modules of a package and of those around it.
func (c *checker) packages(fd protoreflect.FileDescriptor) error {
	if pkg := string(fd.Package()); pkg == googleProtobuf || strings.HasPrefix(pkg, googleProtobuf+".") {
		return fault(c.l.place(fd), `import Google's own files by their paths, as "google/protobuf/timestamp.proto", which need no file; or give it another package`,
			"it is in package %s, whose messages the Rust build takes from the crate prost-types", pkg)
	}
	scope, prefix := "", ""
	for part := range strings.SplitSeq(string(fd.Package()), ".") {
		if part == "" {
			break
		}
		prefix = strings.TrimPrefix(prefix+"."+part, ".")
		by := claim{what: "package " + prefix, at: fd, id: "package " + inside(scope, Snake(part))}
		if err := c.claim(scope, Snake(part), by); err != nil {
			return err
		}
		scope = inside(scope, Snake(part))
	}
	return nil
}

func (c *checker) enum(scope string, e protoreflect.EnumDescriptor) error {
	if err := c.claim(scope, UpperCamel(string(e.Name())), named("enum", e)); err != nil {
		return err
	}
	names, values := variants(e)
	for i, v := range values {
		by := claim{what: fmt.Sprintf("value %s of enum %s", v.Name(), e.FullName()), at: v}
		if err := c.claim(scope+" enum "+string(e.FullName()), names[i], by); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) message(scope string, m protoreflect.MessageDescriptor) error {
	if m.IsMapEntry() {
		return nil
	}
	if err := c.claim(scope, UpperCamel(string(m.Name())), named("message", m)); err != nil {
		return err
	}
	if hasModule(m) {
		by := named("the module of what is nested in message", m)
		if err := c.claim(scope, Snake(string(m.Name())), by); err != nil {
			return err
		}
	}
	if err := c.fields(m); err != nil {
		return err
	}
	nested := inside(scope, Snake(string(m.Name())))
	for i := range m.Enums().Len() {
		if err := c.enum(nested, m.Enums().Get(i)); err != nil {
			return err
		}
	}
	for i := range m.Messages().Len() {
		if err := c.message(nested, m.Messages().Get(i)); err != nil {
			return err
		}
	}
	for i := range m.Oneofs().Len() {
		o := m.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		if err := c.claim(nested, oneofType(m, o), named("oneof", o)); err != nil {
			return err
		}
	}
	return nil
}

// hasModule reports whether prost makes a module beside a message, for what is nested in it.
func hasModule(m protoreflect.MessageDescriptor) bool {
	if m.Enums().Len() > 0 {
		return true
	}
	for i := range m.Messages().Len() {
		if !m.Messages().Get(i).IsMapEntry() {
			return true
		}
	}
	for i := range m.Oneofs().Len() {
		if !m.Oneofs().Get(i).IsSynthetic() {
			return true
		}
	}
	return false
}

// oneofType is the Rust type of a oneof: prost adds to its name where a nested type has it.
func oneofType(m protoreflect.MessageDescriptor, o protoreflect.OneofDescriptor) string {
	name := UpperCamel(string(o.Name()))
	for i := range m.Messages().Len() {
		if UpperCamel(string(m.Messages().Get(i).Name())) == name {
			return name + "OneOf"
		}
	}
	for i := range m.Enums().Len() {
		if UpperCamel(string(m.Enums().Get(i).Name())) == name {
			return name + "OneOf"
		}
	}
	return name
}

// fields takes the names of a message's fields and oneofs, and of the variants of a oneof.
func (c *checker) fields(m protoreflect.MessageDescriptor) error {
	scope := "message " + string(m.FullName())
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		in, name := scope, Snake(string(f.Name()))
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			in, name = scope+" oneof "+string(o.Name()), UpperCamel(string(f.Name()))
		}
		if err := c.claim(in, name, named("field", f)); err != nil {
			return err
		}
		if err := c.accessors(f); err != nil {
			return err
		}
		if f.HasDefault() && f.Kind() == protoreflect.StringKind && !utf8.ValidString(f.Default().String()) {
			return fault(c.l.place(f), "write a default that is UTF-8, or make it a bytes field", "the default of field %s is not UTF-8", f.FullName())
		}
	}
	for i := range m.Oneofs().Len() {
		o := m.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		if err := c.claim(scope, Snake(string(o.Name())), named("oneof", o)); err != nil {
			return err
		}
	}
	return nil
}

// goPackage refuses a go_package that leads elsewhere, or is no package at all. One that is not there is no fault: the Go
// client has a path of its own.
func (c *checker) goPackage(fd protoreflect.FileDescriptor) error {
	options, _ := fd.Options().(*descriptorpb.FileOptions)
	whole := options.GetGoPackage()
	if whole == "" {
		return nil
	}
	importPath, name, named := strings.Cut(whole, ";")
	if path.Clean(importPath) == importPath && !strings.HasPrefix(importPath, "/") && !strings.HasPrefix(importPath, ".") &&
		!strings.ContainsFunc(importPath, notInImportPath) && (!named || token.IsIdentifier(name)) {
		return nil
	}
	const optionsField, goPackageField = 8, 11
	place := c.l.loaded[fd.Path()].Shown
	if at := fd.SourceLocations().ByPath(protoreflect.SourcePath{optionsField, goPackageField}); at.Path != nil {
		place = position(place, at.StartLine+1, at.StartColumn+1)
	}
	return fault(place, `write it as option go_package = "example.com/team/pay/v1;payv1"`, "go_package %q is not an import path", whole)
}

func notInImportPath(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~+/", r))
}
