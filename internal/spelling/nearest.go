package spelling

import "strings"

// longest is how long a name may be to be compared: the effort grows with the square, and
// names come from strangers.
const longest = 40

// Nearest returns the candidate that name is the beginning of, or else the one that is a slip
// away from it, two where the name is longer than most words, a few more where it is very
// long; or "". Case counts for nothing. Of several it is the first that is nearest.
func Nearest(name string, candidates []string) string {
	if len(name) > longest {
		return ""
	}
	name = strings.ToLower(name)
	best, least := "", slips(len(name))+1
	for _, c := range candidates {
		lower := strings.ToLower(c)
		if len(name) > 1 && strings.HasPrefix(lower, name) {
			return c
		}
		if d := distance(name, lower); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// slips is how many slips a name of so many letters may have: of a short one, two are half.
func slips(letters int) int {
	if letters <= 4 {
		return 1
	}
	return max(2, letters/4)
}

// distance counts the insertions, deletions, substitutions and swaps of neighbors from a to b
// (optimal string alignment).
func distance(a, b string) int {
	above, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			substituted := row[j]
			if a[i] != b[j] {
				substituted++
			}
			next[j+1] = min(substituted, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], above[j-1]+1)
			}
		}
		above, row = row, next
	}
	return row[len(b)]
}
