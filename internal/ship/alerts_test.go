package ship

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The alerts as the tree's own script proves them, and as their tests name them.
func TestAlerts(t *testing.T) {
	need(t, "promtool", "apt-get install prometheus")
	eachCase(t, "deploy/base/prometheusrule.yaml", func(t *testing.T, r rendered) {
		t.Log(mustRun(t, r.write(t), "ci/check.sh", "alerts"))
		for _, violation := range alertViolations(r) {
			t.Error(violation)
		}
	})
}

// alertViolations are alerts that no test makes fire, and alerts that the runbook does not speak of.
func alertViolations(r rendered) []string {
	var found []string
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert       string
					Annotations map[string]string
				}
			}
		}
	}
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		}
	}
	for file, into := range map[string]any{"deploy/base/prometheusrule.yaml": &rules, "deploy/monitoring/rules_test.yaml": &tests} {
		if err := yaml.Unmarshal(r.Tree[file].Data, into); err != nil {
			return []string{err.Error()}
		}
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, alert := range test.AlertRuleTest {
			if len(alert.ExpAlerts) > 0 {
				fires[alert.Alertname] = true
			} else {
				quiet[alert.Alertname] = true
			}
		}
	}
	readme := strings.Split(string(r.Tree["README.md"].Data), "\n")
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" {
				continue
			}
			if !fires[rule.Alert] {
				found = append(found, rule.Alert+" fires in no test")
			}
			if !quiet[rule.Alert] {
				found = append(found, rule.Alert+" is quiet in no test")
			}
			if !slices.Contains(readme, "### "+rule.Alert) {
				found = append(found, "the README does not say what to do on "+rule.Alert)
			}
			if want := "README.md#" + strings.ToLower(rule.Alert); rule.Annotations["runbook"] != want {
				found = append(found, fmt.Sprintf("%s leads to %q", rule.Alert, rule.Annotations["runbook"]))
			}
		}
	}
	return found
}

func TestAlertFaults(t *testing.T) {
	need(t, "promtool", "apt-get install prometheus")
	const rules = "deploy/base/prometheusrule.yaml"
	for name, fault := range map[string]struct{ old, new string }{
		"a patient caller":    {"            > 0.1\n", "            > 0.6\n"},
		"an impatient caller": {"            > 0.1\n", "            > 0.01\n"},
		"a burn rate":         {"> 14.4 * 0.001", "> 144 * 0.001"},
		"a long window":       {"hotpath:errors:ratio_rate6h{job=\"hello\"} > 6", "hotpath:errors:ratio_rate3d{job=\"hello\"} > 60"},
		"a threshold":         {"hotpath_permits_in_use_ratio{job=\"hello\"} > 0.8", "hotpath_permits_in_use_ratio{job=\"hello\"} > 0.95"},
		"a threshold too low": {"hotpath_permits_in_use_ratio{job=\"hello\"} > 0.8", "hotpath_permits_in_use_ratio{job=\"hello\"} > 0.5"},
		"a patience":          {"for: 10m", "for: 1h"},
		"health checks count": {"/\n            sum by (namespace, job) (rate(grpc_server_handled_total{job=\"hello\",grpc_service!~\"grpc[.].*\"}", "/\n            sum by (namespace, job) (rate(grpc_server_handled_total{job=\"hello\"}"},
		"answers that fail":   {"grpc_client_handled_total{job=\"hello\",grpc_code=~\"Unknown|", "grpc_client_handled_total{job=\"hello\",grpc_code=~\"NotFound|Unknown|"},
		"an exit code":        {"== 139", "== 137"},
		"another namespace":   {",namespace=\"hello\"} == 1", "} == 1"},
		"a metric's name":     {"hotpath_shed_total", "hotpath_sheds_total"},
		"syntax":              {"absent(up", "absent((up"},
	} {
		t.Run(name, func(t *testing.T) {
			r := renderTree(t, cases["full"]).with(t, rules, fault.old, fault.new)
			if output, err := run(t, r.write(t), "ci/check.sh", "alerts"); err == nil {
				t.Errorf("passed:\n%s", output)
			}
		})
	}
	for fault, r := range map[string]rendered{
		"HotpathDownstreamFailing is quiet in no test":  renderTree(t, cases["full"]).with(t, "deploy/monitoring/rules_test.yaml", "alertname: HotpathDownstreamFailing\n        eval_time: 40m", "alertname: HotpathDown\n        eval_time: 40m"),
		"HotpathLatency fires in no test":               renderTree(t, cases["default"]).with(t, "deploy/monitoring/rules_test.yaml", "alertname: HotpathLatency", "alertname: HotpathDown"),
		"does not say what to do on HotpathOutOfMemory": renderTree(t, cases["default"]).with(t, "README.md", "### HotpathOutOfMemory", "### OutOfMemory"),
	} {
		if found := alertViolations(r); !strings.Contains(strings.Join(found, "\n"), fault) {
			t.Errorf("%q was not found: %q", fault, found)
		}
	}
}
