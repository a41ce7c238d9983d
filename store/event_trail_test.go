package store_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// TestTheAuditTrailIsSearchedAlikeHoweverItIsRead compares each search, page by page, with a search
// that looks at every event.
func TestTheAuditTrailIsSearchedAlikeHoweverItIsRead(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		events := store.Events{DB: db}
		random := rand.New(rand.NewPCG(1, 2))
		noon := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
		scopes := []event.Scope{event.Site("a"), event.Site("b"), event.Directory("a"), event.Installation()}
		names := []string{"user.created", "user.updated", "user.blocked", "group.updated", "site.renamed", "token.created", "operator.signed_in"}
		actors := []event.Actor{
			{Kind: event.Admin, ID: strings.Repeat("a", 32), Name: "kim", Address: "192.0.2.7"},
			{Kind: event.Operator, ID: strings.Repeat("b", 32), Name: "sam"},
			{Kind: event.Token, ID: strings.Repeat("c", 32), Name: "Entra (…a91f)"},
			{Kind: event.System},
		}
		var all []event.Event
		for i := range 400 {
			e := event.Event{
				Time: noon.Add(time.Duration(i) * time.Minute), Scope: scopes[random.IntN(4)], Name: names[random.IntN(len(names))],
				By: actors[random.IntN(4)], Subject: fmt.Sprint("s", random.IntN(3)), Text: fmt.Sprintf("number %d", i),
			}
			all = append(all, e)
		}
		appendEvents(t, db, all...)
		slices.Reverse(all)
		for i := range all {
			all[i].Actor = all[i].By.Label()
		}
		for _, q := range []event.Query{
			{},
			{Scope: scopes[0]},
			{Scope: event.Scope{Kind: event.KindSite}},
			{Scope: scopes[3]},
			{Scope: event.Scope{Kind: event.KindDirectory}},
			{Kinds: []string{"site."}},
			{Kinds: []string{"user."}},
			{Kinds: []string{"site.", "operator."}, Scope: scopes[1]},
			{Kinds: []string{"user.blocked"}, Scope: scopes[0]},
			{Actor: actors[0].ID},
			{Actor: actors[2].ID},
			{Actor: "KI"},
			{Actor: "192.0.2.7"},
			{Actor: actors[1].ID, Kinds: []string{"token."}, Scope: scopes[2]},
			{Subject: "s1"},
			{Subject: "s1", Scope: scopes[0]},
			{Text: "NUMBER 3"},
			{Text: actors[0].ID},
			{Text: "kim", Scope: scopes[0]},
			{From: noon.Add(100 * time.Minute), Until: noon.Add(220 * time.Minute)},
			{Until: noon.Add(5 * time.Minute), Kinds: []string{"user."}},
			{From: noon.Add(390 * time.Minute)},
			{Until: noon},
			{Until: noon.Add(1000 * time.Hour), Limit: 7},
			{Kinds: []string{"no such"}},
		} {
			want := []string{}
			for _, e := range all {
				if fits(q, e) {
					want = append(want, e.Text)
				}
			}
			if diff := cmp.Diff(thereAndBack(t, events, q), want); diff != "" {
				t.Errorf("%+v (-got +want):\n%s", q, diff)
			}
		}
	})
}

// fits reports whether an event matches a query. It is a simple implementation that Search is
// compared with.
func fits(q event.Query, e event.Event) bool {
	begins := len(q.Kinds) == 0
	for _, k := range q.Kinds {
		begins = begins || strings.HasPrefix(e.Name, k)
	}
	has := func(text, part string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(part)) }
	return begins && (q.Scope.Kind == "" || q.Scope.Kind == e.Scope.Kind) && (q.Scope.ID == "" || q.Scope.ID == e.Scope.ID) &&
		(q.Subject == "" || q.Subject == e.Subject) &&
		(has(e.Actor, q.Actor) || has(e.By.Name, q.Actor) || e.By.ID == q.Actor || e.By.Address == q.Actor) &&
		(has(e.Text, q.Text) || has(e.By.Name, q.Text) || e.By.ID == q.Text) &&
		(q.From.IsZero() || !e.Time.Before(q.From)) && (q.Until.IsZero() || e.Time.Before(q.Until))
}

// thereAndBack reads all pages of a query, and checks that reading backward shows the same pages.
func thereAndBack(t *testing.T, events event.Trail, q event.Query) []string {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 20
	}
	texts := func(p event.Page) (list []string) {
		for _, e := range p.Events {
			list = append(list, e.Text)
		}
		return list
	}
	all := []string{}
	var pages []event.Page
	for {
		p, err := event.Search(t.Context(), events, q)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
		all = append(all, texts(p)...)
		if p.Older.IsZero() {
			break
		}
		q.Before = p.Older
	}
	q.Before = event.Position{}
	for i := len(pages) - 1; i > 0; i-- {
		q.After = pages[i].Newer
		p, err := event.Search(t.Context(), events, q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(texts(p), texts(pages[i-1])); diff != "" {
			t.Errorf("%+v: back to page %d (-got +want):\n%s", q, i-1, diff)
		}
	}
	return all
}

// TestAPageOfTheAuditTrailIsReadFromAnIndex checks how both databases read each kind of page: an
// index gives the rows in order. So the cost of a page does not depend on the number of events.
func TestAPageOfTheAuditTrailIsReadFromAnIndex(t *testing.T) {
	t.Parallel()
	sorts := regexp.MustCompile(`(?i)TEMP B-TREE|SCAN event$|Seq Scan|\bSort\b`)
	storetest.EachURL(t, func(t *testing.T, url string) {
		db := storetest.Open(t, url)
		many := make([]event.Event, 3000)
		for i := range many {
			many[i] = event.Event{
				Scope: event.Site(fmt.Sprint(i % 7)), Name: event.Names[i%len(event.Names)], Subject: fmt.Sprint(i % 50),
				By: event.Actor{Kind: event.ActorKinds[i%len(event.ActorKinds)], ID: fmt.Sprint(i % 11)},
			}
		}
		if err := (store.Events{DB: db}).Record(t.Context(), many...); err != nil {
			t.Fatal(err)
		}
		place := event.Position{Seq: 1500}
		for _, newer := range []bool{false, true} {
			for name, s := range map[string]event.Selection{
				"everything":  {},
				"one scope":   {Scope: event.Site("1")},
				"subject":     {Scope: event.Site("1"), Subject: "8"},
				"actor":       {Actor: "3"},
				"name":        {Names: []string{"site.renamed"}},
				"scoped name": {Names: []string{"site.renamed"}, Scope: event.Site("1")},
			} {
				s.Start, s.Newer, s.Limit = place, newer, 3
				plan, err := store.PlanOfSelection(t.Context(), db, s)
				if err != nil {
					t.Fatal(err)
				}
				if text := strings.Join(plan, "\n"); sorts.MatchString(text) || text == "" {
					t.Errorf("%s, newer %v:\n%s", name, newer, text)
				}
			}
		}
	})
}
