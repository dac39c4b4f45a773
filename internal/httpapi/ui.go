package httpapi

import (
	"io/fs"
	"net/http"
	"path"
)

// uiPolicy lets the page load what this server has, and nothing else. It has no script and no
// style in its HTML, and never makes HTML of text, which browsers then refuse to do: an
// event that says it is a script stays a text.
const uiPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// mediaOf is the type of a file of the page by how its name ends. What the system says of
// that differs from one to the next.
var mediaOf = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

const indexFile = "index.html"

// uiFiles reads the page, by name. It panics where it cannot: the page is part of the program.
func uiFiles(ui fs.FS) map[string]*file {
	files := map[string]*file{}
	err := fs.WalkDir(ui, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(ui, name)
		if err != nil {
			return err
		}
		media := mediaOf[path.Ext(name)]
		if media == "" {
			panic("httpapi: of what type is " + name + " of the page?")
		}
		files[name] = newFile(media, body)
		return nil
	})
	if err != nil {
		panic(err)
	}
	return files
}

// writeUI answers with a file of the page. All but the index have names that change with
// their content, and are kept for ever.
func writeUI(f *file, caching string, w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Set("Content-Security-Policy", uiPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin") // with none, browsers hide the origin of the form that signs out
	return f.write(w, r)
}

// start answers browsers with the page, if there is one, and others with commands to begin with.
func (s *Server) start(index *file) func(http.ResponseWriter, *http.Request) error {
	if index == nil {
		return s.welcome
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Add("Vary", "Accept")
		if takesPage(r.Header.Values("Accept")) {
			return writeUI(index, "no-cache", w, r)
		}
		return s.welcome(w, r)
	}
}

// takesPage reports whether Accept names HTML, as browsers do, and wants no text more.
func takesPage(accept []string) bool {
	ranges := mediaRanges(accept)
	html := decisive(ranges, "text/html")
	return html.text == "text/html" && html.q > 0 && html.q >= decisive(ranges, "text/plain").q
}
