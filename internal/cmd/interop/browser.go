package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// browser imitates a person's browser as far as a sign-in needs it: cookies, redirects and forms.
type browser struct {
	client *http.Client // keeps the cookies
}

// newBrowser returns a browser without cookies.
func newBrowser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // cannot happen: cookiejar.New never returns an error
	}
	return &browser{client: &http.Client{Jar: jar, Timeout: time.Minute}}
}

// page is an answer that a browser shows.
type page struct {
	address *url.URL // the address after all redirects
	status  int      // the HTTP status
	body    string   // the HTML text
}

// String describes the page for an error message: its address, its status and the start of its
// text.
func (p *page) String() string {
	text := regexp.MustCompile(`(?s)<(script|style|head).*?</(script|style|head)>|<[^>]*>`).ReplaceAllString(p.body, " ")
	return fmt.Sprintf("%s answers %d: %.300s", p.address, p.status, strings.Join(strings.Fields(html.UnescapeString(text)), " "))
}

// open opens an address, and follows redirects.
func (b *browser) open(ctx context.Context, address string) (*page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.send(r)
}

// send sends a request, and follows redirects.
func (b *browser) send(r *http.Request) (*page, error) {
	r.Header.Set("User-Agent", "interop")
	r.Header.Set("Accept", "text/html")
	answer, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return &page{address: answer.Request.URL, status: answer.StatusCode, body: string(body)}, err
}

// submit sends a form, and follows redirects.
func (b *browser) submit(ctx context.Context, f form) (*page, error) {
	target := *f.action
	var body io.Reader
	if f.method == http.MethodGet {
		target.RawQuery = f.values.Encode()
	} else {
		body = strings.NewReader(f.values.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, f.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", f.origin)
	}
	return b.send(r)
}

// form is a form of a page, with the values that a browser sends if the person changes nothing.
type form struct {
	action        *url.URL
	method        string
	origin        string     // the origin of the page, for the header Origin
	values        url.Values // the names and values of the inputs
	userNameInput string     // the name of the input before the password; empty if the form asks for no password
	passwordInput string     // the name of the input for the password
}

// These patterns match an HTML form with its content, an input of a form, an attribute of a tag,
// and the start of a link.
var (
	formTag  = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	fieldTag = regexp.MustCompile(`(?is)<(input|button|textarea)\b([^>]*)>(?:([^<]*)</textarea>)?`)
	attrPair = regexp.MustCompile(`(?s)([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?`)
	linkTag  = regexp.MustCompile(`(?is)<a\b([^>]*)>`)
)

// attributesOf returns the attributes of a tag. An attribute without a value has its own name as
// the value.
func attributesOf(tag string) map[string]string {
	found := map[string]string{}
	for _, m := range attrPair.FindAllStringSubmatch(tag, -1) {
		name, value := strings.ToLower(m[1]), html.UnescapeString(m[2]+m[3]+m[4])
		if !strings.Contains(m[0], "=") {
			value = name
		}
		if _, known := found[name]; !known {
			found[name] = value
		}
	}
	return found
}

// forms returns the forms of the page.
func (p *page) forms() ([]form, error) {
	var all []form
	for _, m := range formTag.FindAllStringSubmatch(p.body, -1) {
		tag := attributesOf(m[1])
		action, err := p.address.Parse(strings.TrimSpace(tag["action"]))
		if err != nil {
			return nil, fmt.Errorf("a form of %s: %w", p.address, err)
		}
		f := form{action: action, method: http.MethodGet, origin: p.address.Scheme + "://" + p.address.Host, values: url.Values{}}
		if strings.EqualFold(tag["method"], "post") {
			f.method = http.MethodPost
		}
		last := ""
		for _, m := range fieldTag.FindAllStringSubmatch(m[2], -1) {
			field, kind := attributesOf(m[2]), strings.ToLower(m[1])
			name, value := field["name"], field["value"]
			if kind == "textarea" {
				value = html.UnescapeString(m[3])
			}
			if _, checked := field["checked"]; name == "" || kind == "button" || field["type"] == "submit" || !checked && (field["type"] == "checkbox" || field["type"] == "radio") {
				continue
			}
			if field["type"] == "password" && field["autocomplete"] != "new-password" { // an input for a new password does not make the form a sign-in form
				f.userNameInput, f.passwordInput = last, name
			}
			if field["type"] != "hidden" {
				last = name
			}
			f.values.Add(name, value)
		}
		all = append(all, f)
	}
	return all, nil
}

// form returns the first form of the page that is sent to an address whose path ends with suffix.
func (p *page) form(suffix string) (form, error) {
	all, err := p.forms()
	if err != nil {
		return form{}, err
	}
	for _, f := range all {
		if strings.HasSuffix(f.action.Path, suffix) {
			return f, nil
		}
	}
	return form{}, fmt.Errorf("there is no form for …%s: %s", suffix, p)
}

// link returns the address of the first link of the page whose address contains part.
func (p *page) link(part string) (string, error) {
	for _, m := range linkTag.FindAllStringSubmatch(p.body, -1) {
		to, err := p.address.Parse(attributesOf(m[1])["href"])
		if err == nil && strings.Contains(to.String(), part) {
			return to.String(), nil
		}
	}
	return "", fmt.Errorf("there is no link with %q: %s", part, p)
}

// message returns the form of the page that contains a SAML message. A browser sends such a form by
// itself, with a script. The bool reports whether the page has such a form.
func (p *page) message() (form, bool, error) {
	all, err := p.forms()
	for _, f := range all {
		if f.values.Has("SAMLResponse") || f.values.Has("SAMLRequest") {
			return f, true, err
		}
	}
	return form{}, false, err
}

// answerPages answers each page until a page asks for nothing more. It sends forms with SAML
// messages, enters the password if a page asks for it, and agrees if an OpenID provider asks for
// consent. It returns the last page, and how many times a page asked for the password.
func (b *browser) answerPages(ctx context.Context, p *page, who employee) (last *page, asked int, err error) {
	for range 20 {
		next, found, err := p.message()
		if err != nil {
			return p, asked, err
		}
		if !found {
			if next, found, err = p.questionFor(who); err != nil {
				return p, asked, err
			}
			if !found {
				return p, asked, nil
			}
			if next.passwordInput != "" {
				asked++
			}
		}
		if p, err = b.submit(ctx, next); err != nil {
			return nil, asked, err
		}
	}
	return p, asked, fmt.Errorf("signing in does not come to an end: %s", p)
}

// questionFor returns the form in which an identity provider asks for a password or for consent. It
// has filled in the name and the password of this person. The bool reports whether the page has
// such a form.
func (p *page) questionFor(who employee) (form, bool, error) {
	all, err := p.forms()
	for _, f := range all {
		switch {
		case f.passwordInput != "" && f.userNameInput != "":
			f.values.Set(f.userNameInput, who.ID)
			f.values.Set(f.passwordInput, who.Password)
			return f, true, err
		case f.values.Get("prompt") == "consent":
			return f, true, err
		}
	}
	return form{}, false, err
}
