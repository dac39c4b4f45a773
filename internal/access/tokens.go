package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
)

// An entry is a line of the file of tokens: whose token has this sum.
type entry struct {
	name string
	sum  [sha256.Size]byte
}

// tokens are those of the file.
type tokens struct{ entries atomic.Pointer[[]entry] }

func (t *tokens) take(paths []string, contents [][]byte) error {
	entries, err := parseTokens(contents[0])
	if err != nil {
		return &FileError{paths[0], err}
	}
	t.entries.Store(&entries)
	return nil
}

// holder returns whose token has this sum. It takes the same time for every sum.
func (t *tokens) holder(sum [sha256.Size]byte) (name string, ok bool) {
	for _, e := range *t.entries.Load() {
		if subtle.ConstantTimeCompare(e.sum[:], sum[:]) == 1 {
			name, ok = e.name, true
		}
	}
	return name, ok
}

// tokenName is what a holder of a token may be called.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9._@+-]{1,100}$`)

const nameAdvice = "a name is up to 100 letters, digits and any of . _ @ + -"

// parseTokens reads lines of a name, a colon, and the SHA-256 of a token in hexadecimal
// digits. Empty lines, and those that begin with #, say nothing. A name may have several
// tokens, as while one is being replaced; an empty file lets nobody in. A byte order mark in front
// is no matter.
func parseTokens(data []byte) ([]entry, error) {
	entries := []entry{}
	lines := map[[sha256.Size]byte]int{}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, digits, _ := strings.Cut(text, ":")
		name, digits = strings.TrimSpace(name), strings.TrimSpace(digits)
		sum, err := hex.DecodeString(digits)
		// Neither repeats what is there: it may be a token that somebody took for its sum.
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("line %d: it is not name:sha256, with 64 hexadecimal digits; make one with: vstream token new NAME", number)
		}
		if !tokenName.MatchString(name) {
			return nil, fmt.Errorf("line %d: "+nameAdvice, number)
		}
		e := entry{name, [sha256.Size]byte(sum)}
		if e.sum == sha256.Sum256(nil) {
			return nil, fmt.Errorf("line %d: this is the SHA-256 of nothing; make another with: vstream token new NAME", number)
		}
		if first := lines[e.sum]; first > 0 {
			return nil, fmt.Errorf("line %d: line %d has the same token; give each a token of its own", number, first)
		}
		lines[e.sum] = number
		entries = append(entries, e)
	}
	return entries, nil
}

// NewToken returns a random token of name and its line for the file of tokens. The token
// is nowhere else, and cannot be found from the line.
func NewToken(name string) (token, line string, err error) {
	if !tokenName.MatchString(name) {
		return "", "", errors.New(nameAdvice)
	}
	token = "vstream_" + rand.Text()
	return token, fmt.Sprintf("%s:%x", name, sha256.Sum256([]byte(token))), nil
}
