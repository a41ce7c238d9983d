package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
)

// siteName is the site that all parts measure.
const siteName = "bench"

// adminName is the administrator whom every site has from the beginning.
const adminName = "admin@contoso.example"

const scimPath = "/c/" + siteName + "/auth/scim/v2"

// siteFile is a database with one site of profile full and a live token.
type siteFile struct {
	path  string
	token string
	ids   []string // of its users, in the order of their numbers
	bytes int      // of its users' documents, as answered
}

// newSite makes a site without people, but for its administrator's link.
func (b *bench) newSite(ctx context.Context, name string) (*siteFile, error) {
	s := &siteFile{path: filepath.Join(b.dir, name+".db")}
	if _, err := b.rollcall(ctx, s.path, "site", "create", siteName, "--profile", "full", "--admin", adminName); err != nil {
		return nil, err
	}
	out, err := b.rollcall(ctx, s.path, "token", "create", siteName)
	s.token = string(bytes.TrimSpace(out))
	return s, err
}

// copy is the same site in a file of its own. Nobody may have it open.
func (s *siteFile) copy(b *bench, name string) (*siteFile, error) {
	c := *s
	c.path = filepath.Join(b.dir, name+".db")
	return &c, copyDatabase(c.path, s.path)
}

// request puts an HTTP request together.
func (s *siteFile) request(buf []byte, method, target string, body []byte) []byte {
	buf = append(buf, method...)
	buf = append(buf, ' ')
	buf = append(buf, scimPath...)
	buf = append(buf, target...)
	buf = append(buf, " HTTP/1.1\r\nHost: bench.example\r\nAccept: application/scim+json\r\nAuthorization: Bearer "...)
	buf = append(buf, s.token...)
	if body != nil {
		buf = append(buf, "\r\nContent-Type: application/scim+json\r\nContent-Length: "...)
		buf = strconv.AppendInt(buf, int64(len(body)), 10)
	}
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, body...)
}

// lookup is the target of Entra's search for an account.
func lookup(userName string) string {
	return "/Users?filter=" + url.QueryEscape(`userName eq "`+userName+`"`)
}

// fill brings n people in by durable creates, and keeps their ids.
func (s *siteFile) fill(ctx context.Context, addr string, n int) error {
	s.ids = make([]string, n)
	sizes := make([]int, n)
	_, err := all(ctx, addr, 64, n, func(c *conn, i int) error {
		body, err := personOf(i).user()
		if err != nil {
			return err
		}
		status, answer, err := c.send(s.request(nil, http.MethodPost, "/Users", body))
		if err != nil {
			return err
		}
		var user struct {
			ID string `json:"id"`
		}
		if status != http.StatusCreated || json.Unmarshal(answer, &user) != nil || user.ID == "" {
			return unexpected(status, answer)
		}
		s.ids[i], sizes[i] = user.ID, len(answer)
		return nil
	})
	for _, size := range sizes {
		s.bytes += size
	}
	return err
}

func unexpected(status int, body []byte) error {
	return fmt.Errorf("unexpected answer %d: %.500s", status, body)
}

// byID reads random users.
func (s *siteFile) byID(addr string, clients int) load {
	return load{
		addr: addr, clients: clients,
		next: func(rng *rand.Rand, buf []byte) []byte {
			return s.request(buf, http.MethodGet, "/Users/"+s.ids[rng.IntN(len(s.ids))], nil)
		},
		check: func(status int, body []byte) error {
			if status != http.StatusOK || !bytes.Contains(body, []byte(`"userName":"`)) {
				return unexpected(status, body)
			}
			return nil
		},
	}
}

// byUserName looks random users up.
func (s *siteFile) byUserName(addr string, clients int) load {
	targets := make([]string, len(s.ids))
	for i := range targets {
		targets[i] = lookup(personOf(i).userName())
	}
	return load{
		addr: addr, clients: clients,
		next: func(rng *rand.Rand, buf []byte) []byte {
			return s.request(buf, http.MethodGet, targets[rng.IntN(len(targets))], nil)
		},
		check: found(1),
	}
}

// found accepts a list of n users in all.
func found(n int) func(status int, body []byte) error {
	want := fmt.Appendf(nil, `"totalResults":%d,`, n)
	return func(status int, body []byte) error {
		if status != http.StatusOK || !bytes.Contains(body, want) {
			return unexpected(status, body)
		}
		return nil
	}
}

// empty sends the same bytes to the empty handler.
func (s *siteFile) empty(addr string, clients int) load {
	l := s.byID(addr, clients)
	l.check = func(status int, body []byte) error {
		if status != http.StatusOK || string(body) != emptyAnswer {
			return unexpected(status, body)
		}
		return nil
	}
	return l
}

// newUsers creates people who are not there yet.
func (s *siteFile) newUsers(addr string, clients int, number func() int) (load, error) {
	const hole = 7_777_777
	bodies := make([][]byte, 64)
	for i := range bodies {
		p := personOf(i)
		p.n = hole
		var err error
		if bodies[i], err = p.user(); err != nil {
			return load{}, err
		}
	}
	return load{
		addr: addr, clients: clients,
		next: func(rng *rand.Rand, buf []byte) []byte {
			body := bytes.ReplaceAll(bodies[rng.IntN(len(bodies))], strconv.AppendInt(nil, hole, 10), fmt.Appendf(nil, "%07d", number()))
			return s.request(buf, http.MethodPost, "/Users", body)
		},
		check: created,
	}, nil
}

func created(status int, body []byte) error {
	if status != http.StatusCreated {
		return unexpected(status, body)
	}
	return nil
}
