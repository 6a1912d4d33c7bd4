package decision

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestParseAndFormat(t *testing.T) {
	t.Parallel()
	ab := []Option{{Value: "a"}, {Value: "b"}}
	cases := []struct {
		d      Decision
		text   string
		want   any
		format string
	}{
		{Decision{Type: String}, "a b", "a b", "a b"},
		{Decision{Type: String}, "", "", ""},
		{Decision{Type: Choice, Options: ab}, "b", "b", "b"},
		{Decision{Type: Bool}, "yes", true, "yes"},
		{Decision{Type: Bool}, "False", false, "no"},
		{Decision{Type: Int}, "-7", -7, "-7"},
		{Decision{Type: Size}, "512MiB", int64(512 << 20), "512MiB"},
		{Decision{Type: Size}, "1024 KiB", int64(1 << 20), "1MiB"},
		{Decision{Type: Size}, "1GB", int64(1e9), "1000000000"},
		{Decision{Type: Size}, "0", int64(0), "0"},
		{Decision{Type: Size}, "1025", int64(1025), "1025"},
		{Decision{Type: Duration}, "60s", time.Minute, "1m"},
		{Decision{Type: Duration}, "90m", 90 * time.Minute, "1h30m"},
		{Decision{Type: Duration}, "2h", 2 * time.Hour, "2h"},
		{Decision{Type: Duration}, "10s", 10 * time.Second, "10s"},
		{Decision{Type: Duration}, "1h0m10s", time.Hour + 10*time.Second, "1h0m10s"},
		{Decision{Type: Duration}, "0", time.Duration(0), "0s"},
		{Decision{Type: List}, "a, b", []string{"a", "b"}, "a,b"},
		{Decision{Type: List}, "none", []string{}, "none"},
		{Decision{Type: List}, " none ", []string{}, "none"},
		{Decision{Type: List}, " ", []string{}, "none"},
		{Decision{Type: List, Options: append(ab, Option{Value: "none"})}, "none", []string{"none"}, "none"},
	}
	for _, c := range cases {
		got, err := c.d.Parse(c.text)
		if err != nil {
			t.Errorf("%s %q: %v", c.d.Type, c.text, err)
			continue
		}
		if !reflect.DeepEqual(got.Data(), c.want) {
			t.Errorf("%s %q is %#v, want %#v", c.d.Type, c.text, got.Data(), c.want)
		}
		if text := got.String(); text != c.format {
			t.Errorf("%s %q is written %q, want %q", c.d.Type, c.text, text, c.format)
		}
	}
}

// What is written as a flag or into a record is read back as the same value.
func FuzzValueRoundTrip(f *testing.F) {
	for _, seed := range []string{"a", "yes", "-1", "512MiB", "1h0m1s", "a,b", "none", "none ", " a", "on", "~", "null", "0x1", "1_000", "'", "\"", "a: b", "# x", "é", " ", "9223372036854775807", "8191PiB", "2562047h47m16.854775807s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range Types {
			d := Decision{ID: "x", Type: kind, Options: nil}
			if kind == Choice {
				d.Options = []Option{{Value: "a"}, {Value: "yes"}, {Value: "1"}}
			}
			value, err := d.Parse(text)
			if err != nil {
				if strings.ContainsAny(err.Error(), "\x00\x1b\n") {
					t.Errorf("%s: the error %q would break out of its line", kind, err)
				}
				continue
			}
			again, err := d.Parse(value.String())
			if err != nil || !again.Equal(value) {
				t.Errorf("%s: %q is %#v, and written as %q it is %#v (%v)", kind, text, value, value, again, err)
			}
			data, err := yaml.Marshal(value.Raw())
			if err != nil {
				t.Fatal(err)
			}
			var read Raw
			if err := yaml.Unmarshal(data, &read); err != nil {
				t.Fatalf("%s: %q: %v", kind, data, err)
			}
			recorded, err := d.Read(read)
			if err != nil || !recorded.Equal(value) {
				t.Errorf("%s: %#v is recorded as %q, which reads as %#v (%v)", kind, value, data, recorded, err)
			}
		}
	})
}

// What a file holds is read as it was written: no number loses its zeros, and what is no answer stays none.
func TestRawReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		ok   bool
	}{
		"007": {"007", true}, "1.0": {"1.0", true}, "yes": {"yes", true}, "true": {"true", true}, "2026-01-01": {"2026-01-01", true},
		`"a b"`: {"a b", true}, "[a, 1, true]": {"a,1,true", true}, "[]": {"", true}, "&x a": {"a", true},
		"{a: b}": {"", false}, "[a, ~]": {"", false}, "[[a]]": {"", false}, "~": {"", true},
	}
	for written, want := range cases {
		var holder struct{ Value Raw }
		if err := yaml.Unmarshal([]byte("value: "+written+"\n"), &holder); err != nil {
			t.Errorf("%s: %v", written, err)
			continue
		}
		if _, ok := holder.Value.Texts(); holder.Value.String() != want.text || ok != want.ok {
			t.Errorf("%s is read as %q (%v), want %q (%v)", written, holder.Value, ok, want.text, want.ok)
		}
	}
}
