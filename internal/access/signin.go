package access

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Browsers cannot set a header for an EventSource, so a cookie carries the token: it is
// verified with each request as one in the header is, needs no memory that replicas would
// have to share, and ends when the token does.
const (
	plainCookie = "vstream_session"
	// secureCookie has a name that browsers take from this very host over TLS only.
	secureCookie = "__Host-vstream_session"
	// sessionLife is when a browser forgets the cookie, if the token does not end before.
	sessionLife = 12 * time.Hour
	// maxCookie is the longest token that browsers keep in a cookie, with its name.
	maxCookie = 4096 - len(secureCookie) - 1
	// maxForm bounds what signing in reads, and formTimeout how long it takes.
	maxForm     = 16 << 10
	formTimeout = 10 * time.Second
)

// sessionOf returns the token that the cookie of r carries.
func sessionOf(r *http.Request) (string, bool) {
	cookie, err := r.Cookie(secureCookie)
	if err != nil && r.TLS == nil {
		cookie, err = r.Cookie(plainCookie)
	}
	if err != nil || cookie.Value == "" {
		return "", false
	}
	return cookie.Value, true
}

// setSession gives the browser a cookie for so long, or takes it away: age is below 0 then.
func setSession(w http.ResponseWriter, token string, secure bool, age time.Duration) {
	cookie := &http.Cookie{ //nolint:gosec // not Secure without TLS: browsers would not send it back
		Name: plainCookie, Value: token, Path: "/", MaxAge: int(age / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	}
	if secure {
		cookie.Name = secureCookie
	}
	http.SetCookie(w, cookie)
}

// overTLS reports whether the browser that sent r uses TLS, here or at a proxy before us:
// it says so itself in Origin, so no header of a proxy needs to be believed.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://")
}

// signIn shows the form, or takes a token from it, or from JSON, and sets the cookie.
func (g *Guard) signIn(w http.ResponseWriter, r *http.Request, deny Deny) {
	bound(w)
	query, err := url.ParseQuery(r.URL.RawQuery)
	for name := range query {
		if name != "to" {
			err = errors.New(name)
		}
	}
	if err != nil { // a token in a URL would be in histories and logs
		badRequest("unknown-parameter", "Unknown parameter", "the only parameter here is to, the path to go to afterwards; a token is sent in the body").answer(w, r, deny)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		writeForm(w, http.StatusOK, form{To: local(query.Get("to"))})
		return
	case http.MethodPost:
	default:
		methodNotAllowed("GET, HEAD, POST").answer(w, r, deny)
		return
	}
	if refused := fromElsewhere(r); refused != nil {
		refused.answer(w, r, deny)
		return
	}
	token, to, page, refused := readForm(w, r)
	if refused != nil {
		refused.answer(w, r, deny)
		return
	}
	who, refused := g.verify(r, token)
	if refused == nil && len(token) > maxCookie {
		refused = badRequest("token-too-long", "Token too long", "this token is too long for a cookie; send it in the Authorization header instead")
	}
	if refused != nil {
		if page {
			refused.setHeaders(w)
			writeForm(w, refused.status, form{To: to, Problem: refused.detail})
			return
		}
		refused.answer(w, r, deny)
		return
	}
	age := sessionLife
	if !who.until.IsZero() {
		age = max(min(age, time.Until(who.until)), time.Second)
	}
	setSession(w, token, overTLS(r), age)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	g.logger.Info("signed in", "name", who.name, "remote", r.RemoteAddr)
	w.Header().Set("Cache-Control", "no-store")
	if page {
		http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // local has seen to it that it is a path here
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// signOut takes the cookie away.
func (g *Guard) signOut(w http.ResponseWriter, r *http.Request, deny Deny) {
	bound(w)
	if r.Method != http.MethodPost {
		methodNotAllowed("POST").answer(w, r, deny)
		return
	}
	if refused := fromElsewhere(r); refused != nil {
		refused.answer(w, r, deny)
		return
	}
	setSession(w, "", false, -time.Second)
	setSession(w, "", true, -time.Second)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
}

// bound bounds how long a client may take to send a form, or a body that nobody asked for,
// which net/http waits for, and then to take the answer. Writers that know no deadlines
// have no connection to hold up.
func bound(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(formTimeout))
	_ = control.SetWriteDeadline(time.Now().Add(2 * formTimeout))
}

// fromElsewhere refuses what a page of another site makes a browser send.
func fromElsewhere(r *http.Request) *refusal {
	var protection http.CrossOriginProtection
	if protection.Check(r) == nil {
		return nil
	}
	return &refusal{status: http.StatusForbidden, slug: "forbidden", title: "Request of another site",
		detail: "a page of another site sent this; sign in and out at /signin of this server"}
}

func methodNotAllowed(allowed string) *refusal {
	return &refusal{status: http.StatusMethodNotAllowed, slug: "method-not-allowed", title: "Method not allowed",
		detail: "allowed are " + allowed, allow: allowed}
}

// readForm returns the token and where to go, and whether a page sent them.
func readForm(w http.ResponseWriter, r *http.Request) (token, to string, page bool, refused *refusal) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded":
		if r.ParseForm() == nil {
			return strings.TrimSpace(r.PostForm.Get("token")), local(r.PostForm.Get("to")), true, nil
		}
	case "application/json":
		var body struct{ Token string }
		if json.NewDecoder(r.Body).Decode(&body) == nil {
			return strings.TrimSpace(body.Token), "", false, nil
		}
	}
	return "", "", false, badRequest("invalid-body", "Invalid body", `send the form field token, or JSON as {"token":"…"}`)
}

// local returns path if it is one on this server, and its beginning otherwise.
func local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\t\r\n") {
		return "/"
	}
	return path
}

// opensPage reports whether a person opens r in a browser, which wants a page, not a
// problem document. Over plain HTTP browsers say so to their own machine only; of others
// they ask for HTML.
func opensPage(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// toSignIn sends a browser to the form, and from there to where it wanted to go. With a link
// from another site browsers withhold the cookie; a page of ours that goes there again is no
// other site, so whoever is signed in arrives.
func toSignIn(w http.ResponseWriter, r *http.Request) {
	bound(w)
	w.Header().Set("Cache-Control", "no-store")
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("Referrer-Policy", "same-origin")
		_ = againPage.Execute(w, local(r.URL.RequestURI())) // the client went away
		return
	}
	http.Redirect(w, r, "/signin?"+url.Values{"to": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
}

var againPage = template.Must(template.New("again").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={{.}}">
<title>vstream</title>
<a href="{{.}}">Go on</a>
</html>
`))

// A form is what the sign-in page shows.
type form struct{ To, Problem string }

const formStyle = `body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:15vh auto;padding:0 1rem}` +
	`label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}` +
	`input,button{padding:.5rem;margin:.25rem 0 1rem}:root{color-scheme:light dark}`

var formPage = template.Must(template.New("signin").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in to vstream</title>
<style>` + formStyle + `</style>
<main>
<h1>Sign in to vstream</h1>
{{with .Problem}}<p id="problem" role="alert">{{.}}</p>
{{end}}<form method="post" action="/signin">
<input type="hidden" name="to" value="{{.To}}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus{{if .Problem}} aria-invalid="true" aria-describedby="problem"{{end}}>
<button>Sign in</button>
</form>
</main>
</html>
`))

// formPolicy lets the page do nothing but look as it does and send its form.
var formPolicy = func() string {
	sum := sha256.Sum256([]byte(formStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
}()

func writeForm(w http.ResponseWriter, status int, f form) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", formPolicy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin") // without any, browsers hide the origin of the form
	w.WriteHeader(status)
	_ = formPage.Execute(w, f) // the client went away
}
