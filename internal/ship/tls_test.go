package ship

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
)

// tlsCases are services that speak TLS themselves, of each kind of workload.
var tlsCases = map[string]answers{
	"server":   {"name": "hello", "tls": "server", "downstream": "prices", "metrics": "otelgrpc"},
	"mutual":   {"name": "hello", "tls": "mutual", "queue": "64"},
	"stateful": {"name": "ledger", "tls": "mutual", "state": "stateful", "ci": "gitlab"},
}

// tls is there where it was decided: a certificate of the names that callers use, renewed in time, and mounted where the
// service reads it, so that a renewal reaches it.
func (d *deployment) tls(f *findings) {
	decided := d.rendered.data["tls"]
	f.wrong((d.certificate != nil) == (decided != "none"), "tls is %s, and the certificate %v", decided, d.certificate != nil)
	for _, service := range []*corev1.Service{d.service, d.headless} {
		protocol := service.Spec.Ports[0].AppProtocol
		want := map[bool]string{true: "grpc", false: "https"}[decided == "none"]
		f.wrong(protocol != nil && *protocol == want, "who reads appProtocol is not told that the port for calls speaks %s", want)
	}
	if d.certificate == nil {
		return
	}
	d.certificateNames(f)
	spec := d.certificate.Spec
	// It calls others by the same certificate.
	usages := []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageServerAuth, certmanagerv1.UsageClientAuth}
	f.wrong(slices.Equal(spec.Usages, usages), "the certificate is for %v, not for %v", spec.Usages, usages)
	f.wrong(spec.IssuerRef.Name != "", "nobody signs the certificate")
	f.wrong(spec.PrivateKey != nil && spec.PrivateKey.RotationPolicy == certmanagerv1.RotationPolicyAlways, "a renewed certificate has the old key")
	f.wrong(spec.Duration != nil && spec.RenewBefore != nil && spec.RenewBefore.Duration > spec.Duration.Duration/3+time.Hour,
		"alerts of a third of the time come before the renewal")
	d.certificateMount(f)
}

// certificateNames are judged as a caller judges them: Go's own verification of each address that callers write.
func (d *deployment) certificateNames(f *findings) {
	name, namespace := d.service.Name, d.namespace.Name
	leaf := &x509.Certificate{DNSNames: d.certificate.Spec.DNSNames}
	hosts := []string{name}
	for _, of := range []string{"", ".svc", ".svc.cluster.local"} {
		hosts = append(hosts, name+"."+namespace+of)
		if d.stateful() {
			hosts = append(hosts, name+"-0."+d.headless.Name+"."+namespace+of)
		}
	}
	for _, host := range hosts {
		f.wrong(leaf.VerifyHostname(host) == nil, "callers of %s are shown a certificate of %v", host, leaf.DNSNames)
	}
	for _, listed := range leaf.DNSNames[1:] {
		f.wrong(strings.Contains(listed, "."+namespace), "%s is of another namespace", listed)
	}
	identities := []string{fmt.Sprintf("spiffe://cluster.local/ns/%s/sa/%s", namespace, d.account.Name)}
	f.wrong(slices.Equal(d.certificate.Spec.URIs, identities), "the service calls others as %v, not as %v", d.certificate.Spec.URIs, identities)
	for _, identity := range d.certificate.Spec.URIs {
		parsed, err := url.Parse(identity)
		f.wrong(err == nil && parsed.Scheme == "spiffe", "%s is no identity", identity)
	}
}

// certificateMount is the whole secret, where the service looks, readable by its user.
func (d *deployment) certificateMount(f *findings) {
	var volume *corev1.SecretVolumeSource
	for _, candidate := range d.template.Spec.Volumes {
		if candidate.Name == "tls" {
			volume = candidate.Secret
		}
	}
	if volume == nil {
		f.wrong(false, "no volume has the certificate")
		return
	}
	f.wrong(volume.SecretName == d.certificate.Spec.SecretName, "the secret %s is mounted, and the certificate is in %s", volume.SecretName, d.certificate.Spec.SecretName)
	f.wrong(len(volume.Items) == 0, "a part of the secret is mounted")
	security := d.template.Spec.SecurityContext
	groupReads := volume.DefaultMode != nil && *volume.DefaultMode == 0o440 && security.FSGroup != nil && *security.FSGroup == *security.RunAsGroup
	f.wrong(groupReads, "the service cannot read its key, or others can")
	mounted := false
	for _, mount := range d.container().VolumeMounts {
		if mount.Name == "tls" {
			mounted = mount.MountPath == "/etc/tls" && mount.ReadOnly
			f.wrong(mount.SubPath == "" && mount.SubPathExpr == "", "the certificate is mounted with subPath, and no renewal reaches it")
		}
	}
	f.wrong(mounted, "the certificate is not mounted at /etc/tls, where the service reads it")
	for file, setting := range map[string]string{"tls.crt": "TLS_CERT", "tls.key": "TLS_KEY", "ca.crt": "TLS_CLIENT_CA"} {
		_, moved := d.env()[setting]
		f.wrong(!moved, "%s is read from elsewhere", file)
	}
}

func TestTLS(t *testing.T) {
	for name, given := range tlsCases {
		t.Run(name, func(t *testing.T) {
			r := renderTree(t, given)
			for _, overlay := range overlays {
				d, err := r.build(overlay)
				if err != nil {
					t.Fatal(err)
				}
				for _, violation := range d.violations() {
					t.Errorf("%s: %s", overlay, violation)
				}
			}
			for _, violation := range slices.Concat(alertViolations(r), parseDashboard(t, r).violations(), unknownMetrics(r)) {
				t.Error(violation)
			}
		})
	}
	const base = "deploy/base/"
	for _, fault := range []struct{ of, file, old, new, found string }{
		{"server", base + "deployment.yaml", "readOnly: true", "readOnly: true\n              subPath: tls.crt", "no renewal reaches it"},
		{"server", base + "deployment.yaml", "mountPath: /etc/tls", "mountPath: /etc/ssl", "not mounted at /etc/tls"},
		{"server", base + "deployment.yaml", "secretName: hello-tls", "secretName: hello", "the secret hello is mounted"},
		{"server", base + "deployment.yaml", "defaultMode: 0440", "defaultMode: 0400", "cannot read its key"},
		{"server", base + "deployment.yaml", "fsGroup: 65532\n", "fsGroup: 1\n", "cannot read its key"},
		{"server", base + "deployment.yaml", "            defaultMode: 0440\n", "            defaultMode: 0440\n            items: [{key: tls.crt, path: tls.crt}]\n", "a part of the secret"},
		{"server", base + "service.yaml", "appProtocol: https", "appProtocol: grpc", "speaks https"},
		{"server", base + "service.yaml", "targetPort: grpc", "targetPort: grpcs", "leads to no port"},
		{"server", base + "kustomization.yaml", "  - certificate.yaml\n", "", "tls is server, and the certificate false"},
		{"server", base + "certificate.yaml", "    - hello.hello.svc\n", "    - hallo.hello.svc\n", "callers of hello.hello.svc are shown"},
		{"server", base + "certificate.yaml", "issuerRef", "issuer", "unknown field"},
		{"server", base + "certificate.yaml", "rotationPolicy: Always", "rotationPolicy: Never", "the old key"},
		{"server", base + "certificate.yaml", "renewBefore: 84h", "renewBefore: 50h", "before the renewal"},
		{"server", "deploy/overlays/prod/kustomization.yaml", "namespace: hello\n", "namespace: hello\nnamePrefix: a-\n", "there is no"},
		{"mutual", base + "certificate.yaml", "    - client auth\n", "", "the certificate is for"},
		{"mutual", base + "certificate.yaml", "/sa/hello", "/sa/other", "the service calls others as"},
		{"stateful", base + "certificate.yaml", "    - \"*.ledger.ledger\"\n", "    - \"ledger-1.ledger.ledger\"\n", "callers of ledger-0.ledger.ledger are shown"},
	} {
		d, err := renderTree(t, tlsCases[fault.of]).with(t, fault.file, fault.old, fault.new).build("prod")
		var found []string
		if err != nil {
			found = []string{err.Error()}
		} else {
			found = d.violations()
		}
		if !strings.Contains(strings.Join(found, "\n"), fault.found) {
			t.Errorf("%s with %q: %q was not found: %q", fault.file, fault.new, fault.found, found)
		}
	}
	misspelt := renderTree(t, tlsCases["server"]).with(t, base+"dashboard.json", "hotpath_tls_reloads_total", "hotpath_tls_reload_total")
	if found := unknownMetrics(misspelt); len(found) != 1 {
		t.Errorf("a metric that there is not was not found: %q", found)
	}
}

var tlsMetrics = regexp.MustCompile(`hotpath_tls_[a-z_]+`)

// unknownMetrics are the metrics of TLS which alerts and dashboard name, and the service has not.
func unknownMetrics(r rendered) []string {
	var known strings.Builder
	for file, content := range r.Tree {
		if strings.HasSuffix(file, ".rs") {
			known.Write(content.Data)
		}
	}
	var found findings
	for _, file := range []string{"deploy/base/prometheusrule.yaml", "deploy/base/dashboard.json"} {
		names := tlsMetrics.FindAllString(string(r.Tree[file].Data), -1)
		found.wrong(len(names) > 2, "%s hardly speaks of TLS", file)
		for _, name := range names {
			found.wrong(strings.Contains(known.String(), `"`+name+`"`), "%s names %s, which the service has not", file, name)
		}
	}
	return found
}

// An overlay of another name has its own namespace in the certificate.
func TestCertificateOfOverlays(t *testing.T) {
	const prod = "deploy/overlays/prod/kustomization.yaml"
	moved := renderTree(t, tlsCases["stateful"]).with(t, prod, "namespace: ledger\n", "namespace: books\n")
	for _, test := range []struct {
		r     rendered
		found string
	}{
		{moved, ""},
		{moved.with(t, prod, "          - spec.dnsNames.2\n", ""), "is of another namespace"},
		{moved.with(t, prod, "          - spec.dnsNames.5\n", ""), "is of another namespace"},
		{moved.with(t, prod, "          - spec.uris.0\n        options:\n          delimiter: /\n          index: 4", "          - spec.uris.0\n        options:\n          delimiter: /\n          index: 6"), "the service calls others as"},
	} {
		d, err := test.r.build("prod")
		if err != nil {
			t.Fatal(err)
		}
		if found := d.violations(); len(found) > 0 != (test.found != "") || !strings.Contains(strings.Join(found, "\n"), test.found) {
			t.Errorf("%q were found, not %q", found, test.found)
		}
	}
}

// The alerts of certificates, as the tree's own script proves them; and each with a fault, which it finds.
func TestCertificateAlerts(t *testing.T) {
	need(t, "promtool", "apt-get install prometheus")
	for _, given := range tlsCases {
		mustRun(t, renderTree(t, given).write(t), "ci/check.sh", "alerts")
	}
	const alerts = "deploy/base/prometheusrule.yaml"
	for old, new := range map[string]string{
		"< 1/3":  "< 1/2",
		"< 1/10": "< 1/100",
		"            unless on (namespace, job, instance)\n            increase(hotpath_tls_reloads_total{job=\"hello\",result=\"used\"}[30m]) > 0\n": "",
		"              > 0.1\n            )":         "              > 0.01\n            )",
		"result=~\"refused|plaintext\"}[10m])) > 10": "result=~\"refused|plaintext\"}[10m])) > 1000",
	} {
		t.Run(new, func(t *testing.T) {
			t.Parallel()
			r := renderTree(t, tlsCases["mutual"]).with(t, alerts, old, new)
			if output, err := run(t, r.write(t), "ci/check.sh", "alerts"); err == nil {
				t.Errorf("passed:\n%s", output)
			}
		})
	}
}
