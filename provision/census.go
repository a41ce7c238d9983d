package provision

import "context"

// listPage is how many accounts one request asks for.
const listPage = 100

// eachAccount reads all accounts, or all groups, of a target once, and calls visit for each page. It
// calls visit with each account once, also if the target repeats accounts. A target that ignores
// which page was asked for ends the reading.
func eachAccount(ctx context.Context, t Target, visit func(page []TargetObject) error) error {
	seen := map[string]bool{}
	for from := ""; ; {
		page, next, err := t.List(ctx, from, listPage)
		if err != nil {
			return err
		}
		var fresh []TargetObject
		for _, o := range page {
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
		if from = next; next == "" {
			return nil
		}
	}
}
