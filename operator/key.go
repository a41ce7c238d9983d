package operator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
)

const (
	keyPrefix      = "rollcall_key_"     // the beginning of each API key, by which secret scanners find keys
	checksumLength = 6                   // the length of a key's checksum, in characters
	maxLiveKeys    = 50                  // the largest number of keys of a directory that are neither expired nor revoked
	useInterval    = time.Minute         // the shortest time between two recorded uses of a key
	expiryNotice   = 14 * 24 * time.Hour // how long before a key expires an event announces that
)

// The lifetime of an API key for which no expiry is given, and the longest lifetime.
const (
	DefaultKeyLifetime = 90 * 24 * time.Hour
	MaxKeyLifetime     = 366 * 24 * time.Hour
)

// Refusals about API keys.
var (
	// ErrKeyUnauthorized refuses a key that does not open this directory. It says neither whether
	// the directory exists nor what is wrong with the key.
	ErrKeyUnauthorized = refusal.New(refusal.Unauthorized, "", "unknown directory or API key").Coded("key_unknown")
	// ErrKeyNotFound is returned for an id or last four characters that belong to no key.
	ErrKeyNotFound = refusal.New(refusal.NotFound, "", "this directory has no such API key").Coded("key_gone")
	// ErrKeyFormUsed refuses a form that was sent before.
	ErrKeyFormUsed = refusal.New(refusal.Conflict, "", "this form was sent before").
			Advise("make another key if the first one was not saved").Coded("key_form_used")
)

// Level says what an API key may do. Each level includes those before it.
type Level string

// The levels of API keys.
const (
	Read      Level = "read"      // reads jobs, schemas and logs
	Run       Level = "run"       // also starts, pauses and restarts jobs, and provisions on demand
	Configure Level = "configure" // also creates, changes and deletes jobs, schemas, secrets and links
)

// Levels lists the levels, the lowest first.
var Levels = []Level{Read, Run, Configure}

// rank returns 1 for the lowest level, 2 for the next one, and so on. It returns 0 for an unknown
// level.
func (l Level) rank() int {
	for i, known := range Levels {
		if l == known {
			return i + 1
		}
	}
	return 0
}

// Allows reports whether a key of level l may do an action that requires the level need.
func (l Level) Allows(need Level) bool { return need.rank() > 0 && l.rank() >= need.rank() }

// Key describes an API key of one directory. It does not hold the secret, which only CreateKey
// returns.
type Key struct {
	ID        string
	Directory string
	Name      string
	Last4     string // the last four characters of the secret, so that people recognise it
	Level     Level
	CreatedBy string // the actor who made the key, as events write it

	Created  time.Time
	Expires  time.Time // when the key expires
	LastUsed time.Time // when the key was last used, recorded at most once a minute; zero means never
	LastFrom string    // the network address from which the key was last used
	Revoked  time.Time // when the key was revoked; zero means that it is not revoked
}

// IsLive reports whether the key is accepted at this time.
func (k Key) IsLive(now time.Time) bool { return k.Revoked.IsZero() && now.Before(k.Expires) }

// Label returns the key's name and its last four characters.
func (k Key) Label() string { return fmt.Sprintf("%s (…%s)", k.Name, k.Last4) }

// EventActor returns the key as the actor of an event.
func (k Key) EventActor() event.Actor {
	return event.Actor{Kind: event.APIKey, ID: k.ID, Name: k.Label()}
}

// KeyStore keeps the API keys of directories. Secrets reach it only as hashes.
type KeyStore interface {
	// AddKey stores a key and its event. It returns ErrTooManyKeys if the directory already has
	// limit or more live keys. form is the single-use number of the form from which the request
	// comes; it is empty if there is no form. AddKey returns ErrKeyFormUsed if a key was already
	// made from this form, and refusal.NotFound if there is no such directory.
	AddKey(ctx context.Context, k Key, hash secret.Hash, form string, limit int, e event.Event) error
	// Keys returns the keys of a directory, the newest first.
	Keys(ctx context.Context, directory string) ([]Key, error)
	// FindKey returns the key with this hash of the directory with this name, live or not. It
	// returns ErrKeyUnauthorized if there is none.
	FindKey(ctx context.Context, directoryName string, hash secret.Hash) (Key, error)
	// RevokeKey revokes a key and appends the event that the function e makes. It does nothing if
	// the key is revoked already. It returns ErrKeyNotFound if there is no such key.
	RevokeKey(ctx context.Context, directory, id string, at time.Time, e func(Key) event.Event) error
	// NoteExpiring appends an event for each key that is live at the time now and expires no later
	// than the deadline. The function e makes the event. Each key gets only one such event.
	NoteExpiring(ctx context.Context, now, deadline time.Time, e func(Key) event.Event) error
	// UseKey records when and from where a key was last used. It never replaces a later use.
	UseKey(ctx context.Context, directory, id string, at time.Time, from string) error
}

// ErrTooManyKeys refuses to make one more live key than the limit allows.
var ErrTooManyKeys = refusal.New(refusal.Conflict, "", "the directory has %d live API keys, which is the limit", maxLiveKeys).
	Advise("revoke one that is no longer used").Coded("keys_full")

// Keys makes and checks the API keys of directories. All fields are required.
type Keys struct {
	Store KeyStore
	Now   func() time.Time
	NewID func() string
}

// KeyRequest describes an API key to make.
type KeyRequest struct {
	Directory string // the directory's id
	Name      string
	Level     Level
	Expires   time.Time // when the key expires; zero means DefaultKeyLifetime from now
	Actor     string    // the actor who makes the key, as events write it
	// FormNumber is the single-use number of a form. If the form is sent again, CreateKey makes no
	// second key, but returns ErrKeyFormUsed. FormNumber is empty if there is no form.
	FormNumber string
}

// CreateKey makes an API key. It also returns the key's secret, which cannot be read again. It
// returns a refusal if a field of the request is wrong, ErrTooManyKeys, or ErrKeyFormUsed.
func (ks *Keys) CreateKey(ctx context.Context, r KeyRequest) (Key, string, error) {
	now := ks.Now().UTC().Truncate(time.Microsecond)
	name, err := cleanKeyName(r.Name)
	if err != nil {
		return Key{}, "", err
	}
	if r.Level.rank() == 0 {
		return Key{}, "", refusal.New(refusal.Invalid, "level", "%q is not a level of an API key", r.Level).Advise("choose read, run or configure")
	}
	expires := r.Expires.UTC().Truncate(time.Microsecond)
	if r.Expires.IsZero() {
		expires = now.Add(DefaultKeyLifetime)
	}
	switch {
	case !expires.After(now):
		return Key{}, "", refusal.New(refusal.Invalid, "expires", "the API key would have expired already").Advise("choose a later time")
	case expires.Sub(now) > MaxKeyLifetime:
		return Key{}, "", refusal.New(refusal.Invalid, "expires", "an API key lasts at most %d days", int(MaxKeyLifetime.Hours()/24)).Advise("choose an earlier time")
	}
	text := newKey()
	made := Key{
		ID: ks.NewID(), Directory: r.Directory, Name: name, Last4: text[len(text)-4:], Level: r.Level,
		CreatedBy: r.Actor, Created: now, Expires: expires,
	}
	e := ks.newEvent(event.KeyCreated, r.Actor, made, "API key "+made.Label()+" was made: "+string(made.Level)+", until "+made.Expires.Format("2006-01-02 15:04 UTC"))
	e.Data = event.DataOf(nil, event.Changed("name", nil, made.Name), event.Changed("level", nil, string(made.Level)), event.Changed("expires", nil, made.Expires), event.SecretChanged("secret"))
	if err := ks.Store.AddKey(ctx, made, secret.HashOf(text), r.FormNumber, maxLiveKeys, e); err != nil {
		return Key{}, "", err
	}
	return made, text, nil
}

// cleanKeyName returns the name of a key without spaces around it. It returns a refusal for a name
// that a key cannot have. An empty name is refused, because people recognise keys by their names.
func cleanKeyName(name string) (string, error) {
	clean, err := cleanName(name)
	if e, ok := refusal.Find(err); ok {
		return "", e.Because("%s", strings.Replace(e.Detail, "not a name for an operator", "not a name for an API key", 1)).Advise("name the script that will use it")
	}
	return clean, err
}

// Keys returns the API keys of a directory, the newest first, including revoked and expired ones.
func (ks *Keys) Keys(ctx context.Context, directory string) ([]Key, error) {
	return ks.Store.Keys(ctx, directory)
}

// RevokeKey revokes a key: from now on, no process accepts it. Revoking it again changes nothing.
// It returns ErrKeyNotFound if the directory has no such key.
func (ks *Keys) RevokeKey(ctx context.Context, directory, id, actor string) error {
	now := ks.Now()
	return ks.Store.RevokeKey(ctx, directory, id, now, func(k Key) event.Event {
		e := ks.newEvent(event.KeyRevoked, actor, k, "API key "+k.Label()+" was revoked")
		e.Data = event.DataOf(nil, event.Changed("live", k.IsLive(now), false))
		return e
	})
}

// Authenticate returns the key that a request to the directory with this name sent as its bearer
// token. from is the network address of the client. Authenticate records the use of the key at most
// once a minute. It returns ErrKeyUnauthorized for a wrong, revoked or expired key, for a key of
// another directory, and if there is no such directory. All these cases take the same amount of
// work, so that the time of the answer reveals nothing.
func (ks *Keys) Authenticate(ctx context.Context, directoryName, bearer, from string) (Key, error) {
	if !LooksLikeKey(bearer) || !utf8.ValidString(directoryName) || strings.ContainsRune(directoryName, 0) {
		return Key{}, ErrKeyUnauthorized // answering at once reveals nothing: the caller can see that this is no key
	}
	now := ks.Now()
	k, err := ks.Store.FindKey(ctx, directoryName, secret.HashOf(bearer))
	switch {
	case errors.Is(err, ErrKeyUnauthorized):
		return Key{}, ErrKeyUnauthorized
	case err != nil:
		return Key{}, fmt.Errorf("authenticate: %w", err)
	case !k.IsLive(now):
		return Key{}, ErrKeyUnauthorized
	case now.Sub(k.LastUsed) < useInterval:
		return k, nil
	}
	// Serve the request even if the use cannot be recorded. The next request tries again.
	noting, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_ = ks.Store.UseKey(noting, k.Directory, k.ID, now, from)
	return k, nil
}

// NoteExpiring appends an event for each API key that expires within expiryNotice. Each key gets
// only one such event.
func (ks *Keys) NoteExpiring(ctx context.Context) error {
	now := ks.Now()
	return ks.Store.NoteExpiring(ctx, now, now.Add(expiryNotice), func(k Key) event.Event {
		return ks.newEvent(event.KeyExpiring, "system", k, "API key "+k.Label()+" expires on "+k.Expires.Format("2006-01-02 15:04 UTC"))
	})
}

// newEvent returns an event about a key.
func (ks *Keys) newEvent(name, actor string, k Key, text string) event.Event {
	return event.Event{
		Time: ks.Now(), Scope: event.Directory(k.Directory), Name: name, Actor: actor, Subject: k.ID, Text: text,
	}
}

// newKey returns a new random key: a prefix, a secret, and a checksum by which secret scanners
// recognise keys. The last four characters of a key are letters and digits only, because people
// recognise a key by them.
func newKey() string {
	for {
		body := secret.New()
		text := keyPrefix + body + checksum(body)
		if !strings.ContainsAny(text[len(text)-4:], "-_") {
			return text
		}
	}
}

// LooksLikeKey reports whether a string has the form and the checksum of an API key. It does not
// check whether the key exists.
func LooksLikeKey(text string) bool {
	rest, found := strings.CutPrefix(text, keyPrefix)
	if !found || len(rest) != secret.Length+checksumLength {
		return false
	}
	return checksum(rest[:secret.Length]) == rest[secret.Length:]
}

// checksum returns the checksum of a key with this secret.
func checksum(body string) string {
	sum := sha256.Sum256([]byte(keyPrefix + body))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:checksumLength]
}

// PickKey returns the key with the id want, or the live key whose last four characters are want. It
// returns ErrKeyNotFound if there is no such key, or if there are several.
func PickKey(all []Key, want string, now time.Time) (Key, error) {
	want = strings.TrimPrefix(strings.TrimSpace(want), "…")
	var hits []Key
	for _, k := range all {
		if k.ID == want {
			return k, nil
		}
		if k.Last4 == want && k.IsLive(now) {
			hits = append(hits, k)
		}
	}
	switch len(hits) {
	case 0:
		return Key{}, ErrKeyNotFound.Because("no live API key ends in %q", want)
	case 1:
		return hits[0], nil
	default:
		return Key{}, ErrKeyNotFound.Because("several live API keys end in %q", want).Advise("name one by its id")
	}
}
