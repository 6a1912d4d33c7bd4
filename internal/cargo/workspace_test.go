package cargo

import (
	"errors"
	"testing"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	below := []string{"services/pay/crates/hotpath"}
	for name, c := range map[string]struct {
		workspace Workspace
		want      Claim
	}{
		"a pattern":                    {Workspace{Members: []string{"services/*"}}, ByPattern},
		"a pattern of any depth":       {Workspace{Members: []string{"services/**"}}, ByPattern},
		"a pattern below the service":  {Workspace{Members: []string{"services/*/crates/*"}}, ByPattern},
		"another pattern":              {Workspace{Members: []string{"crates/*"}}, Unclaimed},
		"written out":                  {Workspace{Members: []string{"services/pay"}}, ByName},
		"written out with a dot":       {Workspace{Members: []string{"./services/pay/"}}, ByName},
		"written out below":            {Workspace{Members: []string{"services/pay/crates/hotpath"}}, ByName},
		"excluded":                     {Workspace{Members: []string{"services/*"}, Exclude: []string{"services/pay"}}, Unclaimed},
		"excluded above":               {Workspace{Members: []string{"services/*"}, Exclude: []string{"services/"}}, Unclaimed},
		"excluded, and written out":    {Workspace{Members: []string{"services/pay"}, Exclude: []string{"services/pay"}}, ByName},
		"a neighbour that begins like": {Workspace{Members: []string{"services/payments"}}, Unclaimed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, _ := c.workspace.Claims("services/pay", below); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestExclude(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"no list": {
			"[workspace]\nmembers = [\"services/*\"]\n",
			"[workspace]\nexclude = [\"services/pay\"]\nmembers = [\"services/*\"]\n",
		},
		"a list": {
			"[package]\nname = \"a\"\n\n[workspace] # all\nexclude = [\"old\"]\n",
			"[package]\nname = \"a\"\n\n[workspace] # all\nexclude = [\"services/pay\", \"old\"]\n",
		},
		"an empty list": {"[workspace]\nexclude = []\n", "[workspace]\nexclude = [\"services/pay\"]\n"},
		"a list over lines": {
			"[workspace]\nexclude = [ # why\n    \"old\",\n]\n[workspace.lints]\n",
			"[workspace]\nexclude = [ # why\n    \"services/pay\",\n    \"old\",\n]\n[workspace.lints]\n",
		},
		"the list of another table": {
			"[package]\nexclude = [\"x\"]\n[workspace]\n[other]\nexclude = [\"y\"]\n",
			"[package]\nexclude = [\"x\"]\n[workspace]\nexclude = [\"services/pay\"]\n[other]\nexclude = [\"y\"]\n",
		},
		"Windows' line ends": {"[workspace]\r\nmembers = []\r\n", "[workspace]\r\nexclude = [\"services/pay\"]\r\nmembers = []\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Exclude([]byte(c.before), "services/pay")
			if err != nil || string(got) != c.after {
				t.Errorf("%q (%v), want %q", got, err, c.after)
			}
		})
	}
	for name, manifest := range map[string]string{
		"an inline table": "workspace = { members = [\"services/*\"] }\n",
		"dotted keys":     "workspace.members = [\"services/*\"]\n",
		"a text like it":  "workspace.members = []\nx = '''\n[workspace]\n'''\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := Exclude([]byte(manifest), "services/pay"); !errors.Is(err, ErrLayout) {
				t.Errorf("%q (%v)", got, err)
			}
		})
	}
}
