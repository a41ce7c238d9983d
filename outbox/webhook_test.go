package outbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/notification"
	"github.com/rollcall-scim/rollcall/outbox"
)

// takeWebhook answers 204 if Rollcall has signed the request, and 401 if not.
func takeWebhook(secret string, do func(body []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the request cannot be read", http.StatusBadRequest)
			return
		}
		check, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			http.Error(w, "the secret is wrong", http.StatusInternalServerError)
			return
		}
		if err := check.Verify(body, r.Header); err != nil {
			http.Error(w, "not signed by Rollcall", http.StatusUnauthorized)
			return
		}
		do(body)
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestTheExamplesOfTheDocsVerify runs the examples in docs/webhooks.md against a real request.
func TestTheExamplesOfTheDocsVerify(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("webhook_test.go")
	if err != nil {
		t.Fatal(err)
	}
	example := cutBetween(string(docs), "```go\n", "```")
	if example == "" || !strings.Contains(string(source), example) {
		t.Errorf("docs/webhooks.md has another takeWebhook than this test:\n%s", example)
	}

	const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	var got []byte
	var header http.Header
	take := takeWebhook(secret, func(body []byte) { got = body })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		take(w, r)
	}))
	defer server.Close()
	client := outbox.Webhooks{Client: outbound.New(outbound.Options{AllowLoopback: true})}
	post := notification.Post{ID: "msg_1", URL: server.URL, Time: time.Now(), Body: []byte(`{"type":"test"}`), Secrets: []string{secret}}
	if a, err := client.Post(t.Context(), post); err != nil || a.Status != http.StatusNoContent || string(got) != string(post.Body) {
		t.Errorf("got %+v, %v; the endpoint has %q", a, err, got)
	}
	forged := post
	forged.Secrets = []string{"whsec_b3RoZXIga2V5IG9mIHNvbWVib2R5IGVsc2UgMDEyMzQ="}
	if a, err := client.Post(t.Context(), forged); err != nil || a.Status != http.StatusUnauthorized {
		t.Errorf("with another secret: got %+v, %v", a, err)
	}

	if a, err := client.Post(t.Context(), post); err != nil || a.Status != http.StatusNoContent {
		t.Fatalf("got %+v, %v", a, err)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", cutBetween(string(docs), "```text\n", "```"))
	shell.Env = append(os.Environ(), "SECRET="+secret, "WEBHOOK_ID="+header.Get("webhook-id"), "WEBHOOK_TIMESTAMP="+header.Get("webhook-timestamp"), "BODY="+string(post.Body))
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("there is no openssl here, so the shell example was not run")
		return
	}
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(header.Get("webhook-signature"), "v1,"); strings.TrimSpace(string(out)) != want {
		t.Errorf("the shell example makes %q, want %q", out, want)
	}
}

// cutBetween returns the text between two marks.
func cutBetween(text, begin, end string) string {
	_, after, _ := strings.Cut(text, begin)
	inside, _, _ := strings.Cut(after, end)
	return inside
}
