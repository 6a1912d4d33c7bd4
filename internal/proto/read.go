package proto

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Read compiles the files of a source. Whatever the Rust build of a service, or the Go side of it, could not take is
// refused with a *Fault.
func Read(ctx context.Context, files Files, source *Source) (*API, error) {
	l, err := load(files, source)
	if err != nil {
		return nil, err
	}
	compiled, err := l.compile(ctx)
	if err != nil {
		return nil, err
	}
	api := &API{}
	for _, name := range sortedKeys(l.loaded) {
		api.Files = append(api.Files, l.loaded[name].File)
	}
	slices.SortStableFunc(api.Files, func(a, b File) int {
		switch {
		case a.Own == b.Own:
			return 0
		case a.Own:
			return -1
		default:
			return 1
		}
	})
	if err := l.check(compiled); err != nil {
		return nil, err
	}
	api.Linked = linked(nil, compiled, map[string]bool{})
	for _, fd := range compiled {
		if !l.loaded[fd.Path()].Own {
			continue
		}
		for i := range fd.Services().Len() {
			api.Services = append(api.Services, l.service(fd.Services().Get(i)))
		}
	}
	if len(api.Services) == 0 {
		return nil, l.noService()
	}
	slices.SortFunc(api.Services, func(a, b Service) int { return cmp.Compare(a.FullName, b.FullName) })
	if n := connected(compiled); n > manyConnected {
		api.Notes = append(api.Notes, fmt.Sprintf("%d messages have fields of other messages: prost-build takes a time that "+
			"grows with their square, so that the build of some 10,000 lasts a minute or more", n))
	}
	return api, nil
}

// compile links all files that were loaded.
func (l *loader) compile(ctx context.Context) ([]protoreflect.FileDescriptor, error) {
	var faults []reporter.ErrorWithPos
	compiler := protocompile.Compiler{
		Resolver: protocompile.ResolverFunc(func(name string) (protocompile.SearchResult, error) {
			if f, ok := l.loaded[name]; ok {
				return protocompile.SearchResult{AST: f.ast}, nil
			}
			return standard.FindFileByPath(name)
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
		// All errors are collected, so that it does not depend on timing which one is said.
		Reporter: reporter.NewReporter(func(err reporter.ErrorWithPos) error {
			faults = append(faults, err)
			return nil
		}, nil),
	}
	found, err := compiler.Compile(ctx, sortedKeys(l.loaded)...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if len(faults) > 0 {
			return nil, l.compilerFault(slices.MinFunc(faults, earlier))
		}
		return nil, l.compilerFault(err)
	}
	all := make([]protoreflect.FileDescriptor, len(found))
	for i, f := range found {
		all[i] = f
	}
	return all, nil
}

// linked appends files and all that they import, each after its own imports.
func linked(to, files []protoreflect.FileDescriptor, seen map[string]bool) []protoreflect.FileDescriptor {
	for _, f := range files {
		if seen[f.Path()] {
			continue
		}
		seen[f.Path()] = true
		imports := make([]protoreflect.FileDescriptor, f.Imports().Len())
		for i := range imports {
			imports[i] = f.Imports().Get(i).FileDescriptor
		}
		to = append(linked(to, imports, seen), f)
	}
	return to
}

// earlier orders errors by file and place.
func earlier(a, b reporter.ErrorWithPos) int {
	p, q := a.GetPosition(), b.GetPosition()
	return cmp.Or(cmp.Compare(p.Filename, q.Filename), cmp.Compare(p.Offset, q.Offset), cmp.Compare(a.Error(), b.Error()))
}

// noService refuses protos that nothing can be called by.
func (l *loader) noService() error {
	var dirs []string
	for _, name := range sortedKeys(l.own) {
		dirs = append(dirs, l.files.shown(l.own[name].Root))
	}
	slices.Sort(dirs)
	return fault(strings.Join(slices.Compact(dirs), ", "), "name the file that declares one",
		"there is no service in %s", countFiles(len(l.own)))
}

func countFiles(n int) string {
	if n == 1 {
		return "1 proto file"
	}
	return fmt.Sprintf("%d proto files", n)
}

// place is where something is declared: FILE:LINE:COLUMN, and FILE for a file itself.
func (l *loader) place(d protoreflect.Descriptor) string {
	file := d.ParentFile()
	shown := file.Path()
	if f, ok := l.loaded[shown]; ok {
		shown = f.Shown
	}
	if _, whole := d.(protoreflect.FileDescriptor); whole {
		return shown
	}
	at := file.SourceLocations().ByDescriptor(d)
	return position(shown, at.StartLine+1, at.StartColumn+1)
}

func (l *loader) service(d protoreflect.ServiceDescriptor) Service {
	options, _ := d.Options().(*descriptorpb.ServiceOptions)
	s := Service{
		Name: string(d.Name()), FullName: string(d.FullName()), Place: l.place(d), Deprecated: options.GetDeprecated(),
		Trait:  UpperCamel(string(d.Name())),
		Module: inside(moduleOf(d.ParentFile().Package()), serviceModule(string(d.Name()))+"_server"),
	}
	for i := range d.Methods().Len() {
		s.Methods = append(s.Methods, l.method(d.Methods().Get(i)))
	}
	return s
}

func (l *loader) method(d protoreflect.MethodDescriptor) Method {
	options, _ := d.Options().(*descriptorpb.MethodOptions)
	m := Method{
		Name: string(d.Name()), Place: l.place(d), Rust: Snake(string(d.Name())),
		Comment:    comment(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments),
		Deprecated: options.GetDeprecated(),
		Idempotent: options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN,
		Request:    message(d.Input()), Reply: message(d.Output()),
	}
	switch {
	case d.IsStreamingClient() && d.IsStreamingServer():
		m.Kind = Bidirectional
	case d.IsStreamingClient():
		m.Kind = ClientStreaming
	case d.IsStreamingServer():
		m.Kind = ServerStreaming
	}
	return m
}

func message(d protoreflect.MessageDescriptor) Message {
	rust, own := rustType(d)
	return Message{FullName: string(d.FullName()), Rust: rust, Own: own}
}

// comment is a comment's text, with the line ends of no system and nothing around it.
func comment(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(text, "\r", ""))
}

// manyConnected is from where on the time that prost-build takes is worth a word.
const manyConnected = 2000

// connected counts the messages with fields of other messages.
func connected(files []protoreflect.FileDescriptor) int {
	n := 0
	for _, fd := range files {
		eachMessage(fd.Messages(), func(m protoreflect.MessageDescriptor) {
			for i := range m.Fields().Len() {
				if m.Fields().Get(i).Message() != nil {
					n++
					return
				}
			}
		})
	}
	return n
}

// eachMessage visits messages and those nested in them, without the entries of maps.
func eachMessage(all protoreflect.MessageDescriptors, visit func(protoreflect.MessageDescriptor)) {
	for i := range all.Len() {
		if m := all.Get(i); !m.IsMapEntry() {
			visit(m)
			eachMessage(m.Messages(), visit)
		}
	}
}

// Within lists the proto files below a directory of a file system, as the own files of one root. Directories among
// except, those whose names begin with a dot, and links to directories are passed over.
func Within(files fs.FS, root string, except ...string) ([]Path, error) {
	var found []Path
	err := fs.WalkDir(files, root, func(p string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && p != root && (slices.Contains(except, p) || strings.HasPrefix(entry.Name(), ".")):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(p, ".proto"):
			if info, err := fs.Stat(files, p); err != nil || info.IsDir() {
				return nil
			}
			name, _ := below(root, p)
			found = append(found, Path{root, name})
		}
		return nil
	})
	return found, err
}
