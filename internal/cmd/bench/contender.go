package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rollcall-scim/rollcall/internal/foreign"
)

// rivalModule is a Go module with the rival: a server on elimity-com/scim, the fastest of the
// servers of other projects that were measured. It keeps everything in memory and writes nothing.
//
//go:embed contender.txtar
var rivalModule []byte

const (
	rivalLibrary   = "github.com/elimity-com/scim" // the library that the rival uses
	rivalToken     = "contender"                   // the token of the rival, which listens only on this machine and only during a run
	rivalGroupSize = 5_000                         // the size of the group that is read with its members from both servers

	// longerRounds is how many times as long as usual a round of this part is. The rival keeps
	// gigabytes, and collects its garbage only every few seconds. In short rounds, most would have no
	// collection and some would have little else.
	longerRounds = 5
)

// buildRival builds the rival. It returns a foreign.Missing error if the library cannot be
// downloaded.
func (b *bench) buildRival(ctx context.Context) (program, version string, err error) {
	dir := filepath.Join(b.dir, "contender")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	for _, f := range txtar.Parse(rivalModule).Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			return "", "", err
		}
	}
	program = filepath.Join(dir, "contender")
	if _, _, err := foreign.Run(ctx, foreign.InstallLimit, nil, "go", "build", "-C", dir, "-o", program, "."); err != nil {
		return "", "", foreign.NewMissing("go does not build the server on %s: %v", rivalLibrary, err)
	}
	out, _, err := foreign.Run(ctx, foreign.RunLimit, nil, "go", "list", "-C", dir, "-m", "-f", "{{.Version}}", rivalLibrary)
	return program, strings.TrimSpace(string(out)), err
}

// measureRival measures the largest site beside the rival, which has the same people and groups.
// The two servers take turns.
func (b *bench) measureRival(ctx context.Context, w *runningSites, s *section) (err error) {
	program, version, err := b.buildRival(ctx)
	var missing foreign.Missing
	if errors.As(err, &missing) {
		s.Note = "Not measured: " + missing.Message
		return nil
	}
	if err != nil {
		return err
	}
	s.Note = fmt.Sprintf("It is %s %s. Rounds are %d times as long here, so that each has its share of the contender's garbage collections.", rivalLibrary, version, longerRounds)
	rivalServer, err := b.start(ctx, "contender", program, rivalToken, scimPath)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stop(rivalServer)) }()
	own := side{w.largest(), w.servers[len(w.servers)-1], group{}}
	rival := side{&population{token: rivalToken}, rivalServer, group{}}
	if err := rival.site.fill(ctx, rivalServer.addr, own.site.users()); err != nil {
		return err
	}
	for _, end := range []*side{&own, &rival} {
		if end.group, err = end.site.newGroup(ctx, end.server.addr, "Compared", end.site.ids[:min(rivalGroupSize, len(end.site.ids))]); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, own.site.remove(ctx, own.server.addr, "/Groups/"+own.group.id)) }()
	if err := compareSides(ctx, own, rival); err != nil {
		return fmt.Errorf("the answers differ: %w", err)
	}
	if err := b.addRivalRows(ctx, s, own, rival); err != nil {
		return err
	}
	longer := *b
	longer.roundDuration *= longerRounds
	return longer.interleave(ctx, s.Rows...)
}

// side is one of the two compared servers, Rollcall or the rival, with its people and the group
// that is read with its members.
type side struct {
	site   *population
	server *server
	group  group
}

// addRivalRows adds the rows of both servers, and the claims that compare them.
func (b *bench) addRivalRows(ctx context.Context, s *section, own, rival side) error {
	var last atomic.Int64
	last.Store(int64(2 * (own.site.users() + ungroupedUsers)))
	number := func() int { return int(last.Add(1)) }
	add := func(name string, load func(side) (load, error), row func(name string, end side, l load) *contender) ([]*contender, error) {
		var rows []*contender
		for _, end := range []side{own, rival} {
			l, err := load(end)
			if err != nil {
				return nil, err
			}
			called := name
			if end == rival {
				called += ", the contender"
			}
			rows = append(rows, row(called, end, l))
		}
		return rows, nil
	}
	plain := func(name string, end side, l load) *contender { return s.addRow(name, end.site.users(), end.server, l) }
	created := func(name string, end side, l load) *contender { return s.addCreateRow(name, end.site, end.server, l) }
	for _, k := range []struct {
		name string
		load func(side) (load, error)
		row  func(string, side, load) *contender
	}{
		{"GET by id", func(e side) (load, error) { return e.site.readByIDLoad(e.server.addr, b.clients), nil }, plain},
		{"lookup by userName", func(e side) (load, error) {
			return e.site.filterLoad(e.server.addr, b.clients, func(p person) string { return fmt.Sprintf("userName eq %q", p.userName()) }), nil
		}, plain},
		{"page of 100", func(e side) (load, error) {
			return e.site.getLoad(e.server.addr, listClients, []string{"/Users?startIndex=2&count=100"}, expectText(`"Resources":[{`)), nil
		}, plain},
		{"PATCH active", func(e side) (load, error) { return e.site.activationLoad(e.server.addr, b.clients), nil }, plain},
		{"POST", func(e side) (load, error) { return e.site.createLoad(e.server.addr, b.clients, number) }, created},
	} {
		rows, err := add(k.name, k.load, k.row)
		if err != nil {
			return err
		}
		rows[0].claims = append(rows[0].claims, rateClaim(rows[1], "the contender's rate", atLeast(1)), costClaim(rows[1], "the contender's", aim{}))
	}
	name := fmt.Sprintf("GET of a group of %s with its members", withThousandsCommas(own.group.members))
	rows, err := add(name, func(e side) (load, error) {
		return e.site.getLoad(e.server.addr, 1, []string{"/Groups/" + e.group.id}, expectMembers(e.group.members)), nil
	}, plain)
	if err != nil {
		return err
	}
	ownBytes, err := own.answerBytes(ctx, "/Groups/"+own.group.id)
	if err != nil {
		return err
	}
	rivalBytes, err := rival.answerBytes(ctx, "/Groups/"+rival.group.id)
	bytesPerSecond := rateClaim(rows[1], fmt.Sprintf("the contender's bytes per second (an answer has %s bytes and %s)", withThousandsCommas(ownBytes), withThousandsCommas(rivalBytes)), atLeast(1))
	bytesPerSecond.factor = float64(ownBytes) / float64(max(1, rivalBytes))
	rows[0].claims = append(rows[0].claims, bytesPerSecond)
	return err
}

// get sends a GET to the server and returns the body. target is the path below the SCIM address,
// with the query.
func (e side) get(ctx context.Context, target string) ([]byte, error) {
	c, err := dial(ctx, e.server.addr)
	if err != nil {
		return nil, err
	}
	defer c.close()
	status, body, err := c.send(e.site.appendRequest(nil, http.MethodGet, target, nil))
	if err == nil && status != http.StatusOK {
		err = unexpectedAnswer(status, body)
	}
	return body, err
}

// answerBytes returns the size of the answer to a GET, in bytes.
func (e side) answerBytes(ctx context.Context, target string) (int, error) {
	body, err := e.get(ctx, target)
	return len(body), err
}

// remove deletes a resource. target is its path below the SCIM address.
func (s *population) remove(ctx context.Context, addr, target string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.close()
	status, body, err := c.send(s.appendRequest(nil, http.MethodDelete, target, nil))
	if err == nil && status != http.StatusNoContent {
		err = unexpectedAnswer(status, body)
	}
	return err
}

// compareSides returns an error if the two servers answer with different content. It compares
// single users, the results of searches, a page, and the members of the group.
func compareSides(ctx context.Context, own, rival side) error {
	for _, i := range []int{0, own.site.users() / 2, own.site.users() - 1} {
		name := personOf(i).userName()
		for _, target := range []func(side) string{
			func(e side) string { return "/Users/" + e.site.ids[i] },
			func(side) string { return lookupPath(name) },
		} {
			a, err := own.users(ctx, target(own))
			if err != nil {
				return err
			}
			b, err := rival.users(ctx, target(rival))
			if err != nil {
				return err
			}
			if len(a) != 1 || !reflect.DeepEqual(a, b) {
				return fmt.Errorf("%s: %v and %v", target(own), a, b)
			}
		}
	}
	for _, e := range []side{own, rival} {
		page, err := e.users(ctx, "/Users?startIndex=2&count=100")
		if err != nil {
			return err
		}
		if want := min(100, e.site.users()+ungroupedUsers-1); len(page) < want {
			return fmt.Errorf("a page has %d users, not %d", len(page), want)
		}
		body, err := e.get(ctx, "/Groups/"+e.group.id)
		if err != nil {
			return err
		}
		var shown struct{ Members []struct{ Value string } }
		if err := json.Unmarshal(body, &shown); err != nil {
			return err
		}
		var ids []string
		for _, m := range shown.Members {
			ids = append(ids, m.Value)
		}
		slices.Sort(ids)
		if want := slices.Sorted(slices.Values(e.site.ids[:e.group.members])); !slices.Equal(ids, want) {
			return fmt.Errorf("the group has %d members, not the %d that it was created with", len(ids), len(want))
		}
	}
	return nil
}

// users returns the users in an answer, without the values that a server makes itself: id, meta,
// groups and schemas.
func (e side) users(ctx context.Context, target string) ([]map[string]any, error) {
	body, err := e.get(ctx, target)
	if err != nil {
		return nil, err
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	list, isList := answer["Resources"].([]any)
	if !isList {
		list = []any{answer}
	}
	var users []map[string]any
	for _, one := range list {
		user, _ := one.(map[string]any)
		for _, made := range []string{"id", "meta", "groups", "schemas"} {
			delete(user, made)
		}
		users = append(users, user)
	}
	return users, nil
}
