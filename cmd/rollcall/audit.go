package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/inert"
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/store"
)

// auditFlags are the flags of `rollcall audit`.
type auditFlags struct {
	site, directory string
	installation    bool
	event           string
	since, until    string
	csv             bool
	query           event.Query
}

func (c *command) auditCommand() *cobra.Command {
	var o auditFlags
	cmd := &cobra.Command{
		Use: "audit", Short: "Show who changed what, from where, newest first", Args: exactArguments(),
		Long: `Shows the audit trail of the whole installation, or of one site, one directory or the
installation itself. A site or a directory that is deleted is named by its id. --json
adds each value before and after. --csv writes every event that fits, for a spreadsheet;
that this was done is an event itself.`,
		RunE: c.withServices(func(cmd *cobra.Command, s *services, _ []string) error {
			if err := o.read(cmd); err != nil {
				return err
			}
			var err error
			if o.query.Scope, err = s.auditScope(cmd.Context(), o.site, o.directory, o.installation); err != nil {
				return err
			}
			if o.csv {
				return c.auditCSV(cmd, s, o)
			}
			return c.auditList(cmd, s, o)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.site, "site", "", "only this site: its name or id")
	flags.StringVar(&o.directory, "directory", "", "only this directory: its name or id")
	flags.BoolVar(&o.installation, "installation", false, "only the installation itself: operators, settings, what was deleted")
	flags.StringVar(&o.query.Actor, "actor", "", "only what this actor did: part of the name, or the whole id or address")
	flags.StringVar(&o.query.Subject, "subject", "", "only what happened to the person, application or token with this id")
	flags.StringVar(&o.query.Text, "search", "", "only events whose sentence or actor holds this text")
	flags.StringVar(&o.event, "event", "", "only events whose name begins with this, such as user. or token.created")
	flags.StringVar(&o.since, "since", "", "only events from this day (2026-11-29, in UTC) or time (2026-11-29T08:00:00Z) on")
	flags.StringVar(&o.until, "until", "", "only events up to this day, with the day itself, or before this time")
	flags.BoolVar(&o.csv, "csv", false, "write every event that fits as CSV, as the audit pages export it")
	flags.IntVar(&o.query.Limit, "limit", 50, "at most this many")
	cmd.MarkFlagsMutuallyExclusive("site", "directory", "installation")
	return cmd
}

// read checks the flags and sets the query from them.
func (o *auditFlags) read(cmd *cobra.Command) (err error) {
	if o.query.Limit < 1 || o.query.Limit > 10_000 {
		return usagef(cmd, "--limit is a number from 1 to 10000, not %d", o.query.Limit)
	}
	if o.csv && cmd.Flags().Changed("json") {
		return usagef(cmd, "--csv and --json do not go together: choose one")
	}
	if o.event != "" {
		o.query.Kinds = []string{o.event}
		if len(event.NamesOf(o.event)) == 0 {
			return usagef(cmd, "no event has a name that begins with %q; there are %s", o.event, strings.Join(eventKinds(), " "))
		}
	}
	if o.query.From, err = readMoment(cmd, "since", o.since, 0); err != nil {
		return err
	}
	if o.query.Until, err = readMoment(cmd, "until", o.until, 1); err != nil {
		return err
	}
	if from, until := o.query.From, o.query.Until; !from.IsZero() && !until.IsZero() && !from.Before(until) {
		return usagef(cmd, "--since %s is not before --until %s", o.since, o.until)
	}
	return nil
}

// eventKinds returns the prefixes of event names that --kind accepts.
func eventKinds() (list []string) {
	for _, k := range event.Kinds {
		list = append(list, k.Prefix)
	}
	return list
}

// readMoment reads a flag's value: a time, or a date. For a date, it returns the start of that day
// in UTC, plus the given number of days.
func readMoment(cmd *cobra.Command, flag, text string, days int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, days), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef(cmd, "--%s is a day such as 2026-11-29 or a time such as 2026-11-29T08:00:00Z, not %q", flag, text)
	}
	return at, nil
}

func (c *command) auditList(cmd *cobra.Command, s *services, o auditFlags) error {
	out, lines := []event.Entry{}, [][]string{}
	err := eachEvent(cmd.Context(), s, o.query, o.query.Limit, func(e event.Event) error {
		out = append(out, e.Entry())
		lines = append(lines, []string{c.formatTime(e.Time), e.Text, strings.TrimSpace(string(e.By.Kind) + " " + e.By.Name), e.By.Address})
		return nil
	})
	if err != nil {
		return err
	}
	return c.print(out, func(w io.Writer) {
		printTable(w, "No event fits.", []string{"Time", "What happened", "By", "From"}, lines)
	})
}

// auditCSV writes every matching event as CSV. If --limit is given, it writes only that many
// events. It adds an event to the audit trail that names the user who exported them.
func (c *command) auditCSV(cmd *cobra.Command, s *services, o auditFlags) error {
	most := math.MaxInt
	if cmd.Flags().Changed("limit") {
		most = o.query.Limit
	}
	out, sent := csv.NewWriter(peopleWriter{c.stdout}), 0
	err := out.Write(event.Columns)
	if err == nil {
		err = eachEvent(cmd.Context(), s, o.query, most, func(e event.Event) error {
			sent++
			return out.Write(inert.Cells(e.Cells()))
		})
	}
	out.Flush()
	of := o.query.Scope
	if !of.IsSingle() {
		of = event.Installation()
	}
	return errors.Join(err, out.Error(), s.recordExport(cmd, of, event.ExportAudit, "The audit log", phrase.Count(sent, "event", "events"), sent))
}

// recordExport records in the audit trail that someone exported a list.
func (s *services) recordExport(cmd *cobra.Command, of event.Scope, name, what, how string, rows int) error {
	filter := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if cmd.InheritedFlags().Lookup(f.Name) == nil {
			filter[f.Name] = f.Value.String()
		}
	})
	data := event.DataOf(event.Export{Rows: rows, Filter: filter})
	err := store.Events{DB: s.db}.Record(cmd.Context(), event.Event{Scope: of, Name: name, Text: what + " was exported: " + how, Data: data})
	if err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

// auditScope returns the scope that the flags select; the zero scope selects everything.
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

// deletedScope returns the scope of a deleted site or directory if the audit trail has events of
// it. Otherwise it calls missing, and returns that function's error.
func (s *services) deletedScope(ctx context.Context, scope event.Scope, missing func() error) (event.Scope, error) {
	found := false
	err := eachEvent(ctx, s, event.Query{Scope: scope}, 1, func(event.Event) error {
		found = true
		return nil
	})
	if err == nil && !found {
		err = missing()
	}
	return scope, err
}

// eachEvent calls fn for each event that the query matches. It stops after most events.
func eachEvent(ctx context.Context, s *services, q event.Query, most int, fn func(event.Event) error) error {
	for {
		q.Limit = min(most, 500)
		page, err := event.Search(ctx, store.Events{DB: s.db}, q)
		if err != nil {
			return fmt.Errorf("read the audit trail: %w", err)
		}
		for _, e := range page.Events {
			if err := fn(e); err != nil {
				return err
			}
		}
		if most -= len(page.Events); page.Older.IsZero() || most <= 0 {
			return nil
		}
		q.Before = page.Older
	}
}
