package httpapi

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/klauspost/compress/zstd"

	"vstream"
	"vstream/internal/access"
	"vstream/internal/cloudevent"
	"vstream/internal/filter"
	"vstream/internal/memlog"
)

// What a guard has of its own, before all that is served.
var guardPaths = []string{"/signin", "/signout"}

// An example is a request as it stands under x-examples, and what the answer is like. The
// operation it stands at gives method and path; under the examples of the whole document
// it has them itself, and names the response that describes the answer.
type example struct {
	Name     string            `json:"name"`
	Server   string            `json:"server"` // one of describedServers; empty is "one"
	Path     map[string]string `json:"path"`   // parameters
	Query    map[string]texts  `json:"query"`  // a text, or several
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Status   int               `json:"status"`
	Problem  string            `json:"problem"` // the end of its type
	Type     string            `json:"type"`    // of the content; empty where there is only one
	Stream   bool              `json:"stream"`  // the answer is a watch, which ends
	Records  *int              `json:"records"` // how many it has; as a rule at least one
	Method   string            `json:"method"`
	URL      string            `json:"url"`
	Response string            `json:"response"`
	At       string            `json:"at"`     // beginning of the paths that it is sent to
	Except   []string          `json:"except"` // paths that it is not sent to
}

type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// examplesOf returns the examples under an extension of the document.
func examplesOf(t *testing.T, extensions map[string]any, name string) []example {
	t.Helper()
	text, err := json.Marshal(extensions[name])
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&all); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(all) == 0 {
		t.Fatalf("there are no %s", name)
	}
	return all
}

// loadDescription loads the document. What a schema does not describe, it is made not to permit:
// clients must ignore what they do not know, but the document must know all there is.
func loadDescription(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.2.0" {
		t.Errorf("it is OpenAPI %s", doc.OpenAPI)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	if err := doc.WalkSchemas(func(_ string, s *openapi3.SchemaRef) error {
		if a := &s.Value.AdditionalProperties; len(s.Value.Properties) > 0 && a.Has == nil && a.Schema == nil {
			a.Has = new(bool)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return doc
}

// describedVCenters are vc1 and vc2, with the events of testdata/openapi and indexes that run.
func describedVCenters(t *testing.T) []VCenter {
	t.Helper()
	began := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	var all []VCenter
	for _, name := range []string{"vc1", "vc2"} {
		text, err := os.ReadFile("testdata/openapi/" + name + ".ndjson")
		if err != nil {
			t.Fatal(err)
		}
		var events []vstream.Event
		for line := range bytes.Lines(text) {
			e, err := cloudevent.Decode(bytes.TrimSpace(line), "")
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		log := memlog.New(100, 1<<20)
		instance := map[string]string{"vc1": "6ba4e4a6-31e8-4d5c-a0e5-e93e3bf6a1d2", "vc2": "0f7d2c58-93ab-4c1e-8a64-2b9d6e5f1c37"}[name]
		_ = log.SetOrigin(t.Context(), instance, 0)
		if err := log.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		newest := &events[len(events)-1]
		v := vcenter(name, log, vstream.Status{
			Name: name, URL: "https://" + name + ".example.com/sdk", State: vstream.Collecting, Since: began,
			SourceStatus: vstream.SourceStatus{
				Product: "VMware vCenter Server 8.0.3 build-24022515", APIVersion: "8.0.3.0", Instance: instance,
				LastPoll: began.Add(10*time.Minute + 123*time.Millisecond),
			},
			LastEvent: newest.Time, Lag: 412 * time.Millisecond, Rate: 2.017, KeyHeadroom: 1<<31 - int64(newest.Offset), Reconnects: 1,
			LastError: "connection refused", LastErrorAt: began.Add(-2 * time.Second),
			Audit: &vstream.Audit{At: began.Add(10 * time.Minute), From: began, To: began.Add(5 * time.Minute), Events: 5},
		})
		v.Types = func() []vstream.EventType {
			return []vstream.EventType{{Name: "VmPoweredOnEvent", Class: "event", Description: "VM powered on", Category: "info"}}
		}
		all = append(all, v)
	}
	return all
}

// describedServers are the servers that examples are sent to, by name, as base URLs.
func describedServers(t *testing.T) map[string]string {
	t.Helper()
	two := describedVCenters(t)
	one := two[:1]
	empty := []VCenter{vcenter("vc1", memlog.New(100, 1<<20), vstream.Status{Name: "vc1", State: vstream.Connecting})}
	runIndexes(t, slices.Concat(two, empty))
	over := func(log vstream.Log) []VCenter { return []VCenter{vcenter("vc1", log, one[0].Status())} }
	closed := &closedLog{Log: memlog.New(100, 1<<20)}
	closed.closed.Store(true)
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, fmt.Appendf(nil, "test:%x\n", sha256.Sum256([]byte("a-token-of-the-tests"))), 0o600); err != nil {
		t.Fatal(err)
	}
	guards := map[string]access.Config{"guarded": {TokensFile: tokens}, "limited": {RequestRate: 1e-6}}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, "vstream_up 1\n")
	})
	urls := map[string]string{}
	for name, s := range map[string]*Server{
		"one":         {VCenters: one},
		"two":         {VCenters: two},
		"empty":       {VCenters: empty},
		"unavailable": {VCenters: over(closed), Ready: func() error { return errClosed }},
		"failing":     {VCenters: over(failingLog{one[0].Log})},
		"overtaken":   {VCenters: over(shortLog{one[0].Log})},
		"full":        {VCenters: one, Admit: func(*http.Request, func()) (func(), bool) { return nil, false }},
		"guarded":     {VCenters: one},
		"limited":     {VCenters: one},
		"stopping":    {VCenters: one},
	} {
		s.WatchMaxAge, s.Metrics, s.Logger = time.Hour, metrics, slog.New(slog.DiscardHandler)
		s.Version, s.UI = "v1.0.0", somePage
		if name != "empty" {
			s.Views = []View{{"vMotion", "type=*migrat*,*relocat*,*vmotion*"}, {"Errors of the last day", "severity=error&since=24h"}}
		}
		if name == "stopping" { // one that listens can be met in that state for a moment only
			stopped, stop := context.WithCancel(t.Context())
			stop()
			server := httptest.NewServer(s.handler(stopped))
			t.Cleanup(server.Close)
			urls[name] = server.URL
			continue
		}
		if c, guarded := guards[name]; guarded {
			c.Logger = s.Logger
			guard, err := access.New(c)
			if err != nil {
				t.Fatal(err)
			}
			s.Guard = func(next http.Handler) http.Handler { return guard.Handler(next, s.Deny) }
			s.Identify = func(r *http.Request) (string, bool) {
				return access.Identity(r.Context()), access.SignedIn(r.Context())
			}
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Listener = listener
		t.Cleanup(run(t, s))
		urls[name] = "http://" + listener.Addr().String()
	}
	for tries := 0; get(t, urls["limited"]+"/docs").StatusCode != http.StatusTooManyRequests; tries++ {
		if tries == 100 {
			t.Fatal("the number of requests is not limited")
		}
	}
	return urls
}

// failingLog has errors that nobody expects.
type failingLog struct{ vstream.Log }

var errUnexpected = errors.New("no secret of ours")

func (failingLog) Get(context.Context, vstream.Offset) (vstream.Event, error) {
	return vstream.Event{}, errUnexpected
}

func (failingLog) Open(context.Context, vstream.Position) (vstream.Reader, error) {
	return nil, errUnexpected
}

// shortLog drops what its readers have yet to see once they have seen something.
type shortLog struct{ vstream.Log }

func (l shortLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return &shortReader{Reader: r}, err
}

type shortReader struct {
	vstream.Reader
	seen bool
}

func (r *shortReader) Next(ctx context.Context) ([]vstream.Event, error) {
	if r.seen {
		return nil, &vstream.ExpiredError{Requested: 52, Earliest: 60, Latest: 99}
	}
	r.seen = true
	return r.Reader.Next(ctx)
}

// A replay sends the examples, and keeps account of what of the document they have touched.
type replay struct {
	doc     *openapi3.T
	servers map[string]string
	client  *http.Client
	touched map[string]bool
	shown   map[*openapi3.Example]bool // a server has really answered so
}

func TestTheServerDoesWhatTheDescriptionSays(t *testing.T) {
	doc := loadDescription(t)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	r := &replay{
		doc: doc, servers: describedServers(t), touched: map[string]bool{}, shown: map[*openapi3.Example]bool{},
		client: &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
	described := map[*openapi3.Response]bool{}
	for _, e := range examplesOf(t, doc.Extensions, "x-examples") {
		t.Run(e.Name, func(t *testing.T) {
			if e.Method == "" {
				e.Method = http.MethodGet
			}
			response := doc.Components.Responses[e.Response]
			if response == nil {
				t.Fatalf("there is no response %q", e.Response)
			}
			r.send(t, &e, e.URL, response.Value)
			described[response.Value] = true
		})
	}
	everywhere := examplesOf(t, doc.Extensions, "x-examples-everywhere")
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			t.Run(method+" "+path, func(t *testing.T) {
				own := examplesOf(t, op.Extensions, "x-examples")
				for _, e := range everywhere {
					if strings.HasPrefix(path, e.At) && !slices.Contains(e.Except, path) {
						e.Path, e.Server = own[0].Path, cmp.Or(e.Server, own[0].Server)
						own = append(own, e)
					}
				}
				for _, e := range own {
					t.Run(e.Name, func(t *testing.T) { r.operation(t, &e, method, path, op) })
				}
				r.untouched(t, method+" "+path, op)
				for _, response := range op.Responses.Map() {
					described[response.Value] = true
				}
			})
		}
	}
	for response := range described {
		r.unshown(t, response)
	}
}

// operation sends an example of an operation.
func (r *replay) operation(t *testing.T, e *example, method, path string, op *openapi3.Operation) {
	at := method + " " + path
	e.Method = method
	status := strconv.Itoa(e.Status)
	response := op.Responses.Value(status)
	if response == nil {
		status = "default"
		response = op.Responses.Default()
	}
	r.touched[at+" "+status] = true
	query := url.Values{}
	// OpenAPI has the first two in the types of content, and the next two in the schemes of
	// security; the last browsers send by themselves.
	known := map[string]bool{"header Accept": true, "header Content-Type": true, "header Authorization": true, "header Cookie": true, "header Sec-Fetch-Site": true}
	given := map[string]texts{}
	for name, value := range e.Path {
		given["path "+name] = texts{value}
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	for name, values := range e.Query {
		given["query "+name] = values
		query[name] = values
	}
	for name, value := range e.Headers {
		given["header "+name] = texts{value}
	}
	for _, ref := range op.Parameters {
		p := ref.Value
		name := p.In + " " + p.Name
		known[name] = true
		values, ok := given[name]
		if !ok {
			continue
		}
		r.touched[at+" "+name] = true
		if e.Status < 300 {
			validParameter(t, p, values)
		}
	}
	for name := range given {
		if !known[name] && !strings.HasPrefix(name, "query _") && e.Problem != "unknown-parameter" {
			t.Errorf("there is no parameter %s", name)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r.send(t, e, path, response.Value)
}

// validParameter tells of values that a parameter is not described to have.
func validParameter(t *testing.T, p *openapi3.Parameter, values texts) {
	t.Helper()
	var value any = values[0]
	switch schema := p.Schema.Value; {
	case schema.Type.Is("array"):
		var all []any
		for _, v := range values {
			all = append(all, v)
		}
		value = all
	case schema.Type.Is("integer"):
		n, err := strconv.ParseFloat(values[0], 64)
		if err != nil {
			t.Errorf("the parameter %s: %v", p.Name, err)
		}
		value = n
	}
	if err := valid(p.Schema, value); err != nil {
		t.Errorf("the parameter %s: %v", p.Name, err)
	}
}

func valid(schema *openapi3.SchemaRef, value any) error {
	return schema.Value.VisitJSON(value, openapi3.EnableJSONSchema2020(), openapi3.EnableFormatValidation())
}

// send sends an example, and compares the answer with the description of the response.
func (r *replay) send(t *testing.T, e *example, path string, response *openapi3.Response) {
	server := e.Server
	if server == "" {
		server = "one"
	}
	if r.servers[server] == "" {
		t.Fatalf("there is no server %q", server)
	}
	res, body := r.do(t, e, e.Method, r.servers[server]+path)
	if res.StatusCode != e.Status {
		t.Fatalf("%s: %s %s, want %d", path, res.Status, body, e.Status)
	}
	validHeaders(t, res.Header, response)
	if e.Status < 300 && e.Method == http.MethodGet {
		head, nothing := r.do(t, e, http.MethodHead, r.servers[server]+path)
		if head.StatusCode != e.Status || len(nothing) > 0 || head.Header.Get("Content-Type") != res.Header.Get("Content-Type") {
			t.Errorf("HEAD: %s, %d bytes, %v", head.Status, len(nothing), head.Header)
		}
		validHeaders(t, head.Header, response)
	}
	if len(response.Content) == 0 {
		if len(body) > 0 {
			t.Errorf("it has a body: %s", body)
		}
		return
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	described := response.Content[media]
	switch {
	case err != nil:
		t.Fatalf("Content-Type %q: %v", res.Header.Get("Content-Type"), err)
	case described == nil:
		t.Fatalf("the answer is %s: %s", media, body)
	case e.Type != "" && e.Type != media, e.Type == "" && len(response.Content) > 1 && e.Problem == "":
		t.Errorf("the answer is %s, want %q", media, e.Type)
	}
	if e.Problem != "" {
		r.problem(t, e, described, body)
	}
	r.content(t, e, media, described, body)
}

// do sends an example and returns the answer with its body.
func (r *replay) do(t *testing.T, e *example, method, to string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(e.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range e.Headers {
		req.Header.Set(name, value)
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var content io.Reader = res.Body
	if method != http.MethodHead {
		switch res.Header.Get("Content-Encoding") {
		case "gzip":
			content, err = gzip.NewReader(content)
		case "zstd":
			var z *zstd.Decoder
			if z, err = zstd.NewReader(content); err == nil {
				defer z.Close()
				content = z
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

// Headers that belong to HTTP, or are on all answers, and are not described.
var plainHeaders = []string{"Connection", "Content-Length", "Content-Type", "Date", "Transfer-Encoding", "Vary", "X-Content-Type-Options"}

func validHeaders(t *testing.T, headers http.Header, response *openapi3.Response) {
	t.Helper()
	known := map[string]*openapi3.HeaderRef{}
	for name, described := range response.Headers {
		known[http.CanonicalHeaderKey(name)] = described
	}
	for name, values := range headers {
		described := known[name]
		if described == nil {
			if !slices.Contains(plainHeaders, name) {
				t.Errorf("the header %s: %q is not described", name, values)
			}
			continue
		}
		var value any = strings.Join(values, ", ")
		if described.Value.Schema.Value.Type.Is("integer") {
			n, err := strconv.ParseFloat(values[0], 64)
			if err != nil {
				t.Errorf("the header %s: %v", name, err)
			}
			value = n
		}
		if err := valid(described.Value.Schema, value); err != nil {
			t.Errorf("the header %s: %v", name, err)
		}
	}
	if headers.Get("X-Content-Type-Options") != "nosniff" {
		t.Error("there is no header X-Content-Type-Options: nosniff")
	}
	for name, described := range response.Headers {
		if described.Value.Required && headers.Get(name) == "" {
			t.Errorf("there is no header %s", name)
		}
	}
}

// problem compares a problem document with what the example and the response say of it.
func (r *replay) problem(t *testing.T, e *example, described *openapi3.MediaType, body []byte) {
	t.Helper()
	var p struct {
		Type   string
		Status int
	}
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if p.Type != "urn:vstream:problem:"+e.Problem || p.Status != e.Status {
		t.Errorf("the answer is %s, want %s", body, e.Problem)
	}
	if described.Examples[e.Problem] == nil {
		t.Errorf("the response has no example of %s", e.Problem)
	}
}

// content compares a body with its description.
func (r *replay) content(t *testing.T, e *example, media string, described *openapi3.MediaType, body []byte) {
	t.Helper()
	if !e.Stream && described.Schema != nil {
		value := decode(t, media, body)
		if err := valid(described.Schema, value); err != nil {
			t.Errorf("%v in %s", err, body)
		}
		for _, example := range described.Examples {
			if reflect.DeepEqual(example.Value.Value, value) {
				r.shown[example.Value] = true
			}
		}
	}
	if described.ItemSchema == nil || !e.Stream && described.Schema != nil && media != "text/plain" {
		return
	}
	records := recordsOf(t, media, body)
	for _, record := range records {
		if err := valid(described.ItemSchema, record); err != nil {
			t.Errorf("%v in %v", err, record)
		}
		if block, ok := record.(map[string]any); ok && media == "text/event-stream" {
			data, _ := block["data"].(string)
			line := described.ItemSchema.Value.Properties["data"].Value.ContentSchema
			if err := valid(line, decode(t, "application/json", []byte(data))); err != nil {
				t.Errorf("%v in %s", err, data)
			}
		}
	}
	if e.Records != nil && *e.Records != len(records) || e.Records == nil && len(records) == 0 {
		t.Errorf("there are %d records: %s", len(records), body)
	}
}

// decode returns a body as schemas see it.
func decode(t *testing.T, media string, body []byte) any {
	t.Helper()
	if !strings.HasSuffix(media, "json") {
		return string(body)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return value
}

// recordsOf cuts what comes one after the other into its records.
func recordsOf(t *testing.T, media string, body []byte) []any {
	t.Helper()
	separator := "\n"
	if media == "text/event-stream" {
		separator = "\n\n"
	}
	if len(body) > 0 && !bytes.HasSuffix(body, []byte(separator)) {
		t.Errorf("the last record is cut: %q", body)
	}
	var all []any
	for text := range strings.SplitSeq(strings.TrimSuffix(string(body), separator), separator) {
		switch {
		case text == "":
		case media == "text/plain":
			all = append(all, text)
		case media != "text/event-stream":
			all = append(all, decode(t, media, []byte(text)))
		default:
			block := map[string]any{}
			for line := range strings.SplitSeq(text, "\n") {
				name, value, _ := strings.Cut(line, ": ")
				block[name] = value
				if n, err := strconv.ParseFloat(value, 64); err == nil && name == "retry" {
					block[name] = n
				}
			}
			all = append(all, block)
		}
	}
	return all
}

// untouched tells of parameters and responses of an operation that no example has.
func (r *replay) untouched(t *testing.T, at string, op *openapi3.Operation) {
	for _, p := range op.Parameters {
		if name := p.Value.In + " " + p.Value.Name; !r.touched[at+" "+name] {
			t.Errorf("no example has the parameter %s", name)
		}
	}
	for status := range op.Responses.Map() {
		if !r.touched[at+" "+status] && status != "default" {
			t.Errorf("no example is answered with %s", status)
		}
	}
}

// unshown tells of examples of a response that no request has been answered with.
func (r *replay) unshown(t *testing.T, response *openapi3.Response) {
	t.Helper()
	for media, content := range response.Content {
		for key, example := range content.Examples {
			if !r.shown[example.Value] {
				t.Errorf("%q, %s: no request is answered with the example %s: %v", *response.Description, media, key, example.Value.Value)
			}
		}
	}
}

func TestEveryPathIsDescribed(t *testing.T) {
	doc := loadDescription(t)
	described := slices.Sorted(maps.Keys(doc.Paths.Map()))
	all := &Server{VCenters: only(memlog.New(1, 1<<20)), Metrics: http.NotFoundHandler()}
	served := slices.Clone(guardPaths)
	for _, pattern := range all.routes(t.Context()).patterns {
		if strings.HasPrefix(pattern, "/docs/") {
			continue // what the page loads is no part of the API
		}
		served = append(served, strings.TrimSuffix(pattern, "{$}"))
	}
	for _, path := range served {
		if !slices.Contains(described, path) {
			t.Errorf("%s is served and not described", path)
		}
	}
	for _, path := range described {
		if !slices.Contains(served, path) {
			t.Errorf("%s is described and not served", path)
		}
	}
}

func TestEveryParameterOfEventsIsDescribed(t *testing.T) {
	doc := loadDescription(t)
	want := slices.Sorted(slices.Values(slices.Concat(own, filter.Parameters())))
	for _, path := range []string{"/api/v1/events", "/api/v1/vcenters/{name}/events"} {
		var described []string
		for _, p := range doc.Paths.Value(path).Get.Parameters {
			if p.Value.In == "query" {
				described = append(described, p.Value.Name)
			}
		}
		slices.Sort(described)
		if !slices.Equal(described, want) {
			t.Errorf("%s is described with %v, and has %v", path, described, want)
		}
	}
}

func TestEveryProblemIsDescribed(t *testing.T) {
	doc := loadDescription(t)
	described := map[string]bool{}
	for _, kind := range doc.Components.Schemas["Problem"].Value.Properties["type"].Value.Enum {
		described[strings.TrimPrefix(fmt.Sprint(kind), "urn:vstream:problem:")] = true
	}
	own, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	guards, err := filepath.Glob("../access/*.go")
	if err != nil {
		t.Fatal(err)
	}
	slug := regexp.MustCompile(`(?:[sS]lug(?:: |(?:, [\w.]+)? = )|badRequest\()"([a-z-]+)"`)
	there := map[string]bool{}
	for _, name := range slices.Concat(own, guards) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range slug.FindAllSubmatch(text, -1) {
			there[string(match[1])] = true
		}
	}
	if len(there) < 20 {
		t.Errorf("only these are in the sources: %v", there)
	}
	for slug := range there {
		if !described[slug] {
			t.Errorf("the problem %s is not described", slug)
		}
	}
	for slug := range described {
		if !there[slug] {
			t.Errorf("the problem %s is described, and there is none", slug)
		}
	}
}

func TestThePageOfTheDescriptionLoadsNothingFromElsewhere(t *testing.T) {
	base := serve(t, memlog.New(1, 1<<20))
	res := get(t, base+"/docs/") // redirected
	page := body(t, res)
	if res.StatusCode != http.StatusOK || !strings.Contains(page, "<noscript>") || !strings.Contains(page, "curl -s  '"+base+"/api/v1/range'") {
		t.Errorf("%s %s", res.Status, page)
	}
	loaded := regexp.MustCompile(` src="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(loaded) != 1 {
		t.Fatalf("it loads %v", loaded)
	}
	if strings.Contains(page, "://") && strings.Count(page, "://") != strings.Count(page, base) {
		t.Errorf("it knows other servers: %s", page)
	}
	res = get(t, base+loaded[0][1])
	script := body(t, res)
	if res.StatusCode != http.StatusOK || script != string(rapidocJS) || !res.Uncompressed || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("the script: %s %v", res.Status, res.Header)
	}
	if res := get(t, base+"/docs/rapidoc-0.js"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a script of another version: %s", res.Status)
	}
}

func TestTheScriptIsTheOneWrittenDown(t *testing.T) {
	readme, err := os.ReadFile("docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(rapidocJS)
	if !strings.Contains(string(readme), hex.EncodeToString(sum[:])) {
		t.Errorf("docs/README.md does not have its sha256, %x", sum)
	}
}
