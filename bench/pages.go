package main

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"

	"vstream/internal/simulator"
)

// A pagesOrder says what history the vCenter has.
type pagesOrder struct{ Pages int }

// firstKey is the key of the first event: keys have ten digits, so that they can be written
// in place.
const firstKey = 1_000_000_000

// pagesChild is a vCenter with a long history: the simulator, but for ReadNextEvents, which
// is answered with pages that are made ready before. Only the keys and times in them are
// written anew for each, so that the server never is what is waited for.
func pagesChild(ctx context.Context, c *child) error {
	var o pagesOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	sim, err := simulator.Start(ctx, "127.0.0.1:0", simulator.Options{})
	if err != nil {
		return err
	}
	defer sim.Close()
	others := new(httputil.ReverseProxy)
	others.Rewrite = func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = sim.URL().Scheme, sim.URL().Host }
	others.Transport = &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // it is in this process
		DisableCompression: true,
	}
	others.ErrorLog = log.New(io.Discard, "", 0) // clients leave their waits when they have seen all
	h := &history{others: others, pages: o.Pages, began: time.Now().Add(-3 * 24 * time.Hour).UTC().Truncate(time.Second), readers: map[string]*historyReader{}}
	if h.page, err = newPageText(); err != nil {
		return err
	}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = others.ErrorLog
	server.StartTLS()
	defer server.Close()
	defer server.CloseClientConnections()
	if err := c.say(server.URL + "/sdk"); err != nil {
		return err
	}
	for m := range c.commands {
		if m.Do != "usage" {
			return fmt.Errorf("there is no command %q", m.Do)
		}
		if err := c.say(used(false)); err != nil {
			return err
		}
	}
	return nil
}

// A history answers ReadNextEvents, each collector from its beginning on, and leaves all
// other calls to others.
type history struct {
	others http.Handler
	page   pageText
	pages  int
	began  time.Time

	mu      sync.Mutex
	readers map[string]*historyReader // under mu; by collector
}

// A historyReader is where one collector is, with the bytes of its page.
type historyReader struct {
	mu   sync.Mutex
	next int
	page pageText
}

func (h *history) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !bytes.Contains(body, []byte("ReadNextEvents")) {
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.others.ServeHTTP(w, r)
		return
	}
	_, rest, _ := bytes.Cut(body, []byte("EventHistoryCollector\">"))
	name, _, ok := bytes.Cut(rest, []byte("<"))
	if !ok {
		http.Error(w, "which collector?", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	reader := h.readers[string(name)]
	if reader == nil {
		reader = &historyReader{page: h.page.clone()}
		h.readers[string(name)] = reader
	}
	h.mu.Unlock()
	reader.mu.Lock()
	defer reader.mu.Unlock()
	text := []byte(envelopeBegin + envelopeEnd)
	if reader.next < h.pages {
		reader.page.number(reader.next, h.began)
		text = reader.page.text
	}
	reader.next++
	w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
}

const (
	envelopeBegin = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"
 xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body>
<ReadNextEventsResponse xmlns="urn:vim25">`
	envelopeEnd = `</ReadNextEventsResponse>
</soapenv:Body>
</soapenv:Envelope>`
)

// A pageText is an answer with pageSize events, and where in it their numbers are.
type pageText struct {
	text              []byte
	keys, chains, dts []int // where the texts of these members begin
}

//go:embed events.xml
var recorded []byte

const pageTime = "2006-01-02T15:04:05.000000Z" // as vCenter writes it, always as long

// newPageText makes a page of the recorded events, one kind after the other, about other
// machines, hosts and people each time.
func newPageText() (pageText, error) {
	elements := bytes.SplitAfter(recorded, []byte("</returnval>"))
	elements = elements[:len(elements)-1]
	random := rand.New(rand.NewPCG(7, 8))
	page := pageText{text: []byte(envelopeBegin)}
	for i := range pageSize {
		element := elements[i%len(elements)]
		if at := bytes.Index(element, []byte("<returnval ")); at > 0 {
			element = element[at:]
		}
		vm := random.IntN(400)
		for _, change := range [][2]string{
			{"app-server-0", fmt.Sprintf("app-server-%d", 1+vm%9)}, {">vm-1", fmt.Sprintf(">vm-%d", 1+vm%9)},
			{"esx-0", fmt.Sprintf("esx-%d", 1+vm/20%9)}, {"host-2", fmt.Sprintf("host-%d", 1+vm/20%9)},
			{"10.20.30.40", fmt.Sprintf("10.20.%d.%d", 10+random.IntN(80), 10+random.IntN(90))},
			{"472c8c7b1a54", fmt.Sprintf("%012x", random.Int64N(1<<48))},
		} {
			element = bytes.ReplaceAll(element, []byte(change[0]), []byte(change[1]))
		}
		for _, member := range []struct {
			name, text string
			at         *[]int
		}{{"key", "0000000000", &page.keys}, {"chainId", "0000000000", &page.chains}, {"createdTime", pageTime, &page.dts}} {
			open, end := []byte("<"+member.name+">"), []byte("</"+member.name+">")
			from, to := bytes.Index(element, open), bytes.Index(element, end)
			if from < 0 || to < from {
				return page, fmt.Errorf("a recorded event has no %s", member.name)
			}
			*member.at = append(*member.at, len(page.text)+from+len(open)) // what comes before it is not changed any more
			element = bytes.Join([][]byte{element[:from+len(open)], []byte(member.text), element[to:]}, nil)
		}
		page.text = append(page.text, element...)
	}
	page.text = append(page.text, envelopeEnd...)
	return page, nil
}

func (p *pageText) clone() pageText {
	c := *p
	c.text = bytes.Clone(p.text)
	return c
}

// number writes the keys and times of the page with this number, ten events a second.
func (p *pageText) number(page int, began time.Time) {
	var text [32]byte
	for i := range p.keys {
		n := page*pageSize + i
		key := strconv.AppendInt(text[:0], firstKey+int64(n), 10)
		copy(p.text[p.keys[i]:], key)
		copy(p.text[p.chains[i]:], key)
		copy(p.text[p.dts[i]:], began.Add(time.Duration(n)*100*time.Millisecond).AppendFormat(text[:0], pageTime))
	}
}
