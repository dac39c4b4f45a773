package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vstream"
)

// getRange answers with what the log holds; 204 while it is empty.
func (s *Server) getRange(v *VCenter, w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	held, ok := v.Log.Range()
	if !ok {
		return noContent(w, r, []*VCenter{v})
	}
	setRanges(w.Header(), holdings{v.Name: {Range: held}}, false)
	body, err := json.Marshal(held)
	if err != nil {
		return err
	}
	return writeBody(w, "application/json", append(body, '\n'))
}

// getEvent answers with the event at exactly one offset, byte for byte as it is in the
// log.
func (s *Server) getEvent(v *VCenter, w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	offset, err := parseOffset(r.PathValue("id"))
	switch {
	case errors.Is(err, errNoNumber):
		return invalidParameter("id", err.Error()+"; by a word an event is found as in "+base+"/events?offset=latest")
	case err != nil:
		return invalidParameter("id", err.Error())
	}
	e, err := v.Log.Get(r.Context(), offset)
	if err != nil {
		return err
	}
	h := w.Header()
	setRanges(h, rangesOf(v), false)
	sum := sha256.Sum256(e.JSON)
	etag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h.Set("ETag", etag)
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeBody(w, "application/json", e.JSON)
}

// matches reports whether If-None-Match names an entity tag, as RFC 9110 has it.
func matches(headers []string, etag string) bool {
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
				return true
			}
		}
	}
	return false
}

// getEvents answers with a page or a watch of the events of vCenters.
func (s *Server) getEvents(stopping context.Context, vcenters []*VCenter, w http.ResponseWriter, r *http.Request) error {
	q, err := queryOf(r, vcenters)
	switch {
	case errors.Is(err, errAmbiguous):
		return s.ambiguous(r)
	case err != nil:
		return err
	case q.watch:
		return s.getWatch(stopping, q, w, r)
	}
	return s.getPage(stopping, q, w, r)
}

// noContent answers that the logs are empty, unless that is only because one is not open.
func noContent(w http.ResponseWriter, r *http.Request, vcenters []*VCenter) error {
	for _, v := range vcenters {
		if _, err := v.Log.Open(r.Context(), vstream.Newest(0)); err != nil {
			return err
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeBody answers 200 with a whole body.
func writeBody(w http.ResponseWriter, contentType string, body []byte) error {
	writeStatus(w, http.StatusOK, contentType, body)
	return nil
}

// writeStatus answers with a whole body. A client that does not take it in time loses
// its connection; there is nobody to be told.
func writeStatus(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	control := http.NewResponseController(w)
	for quantum := range slices.Chunk(body, writeQuantum) {
		limitWrite(control)
		if _, err := w.Write(quantum); err != nil {
			return
		}
	}
}
