package decision

// Nearest returns the candidate that text most likely meant, or nothing where none is near: at most a third of the
// characters may differ.
func Nearest(text string, candidates []string) string {
	best, least := "", max(len(text)/3, 1)+1
	for _, c := range candidates {
		if d := distance(text, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
