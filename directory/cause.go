package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// CauseInfo is what is known of an import that made changes.
type CauseInfo struct {
	Words string
	Since time.Time // when its first change was written
	Seen  time.Time // its last transaction; an import that was killed is not seen any more
}

// Cause returns what is known of an import; the zero CauseInfo if the directory knows no such import.
func (h *Handle) Cause(ctx context.Context, id string) (CauseInfo, error) {
	return h.store.Cause(ctx, h.Directory.ID, id)
}

// asImport runs an import. All its changes have one cause, and an event says that the import ended.
func (h *Handle) asImport(ctx context.Context, what, actor string, dryRun bool, do func(ctx context.Context) error) error {
	if dryRun {
		return do(ctx)
	}
	by := event.ActorIn(ctx)
	if by.IsZero() {
		by = event.ParseActor(actor)
	}
	c := event.Cause{ID: event.ImportCause + h.newID(), Words: fmt.Sprintf("Import of %s by %s", what, by.Words()), Now: h.nowInMicros}
	err := do(event.WithCause(ctx, c))
	if ended := h.endCause(context.WithoutCancel(ctx), c, actor); err == nil {
		err = ended
	}
	return err
}

// endCause says that an import ended, if it changed anything.
func (h *Handle) endCause(ctx context.Context, c event.Cause, actor string) error {
	info, err := h.Cause(ctx, c.ID)
	if err != nil || info.Since.IsZero() {
		return err
	}
	return h.update(ctx, func(tx Tx) error {
		return tx.AppendEvent(ctx, event.Event{
			Time: h.nowInMicros(), Scope: event.Directory(string(h.Directory.ID)), Name: event.DirectoryImported, Actor: actor,
			Subject: string(h.Directory.ID), Text: c.Words + " ended", Cause: c.ID,
		})
	})
}

// Origin is where a change comes from.
type Origin struct {
	Cause string // the id of the import that made it; "" if it is a single change
	Takes bool   // the change itself takes access away, such as a deletion
}

// after combines the origins of two changes of the same user, the older first. What takes access
// away matters most, and then what has a cause.
func (o Origin) after(older Origin) Origin {
	if older.Takes && !o.Takes || o.Takes == older.Takes && o.Cause == "" && !o.Takes {
		return older
	}
	return o
}

// originOf returns the origin of the change that an event reports.
func originOf(e event.Event) Origin {
	o := Origin{Cause: e.Cause}
	switch e.Name {
	case event.UserDisabled, event.UserDeleted, event.UserPurged, event.UserErased, event.AssignmentRemoved,
		event.GroupDeleted, event.GroupPurged, event.GroupMemberRemoved:
		o.Takes = true
	}
	return o
}

// endedBy returns the id of the import that ended with an event, or "".
func endedBy(e event.Event) string {
	if e.Name != event.DirectoryImported {
		return ""
	}
	return e.Cause
}
