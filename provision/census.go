package provision

import "context"

// eachAccount reads all accounts, or all groups, of a target once, and calls visit for each page.
// list is the method of the target that lists them. visit gets each account once, even if the
// target repeats accounts. eachAccount stops at a page without new accounts, because some targets
// always return the same page.
func eachAccount(ctx context.Context, list func(ctx context.Context, start, count int) (ObjectPage, error), visit func(page []TargetObject) error) error {
	seen := map[string]bool{}
	for start := 1; ; {
		page, err := list(ctx, start, listPage)
		if err != nil {
			return err
		}
		var fresh []TargetObject
		for _, o := range page.Objects {
			if !seen[o.ID] {
				seen[o.ID] = true
				fresh = append(fresh, o)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		if err := visit(fresh); err != nil {
			return err
		}
		if start += page.Named; page.Total > 0 && int64(start) > page.Total {
			return nil
		}
	}
}
