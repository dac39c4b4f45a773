package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/memlog"
	"vstream/internal/metrics"
	"vstream/internal/vcentertest"
)

// causes has, for each alert, what provokes it: most in a vstream that runs as it does for
// users, beside a vCenter or a NATS server that fails, and scraped over HTTP; what takes
// minutes in a collector in a bubble, where minutes are short. Time of Prometheus is the
// test's.
var causes = map[string]func(*testing.T, *prometheus){
	"VstreamAbsent": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		p.watch(10*time.Minute, s.vstream)
		s.vstream.stop()
		p.watch(10 * time.Minute)
	},
	"VstreamVCenterDown": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		p.watch(10*time.Minute, s.vstream)
		s.vc.Down()
		s.vstream.tells(`vcenter_up\{.*\} 0`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamVCenterDown, since the start": inBubble(func(_ *testing.T, b *bubble) {
		b.goes(30 * time.Minute)
	}, func(s *source) { s.open, s.next = errAway, errAway }),
	"VstreamVCenterDown, for an hour": inBubble(func(_ *testing.T, b *bubble) {
		b.goes(10 * time.Minute)
		b.source.change(func(s *source) { s.open, s.next = errAway, errAway })
		b.goes(time.Hour)
	}),
	// The connection can be made, and no question is answered: up comes and goes.
	"VstreamVCenterStalled": inBubble(func(_ *testing.T, b *bubble) {
		b.goes(10 * time.Minute)
		b.source.change(func(s *source) { s.next = errAway })
		b.goes(30 * time.Minute)
	}),
	"VstreamVCenterStalled, since the start": inBubble(func(_ *testing.T, b *bubble) {
		b.goes(30 * time.Minute)
	}, func(s *source) { s.next = errAway }),
	"VstreamLagHigh": inBubble(func(_ *testing.T, b *bubble) {
		b.goes(10 * time.Minute)
		for range 60 {
			b.source.happens(2 * time.Minute)
			b.goes(15 * time.Second)
		}
	}),
	"VstreamAuditFoundMissing": inBubble(func(_ *testing.T, b *bubble) {
		b.goes(10 * time.Minute)
		b.source.change(func(s *source) { s.hides = true })
		b.source.happens(0)
		b.source.change(func(s *source) { s.hides = false })
		b.source.happens(0)
		b.goes(10 * time.Minute)
	}),
	"VstreamGap": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		p.watch(20*time.Minute, s.vstream)
		first, _ := s.vc.PostN(10)
		s.vstream.tells(fmt.Sprintf(`vcenter_last_key\{.*\} %d`, first+9))
		s.vc.Restore(first)
		s.vc.PostN(1)
		s.vstream.tells(`gaps_total\{reason="forgotten".*\} 1`)
		s.vstream.tells(`vcenter_up\{.*\} 1`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamGap, since before the first scrape": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		s.vc.Reset("another")
		s.vc.PostN(1)
		s.vstream.tells(`gaps_total\{reason="replaced".*\} 1`)
		s.vstream.tells(`vcenter_up\{.*\} 1`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamUnknownTypes": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		p.watch(70*time.Minute, s.vstream)
		s.vc.PostXML(func(key int32, at time.Time) string {
			return `<returnval xsi:type="OfTomorrowEvent">` + vcentertest.Base(key, at) + `</returnval>`
		})
		s.vstream.tells(`unknown_events_total\{.*\} 1`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamUnknownTypes, since before the first scrape": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		s.vc.PostXML(func(key int32, at time.Time) string {
			return `<returnval xsi:type="OfTomorrowEvent">` + vcentertest.Base(key, at) + `</returnval>`
		})
		s.vstream.tells(`unknown_events_total\{.*\} 1`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamKeysNearOverflow": func(t *testing.T, p *prometheus) {
		s := newSite(t)
		p.watch(10*time.Minute, s.vstream)
		s.vc.SetNextKey(2_140_000_000)
		s.vc.PostN(1)
		s.vstream.tells(`vcenter_key_headroom\{.*\} 7`)
		p.watch(20*time.Minute, s.vstream)
	},
	"VstreamRetentionShort": func(t *testing.T, p *prometheus) {
		s := newSite(t, "LOG_DIR="+t.TempDir(), "LOG_RETENTION=7d", "LOG_MAX_RECORD_SIZE_BYTES=65536", "LOG_MAX_BYTES=1MiB")
		p.watch(20*time.Minute, s.vstream) // it is young, which is fine
		s.vc.PostN(3000)
		s.vstream.tells(`log_bytes\{.*\} (9[5-9]\d{4}$|1\.0\d*e\+06)`)
		s.vstream.tells(`log_events\{.*\} [1-9]\d{0,2}$`)
		p.watch(20*time.Minute, s.vstream)
	},
	"VstreamLogNotWritable": func(t *testing.T, p *prometheus) {
		ns := natsInProcess(t)
		s := newSite(t, "NATS_URL="+ns.ClientURL(), "LOG_REPLICAS=1")
		p.watch(10*time.Minute, s.vstream)
		ns.Shutdown()
		s.vstream.tells(`log_writable\{.*\} 0`)
		s.vstream.tells(`vcenter_lease\{.*\} 0`)         // which is not what is wrong
		s.vstream.lacks(`last_poll_timestamp_seconds\{`) // what was when it collected tells nothing
		p.watch(10*time.Minute, s.vstream)
	},
	// As on a disk that is full: what is in the stream can be read. Of two replicas one tries.
	"VstreamLogNotWritable, though NATS answers": func(t *testing.T, p *prometheus) {
		ns := natsInProcess(t)
		s := newSite(t, "NATS_URL="+ns.ClientURL(), "LOG_REPLICAS=1")
		other := s.start()
		other.tells(`vcenter_lease\{.*\} 0`)
		p.watch(10*time.Minute, s.vstream, other)
		js := jetStream(t, ns)
		stream, err := js.Stream(t.Context(), "vstream-vc")
		if err != nil {
			t.Fatal(err)
		}
		config := stream.CachedInfo().Config
		config.MaxMsgSize = 1
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		s.vc.PostN(1)
		s.vstream.tells(`log_writable\{.*\} 0`)
		p.watch(10*time.Minute, s.vstream, other)
	},
	// One that nobody scrapes, and that does nothing, holds the lease.
	"VstreamNoCollector": func(t *testing.T, p *prometheus) {
		ns := natsInProcess(t)
		s := newSite(t, "NATS_URL="+ns.ClientURL(), "LOG_REPLICAS=1")
		s.vstream.tells(`vcenter_lease\{.*\} 1`)
		p.watch(10*time.Minute, s.vstream)
		leases, err := jetStream(t, ns).KeyValue(t.Context(), "vstream-leases")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leases.PutString(t.Context(), "collect.vc", "somebody"); err != nil {
			t.Fatal(err)
		}
		s.vstream.tells(`vcenter_lease\{.*\} 0`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamReloadFailed": func(t *testing.T, p *prometheus) {
		cert, key := certificate(t, 90*24*time.Hour)
		s := newSite(t, "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key)
		p.watch(10*time.Minute, s.vstream)
		if err := os.WriteFile(cert, []byte("half a file"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.vstream.tells(`files_stale\{files="tls"\} 1`)
		p.watch(10*time.Minute, s.vstream)
	},
	"VstreamCertificateExpires": func(t *testing.T, p *prometheus) {
		cert, key := certificate(t, 3*24*time.Hour)
		s := newSite(t, "TLS_CERT_FILE="+cert, "TLS_KEY_FILE="+key)
		p.watch(30*time.Minute, s.vstream)
	},
}

func TestEachAlertFiresWhenItsCauseIsProvokedAndNoOtherDoes(t *testing.T) {
	provoked := map[string]bool{}
	for name, cause := range causes {
		alert, _, _ := strings.Cut(name, ",")
		provoked[alert] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPrometheus(t, time.Now())
			cause(t, p)
			if fired := p.alerts(); !slices.Equal(fired, []string{alert}) {
				t.Errorf("there fire %v", p.fired)
			}
			for _, name := range p.lacking() {
				t.Errorf("what it says names the label %s, which it has not: %v", name, p.fired)
			}
		})
	}
	for _, r := range newPrometheus(t, time.Now()).rules {
		if !provoked[r.Alert] {
			t.Errorf("nothing provokes %s", r.Alert)
		}
		delete(provoked, r.Alert)
	}
	for alert := range provoked {
		t.Errorf("there is no alert %s", alert)
	}
}

func TestNoAlertFiresWhileAVCenterIsQuiet(t *testing.T) {
	for name, well := range map[string]func(*testing.T, *prometheus){
		"with a log in memory": func(t *testing.T, p *prometheus) {
			s := newSite(t)
			p.watch(2*time.Hour, s.vstream)
		},
		"with a log in a directory": func(t *testing.T, p *prometheus) {
			s := newSite(t, "LOG_DIR="+t.TempDir(), "LOG_RETENTION=7d")
			p.watch(2*time.Hour, s.vstream)
		},
		"with two replicas, of which one stops": func(t *testing.T, p *prometheus) {
			ns := natsInProcess(t)
			s := newSite(t, "NATS_URL="+ns.ClientURL(), "LOG_REPLICAS=1")
			s.vstream.tells(`vcenter_lease\{.*\} 1`)
			other := s.start()
			other.tells(`vcenter_lease\{.*\} 0`)
			p.watch(time.Hour, s.vstream, other)
			s.vstream.stop()
			other.tells(`vcenter_lease\{.*\} 1`)
			other.tells(`vcenter_up\{.*\} 1`)
			p.watch(time.Hour, other)
		},
		"with two replicas, of which the one that collects is cut off": func(t *testing.T, p *prometheus) {
			ns := natsInProcess(t)
			way := newProxy(t, []string{ns.Addr().String()})
			s := newSite(t, "NATS_URL=nats://"+way.address, "LOG_REPLICAS=1")
			s.env[0] = "NATS_URL=" + ns.ClientURL()
			other := s.start()
			p.watch(time.Hour, s.vstream, other)
			way.cut()
			s.vstream.tells(`log_writable\{.*\} 0`)
			other.tells(`vcenter_lease\{.*\} 1`)
			other.tells(`vcenter_up\{.*\} 1`)
			p.watch(time.Hour, s.vstream, other)
		},
		"for a night": inBubble(func(_ *testing.T, b *bubble) {
			b.source.happens(0)
			b.goes(8 * time.Hour)
		}),
		"but for an event now and then": inBubble(func(_ *testing.T, b *bubble) {
			for range 12 {
				b.source.happens(0)
				b.goes(10 * time.Minute)
			}
		}),
		"after an event that came late": inBubble(func(_ *testing.T, b *bubble) {
			b.source.happens(2 * time.Minute)
			b.goes(time.Hour)
		}),
		"after a gap of an hour ago, when nobody looked": inBubble(func(t *testing.T, b *bubble) {
			b.source.happens(0)
			time.Sleep(time.Minute)
			b.source.change(func(s *source) { s.history = nil })
			time.Sleep(75 * time.Minute) // reading begins anew after ten
			if s := b.collector.Status(); s.Gaps != 1 {
				t.Errorf("there are %d gaps", s.Gaps)
			}
			b.goes(30 * time.Minute)
		}),
		"after a start that took five minutes": inBubble(func(_ *testing.T, b *bubble) {
			b.goes(5 * time.Minute)
			b.source.change(func(s *source) { s.next = nil })
			b.goes(30 * time.Minute)
		}, func(s *source) { s.next = errAway }),
		"after a restart that took a minute": inBubble(func(_ *testing.T, b *bubble) {
			b.goes(20 * time.Minute)
			b.source.change(func(s *source) { s.open, s.next = errAway, errAway })
			b.goes(time.Minute)
			b.source.change(func(s *source) { s.open, s.next = nil, nil })
			b.goes(30 * time.Minute)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPrometheus(t, time.Now())
			well(t, p)
			if len(p.fired) > 0 {
				t.Errorf("there fire %v", p.fired)
			}
		})
	}
}

func TestEveryAlertSaysHowBadItIsWhatItMeansAndWhatToDo(t *testing.T) {
	runbooks, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var anchors []string
	for _, m := range regexp.MustCompile(`(?m)^## (\S+)$`).FindAllSubmatch(runbooks, -1) {
		anchors = append(anchors, strings.ToLower(string(m[1])))
	}
	for _, r := range newPrometheus(t, time.Now()).rules {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		for _, name := range []string{"summary", "description"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		anchor := strings.ToLower(r.Alert)
		if r.Annotations["runbook_url"] != "docs/runbooks.md#"+anchor || !slices.Contains(anchors, anchor) {
			t.Errorf("%s has no runbook, or does not name it", r.Alert)
		}
		anchors = slices.DeleteFunc(anchors, func(a string) bool { return a == anchor })
	}
	for _, a := range anchors {
		if strings.HasPrefix(a, "vstream") {
			t.Errorf("docs/runbooks.md has a runbook for %s, which is no alert", a)
		}
	}
}

// ---- in the open ------------------------------------------------------------------------

// A site is a vstream, and the vCenter that it collects from.
type site struct {
	t       *testing.T
	vc      *vcentertest.VCenter
	env     []string
	vstream *scraped
}

// newSite starts one with these settings, and waits until it collects.
func newSite(t *testing.T, settings ...string) *site {
	t.Helper()
	s := &site{t: t, vc: vcentertest.New(t)}
	s.vc.PostN(3)
	s.env = append(settings, "PORT=0", "VCENTER_NAME=vc", "VCENTER_STREAM_BEGIN=1h", "VCENTER_INSECURE=true",
		"VCENTER_URL="+s.vc.URL().String(), "VCENTER_SECRET_PATH="+s.vc.Secret(t))
	s.vstream = s.start()
	s.vstream.tells(`vcenter_up\{.*\} 1`)
	s.vstream.tells(`last_poll_timestamp_seconds\{`)
	s.vstream.tells(`vcenter_last_key\{.*\} 3`)
	return s
}

// A scraped is a vstream whose metrics are asked for.
type scraped struct {
	*process
	url string
}

func (s *site) start() *scraped {
	s.t.Helper()
	p := start(s.t, s.env, "serve")
	url := strings.Replace(strings.TrimSuffix(api(p), "/api/v1"), "http://127.0.0.1:", "://127.0.0.1:", 1) + "/metrics"
	scheme := "http"
	if slices.ContainsFunc(s.env, func(setting string) bool { return strings.HasPrefix(setting, "TLS_CERT_FILE=") }) {
		scheme = "https"
	}
	return &scraped{p, scheme + url}
}

// anyServer trusts all certificates.
var anyServer = sync.OnceValue(func() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
})

func (s *scraped) scrape() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := anyServer().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d, %v", s.url, res.StatusCode, err)
	}
	return string(text)
}

// tells waits until there is a metric, without vstream_ before it, that matches.
func (s *scraped) tells(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(`(?m)^vstream_\w*` + pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text := s.scrape()
		if re.MatchString(text) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("there is no %s in\n%s", pattern, text)
		}
	}
}

// lacks waits until there is no metric, without vstream_ before it, that matches.
func (s *scraped) lacks(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(`(?m)^vstream_\w*` + pattern)
	for deadline := time.Now().Add(patience); re.MatchString(s.scrape()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("there is %s in\n%s", pattern, s.scrape())
		}
	}
}

// watch lets time go by for the prometheus, which scrapes these.
func (p *prometheus) watch(d time.Duration, all ...*scraped) {
	p.t.Helper()
	for end := p.now.Add(d); p.now.Before(end); p.look() {
		for _, s := range all {
			real := time.Now()
			p.take(s.url, s.scrape(), real)
		}
	}
}

// natsInProcess runs a NATS server until the test ends.
func natsInProcess(t *testing.T) *server.Server {
	t.Helper()
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	})
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return ns
}

// jetStream is how somebody else sees what a NATS server keeps.
func jetStream(t *testing.T, ns *server.Server) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// certificate returns files with a certificate that expires after so long, and its key.
func certificate(t *testing.T, life time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(life), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// ---- in a bubble ------------------------------------------------------------------------

// A bubble is a collector that reads a source, and a prometheus that scrapes it.
type bubble struct {
	*prometheus
	source    *source
	collector *collector.Collector
	metrics   http.Handler
}

// inBubble runs story in a bubble of its own, beside the prometheus that it is given, which
// learns what fired. The source is so at the start.
func inBubble(story func(*testing.T, *bubble), so ...func(*source)) func(*testing.T, *prometheus) {
	return func(t *testing.T, outside *prometheus) {
		synctest.Test(t, func(t *testing.T) {
			log, from := memlog.New(10_000, 1<<30), &source{}
			for _, change := range so {
				from.change(change)
			}
			c := &collector.Collector{Name: "vc", Source: from, Log: log, AuditInterval: auditInterval, Logger: slog.New(slog.DiscardHandler)}
			b := &bubble{newPrometheus(t, time.Now()), from, c, metrics.Handler(metrics.Process{VCenters: []metrics.VCenter{{
				Name: "vc", Status: c.Status, Collector: c.Status, Log: log,
			}}})}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- c.Run(ctx) }()
			story(t, b)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			outside.fired = b.fired
		})
	}
}

// goes lets time go by.
func (b *bubble) goes(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(scrapeEvery) {
		synctest.Wait()
		answer := httptest.NewRecorder()
		b.metrics.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		b.now = time.Now()
		b.take("vc", answer.Body.String(), b.now)
		b.look()
	}
}

var errAway = errors.New("the vCenter is away")

// A source is what a collector reads, as the test wants it.
type source struct {
	mu         sync.Mutex
	open, next error // with which both fail, after half a minute
	hides      bool  // what happens is in the history only
	history    []vstream.Event
	stream     []vstream.Event // that Next has yet to give
	polled     time.Time
}

func (s *source) change(how func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	how(s)
}

// happens lets an event be told so long after it happened.
func (s *source) happens(lag time.Duration) {
	s.change(func(s *source) {
		o := vstream.OffsetOf(0, int32(len(s.history)+1))
		e := vstream.Event{Offset: o, Time: time.Now().Add(-lag), Type: "VmPoweredOnEvent", Class: "event", JSON: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d"}`, o)}
		s.history = append(s.history, e)
		if !s.hides {
			s.stream = append(s.stream, e)
		}
	})
}

func (s *source) answers(ctx context.Context, err func(*source) error) error {
	var failed error
	s.change(func(s *source) { failed = err(s) })
	if failed != nil {
		s.Pause(ctx, 30*time.Second)
	}
	return failed
}

func (s *source) Open(ctx context.Context, since time.Time) (time.Time, error) {
	return since, s.answers(ctx, func(s *source) error { return s.open })
}

func (s *source) Next(ctx context.Context) (events []vstream.Event, err error) {
	if err := s.answers(ctx, func(s *source) error { return s.next }); err != nil {
		return nil, err
	}
	s.change(func(s *source) {
		s.polled = time.Now()
		events, s.stream = s.stream, nil
	})
	if len(events) == 0 {
		s.Pause(ctx, time.Second)
	}
	return events, ctx.Err()
}

func (s *source) History(_ context.Context, from, to time.Time, yield func([]vstream.Event) error) error {
	var within []vstream.Event
	s.change(func(s *source) {
		for _, e := range s.history {
			if !e.Time.Before(from) && !e.Time.After(to) {
				within = append(within, e)
			}
		}
	})
	return yield(within)
}

func (s *source) Latest(context.Context) (key int32, created time.Time, ok bool, err error) {
	s.change(func(s *source) {
		if n := len(s.history); n > 0 {
			key, created, ok = s.history[n-1].Offset.Key(), s.history[n-1].Time, true
		}
	})
	return key, created, ok, nil
}

func (s *source) Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (s *source) Seen() (seen vstream.SourceStatus) {
	s.change(func(s *source) { seen = vstream.SourceStatus{Instance: "vc", LastPoll: s.polled} })
	return seen
}

func (s *source) Close(context.Context) error { return nil }
