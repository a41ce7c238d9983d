package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/store"
)

// eventJSON is an event of the audit trail as programs read it.
type eventJSON struct {
	Time    string          `json:"time"`
	Event   string          `json:"event"`
	Scope   string          `json:"scope"`
	ScopeID string          `json:"scopeId,omitempty"`
	Subject string          `json:"subject,omitempty"`
	Text    string          `json:"text"`
	Actor   actorJSON       `json:"actor"`
	Data    json.RawMessage `json:"data,omitempty"`
}

type actorJSON struct {
	Kind      string `json:"kind"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Address   string `json:"address,omitempty"`
	UserAgent string `json:"userAgent,omitempty"`
}

func (c *command) auditCommand() *cobra.Command {
	var siteName, directoryName string
	var installation bool
	var q event.Query
	var name string
	cmd := &cobra.Command{
		Use: "audit", Short: "Show who changed what, from where, newest first", Args: names(),
		Long: `Shows the audit trail of the whole installation, or of one site, one directory or the
installation itself. A site or a directory that is deleted is named by its id. --json
adds each value before and after.`,
		RunE: c.with(func(cmd *cobra.Command, s *services, _ []string) error {
			if q.Limit < 1 || q.Limit > 10_000 {
				return usagef(cmd, "--limit is a number from 1 to 10000, not %d", q.Limit)
			}
			scope, err := s.auditScope(cmd.Context(), siteName, directoryName, installation)
			if err != nil {
				return err
			}
			if name != "" {
				q.Kinds = []string{name}
			}
			found, err := auditEvents(cmd.Context(), s, scope, q)
			if err != nil {
				return err
			}
			out, lines := []eventJSON{}, [][]string{}
			for _, e := range found {
				out = append(out, eventJSON{
					stamp(e.Time), e.Name, e.Scope.Kind, e.Scope.ID, e.Subject, e.Text,
					actorJSON{string(e.By.Kind), e.By.ID, e.By.Name, e.By.Address, e.By.UserAgent},
					e.Data,
				})
				lines = append(lines, []string{c.when(e.Time), e.Text, strings.TrimSpace(string(e.By.Kind) + " " + e.By.Name), e.By.Address})
			}
			return c.print(out, func(w io.Writer) {
				rows(w, "No event fits.", []string{"Time", "What happened", "By", "From"}, lines)
			})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&siteName, "site", "", "only this site: its name or id")
	flags.StringVar(&directoryName, "directory", "", "only this directory: its name or id")
	flags.BoolVar(&installation, "installation", false, "only the installation itself: operators, settings, what was deleted")
	flags.StringVar(&q.Actor, "actor", "", "only what this actor did: part of the name, or the whole id or address")
	flags.StringVar(&name, "event", "", "only events whose name begins with this, such as user. or token.created")
	flags.IntVar(&q.Limit, "limit", 50, "at most this many")
	cmd.MarkFlagsMutuallyExclusive("site", "directory", "installation")
	return cmd
}

// auditScope is whose events are asked for; the zero scope is everybody's.
func (s *services) auditScope(ctx context.Context, siteName, directoryName string, installation bool) (event.Scope, error) {
	switch {
	case installation:
		return event.Installation(), nil
	case siteName != "":
		all, err := s.sites.List(ctx)
		for _, st := range all {
			if st.Name == siteName || string(st.ID) == siteName {
				return event.Site(string(st.ID)), err
			}
		}
		if err != nil {
			return event.Scope{}, err
		}
		return s.deletedScope(ctx, event.Site(siteName), func() error {
			_, err := s.siteByName(ctx, siteName)
			return err
		})
	case directoryName != "":
		all, err := s.directories.List(ctx)
		for _, d := range all {
			if strings.EqualFold(d.Name, directoryName) || string(d.ID) == directoryName {
				return event.Directory(string(d.ID)), err
			}
		}
		if err != nil {
			return event.Scope{}, err
		}
		return s.deletedScope(ctx, event.Directory(directoryName), func() error {
			_, err := s.directories.OpenNamed(ctx, directoryName)
			return err
		})
	}
	return event.Scope{}, nil
}

// deletedScope is the scope of something deleted, which only its events still know; without any, missing says what there is.
func (s *services) deletedScope(ctx context.Context, scope event.Scope, missing func() error) (event.Scope, error) {
	found, err := auditEvents(ctx, s, scope, event.Query{Limit: 1})
	if err == nil && len(found) == 0 {
		err = missing()
	}
	return scope, err
}

// auditEvents reads page after page until it has q.Limit events or there are no more.
func auditEvents(ctx context.Context, s *services, scope event.Scope, q event.Query) ([]event.Event, error) {
	var found []event.Event
	for limit := q.Limit; ; {
		q.Limit = limit - len(found)
		page, next, err := event.Search(ctx, store.Everywhere{DB: s.db}, scope, q)
		if err != nil {
			return nil, fmt.Errorf("read the audit trail: %w", err)
		}
		if found = append(found, page...); next.IsZero() || len(found) >= limit {
			return found, nil
		}
		q.Before = next
	}
}
