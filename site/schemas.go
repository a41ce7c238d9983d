package site

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/scim"
)

// InUseError says why schemas cannot be changed: stored resources would not survive it.
type InUseError struct{ Uses []Use }

// Use is one difference with how many resources it would harm.
type Use struct {
	Loss  scim.Loss
	Count int
}

func (e *InUseError) Error() string {
	lines := make([]string, len(e.Uses))
	for i, u := range e.Uses {
		lines[i] = u.String()
	}
	return strings.Join(lines, "\n")
}

// String says what is in the way and what to do.
func (u Use) String() string {
	have, remedy := "have data under it", "remove that data over SCIM first, or leave this part of the document as it is"
	switch {
	case u.Loss.Path == scim.AttrPath{}:
		have, remedy = "are stored", "delete them over SCIM first, or leave this part of the document as it is"
	case u.Loss.Missing():
		have, remedy = "lack it", "fill it first, or leave it optional"
	}
	kind := "resources"
	if u.Count == 1 {
		kind = "resource"
		have = strings.NewReplacer("have", "has", "are", "is", "lack", "lacks").Replace(have)
	}
	return fmt.Sprintf("%s %s, and %d %s of type %s %s: %s", u.Loss.Subject(), u.Loss.Reason, u.Count, kind, u.Loss.Type, have, remedy)
}

// SetSchemas gives a site another document of schemas and resource types, as scim.NewRegistry reads it; an empty one
// for none. What is wrong with it comes as *scim.RegistryError. Adding is always possible; what stored resources would
// not survive is refused with *InUseError. An attribute that goes is no longer declared searchable.
func (s *Sites) SetSchemas(ctx context.Context, id ID, doc []byte, actor string) (Site, error) {
	if doc = bytes.TrimSpace(doc); len(doc) == 0 {
		doc = nil
	}
	next, err := scim.NewRegistry(doc)
	if err != nil {
		return Site{}, err
	}
	var result Site
	err = s.Store.UpdateSite(ctx, id, func(tx Tx) error {
		result = tx.Site()
		if bytes.Equal(result.Schemas, doc) {
			return nil
		}
		old, err := scim.NewRegistry(result.Schemas)
		if err != nil {
			return fmt.Errorf("read the schemas of site %s: %w", result.Name, err)
		}
		if err := checkUse(ctx, tx, old.Losses(next)); err != nil {
			return err
		}
		result.Schemas = doc
		if err := tx.PutSite(ctx, result); err != nil {
			return err
		}
		if err := tx.AppendEvent(ctx, s.schemasEvent(id, old, next, actor)); err != nil {
			return err
		}
		return s.keepSearchable(ctx, tx, next, actor)
	})
	if err != nil {
		return Site{}, err
	}
	return result, nil
}

// checkUse counts, type by type, the stored resources that each loss harms.
func checkUse(ctx context.Context, tx Tx, losses []scim.Loss) error {
	var uses []Use
	for len(losses) > 0 {
		kind := losses[0].Type
		n := slices.IndexFunc(losses, func(l scim.Loss) bool { return l.Type != kind })
		if n < 0 {
			n = len(losses)
		}
		found, err := countUses(ctx, tx, kind, losses[:n])
		if err != nil {
			return err
		}
		uses, losses = append(uses, found...), losses[n:]
	}
	if len(uses) > 0 {
		return &InUseError{Uses: uses}
	}
	return nil
}

func countUses(ctx context.Context, tx Tx, kind string, losses []scim.Loss) ([]Use, error) {
	counts := make([]int, len(losses))
	err := tx.Resources(ctx, kind, func(doc []byte) error {
		r, err := scim.Parse(doc)
		if err != nil {
			return err
		}
		for i, l := range losses {
			if l.Affects(r) {
				counts[i]++
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the resources of type %s: %w", kind, err)
	}
	var uses []Use
	for i, l := range losses {
		if counts[i] > 0 {
			uses = append(uses, Use{l, counts[i]})
		}
	}
	return uses, nil
}

func (s *Sites) schemasEvent(id ID, old, next *scim.Registry, actor string) event.Event {
	var parts []string
	names := func(what string, g, without *scim.Registry) {
		for _, sc := range g.Schemas() {
			if _, ok := without.Schema(sc.ID); !ok {
				parts = append(parts, what+" "+sc.ID)
			}
		}
	}
	names("added", next, old)
	names("removed", old, next)
	text := "The schemas were changed"
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return s.event(id, "site.schemas_changed", actor, "", text)
}
