package servicetest

import "testing"

// TestGates puts services under load as they are shipped, built in release.
func TestGates(t *testing.T) {
	cases := map[string][]string{
		"stateless, system":           {"--state", "stateless", "--allocator", "system"},
		"stateless, mimalloc, single": {"--state", "stateless", "--allocator", "mimalloc", "--runtime", "current-thread"},
		"stateful, jemalloc, queue, calls of its own": {
			"--state", "stateful", "--allocator", "jemalloc", "--queue", "1024", "--downstream", "features",
		},
	}
	unquiet := spare
	for name, answers := range cases {
		t.Run(name, func(t *testing.T) {
			quiet(t, "RUSTGEN_LOAD")
			render(t, append(answers, "--layer", "registry")...).judge(t, &unquiet, kept{}.without)
		})
	}
}
