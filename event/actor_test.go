package event_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
)

func TestAnActorsLabelIsReadAsTheActor(t *testing.T) {
	t.Parallel()
	words := map[string]string{
		"operator:sam": "sam (operator)", "admin:kim@acme.example": "kim@acme.example", "user:ada@acme.example": "ada@acme.example",
		"scim:…a91f": "SCIM, token …a91f", "cli": "command line", "system": "Rollcall itself", "": "Rollcall itself",
		"anybody": "anybody", "something else": "something else", "strange:actor": "strange:actor",
	}
	for label, want := range words {
		a := event.ParseActor(label)
		if got := a.Words(); got != want || a.IsAutomatic() != (want == "Rollcall itself") {
			t.Errorf("%q: got %q, automatic %v, want %q", label, got, a.IsAutomatic(), want)
		}
	}
	for label, a := range map[string]event.Actor{
		"operator:sam":           {Kind: event.Operator, Name: "sam"},
		"admin:kim@acme.example": {Kind: event.Admin, Name: "kim@acme.example"},
		"user:ada@acme.example":  {Kind: event.Person, Name: "ada@acme.example"},
		"scim:…a91f":             {Kind: event.Token, Name: "…a91f"},
		"cli":                    {Kind: event.Command},
		"system":                 {Kind: event.System},
		"anybody":                {Kind: event.Anybody},
		"something else":         {Name: "something else"},
		"strange:actor":          {Name: "strange:actor"},
	} {
		if got := event.ParseActor(label); got != a || got.Label() != label {
			t.Errorf("%q: read as %+v, which says %q", label, got, got.Label())
		}
	}
	if got := (event.Actor{Kind: event.Token, Name: "Entra ID (…a91f)"}).Label(); got != "scim:…a91f" {
		t.Errorf("a token with a name: %q", got)
	}
}

func TestAnEventIsCompletedFromItsContext(t *testing.T) {
	t.Parallel()
	kim := event.Actor{Kind: event.Admin, ID: "k1", Name: "kim", Address: "192.0.2.7", UserAgent: "Firefox"}
	for _, tt := range []struct {
		name string
		in   event.Actor
		e    event.Event
		want event.Event
	}{
		{"nothing_said", kim, event.Event{}, event.Event{Actor: "admin:kim", By: kim}},
		{"the_same_label", kim, event.Event{Actor: "admin:kim"}, event.Event{Actor: "admin:kim", By: kim}},
		{
			"another_label_from_the_same_place", kim,
			event.Event{Actor: "user:ada"},
			event.Event{Actor: "user:ada", By: event.Actor{Kind: event.Person, Name: "ada", Address: "192.0.2.7", UserAgent: "Firefox"}},
		},
		{
			"the_event_knows_better", kim,
			event.Event{Actor: "user:ada", By: event.Actor{Kind: event.Person, ID: "a1", Name: "ada"}},
			event.Event{Actor: "user:ada", By: event.Actor{Kind: event.Person, ID: "a1", Name: "ada", Address: "192.0.2.7", UserAgent: "Firefox"}},
		},
		{"nobody_in_the_context", event.Actor{}, event.Event{Actor: "cli"}, event.Event{Actor: "cli", By: event.Actor{Kind: event.Command}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.e.FillFrom(event.WithActor(t.Context(), tt.in))
			if tt.e.Actor != tt.want.Actor || tt.e.By != tt.want.By {
				t.Errorf("got %q, %+v; want %q, %+v", tt.e.Actor, tt.e.By, tt.want.Actor, tt.want.By)
			}
		})
	}
	long := event.Event{}
	long.FillFrom(event.WithActor(t.Context(), event.Actor{Kind: event.Anybody, UserAgent: strings.Repeat("é", 10_000) + "\xff\x00"}))
	if len(long.By.UserAgent) > 300 || !strings.HasSuffix(long.By.UserAgent, "é…") {
		t.Errorf("a long user agent is kept as %q", long.By.UserAgent)
	}
}
