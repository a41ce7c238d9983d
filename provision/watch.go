package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Watcher wakes jobs whose directory has changed, even if another process changed it. It only
// reads: a woken job checks the changes for itself.
type Watcher struct {
	Store   Store
	Sources func(ctx context.Context, d SourceID) (Source, error)
	Wake    func(ctx context.Context, k Key) error
	Every   time.Duration // 0 means one second
	Now     func() time.Time
	Log     *slog.Logger

	seen map[Key]looked
}

// looked is a part of the feed that has no changes for a job: from where the watcher started to the
// position up to which it has looked.
type looked struct{ from, upTo Cursor }

// Run calls Look at regular intervals until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(orDefault(w.Every, time.Second))
	defer tick.Stop()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.Log.Error("watch directories", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Look wakes the jobs that have changes now.
func (w *Watcher) Look(ctx context.Context) error {
	states, err := w.Store.Watched(ctx)
	if err != nil {
		return fmt.Errorf("read jobs: %w", err)
	}
	seen := make(map[Key]looked, len(states))
	for k, s := range states {
		if !s.Ready || s.Phase != Idle && s.Phase != Finishing || s.Quarantine != nil || w.Now().Before(s.Cooldown) {
			continue // such a job is due at a time of its own
		}
		from := s.Watermark
		if before, ok := w.seen[k]; ok && before.from == s.Watermark {
			from = before.upTo
		}
		found, at, err := w.news(ctx, k, from)
		if err != nil {
			return err
		}
		seen[k] = looked{from: s.Watermark, upTo: at}
		if !found {
			continue
		}
		if err := w.Wake(ctx, k); err != nil {
			return fmt.Errorf("wake %s: %w", k, err)
		}
	}
	w.seen = seen
	return nil
}

// news reports whether the feed has changes for a job, and the position up to which it has none.
func (w *Watcher) news(ctx context.Context, k Key, after Cursor) (found bool, upTo Cursor, err error) {
	source, err := w.Sources(ctx, k.Directory)
	if err != nil {
		return false, after, fmt.Errorf("open directory of %s: %w", k, err)
	}
	for {
		c, err := source.Changes(ctx, k.App, after, importPage)
		if errors.Is(err, ErrBehind) {
			return true, after, nil // wake the job: it handles this itself
		}
		if err != nil {
			return false, after, fmt.Errorf("read changes of %s: %w", k, err)
		}
		if len(c.IDs) > 0 {
			return true, after, nil
		}
		after = c.Cursor
		if !c.More {
			return false, after, nil
		}
	}
}
