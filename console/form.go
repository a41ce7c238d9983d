package console

import (
	"crypto/rand"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Option is one option of a select box.
type Option struct {
	Value, Text string
	Selected    bool
}

// SelectOption selects the option with this value. It changes the list and returns it.
func SelectOption(value string, list []Option) []Option {
	for i := range list {
		list[i].Selected = list[i].Value == value
	}
	return list
}

// DayRange reads the parameters "from" and "to" as days in UTC. until is the start of the day after
// "to", so that both days are included. A missing or invalid day gives a zero time. If a day is
// invalid, wrong says so.
func DayRange(q url.Values) (from, until time.Time, wrong *FieldError) {
	for _, name := range []string{"from", "to"} {
		text := strings.TrimSpace(q.Get(name))
		if text == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			wrong = &FieldError{For: name, Text: "Write the day as 2027-01-31."}
			continue
		}
		if name == "from" {
			from = day
		} else {
			until = day.AddDate(0, 0, 1)
		}
	}
	return from, until, wrong
}

// WithQuery returns path with the parameters of q that filter a list or choose its page; it drops all
// other parameters of q. pairs holds further parameters, as names and values in turn. They replace
// parameters of q with the same name, and an empty value removes a parameter.
func WithQuery(path string, q url.Values, pairs ...string) string {
	next := url.Values{}
	for _, name := range []string{"q", "status", "role", "result", "method", "token", "kind", "actor", "from", "to", "show", "before", "after"} {
		if value := q.Get(name); value != "" {
			next.Set(name, value)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		next.Del(pairs[i])
		if pairs[i+1] != "" {
			next.Set(pairs[i], pairs[i+1])
		}
	}
	if len(next) == 0 {
		return path
	}
	return path + "?" + next.Encode()
}

// NewFormNumber returns a random string. A form that contains it can be used only once, because the
// server remembers it.
func NewFormNumber() string { return rand.Text() }

// ConfirmsNumber reports whether a form confirms a change of n objects. It is false if the form
// confirms another number: then the number has changed since the page asked for confirmation.
func ConfirmsNumber(r *http.Request, n int) bool { return r.PostForm.Get("sure") == strconv.Itoa(n) }

// UploadedFile returns the file that a form uploads, and the file's name. The file is nil if the
// user chose none.
func UploadedFile(r *http.Request) (multipart.File, string, error) {
	if err := r.ParseMultipartForm(8 << 20); err != nil {
		return nil, "", err
	}
	file, header, err := r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	return file, header.Filename, nil
}

// UnreadableForm returns the error page for a form that no page of this server can have sent. It
// returns err itself if the form is too large.
func UnreadableForm(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	return &PageError{
		Status: http.StatusBadRequest, Title: "This form cannot be read",
		Text: "Nothing was changed. Open the page again and send its form once more.",
	}
}
