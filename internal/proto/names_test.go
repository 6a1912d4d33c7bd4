package proto

import "testing"

// The names are those that heck 0.5 and prost-build 0.14 give.
func TestRustNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, snake, camel string }{
		{"IPv4ToIPv6", "i_pv4_to_i_pv6", "IPv4ToIPv6"},
		{"__Odd", "odd", "Odd"},
		{"get_2fa_code", "get_2fa_code", "Get2faCode"},
		{"foo_bar_service", "foo_bar_service", "FooBarService"},
		{"XMLHttpRequest", "xml_http_request", "XmlHttpRequest"},
		{"FuzZ_", "fuz_z", "FuzZ"},
		{"field0name5", "field0name5", "Field0name5"},
		{"FIELD_name12", "field_name12", "FieldName12"},
		{"IOServer", "io_server", "IoServer"},
		{"Type", "r#type", "Type"},
		{"Self", "self_", "Self_"},
		{"gen", "r#gen", "Gen"},
		{"__", "", ""},
		{"_2fa", "_2fa", "_2fa"},
		{"WatchA", "watch_a", "WatchA"},
	} {
		if got := Snake(c.name); got != c.snake {
			t.Errorf("Snake(%q) = %q, want %q", c.name, got, c.snake)
		}
		if got := UpperCamel(c.name); got != c.camel {
			t.Errorf("UpperCamel(%q) = %q, want %q", c.name, got, c.camel)
		}
	}
}
