package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFileOfTokensIsReadOrItsBadLineNamed(t *testing.T) {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("secret")))
	for _, c := range []struct {
		text  string
		lines int
		want  string // part of the error
	}{
		{"", 0, ""},
		{"# none yet\n\n  \n", 0, ""},
		{"alice:" + sum, 1, ""},
		{"# tokens\r\n\r\nalice : " + strings.ToUpper(sum) + " \r\n", 1, ""},
		{"\ufeffalice:" + sum, 1, ""},
		{"a@example.com:" + sum + "\nb:" + strings.Repeat("0", 64) + "\n", 2, ""},
		{"alice:" + sum + "\nalice:" + strings.Repeat("0", 64), 2, ""},
		{"alice:" + sum + "\n# comment\nbob:" + sum, 0, "line 3: line 1 has the same token"},
		{"alice", 0, "line 1: it is not name:sha256"},
		{"\nalice:" + sum[1:], 0, "line 2: it is not name:sha256"},
		{"alice:" + sum + "00", 0, "line 1: it is not name:sha256"},
		{"alice:secret-token", 0, "line 1: it is not name:sha256"},
		{"alice:" + sum + " # admin", 0, "line 1: it is not"},
		{":" + sum, 0, "line 1: a name is"},
		{"al ice:" + sum, 0, "line 1: a name is"},
		{strings.Repeat("a", 101) + ":" + sum, 0, "line 1: a name is"},
		{"alice:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0, "line 1: this is the SHA-256 of nothing"},
	} {
		entries, err := parseTokens([]byte(c.text))
		switch {
		case c.want == "" && (err != nil || len(entries) != c.lines):
			t.Errorf("%q: %v, %v", c.text, entries, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret-token")):
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzTokensFile(f *testing.F) {
	for _, seed := range []string{"", "# x\n", "alice:" + strings.Repeat("ab", 32), "a:b:c\r\n", ":\n", "\xff\x00:", "alice:" + strings.Repeat("0", 63)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseTokens(data)
		if err != nil {
			if entries != nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v with %q", entries, err)
			}
			return
		}
		var again strings.Builder
		for _, e := range entries {
			if !tokenName.MatchString(e.name) {
				t.Errorf("the name is %q", e.name)
			}
			fmt.Fprintf(&again, "%s:%x\n", e.name, e.sum)
		}
		if same, err := parseTokens([]byte(again.String())); err != nil || fmt.Sprint(same) != fmt.Sprint(entries) {
			t.Errorf("%q is read as %v, and written again as %v, %v", data, entries, same, err)
		}
	})
}

func TestANewTokenLetsItsHolderIn(t *testing.T) {
	token, line, err := NewToken("alice")
	if err != nil || strings.Contains(line, token) || len(token) < 30 {
		t.Fatalf("%q, %q, %v", token, line, err)
	}
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, line+"\n")
	if w := ask(guard(t, Config{TokensFile: path}), "GET", "/", bearing(token)); w.Body.String() != "reader alice" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if another, _, _ := NewToken("alice"); another == token {
		t.Error("the next token is the same")
	}
	for _, name := range []string{"", "a b", "a:b", "a\nb", "ä"} {
		if _, _, err := NewToken(name); err == nil {
			t.Errorf("%q is taken as a name", name)
		}
	}
}

func TestFilesThatCannotBeUsedAreRefusedAtTheStart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/bad", "alice\n")
	write(t, dir+"/large", strings.Repeat("#", maxFile+1))
	pair := newAuthority(t, "server").files(t, "localhost")
	for _, c := range []struct {
		config     Config
		path, want string
	}{
		{Config{TokensFile: dir + "/nothing"}, dir + "/nothing", "no such file"},
		{Config{TokensFile: dir}, dir, "is not a regular file"},
		{Config{TokensFile: dir + "/bad"}, dir + "/bad", "line 1: "},
		{Config{TokensFile: dir + "/large"}, dir + "/large", "is larger than 1048576 bytes"},
		{Config{CertFile: dir + "/bad", KeyFile: pair.key}, dir + "/bad", "not a certificate"},
		{Config{CertFile: pair.cert, KeyFile: pair.cert}, pair.cert, "not a certificate that goes with"},
		{Config{CertFile: pair.cert, KeyFile: newAuthority(t, "x").files(t, "y").key}, pair.cert, "does not match"},
		{Config{CertFile: pair.cert, KeyFile: dir + "/nothing"}, dir + "/nothing", "no such file"},
		{Config{CertFile: pair.cert, KeyFile: pair.key, ClientCAFile: dir + "/bad"}, dir + "/bad", "no PEM certificate"},
	} {
		_, err := New(c.config)
		var unusable *FileError
		if !errors.As(err, &unusable) || unusable.Path != c.path || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), c.path) != 1 && c.path != pair.cert {
			t.Errorf("%v, want %s of %s", err, c.want, c.path)
		}
	}
}

// run runs g in a bubble until the test ends.
func run(t *testing.T, g *Guard) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestChangesOfTheTokensTakeEffectWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		path := tokensFile(t, map[string]string{"one": "alice", "two": "bob"})
		g := guard(t, Config{TokensFile: path, Logger: log.logger()})
		run(t, g)
		expect := func(when string, one, two int) {
			t.Helper()
			time.Sleep(2 * reloadInterval)
			synctest.Wait()
			if a, b := ask(g, "GET", "/", bearing("one")).Code, ask(g, "GET", "/", bearing("two")).Code; a != one || b != two {
				t.Errorf("%s: %d and %d, want %d and %d", when, a, b, one, two)
			}
		}
		expect("at the start", 200, 200)
		write(t, path, tokenLines(map[string]string{"one": "alice"}))
		expect("when a line is removed", 200, 401)
		write(t, path, tokenLines(map[string]string{"two": "bob"})+"alice:mistake\n")
		expect("when a line is malformed", 200, 401)
		if n := strings.Count(log.String(), "tokens: line 2: "); n != 1 {
			t.Errorf("the malformed line is logged %d times:\n%s", n, log.String())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("when the file is gone", 200, 401)
		if n := strings.Count(log.String(), "no such file"); n != 1 {
			t.Errorf("that the file is gone is logged %d times:\n%s", n, log.String())
		}
		write(t, path, tokenLines(map[string]string{"one": "alice", "two": "bob"}))
		expect("when it is back", 200, 200)
		write(t, path, "")
		expect("when it is empty", 401, 401)
	})
}

// mount makes a directory as Kubernetes mounts a Secret: each file is a link into ..data,
// which is a link to the directory of the version.
func mount(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink("..data/"+name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// update gives a mount another version, as Kubernetes does: all files at once.
func update(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(dir, version, name), text)
	}
	if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

func TestAMountedSecretThatIsSwappedIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := mount(t, "tokens", "tls.crt", "tls.key")
		first, second := newAuthority(t, "first"), newAuthority(t, "second")
		version := func(name, token string, a *authority) {
			cert, key := a.issue(t, "localhost", time.Hour*24*90)
			update(t, dir, name, map[string]string{"tokens": tokenLines(map[string]string{token: "alice"}), "tls.crt": cert, "tls.key": key})
		}
		version("v1", "one", first)
		g := guard(t, Config{TokensFile: dir + "/tokens", CertFile: dir + "/tls.crt", KeyFile: dir + "/tls.key"})
		run(t, g)
		version("v2", "two", second)
		time.Sleep(2 * reloadInterval)
		synctest.Wait()
		if a, b := ask(g, "GET", "/", bearing("one")).Code, ask(g, "GET", "/", bearing("two")).Code; a != 401 || b != 200 {
			t.Errorf("the old token gets %d, the new %d", a, b)
		}
		if issuer := g.server.inForce.Load().Certificates[0].Leaf.Issuer.CommonName; issuer != "second" {
			t.Errorf("the certificate is of the %s authority", issuer)
		}
	})
}

func TestReloadsTellWhetherWhatIsInForceIsWhatTheFilesHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens")
		write(t, path, tokenLines(map[string]string{"one": "alice"}))
		g := guard(t, Config{TokensFile: path})
		run(t, g)
		good, bad := tokenLines(map[string]string{"two": "alice"}), "half a li"
		for _, step := range []struct {
			what, content string // no content: the file is gone
			want          Reload
		}{
			{"nothing has happened", tokenLines(map[string]string{"one": "alice"}), Reload{"tokens", 0, 0, false}},
			{"it has changed", good, Reload{"tokens", 1, 0, false}},
			{"it makes no sense", bad, Reload{"tokens", 1, 1, true}},
			{"it still makes no sense", bad, Reload{"tokens", 1, 1, true}},
			{"it is gone", "", Reload{"tokens", 1, 2, true}},
			{"it makes no sense again", bad, Reload{"tokens", 1, 2, true}},
			{"it is well again", good, Reload{"tokens", 2, 2, false}},
			{"it is gone, once more", "", Reload{"tokens", 2, 3, true}},
			{"it is back as it was", good, Reload{"tokens", 2, 3, false}},
		} {
			if step.content == "" {
				os.Remove(path)
			} else {
				write(t, path, step.content)
			}
			time.Sleep(3 * reloadInterval)
			synctest.Wait()
			if got := g.Reloads(); len(got) != 1 || got[0] != step.want {
				t.Errorf("when %s: %+v, want %+v", step.what, got, step.want)
			}
		}
	})
}
