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

// SchemasInUse counts the stored resources that a change of schemas would harm. It is the data of
// ErrInUse.
type SchemasInUse struct {
	Uses  []SchemaUse
	Stuck []StuckResources // resources that would break a rule even after a forced change
}

// SchemaUse is one difference between the old and the new schemas, with the number of resources
// that it affects.
type SchemaUse struct {
	Difference scim.SchemaDifference
	Count      int // how many resources the difference would harm; if there are any, the change is refused
	Drops      int // how many resources lose values because of the difference, if the change is forced
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

// Lost describes the data that a forced change would drop, with one line for each difference.
func (e *SchemasInUse) Lost() []string {
	var lines []string
	for _, u := range e.Uses {
		if line := u.Lost(); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// Token returns a hash of everything in SchemasInUse. With it, an administrator confirms a forced
// change. So the change drops only the data that the administrator saw.
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

// String says why the difference prevents the change, and what to do.
func (u SchemaUse) String() string {
	have, remedy := "have data under it", "remove that data over SCIM first, or leave this part of the document as it is"
	switch {
	case u.Difference.AffectsWholeType():
		have, remedy = "are stored", "delete them over SCIM first, or leave this part of the document as it is"
	case u.Difference.AffectsMissing():
		have, remedy = "lack it", "fill it first, or leave it optional"
	}
	if u.Count == 1 {
		have = strings.NewReplacer("have", "has", "are", "is", "lack", "lacks").Replace(have)
	}
	return fmt.Sprintf("%s %s, and %s %s: %s", u.Difference.Subject(), u.Difference.Reason, countResources(u.Count, u.Difference.Type), have, remedy)
}

// Lost says what a forced change drops because of this difference; empty if it drops nothing.
func (u SchemaUse) Lost() string {
	who := countResources(u.Drops, u.Difference.Type)
	switch {
	case u.Drops == 0:
		return ""
	case u.Difference.AffectsWholeType():
		return "all of " + who
	case u.Difference.KeepsValues():
		return fmt.Sprintf("%s of %s, where another one has the same value", u.Difference.Path, who)
	case u.Difference.Path.Name == "":
		return fmt.Sprintf("everything of the extension %s of %s", u.Difference.Path.URN, who)
	}
	return fmt.Sprintf("%s of %s", u.Difference.Path, who)
}

// String says why the change cannot even be forced, and what to do.
func (s StuckResources) String() string {
	return fmt.Sprintf("%s would break a rule of the new schemas (%s): fill it first, or leave it optional", countResources(s.Count, s.Type), s.Reason)
}

// countResources returns a number of resources in words, such as "2 resources of type User".
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
// document is no longer the one that the caller saw. was is the SchemasVersion of the document that
// the caller saw.
func (s *Sites) SetSchemasFrom(ctx context.Context, id ID, was string, doc []byte, actor string) (Site, error) {
	changed, _, err := s.changeSchemas(ctx, id, doc, actor, nil, "", was)
	return changed, err
}

// SchemasVersion returns a hash of a document of schemas, for SetSchemasFrom and ForceSchemasFrom.
func SchemasVersion(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// SchemaChange is a change of schemas that harms stored resources.
type SchemaChange struct {
	Old, Next   *scim.Registry
	Differences []scim.SchemaDifference // the differences that harm stored resources
	Actor       string                  // the actor who changes the schemas, as events write it
}

// DropStranded removes the stored data that does not fit the next schemas: values of removed
// attributes, all but one of equal values of an attribute that becomes unique, and resources of a
// removed type. It works in the transaction of the change.
type DropStranded func(ctx context.Context, tx Tx, change SchemaChange) error

// ForceSchemas is like SetSchemas, but calls drop in the same transaction to remove the data that
// prevents the change. dropped describes the removed data in words. confirmed is the Token of the
// ErrInUse that the administrator saw; an empty string confirms everything. ForceSchemas returns
// ErrInUse if the change would now drop other data, or if it would still break a rule.
func (s *Sites) ForceSchemas(ctx context.Context, id ID, doc []byte, actor, confirmed string, drop DropStranded) (changed Site, dropped []string, err error) {
	return s.changeSchemas(ctx, id, doc, actor, drop, confirmed, "")
}

// ForceSchemasFrom is like ForceSchemas, but changes nothing and returns ErrStale if the stored
// document is no longer the one that the caller saw. was is the SchemasVersion of the document that
// the caller saw.
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

// changeSchemas does the work of SetSchemas, ForceSchemas and their variants. drop is nil unless
// the change is forced, and was is empty unless the caller saw a version.
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
		return drop(ctx, tx, SchemaChange{Old: old, Next: next, Differences: used.differences(), Actor: actor})
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

// compareSchemas returns the present schemas, and counts the stored resources that the next schemas
// would harm. used is nil if there are none.
func compareSchemas(ctx context.Context, tx Tx, next *scim.Registry) (old *scim.Registry, used *SchemasInUse, err error) {
	if old, err = scim.NewRegistry(tx.Site().Schemas); err != nil {
		return nil, nil, fmt.Errorf("read the schemas of site %s: %w", tx.Site().Name, err)
	}
	used, err = findUses(ctx, tx, old.BreakingDifferences(next), next)
	return old, used, err
}

// differences returns the difference of each SchemaUse.
func (e *SchemasInUse) differences() []scim.SchemaDifference {
	differences := make([]scim.SchemaDifference, len(e.Uses))
	for i, u := range e.Uses {
		differences[i] = u.Difference
	}
	return differences
}

// findUses counts the stored resources that each difference harms. It returns nil if no resource is
// harmed. The differences of one type must follow each other.
func findUses(ctx context.Context, tx Tx, differences []scim.SchemaDifference, next *scim.Registry) (*SchemasInUse, error) {
	used := &SchemasInUse{}
	for len(differences) > 0 {
		kind := differences[0].Type
		n := slices.IndexFunc(differences, func(l scim.SchemaDifference) bool { return l.Type != kind })
		if n < 0 {
			n = len(differences)
		}
		rt, _ := next.ByName(kind)
		c := newHarmCounter(differences[:n], rt)
		if err := tx.Resources(ctx, kind, c.countDocument); err != nil {
			return nil, fmt.Errorf("look at the resources of type %s: %w", kind, err)
		}
		c.addUsesTo(used)
		differences = differences[n:]
	}
	if len(used.Uses) == 0 {
		return nil, nil
	}
	return used, nil
}

// harmCounter counts the resources of one type that the differences harm.
type harmCounter struct {
	differences []scim.SchemaDifference
	next        *scim.ResourceType // the type in the new schemas; nil if the type is removed
	uses        []SchemaUse        // the counts so far, one for each difference
	seed        maphash.Seed       // the seed of the hashes in seenHashes
	seenHashes  []map[uint64]bool  // for each difference that makes an attribute unique, the hashes of its values in the resources so far
	brokenRules map[string]int     // how many resources would break a rule even after a forced change, by the message about the rule
}

// newHarmCounter returns a counter for differences of one type. next is that type in the new
// schemas, or nil.
func newHarmCounter(differences []scim.SchemaDifference, next *scim.ResourceType) *harmCounter {
	c := &harmCounter{differences: differences, next: next, seed: maphash.MakeSeed(), brokenRules: map[string]int{}}
	c.uses, c.seenHashes = make([]SchemaUse, len(differences)), make([]map[uint64]bool, len(differences))
	for i, l := range differences {
		c.uses[i].Difference, c.seenHashes[i] = l, map[uint64]bool{}
	}
	return c
}

// countDocument counts a stored resource for each difference that harms it.
func (c *harmCounter) countDocument(doc []byte) error {
	r, err := scim.Parse(doc)
	if err != nil {
		return err
	}
	rest, touched := r, false
	for i, l := range c.differences {
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

// dropRepeated does nothing unless the difference with the index i makes an attribute unique. It
// removes those values of the attribute from rest that an earlier resource also has, and reports
// whether there were any. r is the stored resource, and rest is a copy of it.
func (c *harmCounter) dropRepeated(i int, r, rest scim.Resource) (dropped bool) {
	var kept []uint64
	// Go backward, so that dropping an element does not move the elements that are still to be
	// checked.
	for element, key := range slices.Backward(c.differences[i].ElementKeys(r)) {
		if key == "" {
			continue
		}
		hash := maphash.String(c.seed, key)
		if !c.seenHashes[i][hash] {
			kept = append(kept, hash)
			continue
		}
		scim.DropElement(rest, c.differences[i].Path, element)
		dropped = true
	}
	for _, hash := range kept {
		c.seenHashes[i][hash] = true
	}
	return dropped
}

// addUsesTo adds the results of the counting to used.
func (c *harmCounter) addUsesTo(used *SchemasInUse) {
	for _, u := range c.uses {
		if u.Count > 0 {
			used.Uses = append(used.Uses, u)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(c.brokenRules)) {
		used.Stuck = append(used.Stuck, StuckResources{Type: c.differences[0].Type, Reason: reason, Count: c.brokenRules[reason]})
	}
}

// schemasEvent returns the event of a change of schemas. dropped describes the data that a forced
// change removed.
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
