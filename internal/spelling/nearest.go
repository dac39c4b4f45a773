package spelling

import "strings"

// longest is how long a name may be to be compared: the effort grows with the square, and
// names come from strangers.
const longest = 40

// Nearest returns the candidate that is a slip or two away from name, a few more where
// the name is long, or "". Case counts for nothing.
func Nearest(name string, candidates []string) string {
	if len(name) > longest {
		return ""
	}
	best, least := "", max(2, len(name)/4)+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions and substitutions from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
