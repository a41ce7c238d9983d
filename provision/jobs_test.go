package provision_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
)

func TestTestConnection(t *testing.T) {
	t.Parallel()
	t.Run("the_saved_token_is_used_when_none_is_typed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		if _, err := w.jobs.TestConnection(t.Context(), w.key, w.app.url(), nil); err != nil {
			t.Error(err)
		}
		wrong := "wrong"
		var te *provision.TargetError
		if _, err := w.jobs.TestConnection(t.Context(), w.key, w.app.url(), &wrong); !errors.As(err, &te) || te.Kind != provision.Credentials {
			t.Errorf("got %v, want refused credentials", err)
		}
		if d := cmp.Diff([]string{"GET /Users", "GET /Users"}, w.app.asked()); d != "" { // a search, and the list
			t.Errorf("requests (-want +got):\n%s", d)
		}
	})
	t.Run("it_works_before_the_first_save", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		fresh := provision.Key{Directory: "contoso", App: "fresh"}
		if _, err := w.jobs.TestConnection(t.Context(), fresh, w.app.url(), &w.app.token); err != nil {
			t.Error(err)
		}
		if _, err := w.jobs.Get(t.Context(), fresh); !errors.Is(err, provision.ErrNoJob) {
			t.Errorf("the test made a job: %v", err)
		}
	})
	t.Run("the_saved_token_never_goes_to_another_host", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		var got string
		stranger := newApplication(t)
		stranger.token = "nobody's"
		_, err := w.jobs.TestConnection(t.Context(), w.key, stranger.url(), nil)
		var input *provision.InputError
		if !errors.As(err, &input) || input.Field != "Secret Token" || len(stranger.asked()) != 0 {
			t.Errorf("got %v and %q", err, got)
		}
	})
	t.Run("an_empty_tenant_url_names_its_field", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		var input *provision.InputError
		if _, err := w.jobs.TestConnection(t.Context(), w.key, " ", nil); !errors.As(err, &input) || input.Field != "Tenant URL" {
			t.Errorf("got %v", err)
		}
	})
}

func TestSave(t *testing.T) {
	t.Parallel()
	t.Run("before_the_first_save_the_default_is_shown", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		fresh := provision.Key{Directory: "contoso", App: "fresh"}
		if _, err := w.jobs.Report(t.Context(), fresh); !errors.Is(err, provision.ErrNoJob) {
			t.Errorf("got %v, want ErrNoJob", err)
		}
		d, err := w.jobs.Default(fresh)
		if err != nil || d.Mode != provision.Manual || d.Status != provision.Off || d.Scope != provision.AssignedOnly || d.HasSecret() {
			t.Errorf("got %+v, %v", d, err)
		}
	})
	t.Run("a_sealed_token_opens_for_its_origin_alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		job := w.report().Job
		save := func(url string, secret *string) (provision.Job, error) {
			return w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, TenantURL: url, Status: job.Status, Scope: job.Scope, Secret: secret}, "cli")
		}
		if _, err := save(job.TenantURL+"/other?aadOptscim062020", nil); err != nil {
			t.Errorf("another path of the same origin: %v", err)
		}
		for _, url := range []string{
			strings.Replace(job.TenantURL, "127.0.0.1", "localhost", 1),
			strings.Replace(job.TenantURL, "http://", "https://", 1),
			regexp.MustCompile(`:\d+`).ReplaceAllString(job.TenantURL, ":1"),
		} {
			var input *provision.InputError
			if _, err := save(url, nil); !errors.As(err, &input) || input.Field != "Secret Token" {
				t.Errorf("%s: got %v, want the token to be asked for again", url, err)
			}
		}
	})
	t.Run("the_secret_is_kept_sealed_for_its_job", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		job := w.report().Job
		if got, want := string(job.SealedSecret), "provision/secret/contoso/acme/"+originOf(t, job.TenantURL)+"|terces"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		empty := ""
		s := provision.Settings{Mode: job.Mode, TenantURL: job.TenantURL, Status: job.Status, Scope: job.Scope, Secret: &empty}
		if job, err := w.jobs.Save(t.Context(), w.key, s, "cli"); err != nil || job.HasSecret() {
			t.Errorf("an emptied token is still there: %+v, %v", job, err)
		}
	})
	t.Run("saving_what_is_there_changes_nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		job := w.report().Job
		s := provision.Settings{Mode: job.Mode, TenantURL: " " + job.TenantURL, Status: job.Status, Scope: job.Scope}
		if again, err := w.jobs.Save(t.Context(), w.key, s, "cli"); err != nil || again.Version != job.Version {
			t.Errorf("version %d became %d, %v", job.Version, again.Version, err)
		}
	})
	t.Run("saving_the_same_token_again_tries_at_once", func(t *testing.T) {
		t.Parallel()
		w := hired(t)
		w.app.answer = func(rw http.ResponseWriter, _ *http.Request) bool {
			refuse(rw, http.StatusUnauthorized, "", "The token has expired.")
			return true
		}
		w.people.set("p1", "city", "Bergen")
		w.slice()
		job := w.report().Job
		if w.report().State.Quarantine == nil {
			t.Fatal("the job is not in quarantine")
		}
		w.app.answer = nil // the application accepts the token again
		secret := " secret\n"
		s := provision.Settings{Mode: job.Mode, TenantURL: job.TenantURL, Status: job.Status, Scope: job.Scope, Secret: &secret}
		if _, err := w.jobs.Save(t.Context(), w.key, s, "cli"); err != nil {
			t.Fatal(err)
		}
		w.slice()
		if r := w.report(); r.State.Quarantine != nil || r.Pending != 0 {
			t.Errorf("still in quarantine: %+v, %d wait", r.State.Quarantine, r.Pending)
		}
	})
	t.Run("another_key_file_is_explained", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		other := provision.Key{Directory: "contoso", App: "other"}
		job := w.report().Job
		job.Key = other
		if err := w.store.InsertJob(t.Context(), job, eventOf(other)); err != nil {
			t.Fatal(err)
		}
		var te *provision.TargetError
		if _, err := w.jobs.TestConnection(t.Context(), other, job.TenantURL, nil); !errors.As(err, &te) || te.Kind != provision.Credentials {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a_removed_job_is_gone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		if err := w.jobs.Delete(t.Context(), w.key, "cli"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.jobs.Get(t.Context(), w.key); !errors.Is(err, provision.ErrNoJob) {
			t.Errorf("got %v", err)
		}
	})
}

func originOf(t *testing.T, tenantURL string) string {
	t.Helper()
	u, err := url.Parse(tenantURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host
}

func TestATenantURLHoldsNoToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.report().Job
	token := "rollcall_" + strings.Repeat("a", 49)
	for _, tenantURL := range []string{job.TenantURL + "?token=" + token, job.TenantURL + "/" + token, job.TenantURL + "?x=rollcall%5F" + token[9:]} {
		var input *provision.InputError
		_, err := w.jobs.Save(t.Context(), w.key, provision.Settings{Mode: job.Mode, TenantURL: tenantURL, Status: job.Status, Scope: job.Scope}, "cli")
		if !errors.As(err, &input) || input.Field != "Tenant URL" || strings.Contains(err.Error(), token) {
			t.Errorf("%s: got %v, want a refusal that does not show it", tenantURL, err)
		}
	}
}
