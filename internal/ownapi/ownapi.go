// Package ownapi is what `rustgen new` makes of an API that exists: the data that a template set renders its handlers,
// policies and tests from, and the protos that go into the service beside what is rendered.
package ownapi

import (
	"maps"
	"slices"
	"strings"

	"rustgen/internal/apidiff"
	"rustgen/internal/decision"
	"rustgen/internal/proto"
	"rustgen/internal/tree"
)

// The folders of a service's protos: its own, and in them those of others.
const (
	Folder        = "proto"
	ForeignFolder = "proto/foreign"
)

// The decisions that say where an API comes from, and the values that templates have of it.
const (
	Kind     = "api"
	Paths    = "proto"
	Includes = "include"
	Own      = "own"
	Value    = "own_api"
)

// Imports are those of the file that the handlers and policies of a new service are written into, and Width how wide its
// lines may be.
const (
	Imports = "use hotpath::{Failure, Host, Policy, Replies, Routes};\nuse tonic::{Request, Response, Status, Streaming};\n"
	Width   = 120
)

// Data is what templates know of an API, under the name Value. It is false where a service has the sample, or is merged and
// not made: its files are the team's by then.
//
//	.own_api.services   a list of: name, full_name, and the paths server, server_module, client below crate::pb
//	.own_api.first      the first of them that has a method
//	.own_api.handlers   the impl blocks, for the type Handlers
//	.own_api.policies   the lines of the table
//	.own_api.call       a unary method to call, as a test does: client, rust; false where there is none
func Data(api *proto.API) map[string]any {
	skeleton := apidiff.NewSkeleton(api, Imports, "Handlers", Width)
	hasMethods := false
	services := make([]any, 0, len(api.Services))
	var call, first any = false, nil
	for i := range api.Services {
		s := &api.Services[i]
		client := strings.TrimSuffix(s.Module, "_server") + "_client::" + s.Trait + "Client"
		services = append(services, map[string]any{
			"name": s.Name, "full_name": s.FullName, "client": client,
			"server": s.Module + "::" + s.Trait + "Server", "server_module": s.Module,
		})
		if first == nil || len(s.Methods) > 0 && !hasMethods {
			first, hasMethods = services[i], len(s.Methods) > 0
		}
		for j := range s.Methods {
			if m := &s.Methods[j]; call == false && m.Kind == proto.Unary && !m.Deprecated && !s.Deprecated {
				call = map[string]any{"client": client, "rust": m.Rust, "key": s.Key(m)}
			}
		}
	}
	return map[string]any{
		"services": services, "first": first, "call": call,
		"handlers": strings.TrimSuffix(skeleton.Handlers, "\n"), "policies": strings.TrimSuffix(skeleton.Policies, "\n"),
		"imports": map[string]any{
			"replies":   strings.Contains(skeleton.Handlers, " Replies<"),
			"streaming": strings.Contains(skeleton.Handlers, "Streaming<"),
			"methods":   skeleton.Policies != "",
		},
	}
}

// With is the data of decisions with an API: what templates know of it, and the root of its imports in a service.
func With(data map[string]any, api *proto.API) map[string]any {
	data = maps.Clone(data)
	data[Value], data[Includes] = Data(api), includes(api)
	return data
}

// includes are the import roots of an API in a service, beside that of its own protos.
func includes(api *proto.API) []string {
	if slices.ContainsFunc(api.Files, func(f proto.File) bool { return !f.Own }) {
		return []string{ForeignFolder}
	}
	return []string{}
}

// Files are the protos of an API, where the build of a service looks for them.
func Files(api *proto.API) tree.Tree {
	files := tree.Tree{}
	for _, f := range api.Files {
		folder := ForeignFolder
		if f.Own {
			folder = Folder
		}
		files[folder+"/"+f.Path] = tree.File{Mode: tree.ModeFile, Data: f.Data}
	}
	return files
}

// Recorded is what a service with an API of its own, or with none (nil), records of its decisions: where its protos lie
// from now on, and no path of this machine.
func Recorded(out *decision.Outcome, api *proto.API) *decision.Outcome {
	if api == nil {
		return out
	}
	recorded := *out
	recorded.Answers = maps.Clone(out.Answers)
	for id, value := range map[string]decision.Value{Paths: decision.ListValue(Folder), Includes: decision.ListValue(includes(api)...)} {
		if answer, ok := recorded.Answers[id]; ok {
			answer.Value = value
			recorded.Answers[id] = answer
		}
	}
	return &recorded
}

// Check refuses an API whose files have no place in a service.
func Check(api *proto.API) error {
	for _, f := range api.Files {
		if f.Own && strings.HasPrefix(f.Path, "foreign/") {
			return &proto.Fault{Place: f.Shown, What: "it is imported as " + f.Path + ", and foreign/ is where a service keeps the protos of others",
				Hint: "give it another folder"}
		}
	}
	return nil
}
