package natslog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/logtest"
)

// diary is what a logger wrote.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer // under mu
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// try runs an engine until it fails, has said something, or is ready, and returns which.
func try(t *testing.T, config Config, says string) (said string, ready bool, failed error) {
	t.Helper()
	var log diary
	config.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e := New(config, "vc")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-done:
			return log.String(), false, err
		default:
		}
		ready := e.Ready() == nil
		if ready || says != "" && strings.Contains(log.String(), says) || time.Now().After(deadline) {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("stopped, Run returns %v", err)
			}
			return log.String(), ready, nil
		}
	}
}

func connect(t *testing.T, ns *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestWhatDoesNotHealByItselfIsFatalAtTheStartWithOneClearLine(t *testing.T) {
	const secret = "Tr0ub4dor"
	ns := startServer(t)
	plain := func(t *testing.T) Config { return clusterConfig(t, ns.ClientURL()) }
	has := func(stream jetstream.StreamConfig) func(*testing.T) Config {
		return func(t *testing.T) Config {
			ns := startServer(t)
			if _, err := connect(t, ns).CreateStream(t.Context(), stream); err != nil {
				t.Fatal(err)
			}
			return clusterConfig(t, ns.ClientURL())
		}
	}
	ours := map[string]string{formatKey: format}
	for name, test := range map[string]struct {
		config func(*testing.T) Config
		want   string
	}{
		"refused password": {func(t *testing.T) Config {
			ns := startServer(t, func(o *server.Options) { o.Username, o.Password = "vstream", "another" })
			return clusterConfig(t, "nats://vstream:"+secret+"@"+ns.Addr().String())
		}, "NATS refuses the credentials; set NATS_CREDENTIALS_FILE, or check the user in NATS_URL"},
		"refused token": {func(t *testing.T) Config {
			ns := startServer(t, func(o *server.Options) { o.Authorization = "another" })
			return clusterConfig(t, "nats://"+secret+"@"+ns.Addr().String())
		}, "NATS refuses the credentials"},
		"no credentials file": {func(t *testing.T) Config {
			config := plain(t)
			config.Credentials = filepath.Join(t.TempDir(), "absent")
			return config
		}, "NATS_CREDENTIALS_FILE: read the credentials for NATS: "},
		"credentials that are none": {func(t *testing.T) Config {
			config := plain(t)
			config.Credentials = filepath.Join(t.TempDir(), "creds")
			if err := os.WriteFile(config.Credentials, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			return config
		}, "holds no credentials of a NATS user, as nsc writes them"},
		"no certificate": {func(t *testing.T) Config {
			config := plain(t)
			config.CAFile = filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(config.CAFile, []byte("nothing"), 0o600); err != nil {
				t.Fatal(err)
			}
			return config
		}, "holds no PEM certificate"},
		"account without JetStream": {func(t *testing.T) Config {
			ns := startServer(t, func(o *server.Options) {
				poor, rich := server.NewAccount("poor"), server.NewAccount("rich")
				o.Accounts = []*server.Account{poor, rich}
				o.Users = []*server.User{{Username: "u", Password: secret, Account: poor}}
			})
			return clusterConfig(t, "nats://u:"+secret+"@"+ns.Addr().String())
		}, "the NATS account has no JetStream; enable it for the account of vstream"},
		"copies on one server": {func(t *testing.T) Config {
			config := plain(t)
			config.Replicas = 3
			return config
		}, "this NATS server is alone; set LOG_REPLICAS=1"},
		"small messages": {func(t *testing.T) Config {
			return clusterConfig(t, startServer(t, func(o *server.Options) { o.MaxPayload = 64 << 10 }).ClientURL())
		}, "raise max_payload there, or lower LOG_MAX_RECORD_SIZE_BYTES"},
		"another's stream": {has(jetstream.StreamConfig{Name: "vstream-vc", Subjects: []string{"something"}}), "exists, but is not one of vstream's"},
		"a newer version's": {has(jetstream.StreamConfig{Name: "vstream-vc", Subjects: []string{"vstream.vc.*"}, Metadata: map[string]string{formatKey: "2"}}),
			"is not one of vstream's, or of a newer version's; give the vCenter another name"},
		"stream in memory":      {has(jetstream.StreamConfig{Name: "vstream-vc", Subjects: []string{"something"}, Storage: jetstream.MemoryStorage, Metadata: ours}), "keeps events in memory, and that cannot be changed"},
		"subjects of another's": {has(jetstream.StreamConfig{Name: "everything", Subjects: []string{"vstream.>"}}), "another stream takes the subjects of vstream-vc already"},
	} {
		t.Run(name, func(t *testing.T) {
			said, ready, err := try(t, test.config(t), "")
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("ready %v, error %v, want %q", ready, err, test.want)
			}
			if all := said + fmt.Sprint(err); strings.Contains(all, secret) {
				t.Errorf("the secret is told: %s", all)
			}
			t.Log(err)
		})
	}
}

func TestWhatMayHealByItselfIsSaidAndTriedAgain(t *testing.T) {
	const secret = "Tr0ub4dor"
	for name, test := range map[string]struct {
		config func(*testing.T) Config
		want   string
	}{
		"nobody listens": {func(t *testing.T) Config {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			return clusterConfig(t, "nats://u:"+secret+"@"+l.Addr().String())
		}, "connect to NATS: no server answers at 127.0.0.1:"},
		"not NATS": {func(t *testing.T) Config {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Write([]byte("220 mail.example.com\r\n"))
					conn.Close()
				}
			}()
			t.Cleanup(func() { l.Close(); <-done })
			return clusterConfig(t, "nats://u:"+secret+"@"+l.Addr().String())
		}, "connect to NATS: "},
		"server without JetStream": {func(t *testing.T) Config {
			return clusterConfig(t, startServer(t, func(o *server.Options) { o.JetStream = false }).ClientURL())
		}, "NATS has no JetStream, or it is not ready; vstream needs it enabled"},
		"three copies on two servers": {func(t *testing.T) Config {
			run := cluster(t, 2)
			run(0)
			config := clusterConfig(t, run(1).ClientURL())
			config.Replicas = 3
			return config
		}, "LOG_REPLICAS: the cluster has no 3 servers for the copies of vstream-vc"},
		"no room": {func(t *testing.T) Config {
			config := clusterConfig(t, startServer(t, func(o *server.Options) { o.JetStreamMaxStore = 1 << 20 }).ClientURL())
			config.Replicas = 1
			return config
		}, "LOG_MAX_BYTES: NATS has no room"},
	} {
		t.Run(name, func(t *testing.T) {
			said, ready, err := try(t, test.config(t), test.want)
			if err != nil || ready || !strings.Contains(said, test.want) {
				t.Errorf("ready %v, error %v, want %q in %s", ready, err, test.want, said)
			}
			if strings.Contains(said, secret) {
				t.Errorf("the secret is told: %s", said)
			}
			t.Log(said)
		})
	}
}

// cluster returns what starts each of the n servers of a cluster.
func cluster(t *testing.T, n int) (start func(i int) *server.Server) {
	t.Helper()
	ports, routes := make([]int, n), make([]string, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes[i] = fmt.Sprintf("nats://127.0.0.1:%d", ports[i])
	}
	return func(i int) *server.Server {
		return startServer(t, func(o *server.Options) {
			o.ServerName = fmt.Sprint("n", i)
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i], PoolSize: -1}
			o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		})
	}
}

func TestALogGetsItsThreeCopiesOnceTheClusterHasTheServers(t *testing.T) {
	run := cluster(t, 3)
	run(0)
	run(1)
	config := clusterConfig(t, run(2).ClientURL())
	copies := func() int {
		nc, err := nats.Connect(config.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.Stream(t.Context(), "vstream-vc")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config.Replicas
	}
	config.Replicas = 1 // as if there had been too few servers
	_, stop := start(t, config, "vc")
	stop()
	if n := copies(); n != 1 {
		t.Errorf("it has %d copies, want 1", n)
	}
	config.Replicas = 0
	_, stop = start(t, config, "vc")
	stop()
	if n := copies(); n != 3 {
		t.Errorf("it has %d copies, want 3", n)
	}
}

func TestAServerThatComesLaterIsFound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	e := New(clusterConfig(t, "nats://"+l.Addr().String()), "vc")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	startServer(t, func(o *server.Options) { o.Port = port })
	comesAbout(t, "it is ready", func() bool { return e.Ready() == nil })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAStopDoesNotWaitForAServerThatSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system takes connections for it
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := New(clusterConfig(t, "nats://"+l.Addr().String()), "vc")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection stays open")
	}
}

func TestAStreamOfOursGetsTheLimitsThatAreConfigured(t *testing.T) {
	ns := startServer(t)
	config := clusterConfig(t, ns.ClientURL())
	config.MaxBytes = 1 << 20
	_, stop := start(t, config, "vc")
	stop()
	config.MaxBytes = 2 << 20
	start(t, config, "vc")
	s, err := connect(t, ns).Stream(t.Context(), "vstream-vc")
	if err != nil {
		t.Fatal(err)
	}
	if has := s.CachedInfo().Config; has.MaxBytes != 2<<20 || has.Metadata[formatKey] != format {
		t.Errorf("it has %+v", has)
	}
}

// What goes wrong with a stream later must not end a process that serves the others.
func TestAStreamThatIsSpoiledLaterEndsNothing(t *testing.T) {
	ns := startServer(t)
	js := connect(t, ns)
	e, _ := start(t, clusterConfig(t, ns.ClientURL()), "vc")
	if err := e.Log("vc").Append(t.Context(), []vstream.Event{{Offset: 1, Time: time.Unix(1, 0).UTC(), JSON: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "vstream-vc"); err != nil {
		t.Fatal(err)
	}
	spoilt := jetstream.StreamConfig{Name: "vstream-vc", Subjects: []string{"vstream.vc.>"}}
	comesAbout(t, "the stream is spoilt", func() bool { // while the engine makes it anew
		_, err := js.CreateOrUpdateStream(t.Context(), spoilt)
		return err == nil
	})
	comesAbout(t, "it is not ready", func() bool { return e.Ready() != nil })
	if err := js.DeleteStream(t.Context(), "vstream-vc"); err != nil {
		t.Fatal(err)
	}
	comesAbout(t, "it is ready again", func() bool { return e.Ready() == nil })
}

func TestServersWithoutBatchesAreRefused(t *testing.T) {
	for version, fine := range map[string]bool{"2.15.2": true, "2.12.0": true, "3.0.0": true, "2.11.9": false, "1.4.1": false, "": true} {
		if err := checkVersion(version); (err == nil) != fine {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

// What the documentation says that the user needs is enough.
func TestTheDocumentedPermissionsSuffice(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	may := func(what string) []string {
		_, rest, found := strings.Cut(string(doc), "\n"+what+":")
		if !found {
			t.Fatalf("docs/operate.md does not say what may be %sd", what)
		}
		line, _, _ := strings.Cut(rest, "\n")
		return strings.Split(strings.ReplaceAll(line, " ", ""), ",")
	}
	ns := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "vstream", Password: "secret", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: may("publish")},
			Subscribe: &server.SubjectPermission{Allow: may("subscribe")},
		}}}
	})
	var said diary
	config := clusterConfig(t, "nats://vstream:secret@"+ns.Addr().String())
	config.WindowRecords, config.Retention = 1, time.Millisecond
	config.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	first := join(t, config, "vc")
	second := join(t, config, "vc")
	comesAbout(t, "one collects", func() bool { return first.has("vc") || second.has("vc") })
	log := first.Log("vc")
	if err := log.Append(t.Context(), logtest.Events(upTo(1, 100)...)); err != nil {
		t.Fatal(err)
	}
	if err := log.SetOrigin(t.Context(), "instance", 1); err != nil {
		t.Fatal(err)
	}
	comesAbout(t, "what is too old is dropped, and the other knows", func() bool {
		r, _ := second.Log("vc").Range()
		return r == vstream.Range{Earliest: 100, Latest: 100}
	})
	holder := first
	if second.has("vc") {
		holder = second
	}
	holder.stop()
	comesAbout(t, "collecting is handed over", func() bool { return (first.has("vc") || second.has("vc")) && !holder.has("vc") })
	if text := said.String(); strings.Contains(strings.ToLower(text), "permission") || strings.Contains(text, "secret") {
		t.Errorf("it said:\n%s", text)
	}
}
