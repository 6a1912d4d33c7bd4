package apidiff

import (
	"fmt"
	"slices"
	"strings"

	"rustgen/internal/proto"
	"rustgen/internal/rustsrc"
	"rustgen/internal/tree"
)

// Additions are what a service is given for what it lacks.
type Additions struct {
	// Files are the files with the additions in them, and the Go stubs that are not what the protos give.
	Files tree.Tree
	// Removed are the Go stubs that no proto gives any more.
	Removed []string
	// Added are the parts that were written.
	Added []Added
	// Loose is code that has no place that could be found: a person puts it where it belongs.
	Loose []Loose
	// Routes are the lines that serve the services that had no handlers at all.
	Routes []string
}

// Added is one part of a method that was written.
type Added struct {
	Method string `json:"method"`
	Part   string `json:"part"`
	Path   string `json:"path"`
}

// Loose is code without a place.
type Loose struct {
	What string `json:"what"`
	Code string `json:"code"`
}

// Add writes the handlers and policies that are missing. Handlers answer UNIMPLEMENTED.
func (d *Diff) Add(service tree.Tree) *Additions {
	a := &Additions{Files: tree.Tree{}, Added: []Added{}, Loose: []Loose{}}
	into := map[*rustsrc.File][]rustsrc.Insertion{}
	d.addHandlers(a, into)
	d.addPolicies(a, into)
	for _, stub := range d.Stubs {
		if stub.State == StubGone {
			a.Removed = append(a.Removed, stub.Path)
		} else {
			a.Files[stub.Path] = d.stubs[stub.Path]
		}
	}
	for f, all := range into {
		was := service[f.Path]
		a.Files[f.Path] = tree.File{Mode: was.Mode, Data: f.Insert(all)}
	}
	return a
}

func (d *Diff) addHandlers(a *Additions, into map[*rustsrc.File][]rustsrc.Insertion) {
	var without []*proto.Service
	for _, l := range d.handler {
		if l.impl == nil {
			if !slices.Contains(without, l.service) {
				without = append(without, l.service)
			}
			continue
		}
		f := l.impl.File
		text := handler(d.width, f, modulesOf(l.impl, l.service), l.service, l.method)
		// A line apart from what stands before it, but for the first in a block.
		if len(l.impl.Functions) > 0 || slices.ContainsFunc(into[f], func(i rustsrc.Insertion) bool { return i.Same(l.impl.Into("")) }) {
			text = "\n" + text
		}
		into[f] = append(into[f], l.impl.Into(text))
		a.Added = append(a.Added, Added{"/" + l.service.Key(l.method), Handler, f.Path})
	}
	beside := d.anyBlock()
	for _, s := range without {
		var modules modules
		var f *rustsrc.File
		if beside != nil {
			f, modules = beside.File, d.modulesBeside(beside)
		} else {
			f, modules.pb = rustsrc.Parse("", nil), "crate::pb"
		}
		code, server, name := d.block(f, modules, s)
		a.Routes = append(a.Routes, fmt.Sprintf(".with(%s::new(%s))", server, name))
		if beside == nil {
			a.Loose = append(a.Loose, Loose{"the handlers of " + s.FullName, code})
			continue
		}
		into[f] = append(into[f], beside.After(code))
		for i := range s.Methods {
			a.Added = append(a.Added, Added{"/" + s.Key(&s.Methods[i]), Handler, f.Path})
		}
	}
}

// anyBlock is the last block of handlers of the first file that has one: those of a new service come after it.
func (d *Diff) anyBlock() *rustsrc.Impl {
	var last *rustsrc.Impl
	for i := range d.api.Services {
		blocks := d.handlers[d.api.Services[i].FullName]
		for j := range blocks {
			b := &blocks[j]
			if last == nil || b.File.Path < last.File.Path || b.File == last.File && b.Line > last.Line {
				last = b
			}
		}
	}
	return last
}

// modules says how a file names what the protos are compiled to.
type modules struct {
	// pb is the path of the module of all protos, as crate::pb.
	pb string
	// flat is the package whose messages are in pb itself, as the one package of older services.
	flat string
}

// modulesOf learns it from the trait of a block.
func modulesOf(m *rustsrc.Impl, s *proto.Service) modules {
	whole := strings.Join(m.Trait, "::")
	if pb, ok := strings.CutSuffix(whole, "::"+strings.ReplaceAll(s.Module, "r#", "")+"::"+s.Trait); ok {
		return modules{pb: pb}
	}
	if len(m.Trait) > 2 {
		return modules{strings.Join(m.Trait[:len(m.Trait)-2], "::"), packageOf(s)}
	}
	return modules{pb: "crate::pb"}
}

func (d *Diff) modulesBeside(m *rustsrc.Impl) modules { return modulesOf(m, d.serviceOf(m)) }

// packageOf is the module of a service's package.
func packageOf(s *proto.Service) string {
	at := strings.LastIndex(s.Module, "::")
	return s.Module[:max(at, 0)]
}

// typeOf is how a file names a message.
func (m modules) typeOf(f *rustsrc.File, message proto.Message) string {
	whole := message.Type(m.pb)
	if rest, ok := strings.CutPrefix(message.Rust, m.flat+"::"); ok && m.flat != "" && message.Own {
		whole = m.pb + "::" + rest
	}
	return f.Name(whole)
}

// handler is a handler that is not written yet, as rustfmt has it.
func handler(width int, f *rustsrc.File, modules modules, s *proto.Service, m *proto.Method) string {
	request, reply := modules.typeOf(f, m.Request), modules.typeOf(f, m.Reply)
	if m.Kind.RequestsStream() {
		request = f.Name("tonic::Streaming") + "<" + request + ">"
	}
	var b strings.Builder
	answer := reply
	if m.Kind.RepliesStream() {
		fmt.Fprintf(&b, "    type %sStream = %s<%s>;\n\n", m.Name, f.Name("hotpath::Replies"), reply)
		answer = "Self::" + m.Name + "Stream"
	}
	status := f.Name("tonic::Status")
	argument := fmt.Sprintf("_request: %s<%s>", f.Name("tonic::Request"), request)
	result := fmt.Sprintf("Result<%s<%s>, %s>", f.Name("tonic::Response"), answer, status)
	line := fmt.Sprintf("    async fn %s(&self, %s) -> %s {\n", m.Rust, argument, result)
	if len(line)-1 > width {
		line = fmt.Sprintf("    async fn %s(\n        &self,\n        %s,\n    ) -> %s {\n", m.Rust, argument, result)
	}
	b.WriteString(line)
	text := fmt.Sprintf("\"%s is not written yet\"", s.Key(m))
	body := fmt.Sprintf("        Err(%s::unimplemented(%s))\n", status, text)
	if len(body)-1 > width {
		body = fmt.Sprintf("        Err(%s::unimplemented(\n            %s,\n        ))\n", status, text)
	}
	b.WriteString(body + "    }\n")
	return b.String()
}

// block is a type with all handlers of a service, and the server and the type to route it by.
func (d *Diff) block(f *rustsrc.File, modules modules, s *proto.Service) (code, server, name string) {
	name = s.Trait + "Handlers"
	if f.Has(name) {
		name = proto.UpperCamel(s.FullName) + "Handlers"
	}
	code = fmt.Sprintf("/// The handlers of %s.\npub(crate) struct %s;\n\n%s", s.FullName, name, implementation(d.width, f, modules, s, name))
	return code, modules.trait(s) + "Server", name
}

// trait is the path of a service's trait.
func (m modules) trait(s *proto.Service) string {
	module := s.Module
	if rest, ok := strings.CutPrefix(module, m.flat+"::"); ok && m.flat != "" {
		module = rest
	}
	return m.pb + "::" + module + "::" + s.Trait
}

// implementation is the block of a service's handlers for a type.
func implementation(width int, f *rustsrc.File, modules modules, s *proto.Service, name string) string {
	trait := modules.trait(s)
	head := fmt.Sprintf("impl %s for %s {\n", trait, name)
	if len(head)-1 > width {
		head = fmt.Sprintf("impl %s\n    for %s\n{\n", trait, name)
	}
	if len(s.Methods) == 0 {
		return "#[tonic::async_trait]\n" + strings.TrimSuffix(head, "\n") + "}\n"
	}
	var b strings.Builder
	b.WriteString("#[tonic::async_trait]\n" + head)
	for i := range s.Methods {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(handler(width, f, modules, s, &s.Methods[i]))
	}
	b.WriteString("}\n")
	return b.String()
}

// policyLine is a method's line of the table.
func policyLine(f *rustsrc.File, s *proto.Service, m *proto.Method) string {
	policy := f.Name("hotpath::Policy") + "::light()"
	return fmt.Sprintf("    (\"%s\", %s),\n", s.Key(m), policy)
}

func (d *Diff) addPolicies(a *Additions, into map[*rustsrc.File][]rustsrc.Insertion) {
	if len(d.policy) == 0 {
		return
	}
	f := rustsrc.Parse("", nil)
	if d.table != nil {
		f = d.table.File
	}
	var b strings.Builder
	for _, l := range d.policy {
		b.WriteString(policyLine(f, l.service, l.method))
	}
	if d.table == nil {
		a.Loose = append(a.Loose, Loose{"lines of the table POLICIES", b.String()})
		return
	}
	into[f] = append(into[f], d.table.Add(b.String()))
	for _, l := range d.policy {
		a.Added = append(a.Added, Added{"/" + l.service.Key(l.method), Policy, f.Path})
	}
}
