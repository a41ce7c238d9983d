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

// Sealer encrypts credentials before they are stored in the database. They are encrypted and not
// hashed, because the engine must send them later. Open needs the same context that Seal got. So a
// sealed value that someone copies to another place in the database cannot be opened.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// SealedSecret is a job's stored Secret Token, together with its Tenant URL.
type SealedSecret struct {
	Key       Key
	TenantURL string
	Sealed    []byte
}

// secretContext returns the context of a Secret Token, which names its job and the origin that may
// receive it. So an attacker who changes the Tenant URL in the database cannot make the engine send
// the token elsewhere.
func secretContext(k Key, tenantURL string) string {
	return unboundContext(k) + "/" + originOf(tenantURL)
}

// unboundContext returns the context with which secrets were sealed before version 13 of the
// database.
func unboundContext(k Key) string { return "provision/secret/" + k.String() }

// originOf returns the scheme, host and port of a Tenant URL in a normalized form.
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

// sameOrigin reports whether two Tenant URLs have the same scheme, host and port.
func sameOrigin(a, b string) bool { return originOf(a) == originOf(b) }

// hostOf returns the scheme and host of a Tenant URL, for display.
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

// Reseal seals every stored Secret Token again with the sealer's primary key. resealed is the
// number of those tokens. lost lists the jobs whose token cannot be opened; these tokens stay as
// they are.
func (j *Jobs) Reseal(ctx context.Context) (resealed int, lost []Key, err error) {
	return j.reseal(ctx, func(s SealedSecret) ([]byte, error) {
		return j.Sealer.Open(s.Sealed, secretContext(s.Key, s.TenantURL))
	})
}

// BindSecrets seals again the Secret Tokens of a database from before version 13, so that each can
// be sent only to the origin of its Tenant URL. lost lists the jobs whose token cannot be opened.
func (j *Jobs) BindSecrets(ctx context.Context) (bound int, lost []Key, err error) {
	return j.reseal(ctx, func(s SealedSecret) ([]byte, error) {
		plain, err := j.Sealer.Open(s.Sealed, secretContext(s.Key, s.TenantURL))
		if err == nil {
			return plain, nil // an earlier call has already bound this token
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
		case errors.Is(err, ErrChanged): // another token has just been saved, sealed with the current keys
		case err != nil:
			return done, lost, err
		default:
			done++
		}
	}
	return done, lost, nil
}

// DiscardSecrets removes every stored Secret Token and returns the jobs that had one. It is needed
// after the key was lost. The jobs cannot provision until an administrator enters the token again.
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

// CountOpen counts the stored Secret Tokens. sealed is their number; opens is how many of them can
// be opened with this installation's key.
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
