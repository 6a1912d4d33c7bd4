package ship

import (
	"bytes"
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
			anchor := "README.md#" + strings.ToLower(rule.Alert)
			want := map[string]string{"runbook": anchor}
			if page := r.data["repository_url"].(string); page != "" {
				want = map[string]string{"runbook_url": page + map[bool]string{true: "/-", false: ""}[r.data["ci"] == "gitlab"] + "/blob/HEAD/" + anchor}
			}
			for key, link := range want {
				if rule.Annotations[key] != link {
					found = append(found, fmt.Sprintf("%s leads to %q", rule.Alert, rule.Annotations[key]))
				}
			}
		}
	}
	return found
}

func TestAlertFaults(t *testing.T) {
	need(t, "promtool", "apt-get install prometheus")
	const alerts, recordings = "deploy/base/prometheusrule.yaml", "deploy/base/recordingrules.yaml"
	for name, fault := range map[string]struct{ file, old, new string }{
		"a patient caller":     {alerts, "            > 0.1\n", "            > 0.6\n"},
		"an impatient caller":  {alerts, "            > 0.1\n", "            > 0.01\n"},
		"a burn rate":          {alerts, "> 14.4 * 0.001", "> 144 * 0.001"},
		"a long window":        {alerts, "hotpath:slow:ratio_rate6h{namespace=\"hello\",job=\"hello\"} > 6", "hotpath:slow:ratio_rate3d{namespace=\"hello\",job=\"hello\"} > 60"},
		"no minimum":           {alerts, "hotpath:failures:rate1h * 3600 > 10", "hotpath:failures:rate1h * 3600 > 0"},
		"a threshold too low":  {alerts, "hotpath_permits_in_use_ratio{namespace=\"hello\",job=\"hello\"} > 0.8", "hotpath_permits_in_use_ratio{namespace=\"hello\",job=\"hello\"} > 0.5"},
		"a patience":           {alerts, "for: 10m", "for: 1h"},
		"health checks count":  {recordings, "namespace=\"hello\",job=\"hello\",grpc_service!~\"grpc[.].*\"}", "namespace=\"hello\",job=\"hello\"}"},
		"callers' faults":      {recordings, "grpc_code=~\"Unknown|Internal|Unavailable|DataLoss\"", "grpc_code=~\"Unknown|Internal|Unavailable|DataLoss|ResourceExhausted\""},
		"shed calls do not":    {recordings, "rate(hotpath_shed_total{job=\"hello\",reason!=\"connection\"}", "rate(hotpath_shed_total{job=\"hello\",reason=\"connection\"}"},
		"streams are slow":     {recordings, ",grpc_type=\"unary\"}", "}"},
		"an exit code":         {alerts, "== 139", "== 137"},
		"two of three are few": {alerts, "< on (namespace, deployment)", "< bool on (namespace, deployment)"},
		"any throttling":       {alerts, "            > 0.25\n", "            > 0.05\n"},
		"another namespace":    {alerts, "up{namespace=\"hello\",", "up{"},
		"a metric's name":      {alerts, "hotpath_shed_total", "hotpath_sheds_total"},
		"syntax":               {alerts, "absent(up", "absent((up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := renderTree(t, cases["full"]).with(t, fault.file, fault.old, fault.new)
			// An alert of a burn rate fires on two windows together, so a fault of their series is in all of them.
			for fault.file == recordings && bytes.Contains(r.Tree[recordings].Data, []byte(fault.old)) {
				r = r.with(t, fault.file, fault.old, fault.new)
			}
			if output, err := run(t, r.write(t), "ci/check.sh", "alerts"); err == nil {
				t.Errorf("passed:\n%s", output)
			}
		})
	}
	for fault, r := range map[string]rendered{
		"HotpathDownstreamFailing is quiet in no test":  renderTree(t, cases["full"]).with(t, "deploy/monitoring/rules_test.yaml", "alertname: HotpathDownstreamFailing\n        eval_time: 40m", "alertname: HotpathDown\n        eval_time: 40m"),
		"HotpathCpuThrottled fires in no test":          renderTree(t, cases["default"]).with(t, "deploy/monitoring/rules_test.yaml", "alertname: HotpathCpuThrottled", "alertname: HotpathDown"),
		"does not say what to do on HotpathOutOfMemory": renderTree(t, cases["default"]).with(t, "README.md", "### HotpathOutOfMemory", "### OutOfMemory"),
	} {
		if found := alertViolations(r); !strings.Contains(strings.Join(found, "\n"), fault) {
			t.Errorf("%q was not found: %q", fault, found)
		}
	}
}
