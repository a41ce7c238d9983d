package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// CauseInfo describes an import that made changes. Provisioning's guard against mass deletions uses
// it.
type CauseInfo struct {
	Words string    // a description of the import, such as "Import of users by cli"
	Since time.Time // when the import wrote its first change
	Seen  time.Time // when the import last wrote something; a killed import is recognised because this time stays old
}

// Cause returns the description and times of an import. It returns the zero CauseInfo if the
// directory has no import with this id.
func (h *Handle) Cause(ctx context.Context, id string) (CauseInfo, error) {
	return h.store.Cause(ctx, h.Directory.ID, id)
}

// runAsImport calls do, which carries out an import. All changes of the import get the same cause.
// At the end, runAsImport appends an event that the import has ended. If dryRun is true, it only
// calls do.
func (h *Handle) runAsImport(ctx context.Context, what, actor string, dryRun bool, do func(ctx context.Context) error) error {
	if dryRun {
		return do(ctx)
	}
	return h.runAsCause(ctx, "Import of "+what, event.DirectoryImported, actor, do)
}

// runAsGroupChange calls do, which removes a group or its assignment. That may take the access of
// all its members. So all changes get the same cause, as those of an import do.
func (h *Handle) runAsGroupChange(ctx context.Context, what, actor string, do func(ctx context.Context) error) error {
	if event.CauseIn(ctx).ID != "" { // the change is part of an import
		return do(ctx)
	}
	return h.runAsCause(ctx, what, event.DirectoryGroupChanged, actor, do)
}

// runAsCause calls do. All its changes get the same cause. At the end, runAsCause appends an event
// with this name.
func (h *Handle) runAsCause(ctx context.Context, what, ended, actor string, do func(ctx context.Context) error) error {
	by := event.ActorIn(ctx)
	if by.IsZero() {
		by = event.ParseActor(actor)
	}
	c := event.Cause{ID: event.ImportCause + h.newID(), Words: fmt.Sprintf("%s by %s", what, by.Words()), Now: h.nowToMicrosecond}
	err := do(event.WithCause(ctx, c))
	if failed := h.endCause(context.WithoutCancel(ctx), c, ended, actor); err == nil {
		err = failed
	}
	return err
}

// endCause appends the event with this name, which says that a cause makes no more changes, if the
// cause changed anything.
func (h *Handle) endCause(ctx context.Context, c event.Cause, name, actor string) error {
	info, err := h.Cause(ctx, c.ID)
	if err != nil || info.Since.IsZero() {
		return err
	}
	return h.update(ctx, func(tx Tx) error {
		return tx.AppendEvent(ctx, event.Event{
			Time: h.nowToMicrosecond(), Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor,
			Subject: string(h.Directory.ID), Text: c.Words + " ended", Cause: c.ID,
		})
	})
}

// Origin says where a change of a user or group comes from, and whether it takes access away.
type Origin struct {
	Cause       string // the id of the import that made the change; "" if no import made it
	TakesAccess bool   // whether the change itself takes access away, as a deletion does
}

// combineWithOlder chooses one origin for two changes of the same user or group. o is the origin of
// the newer change, older that of the earlier change. If only one of them takes access away, it
// returns that origin. If neither does and o has no cause, it returns older. Otherwise it returns
// o.
func (o Origin) combineWithOlder(older Origin) Origin {
	if older.TakesAccess && !o.TakesAccess || o.TakesAccess == older.TakesAccess && o.Cause == "" && !o.TakesAccess {
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
		o.TakesAccess = true
	}
	return o
}

// endedCause returns the id of the cause if the event says that the cause makes no more changes. For
// any other event it returns "".
func endedCause(e event.Event) string {
	if e.Name != event.DirectoryImported && e.Name != event.DirectoryGroupChanged {
		return ""
	}
	return e.Cause
}
