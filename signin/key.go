package signin

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/saml"
	"github.com/rollcall-scim/rollcall/site"
)

// Each site may have its own SAML key. The site signs its requests with the key, and identity
// providers encrypt assertions for it. A key is replaced in three steps (a rotation), so that no
// sign-in fails meanwhile:
//
//	MakeKey       adds a new key to the metadata; it can decrypt, but the previous key still signs
//	UseKey        makes the new key sign; the previous key leaves the metadata, but can still decrypt
//	RemoveOldKey  removes the previous key

// KeyState says what a key of a site is used for.
type KeyState string

// The states of a key. A key decrypts in every state.
const (
	KeyAnnounced KeyState = "announced" // in the metadata, but does not sign yet
	KeyUsed      KeyState = "used"      // in the metadata, and signs
	KeyOld       KeyState = "old"       // no longer in the metadata
)

// SiteKey is a key of a site, without its private part.
type SiteKey struct {
	ID          string
	Certificate *x509.Certificate
	State       KeyState
	Made        time.Time // when the key was made
}

// SealedKey is a key of a site as it is stored, with its private part encrypted ("sealed").
type SealedKey struct {
	SiteKey
	Sealed []byte // the private part
}

// SealedSiteKey is a SealedKey, and the site that it belongs to.
type SealedSiteKey struct {
	Site site.ID
	SealedKey
}

// Sealer encrypts ("seals") secrets such as private keys before they are stored, and decrypts
// ("opens") them. Open needs the same context as Seal. The context names the site and the secret.
// So a sealed key that someone copies to another site cannot be opened.
type Sealer interface {
	Seal(plain []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// KeyStore keeps the keys of sites.
type KeyStore interface {
	// SiteKeys returns the keys of a site, the oldest first.
	SiteKeys(ctx context.Context, id site.ID) ([]SealedKey, error)
	// PutSiteKeys replaces the keys of a site and appends the event. It returns ErrKeysStale if the
	// stored keys and their states differ from before.
	PutSiteKeys(ctx context.Context, id site.ID, before, next []SealedKey, e event.Event) error
	// AllSiteKeys returns the keys of all sites.
	AllSiteKeys(ctx context.Context) ([]SealedSiteKey, error)
	// ReplaceSealedKey stores a key that was sealed again. It does nothing if the stored key
	// differs from old.
	ReplaceSealedKey(ctx context.Context, old SealedSiteKey, sealed []byte) error
}

// Refusals that callers check for.
var (
	// ErrKeysStale is returned if the stored keys are not the ones that were read before.
	ErrKeysStale = refusal.New(refusal.Stale, "", "another person changed the keys of this site meanwhile; nothing was changed").Advise("load the page again").Coded("sso_keys_stale")
	// ErrKeyState is returned for a step of a rotation that does not follow the last one.
	ErrKeyState = refusal.New(refusal.Conflict, "", "this is not the next step of a rotation").Coded("sso_key_state")
)

// keyContext returns the context with which a Sealer seals a private key. It names the site and the
// id of the key.
func keyContext(id site.ID, keyID string) string { return "saml-key/" + string(id) + "/" + keyID }

// SiteKeys returns the keys of a site, the oldest first.
func (s *SingleSignOn) SiteKeys(ctx context.Context, st site.Site) ([]SiteKey, error) {
	sealed, err := s.Store.SiteKeys(ctx, st.ID)
	if err != nil {
		return nil, fmt.Errorf("find the keys: %w", err)
	}
	keys := make([]SiteKey, 0, len(sealed))
	for _, k := range sealed {
		keys = append(keys, k.SiteKey)
	}
	return keys, nil
}

// MakeKey makes a key for the site. The first key of a site has the state KeyUsed, and a second key
// KeyAnnounced. MakeKey returns ErrKeyState if the site has an announced or an old key.
func (s *SingleSignOn) MakeKey(ctx context.Context, st site.Site, actor string) error {
	before, err := s.Store.SiteKeys(ctx, st.ID)
	if err != nil {
		return fmt.Errorf("find the keys: %w", err)
	}
	state := KeyUsed
	switch {
	case hasKey(before, KeyAnnounced):
		return ErrKeyState.Because("a new key is announced already").Advise("give the identity provider this site's metadata, then use the new key")
	case hasKey(before, KeyOld):
		return ErrKeyState.Because("the old key is still there").Advise("remove the old key first")
	case hasKey(before, KeyUsed):
		state = KeyAnnounced
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	pair, err := saml.NewKeyPair("Rollcall "+st.Name, now)
	if err != nil {
		return err
	}
	k := SealedKey{SiteKey: SiteKey{ID: newRequestID()[1:], State: state, Made: now}}
	if k.Certificate, err = x509.ParseCertificate(pair.Certificate); err != nil {
		return fmt.Errorf("read the new certificate: %w", err)
	}
	plain, err := pair.Encode()
	if err != nil {
		return fmt.Errorf("write the new key: %w", err)
	}
	if k.Sealed, err = s.Sealer.Seal(plain, keyContext(st.ID, k.ID)); err != nil {
		return err
	}
	text := "A SAML key was made for this site: " + shortFingerprint(k.Certificate)
	if state == KeyAnnounced {
		text = "A new SAML key was announced for this site: " + shortFingerprint(k.Certificate)
	}
	return s.putKeys(ctx, st, before, append(slices.Clone(before), k), event.SiteSSOKeyMade, actor, text)
}

// UseKey makes the announced key sign. The previous key stays, so that it can still decrypt. UseKey
// returns ErrKeyState if no key is announced.
func (s *SingleSignOn) UseKey(ctx context.Context, st site.Site, actor string) error {
	before, err := s.Store.SiteKeys(ctx, st.ID)
	if err != nil {
		return fmt.Errorf("find the keys: %w", err)
	}
	if !hasKey(before, KeyAnnounced) {
		return ErrKeyState.Because("no new key is announced").Advise("make a new key first")
	}
	next := slices.Clone(before)
	var print string
	for i, k := range next {
		switch k.State {
		case KeyAnnounced:
			next[i].State, print = KeyUsed, shortFingerprint(k.Certificate)
		case KeyUsed:
			next[i].State = KeyOld
		}
	}
	return s.putKeys(ctx, st, before, next, event.SiteSSOKeyUsed, actor, "The new SAML key of this site is used: "+print)
}

// RemoveOldKey removes the previous key. It returns ErrKeyState if there is no previous key.
func (s *SingleSignOn) RemoveOldKey(ctx context.Context, st site.Site, actor string) error {
	before, err := s.Store.SiteKeys(ctx, st.ID)
	if err != nil {
		return fmt.Errorf("find the keys: %w", err)
	}
	at := slices.IndexFunc(before, func(k SealedKey) bool { return k.State == KeyOld })
	if at < 0 {
		return ErrKeyState.Because("there is no old key").Advise("use the new key first")
	}
	next := slices.Delete(slices.Clone(before), at, at+1)
	return s.putKeys(ctx, st, before, next, event.SiteSSOKeyRemoved, actor, "The old SAML key of this site was removed: "+shortFingerprint(before[at].Certificate))
}

// putKeys replaces the keys of a site, and appends an event with this name and text.
func (s *SingleSignOn) putKeys(ctx context.Context, st site.Site, before, next []SealedKey, name, actor, text string) error {
	e := event.Event{
		Time: s.Now(), Scope: event.Site(string(st.ID)), Name: name, Actor: actor, Text: text,
		Data: event.DataOf(nil, event.Changed("keys", describeKeys(before), describeKeys(next))),
	}
	if err := s.Store.PutSiteKeys(ctx, st.ID, before, next, e); err != nil {
		return fmt.Errorf("store the keys: %w", err)
	}
	return nil
}

// describeKeys returns the keys in words, for events: the start of each SHA-256, and the state.
func describeKeys(keys []SealedKey) []string {
	words := []string{}
	for _, k := range keys {
		words = append(words, shortFingerprint(k.Certificate)+" "+string(k.State))
	}
	return words
}

// shortFingerprint returns the start of a certificate's SHA-256.
func shortFingerprint(c *x509.Certificate) string { return saml.Fingerprint(c)[:16] + "…" }

// hasKey reports whether one of the keys has this state.
func hasKey(keys []SealedKey, state KeyState) bool {
	return slices.ContainsFunc(keys, func(k SealedKey) bool { return k.State == state })
}

// ensureKey makes the site's first key if the site has no key.
func (s *SingleSignOn) ensureKey(ctx context.Context, st site.Site, actor string) error {
	keys, err := s.Store.SiteKeys(ctx, st.ID)
	if err != nil || len(keys) > 0 {
		return err
	}
	return s.MakeKey(ctx, st, actor)
}

// PublicServiceProvider returns the site as a SAML service provider, for the site's metadata. The
// result has the certificates of the site's keys, but no private keys. The certificate of the key
// that signs comes first.
func (s *SingleSignOn) PublicServiceProvider(ctx context.Context, st site.Site, c Connection) (saml.ServiceProvider, error) {
	keys, err := s.SiteKeys(ctx, st)
	sp := s.ServiceProvider(st.Name, c)
	for _, k := range keys {
		switch k.State {
		case KeyUsed:
			sp.Keys = slices.Insert(sp.Keys, 0, saml.KeyPair{Certificate: k.Certificate.Raw})
		case KeyAnnounced:
			sp.Keys = append(sp.Keys, saml.KeyPair{Certificate: k.Certificate.Raw})
		}
	}
	return sp, err
}

// privateServiceProvider returns the site as a SAML service provider with private keys. The key
// that signs comes first. privateServiceProvider leaves out keys that cannot be opened, but returns
// an error if the site needs such a key to sign.
func (s *SingleSignOn) privateServiceProvider(ctx context.Context, st site.Site, c Connection) (saml.ServiceProvider, error) {
	sp := s.ServiceProvider(st.Name, c)
	sealed, err := s.Store.SiteKeys(ctx, st.ID)
	if err != nil {
		return sp, fmt.Errorf("find the keys: %w", err)
	}
	for _, k := range sealed {
		pair, err := s.openKey(st.ID, k)
		switch {
		case err != nil && k.State == KeyUsed && (c.SignRequests || c.SignsOut):
			return sp, err
		case err != nil:
		case k.State == KeyUsed:
			sp.Keys = slices.Insert(sp.Keys, 0, pair)
		default:
			sp.Keys = append(sp.Keys, pair)
		}
	}
	return sp, nil
}

// openKey opens a sealed key and returns its key pair. It keeps the pair in memory, because reading
// a private key takes as long as the rest of a sign-in.
func (s *SingleSignOn) openKey(id site.ID, k SealedKey) (saml.KeyPair, error) {
	place := keyContext(id, k.ID)
	if known, ok := s.openedKeys.Load(place); ok {
		if pair := known.(saml.KeyPair); slices.Equal(pair.Certificate, k.Certificate.Raw) {
			return pair, nil
		}
	}
	plain, err := s.Sealer.Open(k.Sealed, place)
	if err != nil {
		return saml.KeyPair{}, fmt.Errorf("open the SAML key of site %s: %w", id, err)
	}
	pair, err := saml.DecodeKeyPair(plain, k.Certificate.Raw)
	if err != nil {
		return saml.KeyPair{}, err
	}
	s.openedKeys.Store(place, pair)
	return pair, nil
}

// ResealKeys seals all keys and client secrets of all sites again, because the sealer has a new key
// of its own. done is how many keys and secrets it has sealed. Those that cannot be opened stay as
// they are; lost lists their sites.
func (s *SingleSignOn) ResealKeys(ctx context.Context) (done int, lost []site.ID, err error) {
	all, err := s.Store.AllSiteKeys(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("find the keys of all sites: %w", err)
	}
	for _, k := range all {
		plain, err := s.Sealer.Open(k.Sealed, keyContext(k.Site, k.ID))
		if err != nil {
			lost = append(lost, k.Site)
			continue
		}
		sealed, err := s.Sealer.Seal(plain, keyContext(k.Site, k.ID))
		if err != nil {
			return done, lost, fmt.Errorf("seal a key of site %s: %w", k.Site, err)
		}
		if err := s.Store.ReplaceSealedKey(ctx, k, sealed); err != nil {
			return done, lost, err
		}
		done++
	}
	secrets, lostSecrets, err := s.resealSecrets(ctx)
	return done + secrets, append(lost, lostSecrets...), err
}

// CountOpenKeys counts the stored keys and client secrets of all sites. sealed is their number;
// opens is how many of them the sealer can open.
func (s *SingleSignOn) CountOpenKeys(ctx context.Context) (opens, sealed int, err error) {
	all, err := s.Store.AllSiteKeys(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("find the keys of all sites: %w", err)
	}
	for _, k := range all {
		if _, err := s.Sealer.Open(k.Sealed, keyContext(k.Site, k.ID)); err == nil {
			opens++
		}
	}
	openSecrets, secrets, err := s.countOpenSecrets(ctx)
	return opens + openSecrets, len(all) + secrets, err
}

// DiscardLostKeys removes the keys and client secrets that cannot be opened after the key file was
// lost. It returns the sites that lost a key, and the sites that lost a client secret. A site that
// signs its requests gets a new key.
func (s *SingleSignOn) DiscardLostKeys(ctx context.Context, actor string) (keys, secrets []string, err error) {
	if keys, err = s.discardLostKeys(ctx, actor); err != nil {
		return keys, nil, err
	}
	secrets, err = s.discardLostSecrets(ctx, actor)
	return keys, secrets, err
}

// discardLostKeys removes the keys that cannot be opened. It returns the names of their sites.
func (s *SingleSignOn) discardLostKeys(ctx context.Context, actor string) ([]string, error) {
	all, err := s.Store.AllSiteKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the keys of all sites: %w", err)
	}
	var names []string
	for _, k := range all {
		if _, err := s.Sealer.Open(k.Sealed, keyContext(k.Site, k.ID)); err == nil {
			continue
		}
		st, err := s.Sites.Get(ctx, k.Site)
		if err != nil {
			return names, err
		}
		if slices.Contains(names, st.Name) {
			continue
		}
		names = append(names, st.Name)
		before, err := s.Store.SiteKeys(ctx, k.Site)
		if err != nil {
			return names, fmt.Errorf("find the keys: %w", err)
		}
		if err := s.putKeys(ctx, st, before, nil, event.SiteSSOKeyRemoved, actor, "The SAML keys of this site were removed: the key that sealed them is lost"); err != nil {
			return names, err
		}
		c, err := s.Connection(ctx, st)
		if err != nil {
			return names, err
		}
		if c.SignRequests || c.SignsOut {
			if err := s.MakeKey(ctx, st, actor); err != nil {
				return names, err
			}
		}
	}
	return names, nil
}
