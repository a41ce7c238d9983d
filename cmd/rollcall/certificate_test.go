package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestARenewedCertificateIsUsedWithoutARestart replaces the files of the certificate, and connects
// again.
func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := serveFlags{listen: "127.0.0.1:0", cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(name+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := makeCertificate(t, 1)
	write(o.cert, cert)
	write(o.key, key)
	var log bytes.Buffer
	ln, scheme, err := listen(nil, o, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || scheme != "https" {
		t.Fatalf("%s, %v", scheme, err)
	}
	defer ln.Close()
	want := func(serial int64) {
		t.Helper()
		shaken := make(chan error, 1)
		go func() {
			conn, err := ln.Accept()
			if err == nil {
				err = conn.(*tls.Conn).HandshakeContext(t.Context())
				defer conn.Close()
			}
			shaken <- err
		}()
		raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		client := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test compares the certificate
		if err := client.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		if got := client.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != serial {
			t.Errorf("got certificate %d, want %d", got, serial)
		}
	}
	warnings := func() int { return strings.Count(log.String(), "level=WARN") }

	want(1)
	cert, key = makeCertificate(t, 2)
	write(o.cert, cert)
	want(1) // the key was not replaced yet
	want(1)
	if n := warnings(); n != 1 {
		t.Errorf("%d warnings of a certificate without its key: %s", n, &log)
	}
	write(o.key, key)
	want(2)
	write(o.cert, []byte("broken"))
	want(2)
	want(2)
	if n := warnings(); n != 2 {
		t.Errorf("%d warnings, the second of a broken file: %s", n, &log)
	}
	if err := os.Remove(o.cert); err != nil {
		t.Fatal(err)
	}
	want(2)
	cert, key = makeCertificate(t, 3)
	write(o.key, key)
	write(o.cert, cert)
	want(3)
}

func makeCertificate(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"people.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
