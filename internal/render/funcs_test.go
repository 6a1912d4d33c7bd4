package render

import (
	"strings"
	"testing"
)

// The words of a name are heck's, or the service would look for its module where tonic did not put it.
func TestWordsAreHecks(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"order-pricer":     "order_pricer",
		"OrderPricer":      "order_pricer",
		"AVeryLongService": "a_very_long_service",
		"A1B2Service":      "a1b2_service",
		"Svc2ApiService":   "svc2_api_service",
		"HTTPServer2Go":    "http_server2_go",
		"user.profiles.v1": "user_profiles_v1",
		"already_snake":    "already_snake",
		"XMLHttpRequest":   "xml_http_request",
		"a":                "a",
		"":                 "",
	} {
		if got := strings.Join(words(name), "_"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestSortingChangesNoAnswer(t *testing.T) {
	t.Parallel()
	data := map[string]any{"list": []string{"b", "a"}}
	got, err := NewEngine().Text("t", `<% join "," (sortAlpha .list) %> <% join "," .list %>`, data)
	if err != nil || string(got) != "a,b b,a" {
		t.Errorf("%q, %v", got, err)
	}
}
