package provision

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/scim"
)

// Ledger holds the job's stored data about the values of an account, by target attribute. With it,
// the engine can compare a person's values with the written values without a request to the target.
// An attribute without an entry is unknown. A nil Ledger belongs to a link that an earlier version
// of Rollcall stored; such a link has only a hash.
type Ledger map[string]Written

// Written holds the job's stored data about one attribute of an account.
type Written struct {
	// Sent is the value that the job gave the attribute, or that the account already had when the
	// job wanted it. It is nil if the job has not given the attribute a value.
	Sent any
	// Got is the value that the target last returned; nil if it returned no value.
	Got any
	// Shown says whether the target has returned the attribute, or an account without it, since
	// Sent was sent.
	Shown bool
	// Unsure is true after a request whose effect on the attribute is unknown. Only a read of the
	// account can show the effect.
	Unsure bool
	// Adopted is true if somebody has accepted that the target shows Got and not Sent.
	Adopted bool
	// Refused is a value that the target refused for this attribute.
	Refused any
	// Inputs is a hash of the values that the expression read when it yielded Sent, from
	// mapping.inputs. It is set only for expressions that read the clock. While the hash stays the
	// same, the expression yields another value only because time has passed, and that value is not
	// sent.
	Inputs string
}

// value returns the value that the account is believed to have.
func (w Written) value() any {
	if w.Sent != nil {
		return w.Sent
	}
	return w.Got
}

// shown returns the value as the target returned it; if the target has not returned it, the value
// that was sent. The log shows this value, and the choice between Add and Replace depends on it.
func (w Written) shown() any {
	if w.Shown {
		return w.Got
	}
	return w.Sent
}

// known returns the entry of an attribute. ok is false if there is no entry, or if the account's
// value is not known for certain.
func (l Ledger) known(path string) (w Written, ok bool) {
	w, ok = l[path]
	return w, ok && !w.Unsure
}

// wasRefused reports whether the target refused this value for the attribute when it was last sent.
func (l Ledger) wasRefused(c Change) bool {
	no := l[c.Path].Refused
	return no != nil && c.New != nil && text(no) == text(rememberedAs(c.Path, c.New))
}

// element says whether the account has the element of a multi-valued attribute that a path selects.
func (l Ledger) element(path string) ElementState {
	element := elementOf(path)
	if element == "" {
		return ElementThere
	}
	if own, known := l.known(path); known && own.value() != nil {
		return ElementThere
	}
	state := ElementMissing
	for other, w := range l {
		switch {
		case !strings.EqualFold(elementOf(other), element):
		case w.value() != nil:
			return ElementThere
		case w.Unsure:
			state = ElementUnknown
		}
	}
	if _, known := l[path]; !known {
		return ElementUnknown
	}
	return state
}

// equal reports whether two ledgers have the same content.
func (l Ledger) equal(other Ledger) bool {
	return (l == nil) == (other == nil) && maps.EqualFunc(l, other, func(a, b Written) bool {
		return a.Shown == b.Shown && a.Unsure == b.Unsure && a.Adopted == b.Adopted && sameLedgerValue(a.Sent, b.Sent) && sameLedgerValue(a.Got, b.Got) && sameLedgerValue(a.Refused, b.Refused) && a.Inputs == b.Inputs
	})
}

// sameLedgerValue reports whether two values of ledgers are equal.
func sameLedgerValue(a, b any) bool {
	listA, severalA := a.([]any)
	listB, severalB := b.([]any)
	if severalA || severalB {
		return severalA && severalB && slices.EqualFunc(listA, listB, sameLedgerValue)
	}
	return a == b
}

// maxRemembered is the largest size of a value in a ledger, in bytes. If a value is larger, the
// ledger holds only its hash.
const maxRemembered = 1_000

// toLedgerValue returns a value in the form that ledgers have: nil, string, bool, int64 or a list
// of strings.
func toLedgerValue(v any) any {
	switch value := v.(type) {
	case nil, bool, int64:
		return v
	case string:
		switch {
		case value == "":
			return nil
		case len(value) <= maxRemembered:
			return v
		}
	case []any:
		if len(value) == 0 {
			return nil
		}
		list := make([]any, len(value))
		size := 0
		for i, e := range value {
			if m, complexValue := e.(map[string]any); complexValue && m["value"] != nil {
				e = m["value"]
			}
			t := shortened(text(e))
			list[i], size = t, size+len(t)
		}
		if size > maxRemembered {
			return shortened(text(list))
		}
		return list
	case map[string]any:
		if value["value"] != nil {
			return toLedgerValue(value["value"])
		}
	}
	return shortened(text(v))
}

// hashMark is the prefix of a hash that a ledger holds instead of a value.
const hashMark = "\x01sha256:"

func isHashed(v any) bool {
	s, ok := v.(string)
	return ok && strings.HasPrefix(s, hashMark)
}

// shortened returns the string, or its hash if the string is too large for a ledger.
func shortened(s string) string {
	if len(s) <= maxRemembered {
		return s
	}
	return hashMark + hashText(s)
}

// isPassword reports whether a target attribute is a password. A target never returns a password
// (RFC 7643 §4.1.1). A ledger holds only its hash, and logs and plans do not show it.
func isPassword(path string) bool { return strings.EqualFold(path, "password") }

// rememberedAs is like [remembered], but returns only a hash if the attribute is a password.
func rememberedAs(path string, v any) any {
	if isPassword(path) && v != nil && !isHashed(v) {
		return hashMark + hashText(text(v))
	}
	return toLedgerValue(v)
}

// agreesWithLedger reports whether a value of a ledger equals a wanted value. It compares as
// [row.same] does.
func (r *row) agreesWithLedger(have, want any) bool {
	if isPassword(r.Target) {
		return have == rememberedAs(r.Target, want)
	}
	if have == nil || want == nil {
		return have == nil && want == nil
	}
	if list, several := want.([]any); several {
		old, ok := have.([]any)
		if !ok {
			return have == toLedgerValue(want)
		}
		return r.sameSet(old, list)
	}
	if isHashed(have) {
		return have == toLedgerValue(want)
	}
	if list, several := have.([]any); several && len(list) > 0 {
		have = list[0]
	}
	return r.same(have, want)
}

// A ledger is stored as a JSON object. Its members are the names of attributes. Each has one of
// these values:
//
//	[sent]             the job sent the value, and the target returned none
//	[sent, got]        the job sent the value, and the target returned got
//	[sent, got, marks] marks is a string: "u" for unsure, "n" for not shown, "a" for adopted
//	[sent, got, marks, refused]
//	[sent, got, marks, refused, inputs]
//
// If got equals sent, got is written as []. The member "-" lists the attributes for which the
// account has no value. Long names are shortened to save space, because each account has a ledger.

// shortNames replaces long parts of attribute names by their short forms; longNames does the
// reverse.
var (
	shortNames = strings.NewReplacer("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:", "e~", `[type eq "`, "{", `"]`, "}")
	longNames  = strings.NewReplacer("e~", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:", "{", `[type eq "`, "}", `"]`)
)

// shortName returns the short form of an attribute's name. If a name contains a character that the
// short forms use, longName could not restore it. So shortName returns such a name in full, after
// an equals sign.
func shortName(path string) string {
	switch {
	case strings.ContainsAny(path, "~{}"):
		return "=" + path
	case !strings.ContainsAny(path, "[:"): // the name has no part that can be shortened
		return path
	}
	return shortNames.Replace(path)
}

func longName(short string) string {
	if path, plain := strings.CutPrefix(short, "="); plain {
		return path
	}
	return longNames.Replace(short)
}

// Text returns the ledger in its stored form; "" for nil.
func (l Ledger) Text() string {
	if l == nil {
		return ""
	}
	b := []byte{'{'}
	var absent []byte
	for _, path := range slices.Sorted(maps.Keys(l)) {
		w := l[path]
		if w.Sent == nil && w.Got == nil && !w.Unsure && w.Refused == nil && w.Inputs == "" {
			mark := byte(' ') // the target has returned an account without the attribute
			if !w.Shown {
				mark = '.'
			}
			absent = appendText(absent, string(mark)+shortName(path))
			absent = append(absent, ',')
			continue
		}
		b = appendText(b, shortName(path))
		b = append(b, ':', '[')
		b = appendValue(b, w.Sent)
		more := w.Refused != nil || w.Inputs != ""
		if w.Shown || w.Got != nil || w.Unsure || more {
			b = append(b, ',')
			if sameLedgerValue(w.Got, w.Sent) {
				b = append(b, '[', ']')
			} else {
				b = appendValue(b, w.Got)
			}
		}
		if marks := w.marks(); marks != "" || more {
			b = append(b, ',')
			b = appendText(b, marks)
		}
		if more {
			b = append(b, ',')
			b = appendValue(b, w.Refused)
		}
		if w.Inputs != "" {
			b = append(b, ',')
			b = appendText(b, w.Inputs)
		}
		b = append(b, ']', ',')
	}
	if len(absent) > 0 {
		b = append(b, `"-":[`...)
		b = append(b, absent[:len(absent)-1]...)
		return string(append(b, ']', '}'))
	}
	if len(b) > 1 {
		b = b[:len(b)-1]
	}
	return string(append(b, '}'))
}

// marks returns the marks of the stored form: "u" for unsure, "n" for not shown although there are
// further values, and "a" for adopted.
func (w Written) marks() string {
	var marks string
	if w.Unsure {
		marks += "u"
	}
	if !w.Shown && (w.Got != nil || w.Unsure || w.Refused != nil || w.Inputs != "") {
		marks += "n"
	}
	if w.Adopted {
		marks += "a"
	}
	return marks
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot happen: a string always encodes
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendText(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case []any:
		b = append(b, `["`...)
		b = append(b, `",`...) // the first element is always "", because [] means that got equals sent
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, text(e))
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

// ReadLedger parses the result of [Ledger.Text].
func ReadLedger(stored string) (Ledger, error) {
	if stored == "" {
		return nil, nil
	}
	var members map[string][]json.RawMessage
	if err := json.Unmarshal([]byte(stored), &members); err != nil {
		return nil, fmt.Errorf("read what was written: %w", err)
	}
	l := make(Ledger, len(members)+8)
	for name, parts := range members {
		if name == "-" {
			for _, part := range parts {
				v, err := readValue(part)
				if absent, ok := v.(string); err == nil && ok && absent != "" {
					l[longName(absent[1:])] = Written{Shown: absent[0] == ' '}
				}
			}
			continue
		}
		w, err := readWritten(parts)
		if err != nil {
			return nil, fmt.Errorf("read what was written of %s: %w", longName(name), err)
		}
		l[longName(name)] = w
	}
	return l, nil
}

// readWritten decodes the stored form of one attribute in a ledger.
func readWritten(parts []json.RawMessage) (w Written, err error) {
	if len(parts) > 0 {
		if w.Sent, err = readValue(parts[0]); err != nil {
			return w, err
		}
	}
	if len(parts) > 1 {
		w.Shown = true
		if string(parts[1]) == "[]" {
			w.Got = w.Sent
		} else if w.Got, err = readValue(parts[1]); err != nil {
			return w, err
		}
	}
	if len(parts) > 2 {
		marks := string(parts[2])
		w.Unsure, w.Shown, w.Adopted = strings.Contains(marks, "u"), !strings.Contains(marks, "n"), strings.Contains(marks, "a")
	}
	if len(parts) > 3 {
		if w.Refused, err = readValue(parts[3]); err != nil {
			return w, err
		}
	}
	if len(parts) > 4 {
		err = json.Unmarshal(parts[4], &w.Inputs)
	}
	return w, err
}

func readValue(part json.RawMessage) (any, error) {
	if len(part) == 0 {
		return nil, nil
	}
	switch part[0] {
	case '"':
		if !strings.Contains(string(part), `\`) {
			return string(part[1 : len(part)-1]), nil
		}
		var s string
		err := json.Unmarshal(part, &s)
		return s, err
	case '[':
		var list []string
		if err := json.Unmarshal(part, &list); err != nil || len(list) < 2 {
			return nil, err
		}
		values := make([]any, len(list)-1)
		for i, e := range list[1:] {
			values[i] = e
		}
		return values, nil
	case 't':
		return true, nil
	case 'f':
		return false, nil
	case 'n':
		return nil, nil
	}
	n, err := strconv.ParseInt(string(part), 10, 64)
	return n, err
}

// ledgerAfter returns the new ledger of the account. changes were carried out; unsure may have been
// carried out.
func (w *work) ledgerAfter(changes, unsure []Change) Ledger {
	before := w.link.Wrote
	if w.newLink() {
		before = w.former
	}
	after := make(Ledger, len(w.m.rows))
	for i := range w.m.rows {
		r := &w.m.rows[i]
		if r.Type == TypeReference && w.m.kind == GroupKind {
			continue // memberships have a ledger of their own
		}
		e, known := before[r.Target]
		switch {
		case isPassword(r.Target): // no answer contains a password
		case w.current != nil && w.wasReadTooEarly && e.Unsure: // the read was too early to prove anything; a later read decides
		case w.current != nil:
			unsure := e.Unsure || w.mayHaveBeenGiven(r.Target)
			e.Got, e.Shown, e.Unsure, known = rememberedAs(r.Target, r.valueIn(w.current)), true, false, true
			if unsure { // a read shows the true value after an unsure request
				e.Sent = e.Got
			}
			if v := w.wantedValue(r.Target); v != nil && v.want != nil {
				if _, equal := r.compare(w.current, v.want); equal {
					e.Sent = rememberedAs(r.Target, v.want)
				}
			}
			if e.Got == nil {
				e.Sent = nil
			}
		case w.created:
			known = true // a new account has only the sent and the returned values
		}
		if v, shown := r.shown(w.lastAnswer); shown && known {
			e.Got, e.Shown = rememberedAs(r.Target, v), true
		}
		e.Adopted = e.Adopted && sameLedgerValue(e.Got, before[r.Target].Got)
		if known {
			after[r.Target] = e
		}
	}
	for _, c := range changes {
		e := Written{Sent: rememberedAs(c.Path, c.New)}
		r := w.m.row(c.Path)
		if r == nil {
			continue
		}
		if v, shown := r.shown(w.lastAnswer); shown {
			e.Got, e.Shown = rememberedAs(c.Path, v), true
		}
		after[c.Path] = e
	}
	for _, c := range unsure {
		e := after[c.Path]
		if e.Unsure = true; c.New != nil {
			e.Sent = rememberedAs(c.Path, c.New)
		}
		after[c.Path] = e
	}
	w.noteInputs(after)
	return after
}

// mayHaveBeenGiven reports whether an update that may have been carried out, but was not recorded,
// gave the attribute a value. It returns false if the account was read too early to show that.
func (w *work) mayHaveBeenGiven(path string) bool {
	return w.doubted && !w.wasReadTooEarly && slices.Contains(w.p.unsureAttributes[w.known.ObjectID], path)
}

// forgetUnsent notes that the target does not have the wanted values of these changes, although
// earlier updates may have sent them. Without that note, a value that the target has lost since
// would be taken for the target's own form of the value, and would not be sent again.
func (l Ledger) forgetUnsent(changes []Change) {
	for _, c := range changes {
		if e, known := l.known(c.Path); known && e.Shown {
			e.Sent = e.Got
			l[c.Path] = e
		}
	}
}

// wantedValue returns the value that the mapping yields for a target attribute. It returns nil if
// there is none.
func (w *work) wantedValue(target string) *value {
	for i := range w.values {
		if w.values[i].row.Target == target {
			return &w.values[i]
		}
	}
	return nil
}

// shown returns the attribute's value in an answer of the target. shown is false if the answer does
// not contain the attribute. Such an answer may be incomplete, so it proves nothing.
func (r *row) shown(answer scim.Resource) (v any, shown bool) {
	if answer == nil {
		return nil, false
	}
	v = r.valueIn(answer)
	return v, v != nil
}

// valueIn returns the value that an account has for the row's attribute; nil if it has none. For a
// multi-valued attribute the value is a list.
func (r *row) valueIn(account scim.Resource) any {
	if !r.Multivalued {
		return r.oneValueIn(account)
	}
	if list := flatten(r.path.Get(account)); len(list) > 0 {
		return list
	}
	return nil
}
