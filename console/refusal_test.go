package console

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
)

func TestARefusalIsAPageThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]PageError{
		refusal.New(refusal.NotFound, "", "there is no directory %q", "x").Advise("there is contoso"): {
			Status: http.StatusNotFound, Title: "There is nothing here", Text: `There is no directory "x". There is contoso.`,
		},
		refusal.New(refusal.Taken, "name", "that name is taken").Advise("choose another one"): {
			Status: http.StatusConflict, Title: "This was not done", Text: "That name is taken. Choose another one.",
		},
		refusal.New(refusal.Invalid, "mail", "mail is not an address"): {
			Status: http.StatusUnprocessableEntity, Title: "This was not done", Text: "mail is not an address.",
		},
		scim.Conflict("ada is the last administrator. Make somebody else one first."): {
			Status: http.StatusConflict, Title: "This was not done", Text: "ada is the last administrator. Make somebody else one first.",
		},
		signin.ClosedLink{Reason: signin.LinkDeactivated, Site: "acme", UserName: "ada"}.Refuse(): {
			Status: http.StatusGone, Title: "This link does not open",
			Text: "This account is deactivated, so its links do not open. An administrator of the site can reactivate it.",
		},
		signin.ClosedLink{Reason: onetime.Used, Site: "acme", UserName: "ada"}.Refuse(): {
			Status: http.StatusGone, Title: "This link does not open",
			Text: "This link has been used already: each opens once. A new one is made on the server by: rollcall site link acme ada",
		},
		operator.ClosedLink{Reason: onetime.Unknown}.Refuse(): {
			Status: http.StatusGone, Title: "This link does not open",
			Text: "This link is not known here: it may be cut off, or its operator was removed. A new one is made on the server by: rollcall operator link NAME",
		},
	} {
		e, ok := asRefusal(fmt.Errorf("read: %w", err))
		if !ok {
			t.Errorf("%v is not taken for a refusal", err)
			continue
		}
		got := (&Console{}).refusalPage(e, nil)
		if got.Status != want.Status || got.Title != want.Title || got.Text != want.Text {
			t.Errorf("%v:\ngot  %v\nwant %v", err, got, &want)
		}
	}
	if _, ok := asRefusal(errors.New("the disk is full")); ok {
		t.Error("a failure is shown to people")
	}
	e, _ := asRefusal(operator.ClosedLink{Reason: onetime.Used, Name: "Sam"}.Refuse())
	const elsewhere = "Press Enter where the demo runs."
	if got := (&Console{Options: Options{NewLinks: elsewhere}}).refusalPage(e, nil).Text; !strings.HasSuffix(got, "opens once. "+elsewhere) {
		t.Errorf("got %q, want it to end in %q", got, elsewhere)
	}
}

func TestARefusedLinkNamesACommandThatWorks(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"Sam": "link Sam", "Ada Lovelace": "link 'Ada Lovelace'", "O'Neil": `link 'O'\''Neil'`} {
		e, _ := asRefusal(operator.ClosedLink{Reason: onetime.Expired, Name: name}.Refuse())
		if got := (&Console{}).refusalPage(e, nil).Text; !strings.HasSuffix(got, want) {
			t.Errorf("got %q, want it to end in %q", got, want)
		}
	}
}

func TestARefusalStandsBesideItsInput(t *testing.T) {
	t.Parallel()
	ids := InputIDs{"name": "site-name"}
	if got := InputError(refusal.New(refusal.Taken, "name", "that is taken"), ids); got == nil || *got != (FieldError{For: "site-name", Text: "That is taken."}) {
		t.Errorf("got %v", got)
	}
	if got := InputError(refusal.New(refusal.Invalid, "rate", "too low"), ids); got != nil {
		t.Errorf("a refusal about no input of the form stands beside one: %v", got)
	}
	if got := InputError(refusal.New(refusal.Invalid, "rate", "too low"), InputIDs{"": "all"}); got == nil || got.For != "all" {
		t.Errorf("got %v, want the input for all other fields", got)
	}
	for _, err := range []error{nil, errors.New("the disk is full"), refusal.New(refusal.NotFound, "name", "gone"), refusal.New(refusal.Busy, "name", "later")} {
		if got := InputError(err, ids); got != nil {
			t.Errorf("%v: got %v, want a page", err, got)
		}
	}
}
