package httpapi

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// worthCompressing is from how many bytes on a page is compressed.
const worthCompressing = 1400

// writeCompressed answers 200 with a page, compressed if the client takes that.
func writeCompressed(w http.ResponseWriter, r *http.Request, body []byte, f *form) error {
	contentType := f.media
	if f.stream != "" {
		contentType = f.stream
	}
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if len(body) < worthCompressing {
		return writeBody(w, contentType, body)
	}
	var err error
	switch encoding := encodingFor(r.Header.Values("Accept-Encoding")); encoding {
	case "zstd":
		body = zstdEncoder().EncodeAll(body, nil)
		h.Set("Content-Encoding", encoding)
	case "gzip":
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body) // into memory
		err = z.Close()
		body = packed.Bytes()
		h.Set("Content-Encoding", encoding)
	}
	if err != nil {
		return err
	}
	return writeBody(w, contentType, body)
}

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err) // only of options
	}
	return e
})

// encodingFor returns the best encoding that Accept-Encoding takes, as RFC 9110 has it:
// zstd, gzip or none.
func encodingFor(headers []string) string {
	const unnamed = -1
	quality := map[string]float64{"zstd": unnamed, "gzip": unnamed, "*": unnamed}
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if _, known := quality[name]; !known {
				continue
			}
			quality[name] = 1
			if text, found := strings.CutPrefix(strings.TrimSpace(parameters), "q="); found {
				q, err := strconv.ParseFloat(text, 64)
				if err != nil {
					q = 0
				}
				quality[name] = q
			}
		}
	}
	best, most := "", 0.0
	for _, name := range []string{"zstd", "gzip"} {
		q := quality[name]
		if q == unnamed && name == "gzip" { // who takes anything may not know zstd
			q = quality["*"]
		}
		if q > most {
			best, most = name, q
		}
	}
	return best
}
