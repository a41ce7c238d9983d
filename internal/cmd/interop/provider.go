package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// identityProvider is an identity provider that another project wrote.
type identityProvider struct {
	name        string // also the name of the site that it signs people in to
	description string // what it is, for the report
	openID      bool   // whether it speaks OpenID Connect; otherwise it speaks SAML
	// start installs the identity provider into the folder dir and starts it.
	start func(ctx context.Context, dir string) (*runningProvider, error)
}

// runningProvider is a running identity provider.
type runningProvider struct {
	software string          // the software and its version
	dir      string          // the folder with its files
	base     string          // its address, without a slash at the end
	metadata string          // the address of its metadata
	entityID string          // its SAML entity id; empty for an OpenID provider
	process  *binary.Process // its process

	signInStart  string // the address that starts a sign-in at the identity provider; %s is the site's entity id
	signOutStart string // the address that starts a sign-out at the identity provider
}

// identityProviders returns the identity providers, in the order of the report.
func identityProviders() []identityProvider {
	return []identityProvider{
		{name: "simplesamlphp", description: "SimpleSAMLphp, from Debian", start: startSimpleSAMLphp},
		{name: "samlp", description: "samlp (Auth0) behind a small sign-in page, from npm", start: startSamlp},
		{name: "oidc-provider", description: "oidc-provider, a certified OpenID provider, from npm", openID: true, start: startOpenIDProvider},
	}
}

// employee is a person with an account at the identity providers.
type employee struct {
	ID         string `json:"id"` // the user identifier, by which the person also signs in at the identity provider
	Password   string `json:"password"`
	Name       string `json:"name"` // the user name at the site, which is also the display name
	Email      string `json:"email"`
	Title      string `json:"title"`
	Department string `json:"department"`
}

// These are all employees. The site creates the accounts of Ada and Alan at their first sign-in,
// and SCIM creates the account of Grace before hers. Kim is the administrator of the site.
var (
	ada   = employee{"ada-0001", "ada-secret", "ada@contoso.example", "ada.lovelace@contoso.example", "Head of Research", "Research & <Development>"}
	grace = employee{"grace-0002", "grace-secret", "grace@contoso.example", "grace.hopper@contoso.example", "Rear Admiral", "Größe"}
	alan  = employee{"alan-0003", "alan-secret", "alan@contoso.example", "alan.turing@contoso.example", "", ""}
	kim   = employee{"kim-0004", "kim-secret", "kim@contoso.example", "kim@contoso.example", "", ""}
)

// writeJSON writes a file that an identity provider reads.
func writeJSON(dir, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o600)
}

// writeProviderFiles writes the files that every identity provider reads: its people, its key with
// a certificate, and its options.
func writeProviderFiles(dir string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "interop"},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "cert"), 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert", "idp.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "cert", "idp.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
		writeJSON(dir, "people.json", []employee{ada, grace, alan, kim}),
		writeJSON(dir, "options.json", samlOptions{SignAssertion: true}),
	)
}

// samlOptions say how a SAML identity provider sends its messages.
type samlOptions struct {
	SignResponse          bool `json:"signResponse"`          // whether to sign the whole response
	SignAssertion         bool `json:"signAssertion"`         // whether to sign the assertion in the response
	Encrypt               bool `json:"encrypt"`               // whether to encrypt the assertion
	RequireSignedRequests bool `json:"requireSignedRequests"` // whether to refuse requests without a signature
	SignOutByPost         bool `json:"signOutByPost"`         // whether to send messages about a sign-out by POST instead of by redirect
}

// setOptions changes the options of a SAML identity provider, from the next request on.
func (p *runningProvider) setOptions(o samlOptions) error { return writeJSON(p.dir, "options.json", o) }

// simpleSAMLphpFiles has the configuration files of SimpleSAMLphp.
//
//go:embed servers/simplesamlphp.txtar
var simpleSAMLphpFiles []byte

// startSimpleSAMLphp unpacks Debian's package of SimpleSAMLphp and starts it with the web server
// that PHP contains.
func startSimpleSAMLphp(ctx context.Context, dir string) (*runningProvider, error) {
	if err := foreign.InstallDebianPackages(ctx, "php-cli", "php-xml", "php-mbstring", "php-curl"); err != nil {
		return nil, err
	}
	version, err := foreign.UnpackDebianPackage(ctx, dir, "simplesamlphp")
	if err != nil {
		return nil, err
	}
	for _, f := range txtar.Parse(simpleSAMLphpFiles).Files {
		path := filepath.Join(dir, f.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, f.Data, 0o600)); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"log", "data", "temp", "session"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	p := &runningProvider{software: "SimpleSAMLphp " + version, dir: dir}
	err = p.startOnFreePort(ctx, "/saml2/idp/metadata.php", func(port string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "php", "-S", "127.0.0.1:"+port, "-t", filepath.Join(dir, "usr/share/simplesamlphp/www"))
		cmd.Env = append(os.Environ(), "SIMPLESAMLPHP_CONFIG_DIR="+filepath.Join(dir, "config"), "INTEROP_DIR="+dir,
			"INTEROP_BASE=http://127.0.0.1:"+port, "INTEROP_MAPS="+filepath.Join(dir, "etc/simplesamlphp/attributemap"))
		return cmd
	})
	p.entityID = p.base + "/idp"
	p.signInStart = p.base + "/saml2/idp/SSOService.php?spentityid=%s"
	p.signOutStart = p.base + "/saml2/idp/SingleLogoutService.php?ReturnTo=" + p.base + "/logout.php"
	return p, err
}

// samlpProgram is our small identity provider that uses samlp.
//
//go:embed servers/samlp.cjs
var samlpProgram []byte

// startSamlp installs samlp and starts servers/samlp.cjs, which uses it.
func startSamlp(ctx context.Context, dir string) (*runningProvider, error) {
	p, err := startNodeProvider(ctx, dir, "samlp", "samlp.cjs", samlpProgram, "/metadata", "express@4")
	if err != nil {
		return p, err
	}
	p.entityID, p.signInStart, p.signOutStart = p.base+"/idp", p.base+"/start", p.base+"/sign-out"
	return p, nil
}

// openIDProviderProgram is our small OpenID provider that uses oidc-provider.
//
//go:embed servers/oidc-provider.mjs
var openIDProviderProgram []byte

// startOpenIDProvider installs oidc-provider and starts servers/oidc-provider.mjs, which uses it.
func startOpenIDProvider(ctx context.Context, dir string) (*runningProvider, error) {
	return startNodeProvider(ctx, dir, "oidc-provider", "oidc-provider.mjs", openIDProviderProgram, "/.well-known/openid-configuration")
}

// startNodeProvider installs the npm package with this name, and the packages others. Then it
// starts a program that uses them. file is the name of the file that gets the program. metadata is
// the path of the identity provider's metadata.
func startNodeProvider(ctx context.Context, dir, name, file string, program []byte, metadata string, others ...string) (*runningProvider, error) {
	if err := foreign.InstallNPMPackages(ctx, dir, append(others, name)...); err != nil {
		return nil, err
	}
	version, err := foreign.NPMPackageVersion(dir, name)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, file), program, 0o600); err != nil {
		return nil, err
	}
	p := &runningProvider{software: name + " " + version, dir: dir}
	return p, p.startOnFreePort(ctx, metadata, func(port string) *exec.Cmd {
		return exec.CommandContext(ctx, "node", filepath.Join(dir, file), port, dir)
	})
}

// startOnFreePort starts the identity provider on a free port and waits until it shows its
// metadata. metadata is the path of the metadata.
func (p *runningProvider) startOnFreePort(ctx context.Context, metadata string, command func(port string) *exec.Cmd) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	if err := ln.Close(); err != nil {
		return err
	}
	p.base = "http://127.0.0.1:" + port
	p.metadata = p.base + metadata
	if p.process, err = binary.Start(command(port), p.software, filepath.Join(p.dir, "output")); err != nil {
		return err
	}
	err = p.process.Await(ctx, time.Minute, "answer", func([]byte) bool {
		got, err := newBrowser().open(ctx, p.metadata)
		return err == nil && got.status == http.StatusOK
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.software, err), p.process.Stop())
	}
	return nil
}

// startAddress returns the address that starts a sign-in at the identity provider to the site with
// this entity id.
func (p *runningProvider) startAddress(entityID string) string {
	return strings.Replace(p.signInStart, "%s", entityID, 1)
}
