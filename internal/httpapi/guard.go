package httpapi

import "net/http"

// Deny answers r with a problem document, for a guard that does not let it pass. The
// request's body is not waited for.
func (s *Server) Deny(w http.ResponseWriter, r *http.Request, status int, slug, title, detail string) {
	limitWrite(http.NewResponseController(w))
	if hasBody(r) {
		disregardBody(w)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if hasForms(r) {
		w.Header().Add("Vary", "Accept")
	}
	s.fail(w, r, &problem{Status: status, Slug: slug, Title: title, Detail: detail})
}
