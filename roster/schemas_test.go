package roster_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
)

func unavailable(err error) bool {
	return errors.Is(err, refusal.Busy)
}

// A request checks values by the schemas that the site had when the request began. If the schemas
// have changed before the request writes, it fails and changes nothing.
func TestWritesUnderSchemasThatHaveChanged(t *testing.T) {
	t.Run("are_refused_and_pass_when_they_are_sent_again", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number"}`))
			a := f.badged(t, s, "a", `"number":"1"`)
			before := s
			f.schemas(t, &s, badges(`{"name":"number"},{"name":"color"}`))
			feed := len(f.events(t, s, ""))
			late := f.rosters.Open(before)
			if _, err := late.Create(t.Context(), roster.User, decodeWith(t, late, `{"userName":"b"}`), bySCIM); !unavailable(err) {
				t.Errorf("create: got %v, want 503", err)
			}
			if _, err := late.Replace(t.Context(), roster.User, a, decodeWith(t, late, `{"userName":"a"}`), bySCIM); !unavailable(err) {
				t.Errorf("replace: got %v, want 503", err)
			}
			f.hasBadge(t, s, a, 1, `"number":"1"`)
			if now := len(f.events(t, s, "")); now != feed {
				t.Errorf("%d events more", now-feed)
			}
			again := f.rosters.Open(s)
			if _, err := again.Create(t.Context(), roster.User, decodeWith(t, again, `{"userName":"b"}`), bySCIM); err != nil {
				t.Error(err)
			}
			// A deletion depends on no schema, so it succeeds.
			if _, err := late.Delete(t.Context(), roster.User, a, bySCIM); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("leave_nothing_stranded_while_many_write", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			s := f.full
			f.schemas(t, &s, badges(`{"name":"number"}`))
			first := f.badged(t, s, "first", `"number":"0"`)
			var begun, all sync.WaitGroup
			ids, errs := make([]string, 16), make([]error, 16)
			for i := range ids {
				begun.Add(1)
				all.Go(func() {
					r := f.rosters.Open(s)
					doc := decodeWith(t, r, fmt.Sprintf(`{"userName":"u%d","%s":{"number":"%d"}}`, i, badgeURN, i))
					begun.Done()
					out, err := r.Create(t.Context(), roster.User, doc, bySCIM)
					if err == nil {
						_, err = r.Replace(t.Context(), roster.User, first, decodeWith(t, r, fmt.Sprintf(`{"userName":"first","%s":{"number":"%d"}}`, badgeURN, i)), bySCIM)
					}
					ids[i], errs[i] = out.Document.ID, err
				})
			}
			begun.Wait()
			if _, _, err := f.sites.ForceSchemas(t.Context(), s.ID, nil, "cli", "", f.rosters.DropStranded); err != nil {
				t.Error(err)
			}
			all.Wait()
			for i, err := range errs {
				if err != nil && !unavailable(err) {
					t.Errorf("writer %d: %v", i, err)
				}
			}
			for _, id := range append(ids, first) {
				if id == "" {
					continue
				}
				doc, err := f.rosters.Open(s).Get(t.Context(), roster.User, id)
				if err != nil {
					t.Fatal(err)
				}
				if r := parsed(t, doc); r[badgeURN] != nil {
					t.Errorf("%s has %v under schemas that the site has no more", id, r[badgeURN])
				}
			}
		})
	})
}

// When an attribute stops being unique, its unique values are forgotten. When the attribute becomes
// unique again, the values of deleted people are free.
func TestAttributeThatWasUniqueForAWhile(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		s := f.full
		unique, plain := badges(`{"name":"number","uniqueness":"server"}`), badges(`{"name":"number"}`)
		f.schemas(t, &s, unique)
		a := f.badged(t, s, "a", `"number":"1"`)
		f.schemas(t, &s, plain)
		b := f.badged(t, s, "b", `"number":"1"`)
		for _, id := range []string{a, b} {
			if _, err := f.rosters.Open(s).Delete(t.Context(), roster.User, id, bySCIM); err != nil {
				t.Fatal(err)
			}
		}
		f.schemas(t, &s, unique)
		f.badged(t, s, "c", `"number":"1"`)
		r := f.rosters.Open(s)
		if _, err := r.Create(t.Context(), roster.User, decodeWith(t, r, `{"userName":"d","`+badgeURN+`":{"number":"1"}}`), bySCIM); err == nil {
			t.Error("two have the same number")
		}
	})
}
