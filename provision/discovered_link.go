package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-scim/rollcall/refusal"
)

// HashLinks returns a hash of pairs of an account and a user. A page that asks before it links the
// pairs notices by this hash that they have changed since.
func HashLinks(links []FoundLink) string {
	h := sha256.New()
	for _, l := range links {
		fmt.Fprintf(h, "%q %q\n", l.Account, l.ObjectID)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// FoundLink is a discovered account with the only user who can own it, or a group of the
// application with the only group of the directory that can be its counterpart.
type FoundLink struct {
	Account  string `json:"targetAnchor"`
	Name     string `json:"account"` // the name of the account
	ObjectID string `json:"objectId"`
	User     string `json:"user"`             // the user principal name, or the name of the group
	Reason   string `json:"reason,omitempty"` // why the two nearly match, in words; "" if they match
}

// LeftOut is a discovered account for which nothing was done.
type LeftOut struct {
	Account string `json:"targetAnchor"`
	Name    string `json:"account"`
	Reason  string `json:"reason"` // why nothing was done, in words
}

// linkedFor is how long LinkAccounts links accounts before it ends its claim of the job and claims
// the job again. Each link takes a request to the application. A claim ends by itself after
// leaseTime, and other work of the job waits until it ends.
const linkedFor = 5 * time.Second

// AccountsToLink returns which of these accounts, or groups, of the last complete discovery can be
// linked, each with its user or group, and which cannot. An account can be linked if exactly one
// user matches it or, if none does, exactly one nearly matches it. The user must be assigned and
// have no account yet, or the next cycle would disable the account. The errors are those of
// DiscoveredAccount, and a refusal if groups are not provisioned.
func (e *Engine) AccountsToLink(ctx context.Context, k Key, kind ObjectKind, accounts []string) (links []FoundLink, left []LeftOut, err error) {
	r, err := e.open(ctx, k, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := r.connect(); err != nil {
		return nil, nil, err
	}
	p, taken := r.pass(), map[string]bool{}
	if kind == GroupKind {
		if p = p.groups; p == nil {
			return nil, nil, refusal.New(refusal.Conflict, "group", "groups are not provisioned, or the application takes none").Advise("switch the mapping of groups on first")
		}
	}
	for _, account := range withoutRepeats(accounts) {
		a, err := e.DiscoveredAccount(ctx, k, kind, account)
		if err != nil {
			return nil, nil, err
		}
		m, why := a.owner()
		if why == "" && taken[m.ObjectID] {
			why = m.Name + " gets another of these accounts"
		}
		if why == "" {
			if why, err = r.whyNotLinked(ctx, p, m); err != nil {
				return nil, nil, err
			}
		}
		if why != "" {
			left = append(left, LeftOut{a.ID, a.Name(), why})
			continue
		}
		taken[m.ObjectID] = true
		links = append(links, FoundLink{Account: a.ID, Name: a.Name(), ObjectID: m.ObjectID, User: m.Name, Reason: m.Reason})
	}
	return links, left, nil
}

// owner returns the only user who can own the account. If there is none, why says so in words.
func (a DiscoveredAccount) owner() (m IdentityMatch, why string) {
	connected := slices.ContainsFunc(a.Matches, func(m IdentityMatch) bool { return m.By == byConnection })
	words := func(sentence string) string { return discoveryWords(a.Kind, sentence) }
	switch {
	case a.Change == IdentityGone:
		return m, "the application no longer lists it"
	case a.KeptBy != "":
		return m, "it is marked Keep"
	case connected || a.Connected != "":
		return m, words("it is connected with a user already")
	case a.Ambiguous != "":
		return m, a.Ambiguous
	case len(a.Matches) == 1:
		return a.Matches[0], ""
	case len(a.Near) == 1:
		return a.Near[0], ""
	case len(a.Near) > 1:
		return m, fmt.Sprintf(words("%d users nearly match"), len(a.Near))
	}
	return m, words("no user matches or nearly matches")
}

// whyNotLinked says in words why a user cannot get an account; "" if the user can.
func (r *run) whyNotLinked(ctx context.Context, p *pass, m IdentityMatch) (string, error) {
	o, err := r.readObject(ctx, m.ObjectID)
	if err != nil {
		return "", err
	}
	if o == nil || !o.Deleted.IsZero() {
		return m.Name + " was deleted in the directory", nil
	}
	known, err := r.e.Store.KnownAbout(ctx, r.job.Key, m.ObjectID)
	if err != nil {
		return "", err
	}
	if known.Link != nil {
		return fmt.Sprintf(discoveryWords(p.m.kind, "%s has the account %s"), m.Name, known.Link.TargetID), nil
	}
	if w, _ := p.begin(o, Pending{ObjectID: o.ID}, r.e.Now()); !w.entitled() {
		if p.m.kind == GroupKind {
			return fmt.Sprintf("%s is not in scope, so the next cycle would delete it if it may", m.Name), nil
		}
		return fmt.Sprintf("%s is not in scope, so the next cycle would disable it", m.Name), nil
	}
	return "", nil
}

// LinkAccounts links accounts with users. It checks each account and user as Connect does, and does
// not change the accounts; the next cycle gives them their values. linked holds the pairs that it
// has linked. left holds those for which Connect would return a refusal. The other errors are those
// of Connect.
func (e *Engine) LinkAccounts(ctx context.Context, k Key, owner, actor string, links []FoundLink) (linked []FoundLink, left []LeftOut, err error) {
	for len(links) > 0 {
		err := e.withClaim(ctx, k, owner, func(r *run) error {
			for until := e.Now().Add(linkedFor); len(links) > 0; links = links[1:] {
				if e.Now().After(until) {
					return nil
				}
				l := links[0]
				err := r.connectPair(ctx, actor, l.ObjectID, l.Account)
				var no *refusal.Error
				switch {
				case errors.As(err, &no):
					left = append(left, LeftOut{l.Account, l.Name, no.Detail})
				case err != nil:
					return err
				default:
					linked = append(linked, l)
				}
			}
			return nil
		})
		if err != nil {
			return linked, left, err
		}
	}
	return linked, left, nil
}
