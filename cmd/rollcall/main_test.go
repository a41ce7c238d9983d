package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-scim/rollcall/internal/binary"
	"github.com/rollcall-scim/rollcall/internal/mailbox"
	"github.com/rollcall-scim/rollcall/internal/openidtest"
	"github.com/rollcall-scim/rollcall/operator"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"rollcall": main})
}

// cleaning removes the binary after the tests have run.
type cleaning struct{ m *testing.M }

func (c cleaning) Run() int { return max(c.m.Run(), binary.Clean()) }

// TestScript runs the scripts in testdata/script. They have the commands that an administrator
// types, and the expected output.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts("testdata/script", mailbox.New(t, mailbox.Options{}), providerForScripts(t)))
}

// scripts returns how scripts run: without the environment variables of the person who runs the
// tests, and with some additional commands. "rollcall" is the real binary without the race
// detector. A command does one step after the other, so the detector would find nothing, and it
// makes the start five times slower. A server does many things at the same time. So "serve" runs
// the binary of this test, with the detector if the tests run with it.
func scripts(dir string, box *mailbox.Server, op *openidtest.Provider) testscript.Params {
	hooks := newHookServer()
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			built, err := binary.Build()
			if err != nil {
				return err
			}
			env.Setenv("PATH", filepath.Dir(built)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("TZ", "UTC")
			env.Setenv("MAILSERVER", box.Addr)
			env.Setenv("HOOKS", hooks.URL)
			env.Setenv("PROVIDER", op.Issuer)
			for _, name := range environment() {
				env.Setenv(name, "")
			}
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serveInScript, "get": getInScript, "post": postInScript, "until": untilInScript, "save": saveInScript, "certificate": certificateInScript,
			"hook":     func(ts *testscript.TestScript, neg bool, args []string) { hookInScript(ts, neg, args, hooks) },
			"mail":     func(ts *testscript.TestScript, neg bool, args []string) { mailInScript(ts, neg, args, box) },
			"signin":   func(ts *testscript.TestScript, neg bool, args []string) { signInInScript(ts, neg, args, op) },
			"rootonly": rootOnlyInScript, "schema": schemaInScript,
		},
		UpdateScripts: os.Getenv("ROLLCALL_UPDATE_SCRIPTS") == "1",
	}
}

// environment returns the variables that commands read.
func environment() []string {
	return []string{
		"ROLLCALL_DATABASE", "ROLLCALL_KEY_FILE", "ROLLCALL_PUBLIC_URL", "ROLLCALL_LISTEN", "ROLLCALL_LOG",
		"ROLLCALL_TLS_CERT", "ROLLCALL_TLS_KEY", "ROLLCALL_ALLOW_PRIVATE_TARGETS", "ROLLCALL_SMTP_URL", "ROLLCALL_MAIL_FROM",
		"ROLLCALL_OPERATOR_ISSUER", "ROLLCALL_OPERATOR_CLIENT_ID", "ROLLCALL_OPERATOR_CLIENT_SECRET", "ROLLCALL_OPERATOR_CLIENT_SECRET_FILE",
	}
}

// serveInScript implements the command "serve [FLAG...]" of scripts. It starts a server, which runs
// until the script ends or until "serve stop". Without --listen, the server gets a free port. $URL
// is its address. Its output is in serve.stdout and serve.log.
func serveInScript(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 1 && args[0] == "stop" {
		stopServer(ts)
		return
	}
	if !strings.Contains(strings.Join(args, " "), "--listen") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	cmd := exec.Command("rollcall", append([]string{"serve", "--log", "json"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "TZ=UTC", "HOME="+ts.Getenv("HOME"), "GORACE=atexit_sleep_ms=0")
	for _, name := range environment() {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	stdout, err := os.Create(ts.MkAbs("serve.stdout"))
	ts.Check(err)
	cmd.Stdout = stdout
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Check(stdout.Close())
	address, ended := make(chan string, 1), make(chan error, 1)
	log, err := os.Create(ts.MkAbs("serve.log"))
	ts.Check(err)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(stderr, log))
		for lines.Scan() {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
				address <- line.Address
			}
		}
		close(address)
		ended <- errors.Join(cmd.Wait(), log.Close())
	}()
	at, ok := <-address
	if ok == neg {
		ts.Fatalf("serve %s: it serves: %v; see serve.log:\n%s", strings.Join(args, " "), ok, ts.ReadFile("serve.log"))
	}
	if !ok {
		<-ended
		return
	}
	scheme := "http"
	if strings.Contains(strings.Join(args, " "), "--tls-cert") {
		scheme = "https"
	}
	ts.Setenv("URL", scheme+"://"+at)
	servers.Store(ts, func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			ts.Logf("stop the server: %v", err)
		}
		// If the race detector has found something, the server ends with an exit code other than 0.
		if err := <-ended; err != nil {
			ts.Fatalf("serve ended: %v; see serve.log:\n%s", err, ts.ReadFile("serve.log"))
		}
	})
	ts.Defer(func() { stopServer(ts) })
}

// getInScript implements the command "get URL [NAME:VALUE...]" of scripts. It sends a GET with
// these headers, and prints the status, the headers and the body of the answer.
func getInScript(ts *testscript.TestScript, neg bool, args []string) {
	askInScript(ts, neg, http.MethodGet, args)
}

// postInScript implements the command "post URL [NAME:VALUE...]" of scripts. It is like "get", but
// sends a form without fields.
func postInScript(ts *testscript.TestScript, neg bool, args []string) {
	askInScript(ts, neg, http.MethodPost, args)
}

func askInScript(ts *testscript.TestScript, neg bool, method string, args []string) {
	req, err := http.NewRequest(method, args[0], nil)
	ts.Check(err)
	for _, h := range args[1:] {
		name, value, _ := strings.Cut(h, ":")
		req.Header.Set(name, strings.TrimSpace(value))
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: transport()}
	resp, err := client.Do(req)
	if (err != nil) != neg {
		ts.Fatalf("get %s: %v", args[0], err)
	}
	if err != nil {
		return
	}
	defer resp.Body.Close()
	ts.Check(resp.Write(ts.Stdout()))
}

// untilInScript implements the command "until PATTERN COMMAND..." of scripts. It repeats the
// command until the output matches, because a server works in the background.
func untilInScript(ts *testscript.TestScript, neg bool, args []string) {
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		err := ts.Exec(args[1], args[2:]...)
		out = ts.ReadFile("stdout")
		if err == nil && pattern.MatchString(out) {
			return
		}
	}
	if !neg {
		ts.Fatalf("%s never printed %q; at last:\n%s", strings.Join(args[1:], " "), args[0], out)
	}
}

// mailInScript implements the command "mail ADDRESS PATTERN" of scripts. It waits until the mail
// server at $MAILSERVER has received a matching mail for the address. The pattern is compared with
// the subject, an empty line and the text. With "!", no mail for the address may match now.
func mailInScript(ts *testscript.TestScript, neg bool, args []string, box *mailbox.Server) {
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var all []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		all = nil
		for _, m := range box.Mails() {
			subject, err := m.Subject()
			ts.Check(err)
			if slices.Contains(m.To, args[0]) {
				all = append(all, subject+"\n\n"+m.Text)
			}
		}
		found := slices.ContainsFunc(all, pattern.MatchString)
		switch {
		case found && neg:
			ts.Fatalf("a mail for %s matches %q", args[0], args[1])
		case found || neg:
			return
		}
	}
	ts.Fatalf("no mail for %s matches %q:\n%s", args[0], args[1], strings.Join(all, "\n---\n"))
}

// providerForScripts starts the OpenID provider at $PROVIDER. It has two people. Its client is the
// sign-in of operators of https://people.example.com.
func providerForScripts(t *testing.T) *openidtest.Provider {
	t.Helper()
	op := openidtest.New(t)
	op.AddClient("operators", "very-secret", "https://people.example.com"+operator.CallbackPath)
	op.AddUser(openidtest.User{ID: "sam-1", Name: "sam", Email: "sam@corp.example"})
	op.AddUser(openidtest.User{ID: "lee-1", Name: "lee", Email: "lee@corp.example"})
	return op
}

// signInInScript implements the command "signin ADDRESS NAME" of scripts. ADDRESS leads to the
// provider, where the command signs a person in. The provider redirects with its answer. The
// command prints the path and the query of the address of this redirect.
func signInInScript(ts *testscript.TestScript, _ bool, args []string, op *openidtest.Provider) {
	back, err := op.TrySignIn(context.Background(), args[0], args[1])
	ts.Check(err)
	_, err = ts.Stdout().Write([]byte(back.RequestURI() + "\n"))
	ts.Check(err)
}

// saveInScript implements the command "save NAME [PATTERN]" of scripts. It puts the output of the
// last command into a variable, or the part of the output that the pattern has in brackets.
func saveInScript(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) > 1 {
		m := regexp.MustCompile(args[1]).FindStringSubmatch(text)
		if m == nil {
			ts.Fatalf("%q does not match %q", text, args[1])
		}
		text = m[1]
	}
	ts.Setenv(args[0], text)
}

// certificateInScript implements the command "certificate CERT KEY" of scripts. It makes a
// self-signed certificate.
func certificateInScript(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	cert, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// servers holds a function for each running script that stops its server.
var servers sync.Map

func stopServer(ts *testscript.TestScript) {
	if stop, ok := servers.LoadAndDelete(ts); ok {
		stop.(func())()
	}
}

// transport accepts every certificate, because scripts make their own certificates.
func transport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
}
