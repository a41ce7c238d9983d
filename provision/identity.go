package provision

import (
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-scim/rollcall/scim"
)

// maxKeptValue is the length in bytes up to which a discovery keeps values of an account.
const maxKeptValue = 1000

// foundAccount returns the parts of an account that a discovery keeps.
func (m *mapping) foundAccount(o TargetObject) FoundAccount {
	r := o.Resource
	a := FoundAccount{
		ID: o.ID, UserName: valueToKeep(r.String("userName")), DisplayName: valueToKeep(r.String("displayName")), ExternalID: valueToKeep(r.String("externalId")), Matching: map[string][]any{},
	}
	if name, is := r["name"].(map[string]any); is && a.DisplayName == "" {
		a.DisplayName = valueToKeep(strings.TrimSpace(text(name["formatted"])))
		if a.DisplayName == "" {
			a.DisplayName = valueToKeep(strings.TrimSpace(text(name["givenName"]) + " " + text(name["familyName"])))
		}
	}
	emails, _ := r["emails"].([]any)
	for _, e := range emails {
		one, _ := e.(map[string]any)
		if address := valueToKeep(text(one["value"])); address != "" && len(a.Emails) < 10 {
			a.Emails = append(a.Emails, address)
		}
	}
	for schema, extension := range r {
		if attributes, is := extension.(map[string]any); is && strings.HasSuffix(strings.ToLower(schema), ":enterprise:2.0:user") {
			a.EmployeeNumber = valueToKeep(text(attributes["employeeNumber"]))
		}
	}
	a.Roles = rolesOf(r)
	if v, shown := r["active"]; shown {
		if on, ok := readBool(v); ok {
			a.Active = &on
		}
	}
	for i := range m.matching {
		row := &m.matching[i]
		for _, v := range row.valuesIn(r) {
			if complexValue, is := v.(map[string]any); is {
				v = complexValue["value"]
			}
			switch v.(type) {
			case []any, map[string]any: // no value by which a search could find the account
				continue
			}
			if value := text(v); value != "" && len(value) <= maxKeptValue && !slices.Contains(a.Matching[row.Target], v) {
				a.Matching[row.Target] = append(a.Matching[row.Target], v)
			}
		}
	}
	return a
}

// valueToKeep returns the string, or "" if the string is longer than maxKeptValue.
func valueToKeep(s string) string {
	if len(s) > maxKeptValue {
		return ""
	}
	return s
}

// sortName returns the value by which lists of accounts are ordered.
func (a FoundAccount) sortName() string {
	name := scim.Fold(withoutControls(a.Name()))
	return strings.ToValidUTF8(name[:min(len(name), 200)], "")
}

// searchText returns the text in which a search looks. Each value is a line.
func (a FoundAccount) searchText() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, value := range slices.Concat([]string{a.ID, a.UserName, a.DisplayName, a.EmployeeNumber, a.ExternalID}, a.Emails) {
		b.WriteString(scim.Fold(withoutControls(value)) + "\n")
	}
	return b.String()
}

// withoutControls replaces control characters by spaces, and removes bytes that are not UTF-8.
func withoutControls(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, ""))
}

// keys returns the hashes by which users find the account.
func (a FoundAccount) keys() []int64 {
	var all []int64
	add := func(hash int64) {
		if !slices.Contains(all, hash) {
			all = append(all, hash)
		}
	}
	if a.Connected != "" {
		add(keyHash(byConnection, a.Connected))
	}
	for path, values := range a.Matching {
		for _, v := range values {
			add(keyHash(path, looseText(text(v))))
		}
	}
	return all
}

// keyHash returns the hash of a value. Different values may have the same hash, so the values
// themselves are always compared, too.
func keyHash(kind, value string) int64 {
	h := fnv.New64a()
	h.Write([]byte(kind + "\x00" + value))
	return int64(h.Sum64()) //nolint:gosec // every bit pattern is a hash
}

// looseText returns a value case-folded and without spaces and invisible characters.
func looseText(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || unicode.In(c, unicode.Z, unicode.Cc, unicode.Cf) {
			return -1
		}
		return c
	}, scim.Fold(s))
}

// candidates holds accounts by the hash of a value.
type candidates map[int64][]*IdentityCandidate

// nearCounts returns how many near matches each account has so far.
func (all candidates) nearCounts() map[string]int {
	counts := map[string]int{}
	for _, list := range all {
		for _, c := range list {
			counts[c.ID] = c.Near
		}
	}
	return counts
}

// tooMany reports whether so many accounts have a value that they are not compared.
func tooMany(list []*IdentityCandidate) bool { return len(list) > MaxCandidates }

// discoveredUser is a user of the directory that a discovery compares with accounts, or a group that
// it compares with groups of the application.
type discoveredUser struct {
	object   *Object
	assigned bool
	keys     []MatchKey
}

// discoveredUser computes the matching values of a user or group. problem reports whether that failed.
func (p *pass) discoveredUser(o *Object, now time.Time) (u discoveredUser, problem bool) {
	w, attributes := p.begin(o, Pending{ObjectID: o.ID}, now)
	keys, failed := p.m.keys(attributes)
	return discoveredUser{object: o, assigned: w.assigned, keys: keys}, failed != nil
}

// wanted returns the value of a matching attribute for comparisons. A list with one value is that
// value.
func wanted(k MatchKey) any { return oneValue(k.Value) }

// looseHash returns the hash that finds the accounts that have the value, or nearly have it.
func (k MatchKey) looseHash() int64 {
	v := wanted(k)
	if complexValue, is := v.(map[string]any); is {
		v = complexValue["value"]
	}
	return keyHash(k.Path, looseText(text(v)))
}

// hashes returns the hashes that find the accounts that the user matches or nearly matches.
func (u discoveredUser) hashes() []int64 {
	all := []int64{keyHash(byConnection, u.object.ID)}
	for _, k := range u.keys {
		all = append(all, k.looseHash())
	}
	return all
}

// matches returns the accounts that the user matches or nearly matches. As in a cycle, a connection
// decides first, and then the first matching attribute that finds an account. A deleted user
// matches no account. If too many accounts have the value that decides, matches returns no
// accounts, but the hash of the value and the attribute's name.
func (u discoveredUser) matches(m *mapping, byHash candidates) (all []DiscoveredMatch, sharedHash int64, shared string) {
	done := map[string]bool{}
	words := func(sentence string) string { return discoveryWords(m.kind, sentence) }
	add := func(c *IdentityCandidate, by, reason string) {
		if done[c.ID] {
			return
		}
		done[c.ID] = true
		if !u.object.Deleted.IsZero() {
			reason = words("the user was deleted in the directory")
		}
		match := u.nearMatch(m, c, reason)
		if match.Near = reason != ""; !match.Near {
			match.By = by
		}
		all = append(all, match)
	}
	decided := ""
	for _, c := range byHash[keyHash(byConnection, u.object.ID)] {
		if c.Connected == u.object.ID {
			add(c, byConnection, "")
			decided = byConnection
		}
	}
	for _, k := range u.keys {
		row := m.rowFor(k.Path)
		if list := byHash[k.looseHash()]; tooMany(list) {
			if decided == "" && slices.ContainsFunc(list, func(c *IdentityCandidate) bool { return c.fits(row, wanted(k)) }) {
				decided, sharedHash, shared = k.Path, k.looseHash(), k.Path
			}
			continue
		}
		for _, c := range byHash[k.looseHash()] {
			if (decided == "" || decided == k.Path) && (c.Connected == "" || c.Connected == u.object.ID) && c.fits(row, wanted(k)) {
				add(c, k.Path, "")
				decided = k.Path
			}
		}
	}
	for _, k := range u.keys { // near matches come last, because an account may match by a later attribute
		row := m.rowFor(k.Path)
		if tooMany(byHash[k.looseHash()]) {
			continue
		}
		for _, c := range byHash[k.looseHash()] {
			switch fits := c.fits(row, wanted(k)); {
			case c.Connected != "" && c.Connected != u.object.ID:
				if fits {
					add(c, "", words("the account is connected with another user"))
				}
			case fits && decided == byConnection:
				add(c, "", words("the user is connected with another account"))
			case fits:
				add(c, "", words("the user was matched with another account by ")+decided)
			default:
				if reason := c.differs(k); reason != "" {
					add(c, "", reason)
				}
			}
		}
	}
	return all, sharedHash, shared
}

// shared returns the account's first value that is also the value of users and of too many
// accounts.
func (a UnsortedAccount) shared(all map[int64]SharedValue) (value SharedValue, found bool) {
	if len(all) == 0 || len(a.Matches) > 0 || a.Connected != "" {
		return value, false
	}
	for _, path := range slices.Sorted(maps.Keys(a.Matching)) {
		for _, v := range a.Matching[path] {
			if value, found = all[keyHash(path, looseText(text(v)))]; found {
				return value, true
			}
		}
	}
	return value, false
}

// nearMatch returns a near match of the user and an account.
func (u discoveredUser) nearMatch(m *mapping, c *IdentityCandidate, reason string) DiscoveredMatch {
	match := IdentityMatch{ObjectID: u.object.ID, Name: u.object.Name, Reason: reason, Assigned: u.assigned, Enabled: u.object.Enabled}
	if upn := text(u.object.Attributes["userPrincipalName"]); upn != "" {
		match.Name = upn
	}
	for i := range m.matching {
		row := &m.matching[i]
		one := ComparedAttribute{Attribute: row.Target}
		switch have := c.Matching[row.Target]; len(have) {
		case 0:
		case 1:
			one.Account = have[0]
		default:
			one.Account = have
		}
		for _, k := range u.keys {
			if k.Path == row.Target {
				one.User, one.Same = k.Value, c.fits(row, wanted(k))
			}
		}
		match.Attributes = append(match.Attributes, one)
	}
	return DiscoveredMatch{Account: c.ID, Near: true, IdentityMatch: match}
}

// fits reports whether the account has the wanted value.
func (a FoundAccount) fits(r *row, want any) bool {
	have := a.Matching[r.Target]
	if list, several := want.([]any); several {
		return r.sameSet(have, list)
	}
	return slices.ContainsFunc(have, func(v any) bool { return r.same(v, want) })
}

// differs says in words how the account's value differs from the user's, if the difference is only
// in case, spaces or invisible characters. Otherwise it returns "".
func (a FoundAccount) differs(k MatchKey) string {
	want := text(wanted(k))
	for _, v := range a.Matching[k.Path] {
		have := text(v)
		switch {
		case looseText(have) != looseText(want):
		case scim.Fold(have) == scim.Fold(want):
			return k.Path + " differs only in case"
		default:
			return k.Path + " differs only in spaces or invisible characters"
		}
	}
	return ""
}

// likeness is a value by which a user and an account may be alike although no matching attribute
// fits.
type likeness struct{ kind, value string }

// The kinds of likenesses. The kind that proves the most comes first.
const (
	sameEmployee  = "employee"
	sameMail      = "mail"
	sameLocalPart = "local part"
	sameName      = "name"

	// Likenesses of groups. The external id of a group at the application is usually the object id.
	sameObjectID = "object id"
	sameNickname = "nickname"
	sameLetters  = "letters"
)

// hash returns the hash that finds the accounts with this likeness.
func (v likeness) hash() int64 { return keyHash("like "+v.kind, v.value) }

// reason describes the likeness in words.
func (v likeness) reason() string {
	switch v.kind {
	case sameEmployee:
		return "the same employee number"
	case sameMail:
		return "the same e-mail address"
	case sameLocalPart:
		return "the same name before the @"
	case sameObjectID:
		return "its external id is the object id of the group of the directory"
	case sameNickname:
		return "its name is the mail nickname of the group of the directory"
	case sameLetters:
		return "the name differs only in punctuation marks"
	}
	return "the same display name"
}

// likenesses returns the values by which an account may be like a user, or a group like a group of
// the directory.
func (a FoundAccount) likenesses(kind ObjectKind) []likeness {
	if kind == GroupKind {
		return groupLikenesses(a.ExternalID, a.DisplayName, a.DisplayName)
	}
	return likenesses([]string{a.EmployeeNumber, a.ExternalID}, slices.Concat(a.Emails, []string{a.UserName}), a.DisplayName)
}

// has reports whether the account, or group, has the value.
func (a FoundAccount) has(kind ObjectKind, v likeness) bool {
	return slices.Contains(a.likenesses(kind), v)
}

// likenessesOf returns the values by which an account may be like a user, or a group of the
// application like a group of the directory.
func likenessesOf(o *Object) []likeness {
	if o.Kind == GroupKind {
		return groupLikenesses(o.ID, text(o.Attributes["mailNickname"]), text(o.Attributes["displayName"]))
	}
	var mails []string
	for _, name := range []string{"mail", "userPrincipalName", "otherMails", "proxyAddresses"} {
		switch v := o.Attributes[name].(type) {
		case string:
			mails = append(mails, v)
		case []string:
			mails = append(mails, v...)
		}
	}
	return likenesses([]string{text(o.Attributes["employeeId"])}, mails, text(o.Attributes["displayName"]))
}

// minLikeness is how many characters a value must have to count as a likeness.
const minLikeness = 3

// groupLikenesses returns the values by which a group of the directory and a group of the application
// may be alike, from the values of one of them. It leaves out values that are too short.
func groupLikenesses(objectID, nickname, name string) []likeness {
	var all alike
	all.add(sameObjectID, objectID)
	all.add(sameNickname, nickname)
	all.add(sameLetters, strings.Map(func(c rune) rune {
		if unicode.IsPunct(c) || unicode.IsSymbol(c) {
			return -1
		}
		return c
	}, name))
	return all
}

// alike is a list of likenesses.
type alike []likeness

// add adds a value, unless it is too short or in the list already.
func (all *alike) add(kind, value string) {
	if v := (likeness{kind, looseText(value)}); len([]rune(v.value)) >= minLikeness && !slices.Contains(*all, v) {
		*all = append(*all, v)
	}
}

// likenesses returns the values by which a user and an account may be alike, from the numbers, mail
// addresses and name of one of them. It leaves out values that are too short.
func likenesses(numbers, mails []string, name string) []likeness {
	var all alike
	add := all.add
	for _, n := range numbers {
		add(sameEmployee, n)
	}
	for i := range mails {
		mails[i] = mails[i][max(strings.IndexByte(mails[i], ':')+1, 0):] // proxyAddresses have the form SMTP:address
	}
	for _, m := range mails {
		if strings.Contains(m, "@") {
			add(sameMail, m)
		}
	}
	for _, m := range mails {
		local, _, _ := strings.Cut(m, "@")
		add(sameLocalPart, local)
	}
	add(sameName, name)
	return all
}
