// Package near finds the known word that is most similar to an unknown word that a person typed.
package near

import "strings"

// Best returns the choice that is most similar to word, or "" if none is similar. Case does not
// matter. A word of three or more letters counts as similar to a choice that begins with it.
func Best(word string, choices []string) string {
	folded := strings.ToLower(strings.TrimSpace(word))
	best, distance := "", len(folded)/3+1
	if folded == "" {
		return ""
	}
	for _, choice := range choices {
		c := strings.ToLower(choice)
		d := Distance(folded, c)
		if len(folded) >= 3 && strings.HasPrefix(c, folded) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = choice, d
		}
	}
	return best
}

// Distance returns the number of bytes that must be inserted, deleted, replaced or swapped with a
// neighbour to turn a into b.
func Distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
