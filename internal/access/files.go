package access

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// maxFile is how large a file may be: some ten thousand tokens.
const maxFile = 1 << 20

// A FileError is a file that cannot be used.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// A source is files that belong together. They are read by name each time, so that a name
// that comes to mean another file, as in a mounted Secret of Kubernetes, is a change.
type source struct {
	name  string // of what they hold
	paths []string
	// take puts in force what the files hold, or returns a *FileError and changes nothing.
	take func(paths []string, contents [][]byte) error

	seen    [sha256.Size]byte // of what was taken or refused last
	refused bool              // what was seen
	trouble string            // of the last look

	taken, failed atomic.Int64
	stale         atomic.Bool // what is in force is not what the files hold
}

// A Reload is how reading files again went, that belong together; or fetching the keys of the
// issuer of tokens, which is as good as a file.
type Reload struct {
	Files         string // what they hold: tls, tokens or oidc
	Taken, Failed int64  // how often changed files were taken up, and could not be used
	// Stale says that what is in force is not what the files hold, for that cannot be used.
	Stale bool
}

// Reloads returns how it went with all that is looked at again. It may be called from any
// goroutine.
func (g *Guard) Reloads() []Reload {
	var all []Reload
	for _, f := range g.files {
		all = append(all, Reload{Files: f.name, Taken: f.taken.Load(), Failed: f.failed.Load(), Stale: f.stale.Load()})
	}
	if i := g.issuer; i != nil {
		all = append(all, Reload{Files: "oidc", Taken: i.fetched.Load(), Failed: i.failed.Load(), Stale: i.stale.Load()})
	}
	return all
}

// load takes what the files hold, if that has changed. After an error it is not tried
// again with the same contents.
func (s *source) load() (changed bool, err error) {
	defer func() { s.stale.Store(err != nil || s.refused) }()
	contents := make([][]byte, len(s.paths))
	for i, path := range s.paths {
		if contents[i], err = read(path); err != nil {
			return false, &FileError{path, err}
		}
	}
	s.trouble = ""
	sum := sha256.Sum256(bytes.Join(contents, []byte{0}))
	if sum == s.seen {
		return false, nil
	}
	s.seen = sum
	err = s.take(s.paths, contents)
	s.refused = err != nil
	return err == nil, err
}

// news reports whether err is another than that of the last look.
func (s *source) news(err error) bool {
	was := s.trouble
	s.trouble = err.Error()
	return s.trouble != was
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file") // a pipe could be waited for without end
	}
	f, err := os.Open(path)
	var named *os.PathError
	if errors.As(err, &named) {
		return nil, named.Err // the path is in the FileError
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("is larger than %d bytes", maxFile)
	}
	return content, err
}
