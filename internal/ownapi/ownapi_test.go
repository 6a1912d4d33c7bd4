package ownapi_test

import (
	"slices"
	"testing"

	"rustgen/internal/decision"
	"rustgen/internal/ownapi"
	"rustgen/internal/proto"
)

// TestIncludes is what a service knows of the import roots of its API: not those of this machine, and proto/foreign where
// protos of others came along. What templates see is what is recorded, so a later render writes the same.
func TestIncludes(t *testing.T) {
	t.Parallel()
	own, foreign := proto.File{Path: "a/v1/a.proto", Own: true}, proto.File{Path: "b/v1/b.proto"}
	for name, test := range map[string]struct {
		files []proto.File
		want  []string
	}{
		"own files alone": {[]proto.File{own}, []string{}},
		"of others, too":  {[]proto.File{own, foreign}, []string{"proto/foreign"}},
	} {
		api := &proto.API{Files: test.files}
		out := &decision.Outcome{
			Data: map[string]any{ownapi.Kind: ownapi.Own, ownapi.Includes: []string{"/home/me/third"}},
			Answers: map[string]decision.Answer{
				ownapi.Paths: {Value: decision.ListValue("/home/me/apis")}, ownapi.Includes: {Value: decision.ListValue("/home/me/third")},
			},
		}
		seen, _ := ownapi.With(out.Data, api)[ownapi.Includes].([]string)
		recorded := ownapi.Recorded(out, api).Answers
		if !slices.Equal(seen, test.want) || !slices.Equal(recorded[ownapi.Includes].Value.Items(), test.want) {
			t.Errorf("%s: templates see %q, recorded is %q", name, seen, recorded[ownapi.Includes].Value)
		}
		if !slices.Equal(recorded[ownapi.Paths].Value.Items(), []string{"proto"}) {
			t.Errorf("%s: the protos are at %q", name, recorded[ownapi.Paths].Value)
		}
	}
}
