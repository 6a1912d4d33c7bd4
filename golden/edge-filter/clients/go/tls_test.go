package edgefilterclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

// caller is the name in the certificate of who calls here.
const caller = "spiffe://localhost/caller"

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// local is the authority that the servers of all tests have their certificates from, and their callers.
var local = sync.OnceValue(newAuthority)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newAuthority() *authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := certificate()
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	return &authority{must(x509.ParseCertificate(der)), key}
}

// certificate is what all certificates have here.
func certificate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// sign returns a certificate for a DNS name, an IP address or a URI, and its key.
func (a *authority) sign(names ...string) (leaf, key []byte) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := certificate()
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if uri := must(url.Parse(name)); uri.Scheme != "" {
			template.URIs = append(template.URIs, uri)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))})
}

// pem is the authority's own certificate.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// pool holds authorities.
func pool(authorities ...*authority) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a.certificate)
	}
	return pool
}

// config is that of a server with a certificate for these names, whose callers any of the trusted authorities signs.
func (a *authority) config(trusted *x509.CertPool, names ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{must(tls.X509KeyPair(a.sign(names...)))},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    trusted,
	}
}

// folder is where the files of a side lie.
type folder string

// put replaces a file whole, as a secret's are.
func (f folder) put(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(string(f), name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// trust writes the authorities, and returns the path.
func (f folder) trust(t *testing.T, authorities ...*authority) string {
	t.Helper()
	var text []byte
	for _, a := range authorities {
		text = append(text, a.pem()...)
	}
	return f.put(t, "ca.crt", text)
}

// identify writes a certificate for these names and its key, and returns their paths.
func (f folder) identify(t *testing.T, a *authority, names ...string) (leaf, key string) {
	t.Helper()
	certificate, private := a.sign(names...)
	return f.put(t, "tls.crt", certificate), f.put(t, "tls.key", private)
}

// trusting are the options of a caller that the authority has signed, and that trusts it.
func trusting(t *testing.T, a *authority) (folder, []grpc.DialOption) {
	t.Helper()
	files := folder(t.TempDir())
	options := []grpc.DialOption{WithCA(files.trust(t, a))}
	options = append(options, WithCertificate(files.identify(t, a, caller)))
	return files, slices.Clip(options)
}

// callerSide is what the connections of all tests are made with; the names of their targets are no hosts.
func callerSide(t *testing.T) []grpc.DialOption {
	t.Helper()
	_, options := trusting(t, local())
	return append(options, grpc.WithAuthority("localhost"))
}

// serverSide is the part of their servers.
func serverSide() grpc.ServerOption {
	return grpc.Creds(credentials.NewTLS(local().config(pool(local()), "localhost")))
}

// serviceSide is the part of the service itself, in its environment.
func serviceSide(t *testing.T) []string {
	t.Helper()
	files := folder(t.TempDir())
	leaf, key := files.identify(t, local(), "localhost", "127.0.0.1")
	return []string{"TLS_CERT=" + leaf, "TLS_KEY=" + key, "TLS_CLIENT_CA=" + files.trust(t, local()), "CALLERS=" + caller}
}

// connectTLS makes a TLS connection to the service without gRPC.
func connectTLS(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	_, options := trusting(t, local())
	config, err := filesOf(options).load()
	if err != nil {
		return nil, err
	}
	config.NextProtos = []string{"h2"}
	return tls.Dial("tcp", address, config)
}

// rotating is a healthy server whose connections are short, and whose certificates change.
type rotating struct {
	port       string
	config     atomic.Pointer[tls.Config]
	handshakes atomic.Int64
}

func startRotating(t *testing.T, config *tls.Config) *rotating {
	t.Helper()
	r := &rotating{}
	r.config.Store(config)
	listener := listen(t)
	_, r.port, _ = net.SplitHostPort(listener.Addr().String())
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				r.handshakes.Add(1)
				return r.config.Load(), nil
			},
		})),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 100 * time.Millisecond}),
	)
	grpc_health_v1.RegisterHealthServer(server, grpchealth.NewServer())
	run(t, server, listener)
	return r
}

// check calls the server once, by the name of its host.
func (r *rotating) check(t *testing.T, options ...grpc.DialOption) error {
	t.Helper()
	conn, err := Dial("dns:///localhost:"+r.port, append(options, unhurried())...)
	if err != nil {
		return err
	}
	closed(t, conn)
	_, err = grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	return err
}

func TestTLSProvesWhoIsThere(t *testing.T) {
	other := newAuthority()
	_, known := trusting(t, local())
	_, stranger := trusting(t, other)
	for name, test := range map[string]struct {
		server *tls.Config
		caller []grpc.DialOption
		fails  string
	}{
		"the service":          {local().config(pool(local()), "localhost"), known, ""},
		"another authority":    {other.config(pool(local()), "localhost"), known, "unknown authority"},
		"another host":         {local().config(pool(local()), "other.example"), known, "not localhost"},
		"not by the system":    {local().config(pool(local()), "localhost"), append(known, WithCA("")), "authority"},
		"authority not shared": {local().config(pool(local()), "localhost"), stranger, "unknown authority"},
		"no certificate":       {local().config(pool(local()), "localhost"), append(known, WithCertificate("", "")), "Unavailable"},
		"another's caller":     {local().config(pool(other), "localhost"), known, "Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			err := startRotating(t, test.server).check(t, test.caller...)
			if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("the caller saw %v, and not %q", err, test.fails)
			}
		})
	}
}

func TestDialNamesTheFileThatIsWrong(t *testing.T) {
	if got, want := filesOf(nil), (tlsFiles{ca: "/etc/tls/ca.crt", certificate: "/etc/tls/tls.crt", key: "/etc/tls/tls.key"}); got != want {
		t.Errorf("without options the files are %v", got)
	}
	files, options := trusting(t, local())
	missing, empty := filepath.Join(string(files), "missing"), files.put(t, "empty", nil)
	leaf := filepath.Join(string(files), "tls.crt")
	_, another := folder(t.TempDir()).identify(t, local(), caller)
	for name, test := range map[string]struct {
		option grpc.DialOption
		file   string
	}{
		"no authorities":    {WithCA(missing), missing},
		"empty authorities": {WithCA(empty), empty},
		"no certificate":    {WithCertificate(missing, another), missing},
		"empty certificate": {WithCertificate(empty, another), empty},
		"no key":            {WithCertificate(leaf, missing), missing},
		"another's key":     {WithCertificate(leaf, another), another},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := Dial("localhost:1", append(options, test.option)...)
			if err == nil {
				closed(t, conn)
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.file) {
				t.Errorf("%v does not name %s", err, test.file)
			}
		})
	}
}

// Certificates and authorities are changed under calls, on both sides and without a restart, and no call fails: nor when a
// file is broken in the end.
func TestRotationFailsNoCall(t *testing.T) {
	before, after := newAuthority(), newAuthority()
	files, options := trusting(t, before)
	r := startRotating(t, before.config(pool(before), "localhost"))
	// Retries would hide what fails.
	conn, err := Dial("dns:///localhost:"+r.port, append(options, unhurried(), grpc.WithDisableRetry())...)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, conn)
	var calls atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
				calls.Add(1)
				if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
			}
		})
	}
	identify := func(a *authority, trusted ...*authority) {
		files.identify(t, a, caller)
		r.config.Store(a.config(pool(trusted...), "localhost"))
	}
	for _, step := range []func(){
		func() { identify(before, before) },
		func() { files.trust(t, before, after); identify(before, before, after) },
		func() { identify(after, before, after) },
		func() { files.trust(t, after); identify(after, after) },
		func() { files.put(t, "ca.crt", []byte("broken")) },
	} {
		step()
		// One connection may have been under way; those after it have read what is new.
		enough, more := r.handshakes.Load()+3, calls.Load()+100
		eventually(t, "new connections and calls", func() bool { return r.handshakes.Load() >= enough && calls.Load() >= more })
	}
	stop()
	callers.Wait()
	t.Logf("%d calls over %d connections", calls.Load(), r.handshakes.Load())
}
