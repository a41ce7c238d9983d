package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// certificate is the server's TLS certificate with its key. It reads both files again when one of
// them has changed, so a renewed certificate needs no restart.
type certificate struct {
	cert, key string // the paths of the files with the certificate and with its key
	log       *slog.Logger

	mu    sync.Mutex
	pair  *tls.Certificate // the certificate from the last successful read
	files [2]os.FileInfo   // the files as they were when they were last read
}

// readCertificate reads both files. It returns an error if they cannot be used.
func readCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	c.files = c.fileInfos()
	pair, err := c.read()
	c.pair = pair
	return c, err
}

// read reads the certificate and its key from their files.
func (c *certificate) read() (*tls.Certificate, error) {
	if err := checkPrivate(c.key); err != nil {
		return nil, fmt.Errorf("--tls-key: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s: %w", c.cert, err)
	}
	return &pair, nil
}

// fileInfos returns the file infos of both files; nil for a file that does not exist.
func (c *certificate) fileInfos() (files [2]os.FileInfo) {
	for i, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			files[i] = info
		}
	}
	return files
}

// currentCertificate returns the certificate for a new connection. If the files cannot be read,
// currentCertificate logs the failure once and returns the previous certificate. That happens, for
// example, while only one of the files has been replaced.
func (c *certificate) currentCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.fileInfos()
	if sameFile(now[0], c.files[0]) && sameFile(now[1], c.files[1]) {
		return c.pair, nil
	}
	c.files = now
	pair, err := c.read()
	if err != nil {
		c.log.Warn("the changed TLS certificate cannot be used; the one from before goes on", "error", err)
		return c.pair, nil
	}
	c.pair = pair
	c.log.Info("the TLS certificate was read again", "file", c.cert)
	return c.pair, nil
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
