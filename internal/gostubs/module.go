package gostubs

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/descriptorpb"

	"rustgen/internal/lazyregexp"
	"rustgen/internal/proto"
	"rustgen/internal/tree"
)

// Tidy fetches the modules that the stubs import.
const Tidy = "(cd " + Folder + " && go mod tidy)"

// The module with the Go package of google/api/annotations.proto and its like, which more APIs import than any other. It is
// of the commit whose googleapis/rpc the client has already; the sums are those that `go mod tidy` writes.
const (
	googleAPI        = "google.golang.org/genproto/googleapis/api"
	googleRPC        = "google.golang.org/genproto/googleapis/rpc"
	googleAPIVersion = "v0.0.0-20260928230214-8a89bd6388cc"
	googleAPISums    = googleAPI + " " + googleAPIVersion + " h1:rZHRz0ogq4Pid1IKtA/ivHi8XONVF5tqUQXA2TtgpkE=\n" +
		googleAPI + " " + googleAPIVersion + "/go.mod h1:K/n0XLazCJHjD73YuMyNJsN38BPPy1kfFnKxUXaThFU=\n"
)

var required = lazyregexp.New(`(?m)^\s*(?:require\s+)?([a-zA-Z0-9.-]+\.[a-z]+(?:/\S+)?)\s+v\S+`)

// Imports are the Go packages of others that the stubs of an API import, and whose module the client does not require: these
// protos name them as their go_package.
func Imports(api *proto.API, service tree.Tree) []string {
	goMod := service[Folder+"/go.mod"].Data
	if goMod == nil {
		return nil
	}
	own := map[string]bool{}
	for _, file := range api.Files {
		own[file.Path] = file.Own
	}
	var packages []string
	for _, file := range api.Linked {
		options, _ := file.Options().(*descriptorpb.FileOptions)
		name, _, _ := strings.Cut(options.GetGoPackage(), ";")
		if name != "" && !own[file.Path()] && !requires(goMod, name) {
			packages = append(packages, name)
		}
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

// requires reports whether a go.mod requires the module of a package.
func requires(goMod []byte, name string) bool {
	for _, found := range required.FindAllSubmatch(goMod, -1) {
		if module := string(found[1]); name == module || strings.HasPrefix(name, module+"/") {
			return true
		}
	}
	return false
}

// Require returns the go.mod and go.sum of a client with the module of google/api, where the stubs import it and the client
// does not require it yet. Which versions of other modules are meant, only a team knows.
func Require(api *proto.API, service tree.Tree) tree.Tree {
	isGoogleAPI := func(name string) bool { return strings.HasPrefix(name, googleAPI+"/") }
	goMod, goSum := service[Folder+"/go.mod"], service[Folder+"/go.sum"]
	at := bytes.Index(goMod.Data, []byte("\tgoogle.golang.org/grpc v"))
	if at < 0 || !bytes.Contains(goMod.Data, []byte(googleRPC+" "+googleAPIVersion)) || !slices.ContainsFunc(Imports(api, service), isGoogleAPI) {
		return nil
	}
	line := "\t" + googleAPI + " " + googleAPIVersion + "\n"
	goMod.Data = slices.Concat(goMod.Data[:at], []byte(line), goMod.Data[at:])
	lines := slices.AppendSeq(strings.SplitAfter(strings.TrimSuffix(string(goSum.Data), "\n"), "\n"), strings.Lines(googleAPISums))
	for i, text := range lines {
		lines[i] = strings.TrimSuffix(text, "\n")
	}
	slices.SortFunc(lines, compareSums)
	goSum.Data = []byte(strings.Join(slices.Compact(lines), "\n") + "\n")
	return tree.Tree{Folder + "/go.mod": goMod, Folder + "/go.sum": goSum}
}

// compareSums orders the lines of a go.sum as Go does: by module, and by what follows it.
func compareSums(a, b string) int {
	moduleA, restA, _ := strings.Cut(a, " ")
	moduleB, restB, _ := strings.Cut(b, " ")
	return cmp.Or(cmp.Compare(moduleA, moduleB), cmp.Compare(restA, restB))
}
