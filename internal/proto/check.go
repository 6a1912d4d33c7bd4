package proto

import (
	"fmt"
	"go/token"
	"path"
	"slices"
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
	what, place string
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
		return fault(by.place, "give it a name with a letter", "%s has no letter and no digit, so that Rust has no name for it", by.what)
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
	return fault(by.place, "rename one of them", "%s is %s in Rust, and so is %s at %s", by.what, name, other.what, other.place)
}

func (c *checker) named(what string, d protoreflect.Descriptor) claim {
	return claim{what: what + " " + string(d.FullName()), place: c.l.place(d)}
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

// packages takes the modules of a package and of those around it.
func (c *checker) packages(fd protoreflect.FileDescriptor) error {
	shown := c.l.loaded[fd.Path()].Shown
	scope, prefix := "", ""
	for part := range strings.SplitSeq(string(fd.Package()), ".") {
		if part == "" {
			break
		}
		prefix = strings.TrimPrefix(prefix+"."+part, ".")
		by := claim{what: "package " + prefix, place: shown, id: "package " + inside(scope, Snake(part))}
		if err := c.claim(scope, Snake(part), by); err != nil {
			return err
		}
		scope = inside(scope, Snake(part))
	}
	return nil
}

func (c *checker) enum(scope string, e protoreflect.EnumDescriptor) error {
	if err := c.claim(scope, UpperCamel(string(e.Name())), c.named("enum", e)); err != nil {
		return err
	}
	names, values := variants(e)
	for i, v := range values {
		by := claim{what: fmt.Sprintf("value %s of enum %s", v.Name(), e.FullName()), place: c.l.place(v)}
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
	if err := c.claim(scope, UpperCamel(string(m.Name())), c.named("message", m)); err != nil {
		return err
	}
	if hasModule(m) {
		by := c.named("the module of what is nested in message", m)
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
		if err := c.claim(nested, oneofType(m, o), c.named("oneof", o)); err != nil {
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
		if err := c.claim(in, name, c.named("field", f)); err != nil {
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
		if err := c.claim(scope, Snake(string(o.Name())), c.named("oneof", o)); err != nil {
			return err
		}
	}
	return nil
}

// clientMethods are the functions that tonic gives every client, by their Rust names. `connect` is left out of it, as
// services are built without tonic's own transport.
var clientMethods = []string{
	"accept_compressed", "max_decoding_message_size", "max_encoding_message_size", "new", "send_compressed",
	"with_interceptor", "with_origin",
}

func (c *checker) service(scope string, s protoreflect.ServiceDescriptor) error {
	for _, side := range []string{"_server", "_client"} {
		if err := c.claim(scope, serviceModule(string(s.Name()))+side, c.named("service", s)); err != nil {
			return err
		}
	}
	var reserved []string
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		if err := c.claim("service "+string(s.FullName()), Snake(string(m.Name())), methodClaim(c.l, m)); err != nil {
			return err
		}
		if slices.Contains(clientMethods, Snake(string(m.Name()))) {
			reserved = append(reserved, string(m.Name()))
		}
		for _, message := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
			if rust, _ := rustType(message); slices.Contains(bare, rust) {
				return fault(c.l.place(m), "put it into a field of a message of your own",
					"rpc %s takes or gives %s itself, which the Rust build (tonic-build) cannot name there", m.Name(), message.FullName())
			}
		}
	}
	if len(reserved) > 0 {
		return fault(c.l.place(s), "rename them; their names in Rust are functions of the client itself",
			"service %s has %s, of whose names tonic's client has functions of its own, so that it does not compile", s.FullName(), strings.Join(reserved, ", "))
	}
	return nil
}

func methodClaim(l *loader, m protoreflect.MethodDescriptor) claim {
	return claim{what: fmt.Sprintf("rpc /%s/%s", m.Parent().FullName(), m.Name()), place: l.place(m)}
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
