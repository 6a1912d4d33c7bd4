package gostubs

import (
	"fmt"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"rustgen/internal/proto"
)

// names are what the stubs of an API declare, each with what it is declared for: two of one name in one Go package would not
// compile.
type names struct {
	api   *proto.API
	taken map[protogen.GoIdent]string
}

// checkNames refuses protos whose stubs would declare a name twice, as those of a service Shop and a message ShopClient.
func checkNames(api *proto.API, plugin *protogen.Plugin) error {
	n := &names{api, map[protogen.GoIdent]string{}}
	for _, file := range plugin.Files {
		if !file.Generate {
			continue
		}
		if err := n.types(file.Messages, file.Enums); err != nil {
			return err
		}
		for _, service := range file.Services {
			if err := n.service(file.GoImportPath, service); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *names) take(name protogen.GoIdent, what string, d protoreflect.Descriptor) error {
	what += " " + string(d.FullName())
	other, taken := n.taken[name]
	if !taken {
		n.taken[name] = what
		return nil
	}
	return &proto.Fault{
		Place: n.place(d), Hint: "rename one of them",
		What: fmt.Sprintf("the Go stub of %s declares %s, and so does that of %s", what, name.GoName, other),
	}
}

// types takes the names of messages and enums, of what is nested in them, and of the fields of a oneof and the values of an
// enum, which are types and constants of their own.
func (n *names) types(messages []*protogen.Message, enums []*protogen.Enum) error {
	for _, e := range enums {
		if err := n.take(e.GoIdent, "enum", e.Desc); err != nil {
			return err
		}
		for _, v := range e.Values {
			if err := n.take(v.GoIdent, "value", v.Desc); err != nil {
				return err
			}
		}
	}
	for _, m := range messages {
		if m.Desc.IsMapEntry() {
			continue
		}
		if err := n.take(m.GoIdent, "message", m.Desc); err != nil {
			return err
		}
		for _, f := range m.Fields {
			if f.Oneof == nil || f.Oneof.Desc.IsSynthetic() {
				continue
			}
			if err := n.take(f.GoIdent, "field", f.Desc); err != nil {
				return err
			}
		}
		if err := n.types(m.Messages, m.Enums); err != nil {
			return err
		}
	}
	return nil
}

// service takes the exported names of a service's client and server.
func (n *names) service(in protogen.GoImportPath, s *protogen.Service) error {
	declared := []string{
		s.GoName + "Client", "New" + s.GoName + "Client", s.GoName + "Server", "Unimplemented" + s.GoName + "Server",
		"Unsafe" + s.GoName + "Server", "Register" + s.GoName + "Server", s.GoName + "_ServiceDesc",
	}
	for _, m := range s.Methods {
		declared = append(declared, s.GoName+"_"+m.GoName+"_FullMethodName")
		if m.Desc.IsStreamingClient() || m.Desc.IsStreamingServer() {
			declared = append(declared, s.GoName+"_"+m.GoName+"Client", s.GoName+"_"+m.GoName+"Server")
		}
	}
	for _, name := range declared {
		if err := n.take(in.Ident(name), "service", s.Desc); err != nil {
			return err
		}
	}
	return nil
}

// place is where something is declared: FILE:LINE:COLUMN.
func (n *names) place(d protoreflect.Descriptor) string {
	name := d.ParentFile().Path()
	at := d.ParentFile().SourceLocations().ByDescriptor(d)
	for _, file := range n.api.Files {
		if file.Path == name {
			name = file.Shown
		}
	}
	return fmt.Sprintf("%s:%d:%d", name, at.StartLine+1, at.StartColumn+1)
}
