package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/notification"
)

// maxAnswerBytes is the largest number of bytes that Post reads of an endpoint's answer.
const maxAnswerBytes = 2000

// Webhooks sends signed requests to endpoints, in the form of Standard Webhooks. It implements
// notification.Poster.
type Webhooks struct {
	// Client sends the requests. outbound.New makes it, so it refuses addresses that must not be
	// called, and follows no redirects.
	Client *http.Client
}

// CheckURL returns an error if Post must not send requests to the URL.
func (Webhooks) CheckURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("the URL cannot be read")
	}
	return outbound.CheckURL(u)
}

// Post sends the body of p, signed with each of its secrets, and returns the endpoint's answer. Its
// errors are sentences for administrators.
func (s Webhooks) Post(ctx context.Context, p notification.Post) (notification.PostAnswer, error) {
	signature, err := sign(p)
	if err != nil {
		return notification.PostAnswer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return notification.PostAnswer{}, fmt.Errorf("the endpoint was not called: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Rollcall")
	r.Header.Set(standardwebhooks.HeaderWebhookID, p.ID)
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(p.Time.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := s.Client.Do(r)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // without the URL, which may contain a secret
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("it did not answer in time")
		}
		return notification.PostAnswer{}, fmt.Errorf("the endpoint took nothing: %w", err)
	}
	defer resp.Body.Close()
	answer := notification.PostAnswer{Status: resp.StatusCode}
	if resp.StatusCode >= 300 && resp.StatusCode <= 399 {
		answer.Text = "Redirects are not followed; enter the address to which this one leads."
		return answer, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil && len(text) == 0 && resp.StatusCode > 299 {
		text = []byte("The answer was cut off.")
	}
	answer.Text = withoutSecrets(strings.ToValidUTF8(string(text), "\ufffd"), append(p.Secrets, signature)...)
	return answer, nil
}

// sign returns one signature for each secret of a request, with spaces between the signatures.
func sign(p notification.Post) (string, error) {
	var all []string
	for _, secret := range p.Secrets {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", errors.New("the stored secret of the webhook cannot be read; rotate it")
		}
		one, err := w.Sign(p.ID, p.Time.Truncate(time.Second), p.Body)
		if err != nil {
			return "", fmt.Errorf("sign a webhook: %w", err)
		}
		all = append(all, one)
	}
	return strings.Join(all, " "), nil
}

// withoutSecrets removes secrets from an endpoint's answer. An answer may contain them, because
// some endpoints repeat the request.
func withoutSecrets(text string, secrets ...string) string {
	for _, s := range secrets {
		for part := range strings.SplitSeq(s, " ") {
			text = strings.ReplaceAll(text, part, "…")
		}
	}
	return text
}
