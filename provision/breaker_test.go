package provision_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestATargetThatRefusesEveryWriteIsTriedWithOne provisions into an application that answers
// searches but refuses every write.
func TestATargetThatRefusesEveryWriteIsTriedWithOne(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.engine.Workers = 1
			for i := range 50 {
				w.people.put(fmt.Sprintf("p%02d", i), person(fmt.Sprintf("user%02d@contoso.com", i), "User", fmt.Sprint(i)))
			}
			refused := 0
			w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					return false
				}
				refused++
				refuse(rw, status, "", "This token may only read.")
				return true
			}
			stopped := func(want, onItsWay int) {
				t.Helper()
				refused = 0
				_, _, err := w.tryCycle()
				var te *provision.TargetError
				if !errors.As(err, &te) || te.Code != "WritesRefused" || te.Status != status || !strings.Contains(te.Detail, "This token may only read.") || !strings.HasPrefix(te.Request, "POST ") {
					t.Fatalf("got %+v, %v", te, err)
				}
				if refused < want || refused > want+onItsWay {
					t.Errorf("%d writes were sent, want %d", refused, want)
				}
			}
			stopped(20, 1)
			q := w.report().State.Quarantine
			if q == nil || q.NextAttempt.Sub(w.clock.now()) > 2*time.Minute {
				t.Errorf("quarantine %+v", q)
			}
			stopped(1, 0)
			stopped(1, 0)
			if q := w.report().State.Quarantine; q == nil || q.Attempts != 3 {
				t.Errorf("quarantine %+v", q)
			}
			w.app.answer = nil
			w.engine.Workers = 0
			w.clock.advance(time.Hour)
			w.cycle()
			w.cycle() // retry the people who failed
			if s := w.report(); s.Linked != 50 || len(w.app.users) != 50 || s.State.Quarantine != nil || s.State.Trial != nil {
				t.Errorf("once it takes changes: %+v", s)
			}
		})
	}
}

// TestPeopleWhoseChangesAreRefusedDoNotStopOthers has an application that refuses many people, each
// for a reason that concerns only that person.
func TestPeopleWhoseChangesAreRefusedDoNotStopOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.engine.Workers = 1
	for i := range 60 {
		w.people.put(fmt.Sprintf("p%02d", i), person(fmt.Sprintf("user%02d@contoso.com", i), "User", fmt.Sprint(i)))
	}
	w.app.answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.Contains(body(r), `5@contoso.com"`) && !strings.Contains(body(r), `4@contoso.com"`) && !strings.Contains(body(r), `0@contoso.com"`) && !strings.Contains(body(r), `1@contoso.com"`) {
			return false
		}
		refuse(rw, http.StatusBadRequest, "invalidValue", "No such cost center.")
		return true
	}
	report, _ := w.cycle()
	if report.Created != 36 || report.Failed != 24 {
		t.Fatalf("report %+v", report)
	}
	for range 3 { // in these cycles, only the failed people are tried again
		if report, _ := w.cycle(); report.Failed != 24 || w.report().State.Quarantine != nil {
			t.Fatalf("report %+v", report)
		}
	}
}
