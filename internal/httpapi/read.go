package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"vstream"
)

// pageSize is how many events a page has: the documented 50.
const pageSize = 50

// getRange answers with what the log holds; 204 while it is empty.
func (s *Server) getRange(v *VCenter, w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	held, ok := v.Log.Range()
	if !ok {
		return noContent(w, r, v)
	}
	setRange(w, held)
	body, err := json.Marshal(held)
	if err != nil {
		return err
	}
	return writeBody(w, "application/json", append(body, '\n'))
}

// getEvent answers with the event at exactly one offset, byte for byte as it is in the
// log.
func (s *Server) getEvent(v *VCenter, w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r); err != nil {
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
	if held, ok := v.Log.Range(); ok {
		setRange(w, held)
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeBody(w, "application/json", e.JSON)
}

// getEvents answers with a page or a watch.
func (s *Server) getEvents(stopping context.Context, v *VCenter, w http.ResponseWriter, r *http.Request) error {
	params, err := parametersOf(r, "watch", "offset")
	if err != nil {
		return err
	}
	watch, err := params.flag("watch")
	if err != nil {
		return err
	}
	var fallback vstream.Position = vstream.Newest(pageSize)
	if watch {
		fallback = vstream.Newest(0)
	}
	from, err := params.position(fallback)
	if err != nil {
		return err
	}
	held, some := v.Log.Range()
	if !some && !watch {
		return noContent(w, r, v)
	}
	reader, err := v.Log.Open(r.Context(), from)
	if err != nil {
		return err
	}
	if some {
		setRange(w, held)
	}
	if watch {
		s.watch(stopping, w, r, reader)
		return nil
	}
	return s.page(w, r, reader)
}

// setRange tells what the log holds, in headers.
func setRange(w http.ResponseWriter, held vstream.Range) {
	w.Header().Set("Stream-Earliest", held.Earliest.String())
	w.Header().Set("Stream-Latest", held.Latest.String())
}

// noContent answers that the log is empty, unless that is only because it is not open.
func noContent(w http.ResponseWriter, r *http.Request, v *VCenter) error {
	if _, err := v.Log.Open(r.Context(), vstream.Newest(0)); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// page answers with the next events of reader as a JSON array.
func (s *Server) page(w http.ResponseWriter, r *http.Request, reader vstream.Reader) error {
	body := []byte{'['}
	for n := 0; n < pageSize; {
		events, err := reader.Next(r.Context())
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events[:min(len(events), pageSize-n)] {
			if n > 0 {
				body = append(body, ',')
			}
			body = append(body, e.JSON...)
			n++
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeBody(w, "application/json", append(body, ']'))
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
