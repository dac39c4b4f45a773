package httpapi

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"vstream"
	"vstream/internal/filter"
	"vstream/internal/index"
)

const (
	// headerTimeout and maxHeaderBytes bound what a client can hold open, or make the
	// server keep, before it has asked for anything.
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 32 << 10
	// idleTimeout is how long a connection is kept for a next request.
	idleTimeout = 2 * time.Minute
	// pingInterval is after what time without a frame an HTTP/2 client is asked whether it is
	// still there.
	pingInterval = time.Minute
	// stopTimeout is how long a stop waits for responses under way.
	stopTimeout = 1500 * time.Millisecond
)

// base is where all resources of the API are.
const base = "/api/v1"

// A VCenter is one vCenter as it is served: what it is called in paths, the log of its
// events, and how collecting goes.
type VCenter struct {
	Name   string // lower-case letters, digits and dashes; no two have the same
	Log    vstream.Log
	Status func() vstream.Status
	Index  *index.Index               // of Log; it runs elsewhere
	Types  func() []vstream.EventType // what the vCenter says of its types of events
}

// Server serves the logs of VCenters on Listener. Its fields are set before Run and not
// changed after.
type Server struct {
	Listener net.Listener
	VCenters []VCenter // at least one
	// WatchMaxAge is how long a watch lives at most. Each ends at its own random moment
	// in the last fifth of it.
	WatchMaxAge time.Duration
	// Ready says why requests cannot be answered yet; nil, or that it returns nil, is when
	// they can.
	Ready func() error
	// Guard goes before all resources, with Deny to answer those whom it does not let pass;
	// nil lets all pass.
	Guard func(http.Handler) http.Handler
	// Admit is asked before a watch begins, or a page that waits, and told when it has ended.
	// It may call end, from any goroutine, to end it before; nil admits all.
	Admit   func(r *http.Request, end func()) (release func(), ok bool)
	Version string
	// Views are what /views answers with, in this order; their queries are of ViewQuery.
	Views []View
	// Identify returns the name of who sent a request, and whether they signed in, so that
	// they can sign out; nil, or that it is empty, is for nobody having to say who they are.
	Identify func(*http.Request) (name string, signedIn bool)
	// UI is the page that browsers get at /: index.html, and in a directory what it loads, under
	// names that change with the content; nil answers all with a text.
	UI fs.FS
	// Metrics answers at /metrics; nil serves none.
	Metrics http.Handler
	// Answered is told of each answer, from many goroutines; nil if nobody wants to know.
	Answered func(Answer)
	// Trace begins the span of a request; nil where there are none.
	Trace  func(*http.Request) (context.Context, Span)
	Logger *slog.Logger

	wires   wires          // of the watches that have left net/http
	filters filter.Sharing // of all watches
	gauges  gauges         // of all watches
}

// Run serves until ctx is done. Then it ends all watches properly, waits shortly for
// responses under way, and returns nil; the listener is closed.
func (s *Server) Run(ctx context.Context) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // for clients that know it without TLS, as proxies in a mesh do
	handler := s.handler(ctx)
	if s.Guard != nil {
		handler = s.Guard(handler)
	}
	handler = s.observed(handler)
	server := &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       idleTimeout,
		// A deadline of a stream resets it with a frame, which does not get out where the
		// client takes nothing of the connection. One that has vanished answers no ping.
		HTTP2:    &http.HTTP2Config{WriteByteTimeout: writeTimeout, SendPingTimeout: pingInterval},
		ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // responses that nobody takes: the time for them is over
		}
		s.wires.wait(patience)
	})
	err := server.Serve(s.Listener)
	if stop() {
		return fmt.Errorf("serve on %s: %w", s.Listener.Addr(), err)
	}
	<-stopped
	return nil
}

// A routes is a ServeMux that can tell what it serves.
type routes struct {
	http.ServeMux
	patterns []string // of resources
}

// Handle registers a resource.
func (m *routes) Handle(pattern string, h http.Handler) { m.handleAs(pattern, pattern, h) }

// handleAs is Handle for a resource that is measured under another name.
func (m *routes) handleAs(route, pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		measuredOf(w).found(route)
		h.ServeHTTP(w, r)
	})
}

// routes returns all there is, by path. Watches end when stopping is done, and what comes
// after is told that the server is shutting down.
func (s *Server) routes(stopping context.Context) *routes {
	mux := new(routes)
	for path, get := range map[string]func(http.ResponseWriter, *http.Request) error{
		base + "/vcenters":     s.getVCenters,
		base + "/types":        s.getTypes,
		base + "/histogram":    s.getHistogram,
		base + "/facets":       s.getFacets,
		base + "/views":        s.getViews,
		base + "/server":       s.getServer,
		base + "/openapi.yaml": s.getDescription,
		"/docs":                s.getDocs,
		docsScriptPath:         s.getDocsScript,
		"/healthz":             s.healthy,
		"/readyz":              s.ready,
	} {
		mux.Handle(path, s.resource(stopping, get))
	}
	var ui map[string]*file
	if s.UI != nil {
		ui = uiFiles(s.UI)
	}
	mux.Handle("/{$}", s.resource(stopping, s.start(ui[indexFile])))
	for name, f := range ui {
		if name != indexFile {
			mux.handleAs("/{file}", "/"+name, s.resource(stopping, func(w http.ResponseWriter, r *http.Request) error {
				return writeUI(f, forEver, w, r)
			}))
		}
	}
	if s.Metrics != nil {
		mux.Handle("/metrics", s.resource(stopping, func(w http.ResponseWriter, r *http.Request) error {
			s.Metrics.ServeHTTP(w, r)
			return nil
		}))
	}
	for path, get := range map[string]func(*VCenter, http.ResponseWriter, *http.Request) error{
		"/range":       s.getRange,
		"/events/{id}": s.getEvent,
	} {
		mux.Handle(base+path, s.resource(stopping, s.theOne(get)))
		mux.Handle(base+"/vcenters/{name}"+path, s.resource(stopping, s.named(get)))
	}
	all := s.all()
	mux.Handle(base+"/events", s.resource(stopping, func(w http.ResponseWriter, r *http.Request) error {
		return s.getEvents(stopping, all, w, r)
	}))
	mux.Handle(base+"/vcenters/{name}/events", s.resource(stopping, s.named(func(v *VCenter, w http.ResponseWriter, r *http.Request) error {
		return s.getEvents(stopping, []*VCenter{v}, w, r)
	})))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		// The prototype sent those who came with a trailing slash or in capitals to the
		// documented path; so do we.
		canonical := strings.ToLower(strings.TrimRight(r.URL.Path, "/"))
		if canonical != r.URL.Path && canonical != "" {
			known := r.Clone(r.Context())
			known.URL.Path = canonical
			if _, pattern := mux.Handler(known); pattern != "/" {
				to := *r.URL
				to.Path, to.RawPath = canonical, ""
				http.Redirect(w, r, to.RequestURI(), http.StatusMovedPermanently) //nolint:gosec // to a path of this server
				return
			}
		}
		s.fail(w, r, errNoResource)
	})
	return mux
}

// handler returns the whole API.
func (s *Server) handler(stopping context.Context) http.Handler {
	mux := s.routes(stopping)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// Also for what is written after a handler returns. net/http clears it before the
		// next request of the connection.
		limitWrite(http.NewResponseController(w))
		if hasBody(r) {
			disregardBody(w)
		}
		if !strings.HasPrefix(r.URL.Path, "/") { // of CONNECT, or *: the mux has no words for those
			s.fail(w, r, errNoResource)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// all returns the vCenters in the order of their names.
func (s *Server) all() []*VCenter {
	all := make([]*VCenter, len(s.VCenters))
	for i := range s.VCenters {
		all[i] = &s.VCenters[i]
	}
	slices.SortFunc(all, func(a, b *VCenter) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// resource answers the methods that every resource has, and turns what get returns into
// a problem document.
func (s *Server) resource(stopping context.Context, get func(http.ResponseWriter, *http.Request) error) http.Handler {
	const allowed = "GET, HEAD, OPTIONS"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hasForms(r) {
			w.Header().Add("Vary", "Accept")
		}
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			w.Header().Set("Allow", allowed)
			return
		default:
			w.Header().Set("Allow", allowed)
			s.fail(w, r, &problem{Status: http.StatusMethodNotAllowed, Slug: "method-not-allowed", Title: "Method not allowed",
				Detail: "events can only be read; allowed are " + allowed})
			return
		}
		if stopping.Err() != nil {
			s.fail(w, r, errShuttingDown)
			return
		}
		if hasBody(r) {
			s.fail(w, r, &problem{Status: http.StatusBadRequest, Slug: "unexpected-body", Title: "Unexpected body",
				Detail: "the request announces a body; nothing here takes one"})
			return
		}
		if err := get(w, r); err != nil && r.Context().Err() == nil { // else there is nobody to be told
			s.fail(w, r, problemOf(err, r))
		}
	})
}

func hasBody(r *http.Request) bool { return r.ContentLength != 0 }

// bodyTimeout is how long a body that nobody wants may hold up the end of its connection.
const bodyTimeout = 100 * time.Millisecond

// disregardBody lets a request be answered before its body is there. net/http would wait
// for it: with a body that never comes, for ever.
func disregardBody(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // where there is none, the body has been read
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
}

// healthy answers that the process lives.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	return writeBody(w, "text/plain; charset=utf-8", []byte("ok\n"))
}

// ready answers that the process serves what the logs hold. A vCenter that is down is no
// reason to take the server away from those who read that.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.Ready != nil {
		if err := s.Ready(); err != nil {
			return &vstream.UnavailableError{Err: err}
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeBody(w, "text/plain; charset=utf-8", []byte("ready\n"))
}

// welcome tells a person who opens the server's address where to go.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request) error {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	api := scheme + "://" + r.Host + base + "/"
	of := api
	if len(s.VCenters) > 1 {
		of += "vcenters/" + s.VCenters[0].Name + "/"
	}
	text := "vstream: the events of vSphere as a log\n\n" +
		"curl -s  '" + of + "range'                     what the log holds\n" +
		"curl -s  '" + api + "events?format=text'        the last 50 events, for people\n" +
		"curl -sN '" + api + "events?watch=true'         events as they happen\n" +
		"curl -sN '" + api + "events?watch=true&offset=earliest&severity=error,warning'\n" +
		"curl -s  '" + api + "vcenters'                  how collecting goes\n\n" +
		"All there is to ask for: " + strings.TrimSuffix(api, base+"/") + "/docs\n"
	return writeBody(w, "text/plain; charset=utf-8", []byte(text))
}

// hasForms reports whether what is asked for comes in several forms.
func hasForms(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/events") }

// fail answers with p.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, p *problem) {
	s.Logger.Debug("request failed", "method", r.Method, "path", r.URL.Path, "remote", r.RemoteAddr,
		"status", p.Status, "problem", p.Slug, "detail", p.Detail, "error", p.cause)
	if (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests) && hasForms(r) {
		// An EventSource takes any status but 200 for the end of all things. What passes by
		// itself is told to it in its own form, and it comes again.
		if f, err := formOf(r, r.URL.Query().Get("format")); err == nil && f == formSSE {
			streamHeaders(w.Header())
			record := appendControl(nil, r.URL.Path, typeProblem, p.document())
			writeStatus(w, http.StatusOK, formSSE.stream, fmt.Appendf(nil, "retry: %d\nevent: problem\ndata: %s\n\n", retry(), record))
			return
		}
	}
	p.write(w)
}
