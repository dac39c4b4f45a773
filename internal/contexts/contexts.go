package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"vstream/internal/spelling"
)

// A Context is a server, and how to get into it.
type Context struct {
	Server             string `yaml:"server"`
	TokenFile          string `yaml:"tokenFile,omitempty"`
	CAFile             string `yaml:"caFile,omitempty"`
	CertFile           string `yaml:"certFile,omitempty"`
	KeyFile            string `yaml:"keyFile,omitempty"`
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify,omitempty"`
}

// A File is what is in a file of contexts.
type File struct {
	Current  string             `yaml:"current,omitempty"` // may be empty
	Contexts map[string]Context `yaml:"contexts"`          // by name
}

// maxFile bounds the file.
const maxFile = 1 << 20

// Load reads a file. One that is not there is empty.
func Load(path string) (*File, error) {
	in := &File{Contexts: map[string]Context{}}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return in, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	decoder := yaml.NewDecoder(io.LimitReader(f, maxFile))
	decoder.KnownFields(true)
	if err := decoder.Decode(in); err != nil && !errors.Is(err, io.EOF) {
		text := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
		return nil, fmt.Errorf("%s is not understood: %s; mend it, or remove it to begin anew", path, text)
	}
	if in.Contexts == nil {
		in.Contexts = map[string]Context{}
	}
	return in, nil
}

// Save replaces the file, and makes its directory.
func (f *File) Save(path string) error {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(f), encoder.Close()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".config-*") // of the mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // in vain when it has its name
	_, err = temporary.Write(b.Bytes())
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

// Get returns the context of a name, or else an error that names the nearest.
func (f *File) Get(name string) (Context, error) {
	if c, ok := f.Contexts[name]; ok {
		return c, nil
	}
	names := f.Names()
	advice := "there are " + strings.Join(names, ", ")
	if near := spelling.Nearest(name, names); near != "" {
		advice = "did you mean " + near + "?"
	} else if len(names) == 0 {
		advice = "make it with: vstream config set NAME --server URL"
	}
	return Context{}, fmt.Errorf("there is no context %q; %s", name, advice)
}

// Names returns the names of all contexts, in their order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

var nameSyntax = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckName returns an error that says how a context may be called, if not so.
func CheckName(name string) error {
	if !nameSyntax.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a context: up to 63 letters, digits, dots, dashes and underscores can, as in prod", name)
	}
	return nil
}
