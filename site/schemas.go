package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
)

// InUse is what ErrInUse is about: the stored resources that would not survive a change of schemas.
type InUse struct {
	Uses  []Use
	Stuck []Stuck // what blocks even a forced change
}

// Use is one difference between the schemas, and how many resources it affects.
type Use struct {
	Loss  scim.Loss
	Count int // resources that block the change
	Drops int // resources that lose values if the change is forced
}

// Stuck are resources that would break a rule of the new schemas even without what a forced change drops.
type Stuck struct {
	Type   string // name of the resource type
	Reason string // "urn:example:Badge:color is required"
	Count  int
}

// refuse says, a line each, what is in the way.
func (e *InUse) refuse() error {
	lines := make([]string, len(e.Uses))
	for i, u := range e.Uses {
		lines[i] = u.String()
	}
	return ErrInUse.Because("%s", strings.Join(lines, "\n")).With(e)
}

// Lost names, a line each, what a forced change would drop.
func (e *InUse) Lost() []string {
	var lines []string
	for _, u := range e.Uses {
		if line := u.Lost(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Token stands for all that stands in the way, so that whoever confirms a forced change confirms what it drops.
func (e *InUse) Token() string {
	h := sha256.New()
	for _, u := range e.Uses {
		fmt.Fprintf(h, "%s\n%s\n", u, u.Lost()) // a hash takes everything
	}
	for _, s := range e.Stuck {
		fmt.Fprintln(h, s)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// String says what is in the way and what to do.
func (u Use) String() string {
	have, remedy := "have data under it", "remove that data over SCIM first, or leave this part of the document as it is"
	switch {
	case u.Loss.Whole():
		have, remedy = "are stored", "delete them over SCIM first, or leave this part of the document as it is"
	case u.Loss.Missing():
		have, remedy = "lack it", "fill it first, or leave it optional"
	}
	if u.Count == 1 {
		have = strings.NewReplacer("have", "has", "are", "is", "lack", "lacks").Replace(have)
	}
	return fmt.Sprintf("%s %s, and %s %s: %s", u.Loss.Subject(), u.Loss.Reason, resources(u.Count, u.Loss.Type), have, remedy)
}

// Lost names what a forced change drops for this difference; nothing where it drops nothing.
func (u Use) Lost() string {
	who := resources(u.Drops, u.Loss.Type)
	switch {
	case u.Drops == 0:
		return ""
	case u.Loss.Whole():
		return "all of " + who
	case u.Loss.Keeps():
		return fmt.Sprintf("%s of %s, where another one has the same value", u.Loss.Path, who)
	case u.Loss.Path.Name == "":
		return fmt.Sprintf("everything of the extension %s of %s", u.Loss.Path.URN, who)
	}
	return fmt.Sprintf("%s of %s", u.Loss.Path, who)
}

// String says what keeps a change from being forced, and what to do.
func (s Stuck) String() string {
	return fmt.Sprintf("%s would break a rule of the new schemas (%s): fill it first, or leave it optional", resources(s.Count, s.Type), s.Reason)
}

func resources(n int, kind string) string {
	if n == 1 {
		return "1 resource of type " + kind
	}
	return fmt.Sprintf("%d resources of type %s", n, kind)
}

// SetSchemas gives a site another document of schemas and resource types, as scim.NewRegistry reads it; an empty one
// for none. What is wrong with it comes as *scim.RegistryError. Adding is always possible; what stored resources would
// not survive is refused with ErrInUse. An attribute that goes is no longer declared searchable.
func (s *Sites) SetSchemas(ctx context.Context, id ID, doc []byte, actor string) (Site, error) {
	changed, _, err := s.changeSchemas(ctx, id, doc, actor, nil, "", "")
	return changed, err
}

// SetSchemasFrom is SetSchemas for somebody who was shown the document of the version was: if another one is stored by now, nothing is
// changed and the error is ErrStale.
func (s *Sites) SetSchemasFrom(ctx context.Context, id ID, was string, doc []byte, actor string) (Site, error) {
	changed, _, err := s.changeSchemas(ctx, id, doc, actor, nil, "", was)
	return changed, err
}

// SchemasVersion names a document of schemas, for SetSchemasFrom.
func SchemasVersion(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// SchemaChange is a change of schemas that stored resources would not survive as they are.
type SchemaChange struct {
	Old, Next *scim.Registry
	Losses    []scim.Loss // those that harm resources
	Actor     string
}

// DropStranded takes what a change strands out of the stored resources, in the transaction of the change: values that the
// next schemas have no attribute for, all but one of those that may not be had twice, resources without a type.
type DropStranded func(ctx context.Context, tx Tx, change SchemaChange) error

// ForceSchemas is SetSchemas for what stored resources would not survive: drop takes out of them what stands in the way,
// in the same transaction, so that all is done or nothing. It returns in words what was dropped. What would break a rule
// even so is refused with ErrInUse, as is a change that drops something else than what was confirmed, by the error's
// Token; an empty token confirms everything.
func (s *Sites) ForceSchemas(ctx context.Context, id ID, doc []byte, actor, confirmed string, drop DropStranded) (changed Site, dropped []string, err error) {
	return s.changeSchemas(ctx, id, doc, actor, drop, confirmed, "")
}

// ForceSchemasFrom is to ForceSchemas what SetSchemasFrom is to SetSchemas.
func (s *Sites) ForceSchemasFrom(ctx context.Context, id ID, was string, doc []byte, actor, confirmed string, drop DropStranded) (changed Site, dropped []string, err error) {
	return s.changeSchemas(ctx, id, doc, actor, drop, confirmed, was)
}

// CheckSchemas says why SetSchemas would refuse a document, and changes nothing.
func (s *Sites) CheckSchemas(ctx context.Context, id ID, doc []byte) error {
	_, next, err := readSchemas(doc)
	if err != nil {
		return err
	}
	return s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		_, used, err := compareSchemas(ctx, tx, next)
		if err != nil || used == nil {
			return err
		}
		return used.refuse()
	})
}

func (s *Sites) changeSchemas(ctx context.Context, id ID, doc []byte, actor string, drop DropStranded, confirmed, was string) (changed Site, dropped []string, err error) {
	doc, next, err := readSchemas(doc)
	if err != nil {
		return Site{}, nil, err
	}
	err = s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		changed, dropped = tx.Site(), nil
		if bytes.Equal(changed.Schemas, doc) {
			return nil
		}
		if was != "" && was != SchemasVersion(changed.Schemas) {
			return ErrStale
		}
		old, used, err := compareSchemas(ctx, tx, next)
		if err != nil {
			return err
		}
		if used != nil {
			if drop == nil || len(used.Stuck) > 0 || confirmed != "" && confirmed != used.Token() {
				return used.refuse()
			}
			dropped = used.Lost()
		}
		changed.Schemas = doc
		if err := tx.PutSite(ctx, changed); err != nil {
			return err
		}
		for _, l := range old.NoLongerUnique(next) {
			if err := tx.FreeUnique(ctx, l.Type, l.Path.String()); err != nil {
				return err
			}
		}
		if err := tx.AppendEvent(ctx, s.schemasEvent(id, old, next, dropped, actor)); err != nil {
			return err
		}
		if err := s.keepSearchable(ctx, tx, next, actor); err != nil || used == nil {
			return err
		}
		return drop(ctx, tx, SchemaChange{Old: old, Next: next, Losses: used.losses(), Actor: actor})
	})
	if err != nil {
		return Site{}, nil, err
	}
	return changed, dropped, nil
}

// readSchemas reads a document, which is nil where there is none.
func readSchemas(doc []byte) ([]byte, *scim.Registry, error) {
	if doc = bytes.TrimSpace(doc); len(doc) == 0 {
		doc = nil
	}
	next, err := scim.NewRegistry(doc)
	return doc, next, err
}

// compareSchemas counts what the next schemas of a site would strand; nil where that is nothing.
func compareSchemas(ctx context.Context, tx Tx, next *scim.Registry) (old *scim.Registry, used *InUse, err error) {
	if old, err = scim.NewRegistry(tx.Site().Schemas); err != nil {
		return nil, nil, fmt.Errorf("read the schemas of site %s: %w", tx.Site().Name, err)
	}
	used, err = findUses(ctx, tx, old.Losses(next), next)
	return old, used, err
}

func (e *InUse) losses() []scim.Loss {
	losses := make([]scim.Loss, len(e.Uses))
	for i, u := range e.Uses {
		losses[i] = u.Loss
	}
	return losses
}

// findUses counts, type by type, the stored resources that each loss harms; nil when none does any.
func findUses(ctx context.Context, tx Tx, losses []scim.Loss, next *scim.Registry) (*InUse, error) {
	used := &InUse{}
	for len(losses) > 0 {
		kind := losses[0].Type
		n := slices.IndexFunc(losses, func(l scim.Loss) bool { return l.Type != kind })
		if n < 0 {
			n = len(losses)
		}
		rt, _ := next.ByName(kind)
		c := newCounter(losses[:n], rt)
		if err := tx.Resources(ctx, kind, c.add); err != nil {
			return nil, fmt.Errorf("look at the resources of type %s: %w", kind, err)
		}
		c.report(used)
		losses = losses[n:]
	}
	if len(used.Uses) == 0 {
		return nil, nil
	}
	return used, nil
}

// counter counts the resources of one type that losses harm.
type counter struct {
	losses []scim.Loss
	next   *scim.ResourceType // nil when the type goes
	uses   []Use
	seed   maphash.Seed
	had    []map[uint64]bool // of each loss that keeps values: hashes of those that were seen
	stuck  map[string]int    // by reason
}

func newCounter(losses []scim.Loss, next *scim.ResourceType) *counter {
	c := &counter{losses: losses, next: next, seed: maphash.MakeSeed(), stuck: map[string]int{}}
	c.uses, c.had = make([]Use, len(losses)), make([]map[uint64]bool, len(losses))
	for i, l := range losses {
		c.uses[i].Loss, c.had[i] = l, map[uint64]bool{}
	}
	return c
}

func (c *counter) add(doc []byte) error {
	r, err := scim.Parse(doc)
	if err != nil {
		return err
	}
	rest, touched := r, false
	for i, l := range c.losses {
		if !l.Affects(r) {
			continue
		}
		c.uses[i].Count++
		if l.Whole() {
			c.uses[i].Drops++
			return nil
		}
		if !touched {
			rest, touched = r.Clone(), true
		}
		if l.Drop(rest) || c.dropRepeated(i, r, rest) {
			c.uses[i].Drops++
		}
	}
	if !touched {
		return nil
	}
	var broken *scim.Error
	if err := scim.Validate(c.next, rest); errors.As(err, &broken) {
		c.stuck[strings.TrimSuffix(broken.Detail, ".")]++
	}
	return nil
}

// dropRepeated takes out of rest what a resource before this one was seen to have.
func (c *counter) dropRepeated(i int, r, rest scim.Resource) (dropped bool) {
	var kept []uint64
	// From the last element on, so that those before it keep their places.
	for element, key := range slices.Backward(c.losses[i].Identities(r)) {
		if key == "" {
			continue
		}
		hash := maphash.String(c.seed, key)
		if !c.had[i][hash] {
			kept = append(kept, hash)
			continue
		}
		scim.DropElement(rest, c.losses[i].Path, element)
		dropped = true
	}
	for _, hash := range kept {
		c.had[i][hash] = true
	}
	return dropped
}

func (c *counter) report(used *InUse) {
	for _, u := range c.uses {
		if u.Count > 0 {
			used.Uses = append(used.Uses, u)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(c.stuck)) {
		used.Stuck = append(used.Stuck, Stuck{Type: c.losses[0].Type, Reason: reason, Count: c.stuck[reason]})
	}
}

func (s *Sites) schemasEvent(id ID, old, next *scim.Registry, dropped []string, actor string) event.Event {
	var parts []string
	ids := func(g *scim.Registry) (list []string) {
		for _, sc := range g.Schemas() {
			list = append(list, sc.ID)
		}
		return list
	}
	names := func(what string, g, without *scim.Registry) {
		for _, id := range ids(g) {
			if _, ok := without.Schema(id); !ok {
				parts = append(parts, what+" "+id)
			}
		}
	}
	names("added", next, old)
	names("removed", old, next)
	text := "The schemas were changed"
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if len(dropped) > 0 {
		text += "; by force, for good: " + strings.Join(dropped, ", ")
	}
	return s.event(id, event.SiteSchemasChanged, actor, "", text, event.Changed("schemas", ids(old), ids(next)))
}
