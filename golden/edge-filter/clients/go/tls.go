package edgefilterclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/grpclog"
)

// caOption and certificateOption are read by Dial; gRPC passes them over.
type (
	caOption struct {
		grpc.EmptyDialOption
		ca string
	}
	certificateOption struct {
		grpc.EmptyDialOption
		certificate, key string
	}
)

// WithCA tells Dial which file holds the authorities that sign the service's certificate, in PEM: /etc/tls/ca.crt without
// this option, and those of the system where the path is empty.
func WithCA(path string) grpc.DialOption { return caOption{ca: path} }

// WithCertificate tells Dial which files hold the caller's own certificate, with those between it and its authority, and its
// key, in PEM: /etc/tls/tls.crt and /etc/tls/tls.key without this option. With empty paths the caller shows no certificate.
func WithCertificate(certificate, key string) grpc.DialOption {
	return certificateOption{certificate: certificate, key: key}
}

// tlsFiles are the paths of what a caller needs for TLS; an empty one is of no file.
type tlsFiles struct{ ca, certificate, key string }

// filesOf returns the paths that the options name, and the documented ones where they name none.
func filesOf(options []grpc.DialOption) tlsFiles {
	files := tlsFiles{ca: "/etc/tls/ca.crt", certificate: "/etc/tls/tls.crt", key: "/etc/tls/tls.key"}
	for _, option := range options {
		switch option := option.(type) {
		case caOption:
			files.ca = option.ca
		case certificateOption:
			files.certificate, files.key = option.certificate, option.key
		}
	}
	return files
}

// load reads the files. Its errors name the file that is missing or wrong.
func (files tlsFiles) load() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if files.ca != "" {
		text, err := os.ReadFile(files.ca)
		if err != nil {
			return nil, fmt.Errorf("the authorities of the service: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("the authorities of the service: %s holds no certificate in PEM", files.ca)
		}
	}
	if files.certificate != "" || files.key != "" {
		certificate, err := tls.LoadX509KeyPair(files.certificate, files.key)
		if err != nil {
			return nil, fmt.Errorf("the caller's certificate %s with the key %s: %w", files.certificate, files.key, err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// reloading is TLS by files that are read for each new connection, so that what is rotated is used without a restart. Where
// they do not fit, those that did are used on, and gRPC's log says which one is wrong.
type reloading struct {
	credentials.TransportCredentials // those of the beginning, which say what the protocol is

	files tlsFiles
	last  atomic.Pointer[tls.Config]
}

// transport returns the credentials of a connection with these options.
func transport(options []grpc.DialOption) (credentials.TransportCredentials, error) {
	files := filesOf(options)
	config, err := files.load()
	if err != nil {
		return nil, err
	}
	r := &reloading{TransportCredentials: credentials.NewTLS(config), files: files}
	r.last.Store(config)
	return r, nil
}

// ClientHandshake asks the service for a certificate in the name of the target's host, by which DNS finds all replicas.
func (r *reloading) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := r.files.load()
	if err == nil {
		r.last.Store(config)
	} else {
		grpclog.Errorf("edgefilterclient: the TLS files of before stay in use: %v", err)
		config = r.last.Load()
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

// Clone returns the same, for nothing of it is set later.
func (r *reloading) Clone() credentials.TransportCredentials { return r }
