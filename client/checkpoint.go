package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vstream"
)

// A Checkpoint keeps where a read was, for the next run of a program: see [WithCheckpoint].
// The best place is together with the effect of the events, as in one transaction of a
// database. One read at a time uses it.
type Checkpoint interface {
	// Load returns what was saved last, and nil if nothing ever was.
	Load(ctx context.Context) (vstream.Cursor, error)
	// Save keeps a cursor. When it returns nil, that survives a crash.
	Save(ctx context.Context, c vstream.Cursor) error
}

// A FileCheckpoint keeps a cursor in a file, beside the address of the server that it is of.
type FileCheckpoint struct{ path, server string }

// CheckpointFile returns a Checkpoint in a file, for events of this server. The file is made
// by the first Save, its directory has to be there. Load fails with a [CheckpointError] if
// the file is damaged or of another server. Save replaces the file in one step, so it is never half
// written.
func (c *Client) CheckpointFile(path string) *FileCheckpoint {
	return &FileCheckpoint{path, c.Server()}
}

// CheckpointError says that a checkpoint cannot be used.
type CheckpointError struct {
	Path   string
	Reason string // with what to do
	Err    error  // of the file system; may be nil
}

func (e *CheckpointError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the checkpoint %s: %s: %v", e.Path, e.Reason, e.Err)
	}
	return fmt.Sprintf("the checkpoint %s %s", e.Path, e.Reason)
}

// Unwrap returns the error of the file system.
func (e *CheckpointError) Unwrap() error { return e.Err }

// fileContent is what is in the file.
type fileContent struct {
	Format string    `json:"format"`
	Server string    `json:"server"`
	Cursor string    `json:"cursor"`
	Saved  time.Time `json:"saved"`
}

const fileFormat = "vstream.checkpoint.v1"

// Load implements [Checkpoint].
func (f *FileCheckpoint) Load(context.Context) (vstream.Cursor, error) {
	text, err := readFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &CheckpointError{f.path, "cannot be read; it must be a file that this program may read and write", err}
	}
	damaged := &CheckpointError{Path: f.path, Reason: "is damaged, or no checkpoint; remove it to begin anew, or name another file"}
	var in fileContent
	if err := json.Unmarshal(text, &in); err != nil || in.Format != fileFormat {
		return nil, damaged
	}
	if in.Server != f.server {
		return nil, &CheckpointError{Path: f.path, Reason: fmt.Sprintf("is of the server %s, and this is %s; if they are the same, write its address as then, else name another file, or remove it to begin anew",
			printable(in.Server, 200), f.server)}
	}
	c, err := vstream.ParseCursor(in.Cursor)
	if err != nil {
		return nil, damaged
	}
	return c, nil
}

// Save implements [Checkpoint].
func (f *FileCheckpoint) Save(_ context.Context, c vstream.Cursor) error {
	text, err := json.Marshal(fileContent{fileFormat, f.server, c.String(), time.Now().UTC()})
	if err == nil {
		err = replace(f.path, append(text, '\n'))
	}
	if err != nil {
		return &CheckpointError{f.path, "cannot be written; look at the disk, and whether the directory may be written to", err}
	}
	return nil
}

// replace gives a file another content, or leaves it as it was. Only its owner may read it.
func replace(path string, content []byte) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // of the mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temporary.Close()
			_ = os.Remove(temporary.Name())
		}
	}()
	if _, err = temporary.Write(content); err != nil {
		return err
	}
	if err = temporary.Sync(); err != nil {
		return err
	}
	if err = temporary.Close(); err != nil {
		return err
	}
	if err = os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	// The name, too, is to survive a crash. Where a directory cannot be synced, as on
	// Windows, an older checkpoint may come back, which only repeats events.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}
