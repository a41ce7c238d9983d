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
	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/scim"
)

// SchemasInUse holds the stored resources that a change of schemas would harm. ErrInUse carries it.
type SchemasInUse struct {
	Uses  []SchemaUse
	Stuck []StuckResources // resources that would break a rule even after a forced change
}

// SchemaUse is one difference between the old and the new schemas, with the number of resources
// that it affects.
type SchemaUse struct {
	Loss  scim.Loss
	Count int // how many resources the change would harm; if there are any, the change is refused
	Drops int // how many resources lose values if the change is forced
}

// StuckResources counts resources that would break a rule of the new schemas, even after a forced
// change has removed data from them.
type StuckResources struct {
	Type   scim.TypeName
	Reason string // the broken rule in words, such as "urn:example:Badge:color is required"
	Count  int
}

// refuse returns ErrInUse with one line for each difference that prevents the change.
func (e *SchemasInUse) refuse() error {
	lines := make([]string, len(e.Uses))
	for i, u := range e.Uses {
		lines[i] = u.String()
	}
	return ErrInUse.Because("%s", strings.Join(lines, "\n")).WithData(e)
}

// Lost returns one line for each kind of data that a forced change would drop.
func (e *SchemasInUse) Lost() []string {
	var lines []string
	for _, u := range e.Uses {
		if line := u.Lost(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Token returns a hash of everything in SchemasInUse. An administrator confirms a forced change
// with it, so that the change drops exactly the data that the administrator saw.
func (e *SchemasInUse) Token() string {
	h := sha256.New()
	for _, u := range e.Uses {
		fmt.Fprintf(h, "%s\n%s\n", u, u.Lost()) // writing to a hash returns no error
	}
	for _, s := range e.Stuck {
		fmt.Fprintln(h, s)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// String says what prevents the change, and what to do.
func (u SchemaUse) String() string {
	have, remedy := "have data under it", "remove that data over SCIM first, or leave this part of the document as it is"
	switch {
	case u.Loss.AffectsWholeType():
		have, remedy = "are stored", "delete them over SCIM first, or leave this part of the document as it is"
	case u.Loss.AffectsMissing():
		have, remedy = "lack it", "fill it first, or leave it optional"
	}
	if u.Count == 1 {
		have = strings.NewReplacer("have", "has", "are", "is", "lack", "lacks").Replace(have)
	}
	return fmt.Sprintf("%s %s, and %s %s: %s", u.Loss.Subject(), u.Loss.Reason, countResources(u.Count, u.Loss.Type), have, remedy)
}

// Lost says what a forced change drops because of this difference; empty if it drops nothing.
func (u SchemaUse) Lost() string {
	who := countResources(u.Drops, u.Loss.Type)
	switch {
	case u.Drops == 0:
		return ""
	case u.Loss.AffectsWholeType():
		return "all of " + who
	case u.Loss.KeepsValues():
		return fmt.Sprintf("%s of %s, where another one has the same value", u.Loss.Path, who)
	case u.Loss.Path.Name == "":
		return fmt.Sprintf("everything of the extension %s of %s", u.Loss.Path.URN, who)
	}
	return fmt.Sprintf("%s of %s", u.Loss.Path, who)
}

// String says why the change cannot even be forced, and what to do.
func (s StuckResources) String() string {
	return fmt.Sprintf("%s would break a rule of the new schemas (%s): fill it first, or leave it optional", countResources(s.Count, s.Type), s.Reason)
}

func countResources(n int, name scim.TypeName) string {
	return phrase.Count(n, "resource", "resources") + " of type " + string(name)
}

// SetSchemas replaces a site's document of schemas and resource types, in the form that
// scim.NewRegistry reads; an empty document removes them. It returns a *scim.RegistryError if the
// document is wrong, and ErrInUse if stored resources would be harmed. Additions never harm
// resources. If the change removes a searchable attribute, it also removes the declaration of that
// attribute.
func (s *Sites) SetSchemas(ctx context.Context, id ID, doc []byte, actor string) (Site, error) {
	changed, _, err := s.changeSchemas(ctx, id, doc, actor, nil, "", "")
	return changed, err
}

// SetSchemasFrom is like SetSchemas, but changes nothing and returns ErrStale if the stored
// document was changed after the caller saw it. was is the SchemasVersion of the document that the
// caller saw.
func (s *Sites) SetSchemasFrom(ctx context.Context, id ID, was string, doc []byte, actor string) (Site, error) {
	changed, _, err := s.changeSchemas(ctx, id, doc, actor, nil, "", was)
	return changed, err
}

// SchemasVersion returns the version of a document, for SetSchemasFrom.
func SchemasVersion(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// SchemaChange is a change of schemas that harms stored resources.
type SchemaChange struct {
	Old, Next *scim.Registry
	Losses    []scim.Loss // the differences that harm stored resources
	Actor     string      // the actor who changes the schemas, as events write it
}

// DropStranded removes from the stored resources the data that does not fit the next schemas, in
// the transaction of the change: values of attributes that are removed, all but one of equal values
// that must become unique, and resources whose type is removed.
type DropStranded func(ctx context.Context, tx Tx, change SchemaChange) error

// ForceSchemas is like SetSchemas, but calls drop in the same transaction to remove the data that
// prevents the change. dropped describes the removed data in words. confirmed is the Token of the
// ErrInUse that the administrator saw; an empty string confirms everything. ForceSchemas returns
// ErrInUse if the change would now drop other data, or if it would still break a rule.
func (s *Sites) ForceSchemas(ctx context.Context, id ID, doc []byte, actor, confirmed string, drop DropStranded) (changed Site, dropped []string, err error) {
	return s.changeSchemas(ctx, id, doc, actor, drop, confirmed, "")
}

// ForceSchemasFrom is like ForceSchemas, but changes nothing and returns ErrStale if the stored
// document was changed after the caller saw it. was is the SchemasVersion of the document that the
// caller saw.
func (s *Sites) ForceSchemasFrom(ctx context.Context, id ID, was string, doc []byte, actor, confirmed string, drop DropStranded) (changed Site, dropped []string, err error) {
	return s.changeSchemas(ctx, id, doc, actor, drop, confirmed, was)
}

// CheckSchemas returns the error that SetSchemas would return, and changes nothing.
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
			if err := tx.FreeUniqueValues(ctx, l.Type, l.Path.String()); err != nil {
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

// readSchemas reads a document of schemas. It returns a nil document if doc is empty or only white
// space.
func readSchemas(doc []byte) ([]byte, *scim.Registry, error) {
	if doc = bytes.TrimSpace(doc); len(doc) == 0 {
		doc = nil
	}
	next, err := scim.NewRegistry(doc)
	return doc, next, err
}

// compareSchemas counts the stored resources that the next schemas would harm. used is nil if they
// would harm none.
func compareSchemas(ctx context.Context, tx Tx, next *scim.Registry) (old *scim.Registry, used *SchemasInUse, err error) {
	if old, err = scim.NewRegistry(tx.Site().Schemas); err != nil {
		return nil, nil, fmt.Errorf("read the schemas of site %s: %w", tx.Site().Name, err)
	}
	used, err = findUses(ctx, tx, old.Losses(next), next)
	return old, used, err
}

func (e *SchemasInUse) losses() []scim.Loss {
	losses := make([]scim.Loss, len(e.Uses))
	for i, u := range e.Uses {
		losses[i] = u.Loss
	}
	return losses
}

// findUses counts the stored resources that each loss harms. It returns nil if no resource is
// harmed.
func findUses(ctx context.Context, tx Tx, losses []scim.Loss, next *scim.Registry) (*SchemasInUse, error) {
	used := &SchemasInUse{}
	for len(losses) > 0 {
		kind := losses[0].Type
		n := slices.IndexFunc(losses, func(l scim.Loss) bool { return l.Type != kind })
		if n < 0 {
			n = len(losses)
		}
		rt, _ := next.ByName(kind)
		c := newHarmCounter(losses[:n], rt)
		if err := tx.Resources(ctx, kind, c.countDocument); err != nil {
			return nil, fmt.Errorf("look at the resources of type %s: %w", kind, err)
		}
		c.addUsesTo(used)
		losses = losses[n:]
	}
	if len(used.Uses) == 0 {
		return nil, nil
	}
	return used, nil
}

// harmCounter counts the resources of one type that the losses harm.
type harmCounter struct {
	losses      []scim.Loss
	next        *scim.ResourceType // the type in the new schemas; nil if the type is removed
	uses        []SchemaUse        // the counts so far, one for each loss
	seed        maphash.Seed       // the seed of seenHashes
	seenHashes  []map[uint64]bool  // for each loss, the hashes of the values so far that must become unique
	brokenRules map[string]int     // how many resources would break a rule, by the message about the rule
}

func newHarmCounter(losses []scim.Loss, next *scim.ResourceType) *harmCounter {
	c := &harmCounter{losses: losses, next: next, seed: maphash.MakeSeed(), brokenRules: map[string]int{}}
	c.uses, c.seenHashes = make([]SchemaUse, len(losses)), make([]map[uint64]bool, len(losses))
	for i, l := range losses {
		c.uses[i].Loss, c.seenHashes[i] = l, map[uint64]bool{}
	}
	return c
}

func (c *harmCounter) countDocument(doc []byte) error {
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
		if l.AffectsWholeType() {
			c.uses[i].Drops++
			return nil
		}
		if !touched {
			rest, touched = r.Clone(), true
		}
		if l.DropValues(rest) || c.dropRepeated(i, r, rest) {
			c.uses[i].Drops++
		}
	}
	if !touched {
		return nil
	}
	var broken *scim.Error
	if err := scim.Validate(c.next, rest); errors.As(err, &broken) {
		c.brokenRules[strings.TrimSuffix(broken.Detail, ".")]++
	}
	return nil
}

// dropRepeated applies the loss with the index i, if it makes an attribute unique. It removes from
// rest the values of that attribute that an earlier resource already has. It finds them in r, of
// which rest is a copy. It reports whether it removed any value.
func (c *harmCounter) dropRepeated(i int, r, rest scim.Resource) (dropped bool) {
	var kept []uint64
	// Go backward, so that dropping an element does not move the elements that are still to be
	// checked.
	for element, key := range slices.Backward(c.losses[i].ElementKeys(r)) {
		if key == "" {
			continue
		}
		hash := maphash.String(c.seed, key)
		if !c.seenHashes[i][hash] {
			kept = append(kept, hash)
			continue
		}
		scim.DropElement(rest, c.losses[i].Path, element)
		dropped = true
	}
	for _, hash := range kept {
		c.seenHashes[i][hash] = true
	}
	return dropped
}

func (c *harmCounter) addUsesTo(used *SchemasInUse) {
	for _, u := range c.uses {
		if u.Count > 0 {
			used.Uses = append(used.Uses, u)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(c.brokenRules)) {
		used.Stuck = append(used.Stuck, StuckResources{Type: c.losses[0].Type, Reason: reason, Count: c.brokenRules[reason]})
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
	return s.newEvent(id, event.SiteSchemasChanged, actor, "", text, event.Changed("schemas", ids(old), ids(next)))
}
