package report

import "testing"

// A changelog is somebody else's text, and a forge takes some of it for commands.
func TestChangelogCommandsNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"mended [skip ci]":                                "mended [skip&#32;ci]",
		"[CI SKIP] and [no ci]":                           "[CI&#32;SKIP] and [no&#32;ci]",
		"***NO_CI***":                                     "***NO&#95;CI***",
		"skip-checks: true":                               "skip&#45;checks: true",
		"Fixes #12, closes GH-3, !4":                      "Fixes &#35;12, closes GH&#45;3, &#33;4",
		"Closes org/repo#1":                               "Closes org/repo&#35;1",
		"Fixes https://a.example/o/r/issues/12":           "Fixes https&#58;//a.example/o/r/issues/12",
		"resolves: http://a.example/g/-/work_items/1.":    "resolves: http&#58;//a.example/g/-/work_items/1.",
		"Closes https://a.example/o/r/pull/7":             "Closes https&#58;//a.example/o/r/pull/7",
		"Closes <https://a.example/o/-/merge_requests/7>": "Closes <https&#58;//a.example/o/-/merge_requests/7>",
		"see https://a.example/o/r/issues and /docs":      "see https://a.example/o/r/issues and /docs",
		"thanks to @everyone":                             "thanks to &#64;everyone",
		"/merge\n  /approve":                              "&#47;merge\n  &#47;approve",
		"`URL@REF` and a@example.com":                     "`URL@REF` and a@example.com",
		"## A heading, [a link](/docs/)":                  "## A heading, [a link](/docs/)",
		"`#[derive(Clone)]` in src/a.rs":                  "`#[derive(Clone)]` in src/a.rs",
	} {
		if got := inert(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
