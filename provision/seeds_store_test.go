package provision_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
)

// mortalStore is a store. The process may die at any of its calls. It embeds no other store: a new
// method of provision.Store is a compile error until mortalStore has the method, too.
type mortalStore struct {
	real provision.Store
	// call carries out a call, unless the process is dead. It returns the call's error, or errDied.
	call func(method string, do func(ctx context.Context) error) error
}

var _ provision.Store = mortalStore{}

func (m mortalStore) Job(_ context.Context, k provision.Key) (got provision.Job, err error) {
	err = m.call("Job", func(ctx context.Context) (err error) {
		got, err = m.real.Job(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) ListJobs(_ context.Context, d provision.SourceID) (got []provision.Job, err error) {
	err = m.call("ListJobs", func(ctx context.Context) (err error) {
		got, err = m.real.ListJobs(ctx, d)
		return err
	})
	return got, err
}

func (m mortalStore) InsertJob(_ context.Context, j provision.Job, e event.Event) error {
	return m.call("InsertJob", func(ctx context.Context) error { return m.real.InsertJob(ctx, j, e) })
}

func (m mortalStore) UpdateJob(_ context.Context, j provision.Job, e event.Event) error {
	return m.call("UpdateJob", func(ctx context.Context) error { return m.real.UpdateJob(ctx, j, e) })
}

func (m mortalStore) DeleteJob(_ context.Context, k provision.Key, e event.Event) error {
	return m.call("DeleteJob", func(ctx context.Context) error { return m.real.DeleteJob(ctx, k, e) })
}

func (m mortalStore) Secrets(_ context.Context) (got []provision.SealedSecret, err error) {
	err = m.call("Secrets", func(ctx context.Context) (err error) {
		got, err = m.real.Secrets(ctx)
		return err
	})
	return got, err
}

func (m mortalStore) ReplaceSecret(_ context.Context, old provision.SealedSecret, sealed []byte) error {
	return m.call("ReplaceSecret", func(ctx context.Context) error { return m.real.ReplaceSecret(ctx, old, sealed) })
}

func (m mortalStore) MappingVersions(_ context.Context, k provision.Key, before int64, limit int) (got []provision.MappingVersion, err error) {
	err = m.call("MappingVersions", func(ctx context.Context) (err error) {
		got, err = m.real.MappingVersions(ctx, k, before, limit)
		return err
	})
	return got, err
}

func (m mortalStore) MappingVersion(_ context.Context, k provision.Key, number int64) (got provision.MappingVersion, err error) {
	err = m.call("MappingVersion", func(ctx context.Context) (err error) {
		got, err = m.real.MappingVersion(ctx, k, number)
		return err
	})
	return got, err
}

func (m mortalStore) State(_ context.Context, k provision.Key) (got provision.State, err error) {
	err = m.call("State", func(ctx context.Context) (err error) {
		got, err = m.real.State(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) WatchedStates(_ context.Context) (got map[provision.Key]provision.State, err error) {
	err = m.call("WatchedStates", func(ctx context.Context) (err error) {
		got, err = m.real.WatchedStates(ctx)
		return err
	})
	return got, err
}

func (m mortalStore) Counts(_ context.Context, k provision.Key) (got provision.Counts, err error) {
	err = m.call("Counts", func(ctx context.Context) (err error) {
		got, err = m.real.Counts(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) Logs(_ context.Context, k provision.Key, q provision.LogQuery) (got []provision.LogEntry, more string, err error) {
	err = m.call("Logs", func(ctx context.Context) (err error) {
		got, more, err = m.real.Logs(ctx, k, q)
		return err
	})
	return got, more, err
}

func (m mortalStore) CountLogs(_ context.Context, k provision.Key, q provision.LogQuery) (got int, err error) {
	err = m.call("CountLogs", func(ctx context.Context) (err error) {
		got, err = m.real.CountLogs(ctx, k, q)
		return err
	})
	return got, err
}

func (m mortalStore) Log(_ context.Context, k provision.Key, id string) (got provision.LogEntry, err error) {
	err = m.call("Log", func(ctx context.Context) (err error) {
		got, err = m.real.Log(ctx, k, id)
		return err
	})
	return got, err
}

func (m mortalStore) Pending(_ context.Context, k provision.Key, now time.Time, withoutJoiners bool, limit int) (got []provision.Pending, err error) {
	err = m.call("Pending", func(ctx context.Context) (err error) {
		got, err = m.real.Pending(ctx, k, now, withoutJoiners, limit)
		return err
	})
	return got, err
}

func (m mortalStore) PendingDemanded(_ context.Context, k provision.Key, now time.Time, limit int) (got []provision.Pending, err error) {
	err = m.call("PendingDemanded", func(ctx context.Context) (err error) {
		got, err = m.real.PendingDemanded(ctx, k, now, limit)
		return err
	})
	return got, err
}

func (m mortalStore) Demand(_ context.Context, k provision.Key, listed []provision.Listed, e *event.Event) error {
	return m.call("Demand", func(ctx context.Context) error { return m.real.Demand(ctx, k, listed, e) })
}

func (m mortalStore) Demanded(_ context.Context, k provision.Key, objectIDs []string) (got []provision.Demanded, err error) {
	err = m.call("Demanded", func(ctx context.Context) (err error) {
		got, err = m.real.Demanded(ctx, k, objectIDs)
		return err
	})
	return got, err
}

func (m mortalStore) NextPending(_ context.Context, k provision.Key, withoutJoiners bool) (got time.Time, err error) {
	err = m.call("NextPending", func(ctx context.Context) (err error) {
		got, err = m.real.NextPending(ctx, k, withoutJoiners)
		return err
	})
	return got, err
}

func (m mortalStore) LinkStates(_ context.Context, k provision.Key, objectIDs []string) (got map[string]provision.LinkState, err error) {
	err = m.call("LinkStates", func(ctx context.Context) (err error) {
		got, err = m.real.LinkStates(ctx, k, objectIDs)
		return err
	})
	return got, err
}

func (m mortalStore) CountWaiting(_ context.Context, k provision.Key) (got []provision.Waits, err error) {
	err = m.call("CountWaiting", func(ctx context.Context) (err error) {
		got, err = m.real.CountWaiting(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) CountFailing(_ context.Context, k provision.Key) (got []provision.Failing, err error) {
	err = m.call("CountFailing", func(ctx context.Context) (err error) {
		got, err = m.real.CountFailing(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) CountPending(_ context.Context, k provision.Key) (got int, err error) {
	err = m.call("CountPending", func(ctx context.Context) (err error) {
		got, err = m.real.CountPending(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) PendingIDs(_ context.Context, k provision.Key) (got []string, err error) {
	err = m.call("PendingIDs", func(ctx context.Context) (err error) {
		got, err = m.real.PendingIDs(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) KnownAbout(_ context.Context, k provision.Key, objectID string) (got provision.Pending, err error) {
	err = m.call("KnownAbout", func(ctx context.Context) (err error) {
		got, err = m.real.KnownAbout(ctx, k, objectID)
		return err
	})
	return got, err
}

func (m mortalStore) Owner(_ context.Context, k provision.Key, kind provision.ObjectKind, targetID string) (got string, err error) {
	err = m.call("Owner", func(ctx context.Context) (err error) {
		got, err = m.real.Owner(ctx, k, kind, targetID)
		return err
	})
	return got, err
}

func (m mortalStore) OpenCreates(_ context.Context, k provision.Key, kind provision.ObjectKind) (got []provision.Op, err error) {
	err = m.call("OpenCreates", func(ctx context.Context) (err error) {
		got, err = m.real.OpenCreates(ctx, k, kind)
		return err
	})
	return got, err
}

func (m mortalStore) Holder(_ context.Context, k provision.Key, key provision.MatchKey) (got string, err error) {
	err = m.call("Holder", func(ctx context.Context) (err error) {
		got, err = m.real.Holder(ctx, k, key)
		return err
	})
	return got, err
}

func (m mortalStore) Awaited(_ context.Context, k provision.Key, objectID string) (got *provision.Awaited, err error) {
	err = m.call("Awaited", func(ctx context.Context) (err error) {
		got, err = m.real.Awaited(ctx, k, objectID)
		return err
	})
	return got, err
}

func (m mortalStore) Drawn(_ context.Context, k provision.Key, objectID string) (got []provision.Drawn, err error) {
	err = m.call("Drawn", func(ctx context.Context) (err error) {
		got, err = m.real.Drawn(ctx, k, objectID)
		return err
	})
	return got, err
}

func (m mortalStore) Drawer(_ context.Context, k provision.Key, path string, value string) (got string, err error) {
	err = m.call("Drawer", func(ctx context.Context) (err error) {
		got, err = m.real.Drawer(ctx, k, path, value)
		return err
	})
	return got, err
}

func (m mortalStore) LinkedIDs(_ context.Context, k provision.Key, kind provision.ObjectKind, after string, limit int) (got []string, err error) {
	err = m.call("LinkedIDs", func(ctx context.Context) (err error) {
		got, err = m.real.LinkedIDs(ctx, k, kind, after, limit)
		return err
	})
	return got, err
}

func (m mortalStore) DueLeaverIDs(_ context.Context, k provision.Key, now time.Time, limit int) (got []string, err error) {
	err = m.call("DueLeaverIDs", func(ctx context.Context) (err error) {
		got, err = m.real.DueLeaverIDs(ctx, k, now, limit)
		return err
	})
	return got, err
}

func (m mortalStore) DueEscrowIDs(_ context.Context, k provision.Key, now time.Time) (got []string, err error) {
	err = m.call("DueEscrowIDs", func(ctx context.Context) (err error) {
		got, err = m.real.DueEscrowIDs(ctx, k, now)
		return err
	})
	return got, err
}

func (m mortalStore) TriedSince(_ context.Context, k provision.Key, first, last string, since time.Time) (got []string, err error) {
	err = m.call("TriedSince", func(ctx context.Context) (err error) {
		got, err = m.real.TriedSince(ctx, k, first, last, since)
		return err
	})
	return got, err
}

func (m mortalStore) LostIDs(_ context.Context, k provision.Key) (got []string, err error) {
	err = m.call("LostIDs", func(ctx context.Context) (err error) {
		got, err = m.real.LostIDs(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) HeldIDs(_ context.Context, k provision.Key) (got []string, err error) {
	err = m.call("HeldIDs", func(ctx context.Context) (err error) {
		got, err = m.real.HeldIDs(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) GoneSince(_ context.Context, k provision.Key, since time.Time) (got []string, err error) {
	err = m.call("GoneSince", func(ctx context.Context) (err error) {
		got, err = m.real.GoneSince(ctx, k, since)
		return err
	})
	return got, err
}

func (m mortalStore) NextRetry(_ context.Context, k provision.Key) (got time.Time, err error) {
	err = m.call("NextRetry", func(ctx context.Context) (err error) {
		got, err = m.real.NextRetry(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) UnmatchedIDs(_ context.Context, k provision.Key) (got []string, err error) {
	err = m.call("UnmatchedIDs", func(ctx context.Context) (err error) {
		got, err = m.real.UnmatchedIDs(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) Memberships(_ context.Context, k provision.Key, group string, limit int) (got provision.MembersWork, err error) {
	err = m.call("Memberships", func(ctx context.Context) (err error) {
		got, err = m.real.Memberships(ctx, k, group, limit)
		return err
	})
	return got, err
}

func (m mortalStore) MembershipsOf(_ context.Context, k provision.Key, member string) (got []provision.RememberedMembership, err error) {
	err = m.call("MembershipsOf", func(ctx context.Context) (err error) {
		got, err = m.real.MembershipsOf(ctx, k, member)
		return err
	})
	return got, err
}

func (m mortalStore) CountMembers(_ context.Context, k provision.Key, group string) (got provision.ExplainedMembers, err error) {
	err = m.call("CountMembers", func(ctx context.Context) (err error) {
		got, err = m.real.CountMembers(ctx, k, group)
		return err
	})
	return got, err
}

func (m mortalStore) RecordReadMembers(_ context.Context, f provision.Fence, group string, after string, upTo string, members []string) error {
	return m.call("RecordReadMembers", func(ctx context.Context) error { return m.real.RecordReadMembers(ctx, f, group, after, upTo, members) })
}

func (m mortalStore) MemberLinks(_ context.Context, k provision.Key, objectIDs []string) (got map[string]*provision.Link, err error) {
	err = m.call("MemberLinks", func(ctx context.Context) (err error) {
		got, err = m.real.MemberLinks(ctx, k, objectIDs)
		return err
	})
	return got, err
}

func (m mortalStore) AnnounceMembers(_ context.Context, f provision.Fence, group string, changes []provision.MemberOutcome) error {
	return m.call("AnnounceMembers", func(ctx context.Context) error { return m.real.AnnounceMembers(ctx, f, group, changes) })
}

func (m mortalStore) RememberMembers(_ context.Context, f provision.Fence, group string, members []string) error {
	return m.call("RememberMembers", func(ctx context.Context) error { return m.real.RememberMembers(ctx, f, group, members) })
}

func (m mortalStore) JudgeMembers(_ context.Context, f provision.Fence, group string, all []provision.EndingMember) error {
	return m.call("JudgeMembers", func(ctx context.Context) error { return m.real.JudgeMembers(ctx, f, group, all) })
}

func (m mortalStore) RetryMembers(_ context.Context, f provision.Fence, group string) error {
	return m.call("RetryMembers", func(ctx context.Context) error { return m.real.RetryMembers(ctx, f, group) })
}

func (m mortalStore) MarkGroupMissed(_ context.Context, f provision.Fence, group string) error {
	return m.call("MarkGroupMissed", func(ctx context.Context) error { return m.real.MarkGroupMissed(ctx, f, group) })
}

func (m mortalStore) MarkMembersLost(_ context.Context, f provision.Fence, group string) error {
	return m.call("MarkMembersLost", func(ctx context.Context) error { return m.real.MarkMembersLost(ctx, f, group) })
}

func (m mortalStore) SaveState(_ context.Context, f provision.Fence, s provision.State, e *event.Event) error {
	return m.call("SaveState", func(ctx context.Context) error { return m.real.SaveState(ctx, f, s, e) })
}

func (m mortalStore) Import(_ context.Context, f provision.Fence, s provision.State, listed []provision.Listed, ended ...string) error {
	return m.call("Import", func(ctx context.Context) error { return m.real.Import(ctx, f, s, listed, ended...) })
}

func (m mortalStore) CausesToJudge(_ context.Context, k provision.Key) (got []provision.JudgedCause, err error) {
	err = m.call("CausesToJudge", func(ctx context.Context) (err error) {
		got, err = m.real.CausesToJudge(ctx, k)
		return err
	})
	return got, err
}

func (m mortalStore) PassedUnasked(_ context.Context, k provision.Key, cause string, since time.Time) (got provision.PassedUnasked, err error) {
	err = m.call("PassedUnasked", func(ctx context.Context) (err error) {
		got, err = m.real.PassedUnasked(ctx, k, cause, since)
		return err
	})
	return got, err
}

func (m mortalStore) Judge(_ context.Context, f provision.Fence, c provision.CauseToJudge, held func(provision.Judgement) event.Event) error {
	return m.call("Judge", func(ctx context.Context) error { return m.real.Judge(ctx, f, c, held) })
}

func (m mortalStore) HeldCauses(_ context.Context, k provision.Key, v provision.Verdict) (got []provision.HeldCause, err error) {
	err = m.call("HeldCauses", func(ctx context.Context) (err error) {
		got, err = m.real.HeldCauses(ctx, k, v)
		return err
	})
	return got, err
}

func (m mortalStore) HeldObjects(_ context.Context, k provision.Key, cause string, v provision.Verdict, after string, limit int) (got []provision.HeldObject, err error) {
	err = m.call("HeldObjects", func(ctx context.Context) (err error) {
		got, err = m.real.HeldObjects(ctx, k, cause, v, after, limit)
		return err
	})
	return got, err
}

func (m mortalStore) Decide(_ context.Context, k provision.Key, cause string, batch int, approve bool, decided func(provision.HeldCause) event.Event) (got provision.HeldCause, err error) {
	err = m.call("Decide", func(ctx context.Context) (err error) {
		got, err = m.real.Decide(ctx, k, cause, batch, approve, decided)
		return err
	})
	return got, err
}

func (m mortalStore) Forget(_ context.Context, f provision.Fence, s provision.State, what provision.Forget) error {
	return m.call("Forget", func(ctx context.Context) error { return m.real.Forget(ctx, f, s, what) })
}

func (m mortalStore) Record(_ context.Context, f provision.Fence, s provision.State, outcomes []provision.Outcome) error {
	return m.call("Record", func(ctx context.Context) error { return m.real.Record(ctx, f, s, outcomes) })
}

// TestMortalStoreDiesAtEveryCall calls each method of a store whose process is dead.
func TestMortalStoreDiesAtEveryCall(t *testing.T) {
	t.Parallel()
	called := ""
	m := reflect.ValueOf(mortalStore{call: func(method string, _ func(context.Context) error) error {
		called = method
		return errDied
	}})
	for i := range m.NumMethod() {
		method := m.Type().Method(i)
		args := []reflect.Value{m}
		for j := 1; j < method.Type.NumIn(); j++ {
			if method.Type.IsVariadic() && j == method.Type.NumIn()-1 {
				break
			}
			args = append(args, reflect.Zero(method.Type.In(j)))
		}
		results := method.Func.Call(args)
		err, _ := results[len(results)-1].Interface().(error)
		if called != method.Name || !errors.Is(err, errDied) {
			t.Errorf("%s was carried out as %q, and returned %v", method.Name, called, err)
		}
	}
}

// plantedStore is a store with a fault that a test has planted.
type plantedStore struct {
	provision.Store
	plant string
}

func (p plantedStore) Record(ctx context.Context, f provision.Fence, st provision.State, all []provision.Outcome) error {
	all = slices.Clone(all)
	for i := range all {
		if p.plant == "intents are not written" && all[i].Intent != nil {
			all[i] = provision.Outcome{ObjectID: all[i].ObjectID, AboutToSend: true}
		}
	}
	return p.Store.Record(ctx, f, st, all)
}

func (p plantedStore) Import(ctx context.Context, f provision.Fence, st provision.State, listed []provision.Listed, ended ...string) error {
	if p.plant == "a change is not imported" && len(listed) > 1 && listed[0].Why == provision.ByChange {
		listed = listed[1:]
	}
	return p.Store.Import(ctx, f, st, listed, ended...)
}

func (m mortalStore) Connections(_ context.Context, k provision.Key, kind provision.ObjectKind, after string, limit int) (got []provision.Connection, err error) {
	err = m.call("Connections", func(ctx context.Context) (err error) {
		got, err = m.real.Connections(ctx, k, kind, after, limit)
		return err
	})
	return got, err
}

func (m mortalStore) Connection(_ context.Context, k provision.Key, id string) (got provision.Connection, err error) {
	err = m.call("Connection", func(ctx context.Context) (err error) {
		got, err = m.real.Connection(ctx, k, id)
		return err
	})
	return got, err
}

func (m mortalStore) RecordConnection(_ context.Context, f provision.Fence, o provision.Outcome, listed []provision.Listed, e event.Event) error {
	return m.call("RecordConnection", func(ctx context.Context) error { return m.real.RecordConnection(ctx, f, o, listed, e) })
}

func (m mortalStore) MembershipsAfter(_ context.Context, k provision.Key, group, after string, limit int, open bool) (got []provision.Membership, err error) {
	err = m.call("MembershipsAfter", func(ctx context.Context) (err error) {
		got, err = m.real.MembershipsAfter(ctx, k, group, after, limit, open)
		return err
	})
	return got, err
}

func (m mortalStore) MembershipsAmong(_ context.Context, k provision.Key, group string, members []string) (got []provision.Membership, err error) {
	err = m.call("MembershipsAmong", func(ctx context.Context) (err error) {
		got, err = m.real.MembershipsAmong(ctx, k, group, members)
		return err
	})
	return got, err
}

func (m mortalStore) Referring(_ context.Context, k provision.Key, to []string) (got []string, err error) {
	err = m.call("Referring", func(ctx context.Context) (err error) {
		got, err = m.real.Referring(ctx, k, to)
		return err
	})
	return got, err
}
