package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the files
	"encoding/hex"
	"html/template"
	"net/http"
	"sync"
)

// What tells about the API: its description, and a page that shows it with the script.
var (
	//go:embed openapi.yaml
	openapiYAML []byte
	//go:embed docs/rapidoc-min.js
	rapidocJS []byte
	//go:embed docs/page.html
	docsHTML string

	// The registered type of YAML (RFC 9512). Those that OpenAPI documents are to have are a
	// draft; this is what tools and browsers know.
	description = newFile("application/yaml", openapiYAML)
	docsScript  = newFile("text/javascript; charset=utf-8", rapidocJS)
	docsPage    = template.Must(template.New("docs").Parse(docsHTML))

	// docsScriptPath changes with the script, so that it may be kept for ever.
	docsScriptPath = "/docs/rapidoc-" + docsScript.hash + ".js"
)

// docsPolicy lets the page load what this server has, and nothing else. RapiDoc writes its
// theme into style elements and attributes, which only unsafe-inline permits; scripts in
// the page are refused.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// getDescription answers with the OpenAPI document.
func (s *Server) getDescription(w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-cache")
	return description.write(w, r)
}

// getDocs answers with the page that shows the OpenAPI document.
func (s *Server) getDocs(w http.ResponseWriter, r *http.Request) error {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	var page bytes.Buffer
	if err := docsPage.Execute(&page, struct{ Script, Description, API string }{
		docsScriptPath, base + "/openapi.yaml", scheme + "://" + r.Host + base,
	}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	return writeBody(w, "text/html; charset=utf-8", page.Bytes())
}

// getDocsScript answers with the script of the page.
func (s *Server) getDocsScript(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", forEver)
	return docsScript.write(w, r)
}

// forEver is the caching of what is at another address when it changes. It is no secret, and
// the same for all.
const forEver = "public, max-age=31536000, immutable"

// A file is content that is part of the program.
type file struct {
	media    string
	body     []byte
	hash     string
	zipped   func() []byte
	zstanded func() []byte
}

func newFile(media string, body []byte) *file {
	sum := sha256.Sum256(body)
	return &file{
		media: media, body: body, hash: hex.EncodeToString(sum[:8]),
		zipped: sync.OnceValue(func() []byte {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write(body) // into memory
			_ = z.Close()
			return packed.Bytes()
		}),
		zstanded: sync.OnceValue(func() []byte { return zstdEncoder().EncodeAll(body, nil) }),
	}
}

// write answers with the file, compressed if the client takes that, unless the client has it.
func (f *file) write(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("ETag", `W/"`+f.hash+`"`) // weak, for it is the same whatever the encoding
	h.Add("Vary", "Accept-Encoding")
	if matches(r.Header.Values("If-None-Match"), `"`+f.hash+`"`) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("X-Content-Type-Options", "nosniff")
	body := f.body
	encoding := encodingFor(r.Header.Values("Accept-Encoding"))
	switch encoding {
	case "zstd":
		body = f.zstanded()
	case "gzip":
		body = f.zipped()
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	return writeBody(w, f.media, body)
}
