package decision

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "hello", "order-pricer", "a1", "a--b", strings.Repeat("a", 63), "async2", "target"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	for name, hint := range map[string]string{
		"":                             "choose a name such as order-pricer",
		"fn":                           "use fn-service",
		"gen":                          "use gen-service",
		"macro":                        "use macro-service",
		"std":                          "use std-service",
		"test":                         "use test-service",
		"proc-macro":                   "use proc-macro-service",
		"con":                          "use con-service",
		"1abc":                         "use abc",
		"42":                           "choose a name such as order-pricer",
		"Hello":                        "use hello",
		"HelloWorld":                   "use helloworld",
		"a_b":                          "use a-b",
		"a b":                          "use a-b",
		"-a-b-":                        "use a-b",
		"a.b/../c":                     "use a-b-c",
		"../..":                        "choose a name such as order-pricer",
		"héllo":                        "choose a name such as order-pricer",
		"a\u202eb":                     "choose a name such as order-pricer",
		"_fn_":                         "use fn-service",
		strings.Repeat("a", 64):        "use " + strings.Repeat("a", 63),
		strings.Repeat("a", 62) + "-b": "use " + strings.Repeat("a", 62),
	} {
		err := CheckName(name)
		var refused *Error
		if !errors.As(err, &refused) {
			t.Errorf("%q is taken", name)
			continue
		}
		if refused.Hint != hint {
			t.Errorf("%q: the hint is %q, want %q", name, refused.Hint, hint)
		}
	}
}

// Whatever is typed, a name that is taken is a Cargo package name and a DNS label, and a suggestion is a name.
func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"hello", "fn", "1a", "a_b", "../x", "é", "A B", strings.Repeat("x-", 40), "con", "\x00", "-", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckName(name)
		if err == nil {
			if len(name) == 0 || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
				name[0] < 'a' || name[0] > 'z' || strings.HasSuffix(name, "-") {
				t.Errorf("%q is taken", name)
			}
			return
		}
		var refused *Error
		if !errors.As(err, &refused) || refused.Hint == "" {
			t.Fatalf("%q: %v has no hint", name, err)
		}
		if better, ok := strings.CutPrefix(refused.Hint, "use "); ok && CheckName(better) != nil {
			t.Errorf("%q: the hint is to use %q, which is refused", name, better)
		}
	})
}

func TestNearest(t *testing.T) {
	t.Parallel()
	candidates := []string{"new", "explain", "template", "state", "allocator", "go-client"}
	for text, want := range map[string]string{
		"nwe": "new", "ne": "new", "stat": "state", "sttae": "state", "alocator": "allocator", "allocater": "allocator",
		"goclient": "go-client", "tempalte": "template",
		"": "", "x": "", "frobnicate": "", "window": "", "memory": "",
	} {
		if got := Nearest(text, candidates); got != want {
			t.Errorf("Nearest(%q) is %q, want %q", text, got, want)
		}
	}
}
