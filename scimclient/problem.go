package scimclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/internal/outbound"
	"github.com/rollcall-scim/rollcall/internal/redact"
	"github.com/rollcall-scim/rollcall/provision"
)

// Entra's error codes for problems with the connection.
const (
	codeCredentials  = "SystemForCrossDomainIdentityManagementInvalidCredentials"
	codeIncompatible = "SystemForCrossDomainIdentityManagementServiceIncompatible"
	codeProtocol     = "WebExceptionProtocolError"
	codeTimeout      = "Timeout"
	codeDuplicate    = "DuplicateTargetEntries"
)

// maxRetryAfter is the longest wait that an application may ask for. After this time the job tries
// again, even if the application asked for longer.
const maxRetryAfter = 6 * time.Hour

// toError converts an unsuccessful answer to an error. The kind of the error follows Entra's
// reaction to the status. Detail is the application's own description of the error, if it sent one.
func (a answer) toError() *provision.TargetError {
	body := a.scimError()
	te := &provision.TargetError{Status: a.status, Request: a.request, RetryAfter: a.retryAfter, Detail: a.errorDetail(body.Detail)}
	switch s := a.status; {
	case s == http.StatusBadRequest && strings.EqualFold(body.ScimType, "uniqueness"), s == http.StatusConflict:
		te.Kind, te.Code = provision.Conflict, "EntryConflict"
		te.Advice = "Another account at the application has one of these values. Correct that account, or the person in the directory."
	case s == http.StatusUnauthorized:
		te.Kind, te.Code = provision.Credentials, "Unauthorized"
		te.Advice = "Generate a new token at the application and save it as Secret Token."
	case s == http.StatusForbidden:
		te.Kind, te.Code = provision.Permanent, "InsufficientRights"
		te.Advice = "The application does not let this token do this. Read its message and correct it there."
	case s == http.StatusNotFound && a.isAboutOneObject() && (a.isError() || len(a.trimmedBody()) == 0):
		te.Kind, te.Code = provision.NotFound, "InvalidAnchor"
		te.Advice = "The account no longer exists. It is looked for by its matching attributes."
	case s == http.StatusNotFound && a.isAboutOneObject():
		// A proxy in front of the application may have answered with this 404, or the application
		// while it was being deployed.
		te.Kind, te.Code = provision.Transient, "NotFoundWithoutProof"
		te.Advice = "This is not the SCIM answer for an account that is gone, so the account is kept and this is tried again."
	case s == http.StatusNotFound && a.isError():
		te.Kind, te.Code = provision.Incompatible, codeIncompatible
		te.Advice = "Check the path of the Tenant URL: it ends where /Users begins. If the path is right, the application answers 404 to a search that finds no account; it must answer 200 with an empty list."
	case s == http.StatusNotFound:
		te.Kind, te.Code = provision.Incompatible, codeIncompatible
		te.Advice = "Check the path of the Tenant URL: it ends where /Users begins."
	case s == http.StatusMethodNotAllowed:
		te.Kind, te.Code = provision.Permanent, "MethodNotAllowed"
		te.Advice = "The application does not support this. Untick the matching Target Object Action."
	case s == http.StatusRequestTimeout:
		te.Kind, te.Code, te.Sent = provision.Transient, codeTimeout, true
	case s == http.StatusServiceUnavailable && a.retryAfter > 0 && strings.HasPrefix(a.request, http.MethodPost):
		// A gateway may have sent this answer after the application received the create. So the
		// account is looked for before the create is sent again.
		te.Kind, te.Code, te.Sent = provision.Throttled, "InternalServerError", true
		te.Advice = "The account is looked for, and then this is tried again."
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable && a.retryAfter > 0:
		te.Kind, te.Code = provision.Throttled, "TooManyRequests"
	case s == http.StatusNotImplemented:
		te.Kind, te.Code = provision.Permanent, "NotImplemented"
		te.Advice = "The application does not support this. Untick the matching Target Object Action."
	case s == http.StatusBadGateway, s == http.StatusGatewayTimeout:
		// A gateway in front of the application gave up waiting for its answer.
		te.Kind, te.Code, te.Sent = provision.Transient, codeTimeout, true
		te.Advice = "This is tried again. If it stays so, the application is overloaded or down."
	case s >= 500:
		te.Kind, te.Code, te.Sent = provision.Transient, "InternalServerError", true
		te.Advice = "The application has a problem of its own. This is tried again."
	case s >= 300 && s < 400:
		te.Kind, te.Code = provision.Incompatible, codeIncompatible
		te.Detail, te.Advice = a.explainRedirect()
	default:
		te.Kind, te.Code = provision.Permanent, "UnprocessableEntity"
		te.Advice = "The application refuses these values. Correct the person in the directory or the mapping."
	}
	return te
}

// isAboutOneObject reports whether the request was about one account or group, so that its path
// contains an id.
func (a answer) isAboutOneObject() bool {
	return strings.Contains(a.request, " /Users/") || strings.Contains(a.request, " /Groups/")
}

// scimError holds the members of an error in the form of RFC 7644 §3.12.
type scimError struct {
	ScimType string `json:"scimType"`
	Detail   string `json:"detail"`
}

// scimError decodes a body with an error. It accepts the form of RFC 7644 §3.12 and some other
// common forms. If the body has none of these, the fields are empty.
func (a answer) scimError() scimError {
	var fields map[string]any
	if json.Unmarshal(a.body, &fields) != nil {
		return scimError{}
	}
	var e scimError
	e.ScimType, _ = fields["scimType"].(string)
	for _, name := range []string{"detail", "message", "error_description", "error"} {
		if text, ok := fields[name].(string); ok && strings.TrimSpace(text) != "" {
			e.Detail = text
			break
		}
	}
	return e
}

// errorDetail returns a description of the error. said is the application's own description; if it
// is empty, errorDetail describes the status.
func (a answer) errorDetail(said string) string {
	if said != "" {
		return withFullStop(shorten(redact.Tokens(said), 1000))
	}
	text := fmt.Sprintf("The application answered %d %s", a.status, http.StatusText(a.status))
	if kind := a.header.Get("Content-Type"); strings.Contains(kind, "html") {
		return text + " with a web page instead of SCIM."
	}
	return text + "."
}

// notSCIMError is the error for a successful answer that is not valid SCIM. what is the end of a
// sentence that begins with "The application".
func (a answer) notSCIMError(what string) *provision.TargetError {
	detail := "The application " + what + "."
	if kind := a.header.Get("Content-Type"); strings.Contains(kind, "html") {
		detail = "The application answered with a web page instead of SCIM."
	}
	return &provision.TargetError{
		Kind: provision.Incompatible, Code: codeIncompatible, Status: a.status, Request: a.request, Detail: detail,
		Advice: "Check that the Tenant URL is the address of a SCIM 2.0 endpoint.",
	}
}

// unreadableError is the error for an answer whose body broke off or was too large.
func unreadableError(request string, status int, err error) *provision.TargetError {
	if errors.Is(err, outbound.ErrTooLarge) {
		return &provision.TargetError{
			Kind: provision.Incompatible, Code: codeIncompatible, Status: status, Request: request, Sent: true, Err: err,
			Detail: "The application's answer is larger than allowed.",
			Advice: "Check that the Tenant URL is the address of a SCIM 2.0 endpoint.",
		}
	}
	return unreachableError(request, err)
}

// unreachableError is the error for a request that got no complete answer. Its detail and advice
// are for the administrator who entered the Tenant URL.
func unreachableError(request string, err error) *provision.TargetError {
	te := &provision.TargetError{Kind: provision.Unreachable, Code: codeProtocol, Request: request, Err: err}
	var (
		blocked  *outbound.BlockedError
		dns      *net.DNSError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		op       *net.OpError
		network  net.Error
	)
	switch {
	case errors.As(err, &blocked):
		te.Detail = "The Tenant URL cannot be called: " + withFullStop(blocked.Error())
		te.Advice = "Enter the public https address of the application."
	case errors.As(err, &dns) && dns.IsNotFound:
		te.Detail = fmt.Sprintf("There is no host named %s.", dns.Name)
		te.Advice = "Check the Tenant URL for a typing error."
	case errors.As(err, &dns):
		te.Detail = fmt.Sprintf("The name %s could not be looked up.", dns.Name)
		te.Advice = "Check this machine's name resolution; this is tried again."
	case errors.As(err, &hostname):
		te.Detail = fmt.Sprintf("The application's certificate is not for %s.", hostname.Host)
		te.Advice = "Use the host name that the certificate names, or install the right certificate at the application."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		te.Detail = "The application's certificate has expired or is not valid yet."
		te.Advice = "Renew it at the application, or correct this machine's clock."
	case errors.As(err, &unknown), errors.As(err, &verify), errors.As(err, &invalid):
		te.Detail = "The application's certificate is not signed by an authority this machine trusts."
		te.Advice = "Install a certificate of a public authority at the application, or add its authority to this machine."
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		te.Detail = "The application does not speak TLS at this address."
		te.Advice = "Check the port in the Tenant URL."
	case errors.Is(err, syscall.ECONNREFUSED):
		te.Detail = "Nothing accepts connections at this address (connection refused)."
		te.Advice = "Check host and port of the Tenant URL, and that the application is running."
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		te.Detail = "The application could not be reached in time."
		te.Advice = "Check host and port of the Tenant URL, and firewalls on the way."
	case errors.Is(err, context.Canceled):
		te.Kind, te.Sent = provision.Transient, true
		te.Detail = "The request was given up before an answer came."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		te.Kind, te.Code, te.Sent = provision.Transient, codeTimeout, true
		te.Detail = "The application did not answer in time."
		te.Advice = "This is tried again. If it stays so, the application is overloaded."
	case errors.As(err, &op) && op.Op == "dial":
		te.Detail = "The application could not be reached: " + withFullStop(op.Err.Error())
		te.Advice = "Check host and port of the Tenant URL, and this machine's network."
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		te.Kind, te.Sent = provision.Transient, true
		te.Detail = "The connection broke off before the application's answer was complete."
		te.Advice = "This is tried again."
	default:
		te.Kind, te.Sent = provision.Transient, true
		te.Detail = "The request did not work: " + withFullStop(withoutURL(err).Error())
		te.Advice = "This is tried again."
	}
	return te
}

// withoutURL removes the URL from an error, because the filter in the URL contains personal data.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// explainTestError rewrites an error of the connection test for the setup form. The result uses the
// labels of the form, and Entra's code for refused credentials.
func explainTestError(err error) error {
	var te *provision.TargetError
	if !errors.As(err, &te) {
		return err
	}
	e := *te
	switch {
	case e.Status == http.StatusUnauthorized:
		e.Code = codeCredentials
		e.Detail = "The application refused the Secret Token. It said: " + e.Detail
		e.Advice = "Generate a new token at the application and paste it as Secret Token."
	case e.Status == http.StatusForbidden:
		e.Kind, e.Code = provision.Credentials, codeCredentials
		e.Detail = "The application knows the Secret Token but does not allow SCIM with it. It said: " + e.Detail
		e.Advice = "Switch on Enable SCIM at the application, and check what the token may do."
	case e.Status == http.StatusNotFound:
		e.Detail = "Nothing answers SCIM at this Tenant URL (404). It said: " + e.Detail
	}
	return &e
}

// parseRetryAfter parses the Retry-After header: whole or decimal seconds, or a date. It returns 0
// if the header is missing or invalid, and at most maxRetryAfter. RFC 9110 §10.2.3 defines whole
// seconds and dates; some servers send decimals.
func parseRetryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(seconds) || seconds <= 0 {
			return 0
		}
		d = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}

// withFullStop trims a string and adds a full stop unless it already ends with punctuation.
func withFullStop(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

// shorten returns at most limit bytes from the beginning of a string that an application sent. It
// splits no character, and adds "…" if it cut anything. It also replaces characters that cannot be
// stored.
func shorten(s string, limit int) string {
	s = withoutNUL(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
