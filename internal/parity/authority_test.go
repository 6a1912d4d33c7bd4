package parity

import (
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
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
)

// checkout is the caller that services under test let in.
const checkout = "spiffe://acme.example/ns/shop/sa/checkout"

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

// sign makes a certificate for URIs, addresses and DNS names.
func (a authority) sign(t testing.TB, end time.Time, names ...string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: end}
	for _, name := range names {
		if uri, err := url.Parse(name); err == nil && uri.Scheme != "" {
			template.URIs = append(template.URIs, uri)
		} else if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// environment writes what a service that speaks TLS needs, and is the variables that say where it is and who may call.
func (a authority) environment(t testing.TB) []string {
	t.Helper()
	signed := a.sign(t, time.Now().Add(time.Hour), "localhost", "127.0.0.1")
	key, err := x509.MarshalPKCS8PrivateKey(signed.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir, env := t.TempDir(), []string{"CALLERS=" + strings.Join([]string{"nobody.example", checkout}, ", ")}
	for _, file := range []struct {
		variable, kind string
		der            []byte
	}{
		{"TLS_CERT", "CERTIFICATE", signed.Certificate[0]},
		{"TLS_KEY", "PRIVATE KEY", key},
		{"TLS_CLIENT_CA", "CERTIFICATE", a.certificate.Raw},
	} {
		at := filepath.Join(dir, file.variable)
		if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.der}), 0o600); err != nil {
			t.Fatal(err)
		}
		env = append(env, file.variable+"="+at)
	}
	return env
}

// credentials are those of a caller that trusts the authority and shows these certificates.
func (a authority) credentials(own ...tls.Certificate) credentials.TransportCredentials {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: own, MinVersion: tls.VersionTLS12})
}
