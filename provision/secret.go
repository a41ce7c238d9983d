package provision

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
)

// Sealer keeps credentials that must be sent again unreadable in the database.
// Context binds a sealed value to its place; another context cannot open it.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// SealedSecret is a job's Secret Token as it is stored, with the Tenant URL it
// belongs to.
type SealedSecret struct {
	Key       Key
	TenantURL string
	Sealed    []byte
}

// secretContext binds a Secret Token to its job and to the origin that it may
// be sent to: whoever changes the Tenant URL in the database does not get it
// sent elsewhere.
func secretContext(k Key, tenantURL string) string {
	return unboundContext(k) + "/" + originOf(tenantURL)
}

// unboundContext is the context of secrets sealed before version 13 of the
// database.
func unboundContext(k Key) string { return "provision/secret/" + k.String() }

// originOf returns scheme, host and port of a Tenant URL in one spelling.
func originOf(tenantURL string) string {
	u, err := url.Parse(tenantURL)
	if err != nil {
		return tenantURL
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme == "http":
		port = "80"
	}
	return strings.ToLower(u.Scheme) + "://" + strings.ToLower(net.JoinHostPort(u.Hostname(), port))
}

func sameOrigin(a, b string) bool { return originOf(a) == originOf(b) }

// hostOf shows a person where a Tenant URL leads.
func hostOf(tenantURL string) string {
	u, err := url.Parse(tenantURL)
	if err != nil {
		return tenantURL
	}
	return u.Scheme + "://" + u.Host
}

func openSecret(s Sealer, job Job) (string, error) {
	if !job.HasSecret() {
		return "", nil
	}
	plain, err := s.Open(job.SealedSecret, secretContext(job.Key, job.TenantURL))
	if err != nil {
		return "", &TargetError{
			Kind: Credentials, Code: "SystemForCrossDomainIdentityManagementInvalidCredentials", Err: err,
			Detail: "The saved Secret Token cannot be opened with this installation's key for this Tenant URL.",
			Advice: "Start with the key file that was used when it was saved, or save the Secret Token again.",
		}
	}
	return string(plain), nil
}

// Reseal seals every stored Secret Token again, with the sealer's primary key.
// It returns the jobs whose token cannot be opened; those stay as they are.
func (j *Jobs) Reseal(ctx context.Context) (resealed int, lost []Key, err error) {
	return j.reseal(ctx, func(s SealedSecret) ([]byte, error) {
		return j.Sealer.Open(s.Sealed, secretContext(s.Key, s.TenantURL))
	})
}

// BindSecrets seals the Secret Tokens of a database before version 13 again, so
// that each can be sent to the origin of its Tenant URL only. It returns the
// jobs whose token cannot be opened.
func (j *Jobs) BindSecrets(ctx context.Context) (bound int, lost []Key, err error) {
	return j.reseal(ctx, func(s SealedSecret) ([]byte, error) {
		plain, err := j.Sealer.Open(s.Sealed, secretContext(s.Key, s.TenantURL))
		if err == nil {
			return plain, nil // by a run before this one
		}
		return j.Sealer.Open(s.Sealed, unboundContext(s.Key))
	})
}

func (j *Jobs) reseal(ctx context.Context, open func(SealedSecret) ([]byte, error)) (done int, lost []Key, err error) {
	all, err := j.Store.Secrets(ctx)
	if err != nil {
		return 0, nil, err
	}
	for _, old := range all {
		plain, err := open(old)
		if err != nil {
			lost = append(lost, old.Key)
			continue
		}
		sealed, err := j.Sealer.Seal(plain, secretContext(old.Key, old.TenantURL))
		if err != nil {
			return done, lost, fmt.Errorf("seal secret token of %s: %w", old.Key, err)
		}
		switch err := j.Store.ReplaceSecret(ctx, old, sealed); {
		case errors.Is(err, ErrChanged): // somebody has just saved another token, with the keys of now
		case err != nil:
			return done, lost, err
		default:
			done++
		}
	}
	return done, lost, nil
}

// DiscardSecrets removes every stored Secret Token and returns the jobs that
// had one. It is the way out of a lost key: provisioning of these jobs stops
// until somebody enters the token again.
func (j *Jobs) DiscardSecrets(ctx context.Context, actor string) ([]Key, error) {
	all, err := j.Store.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	var discarded []Key
	for _, s := range all {
		_, err := j.change(ctx, s.Key, actor, event.ProvisioningSecretDiscarded, func(job *Job) (string, error) {
			job.SealedSecret = nil
			job.TryNow++
			return "The Secret Token was discarded because the key that sealed it is lost.", nil
		})
		if err != nil {
			return discarded, err
		}
		discarded = append(discarded, s.Key)
	}
	return discarded, nil
}

// CountOpen returns how many of the stored Secret Tokens this installation's
// key opens.
func (j *Jobs) CountOpen(ctx context.Context) (opens, sealed int, err error) {
	all, err := j.Store.Secrets(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, s := range all {
		if _, err := j.Sealer.Open(s.Sealed, secretContext(s.Key, s.TenantURL)); err == nil {
			opens++
		}
	}
	return opens, len(all), nil
}
