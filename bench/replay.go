package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// A downloadOrder says what a client is to read.
type downloadOrder struct {
	URL      string
	Pages    int    // to read instead of all at once: links to the next are followed; 0 is at once
	Length   int64  // of a page, where there are no links: that range of bytes after the last
	Accept   string // media type
	Encoding string // content coding; or empty
}

// A downloaded is what came, and how long it took.
type downloaded struct {
	Bytes, Lines int64
	Sum          uint32 // CRC-32C of the bytes
	Wall         time.Duration
	CPU          time.Duration // of the client
}

// replayKinds are ways to read all that a log holds.
var replayKinds = []struct{ name, label, accept, encoding string }{
	{"stream", "at once", "application/x-ndjson", ""},
	{"pages", "in pages of 1000", "application/json", ""},
	{"zstd", "in pages of 1000, zstd", "application/json", "zstd"},
	{"gzip", "in pages of 1000, gzip", "application/json", "gzip"},
}

// compressedPages is how many pages are read compressed: what that costs shows soon.
const compressedPages = 50

// replay measures what it takes to read a log from its beginning, against a file with the
// same bytes.
func (b *bench) replay(ctx context.Context) error {
	return b.inNewDir(func(dir string) error {
		path := filepath.Join(dir, "events.ndjson")
		order := serverOrder{Records: b.replayed, Fill: b.replayed, Copy: path}
		return b.within(ctx, "server", "replay-vstream", order, func(server *process, address string) error {
			return b.within(ctx, "archive", "", archiveOrder{path}, func(archive *process, file string) error {
				return b.replayFrom(ctx, server, address, archive, file)
			})
		})
	})
}

func (b *bench) replayFrom(ctx context.Context, server *process, address string, archive *process, file string) error {
	table := section{
		title: "Replay",
		note: fmt.Sprintf("%s events from the beginning of a log in memory, over HTTP to one client on the same machine, and the same bytes from a file that http.ServeContent serves; "+
			"the file is in the system's cache, and sent by the kernel without passing through the server. Medians of %d runs in turn. Compressed, %d pages, and the bytes are those sent; files have no peer of that here.",
			count(float64(b.replayed)), b.repeat, compressedPages),
		grid: [][]string{{"Read", "server", "events per second", "bytes per second", "server CPU per event", "to the file"}},
	}
	var going bool
	if err := server.ask(command{Do: "profile"}, &going); err != nil {
		return err
	}
	var pageLength int64
	for _, kind := range replayKinds {
		pages, repeat := 0, b.repeat
		switch {
		case kind.encoding != "":
			pages, repeat = min(compressedPages, b.replayed/pageSize), 1
		case kind.name == "pages":
			pages = b.replayed / pageSize
		}
		query := fmt.Sprintf("?offset=earliest&watch=true&limit=%d", b.replayed)
		if pages > 0 {
			query = fmt.Sprintf("?offset=earliest&limit=%d", pageSize)
		}
		events := float64(b.replayed)
		if pages > 0 {
			events = float64(pages * pageSize)
		}
		var ours, theirs []downloaded
		var ourCPU, theirCPU []float64
		for range repeat {
			d, cpu, err := b.download(ctx, server, downloadOrder{URL: address + query, Pages: pages, Accept: kind.accept, Encoding: kind.encoding})
			if err != nil {
				return fmt.Errorf("%s: %w", kind.label, err)
			}
			ours, ourCPU = append(ours, d), append(ourCPU, cpu)
			if kind.encoding != "" {
				continue
			}
			pageLength = d.Bytes / int64(max(pages, 1))
			f, cpu, err := b.download(ctx, archive, downloadOrder{URL: file, Pages: pages, Length: pageLength})
			if err != nil {
				return fmt.Errorf("%s, the file: %w", kind.label, err)
			}
			theirs, theirCPU = append(theirs, f), append(theirCPU, cpu)
			if pages == 0 && (d.Bytes != f.Bytes || d.Sum != f.Sum || d.Lines != int64(b.replayed)) {
				return fmt.Errorf("%s: the log gave %d events in %d bytes, the file %d in %d, or they are not the same", kind.label, d.Lines, d.Bytes, f.Lines, f.Bytes)
			}
		}
		rows := []struct {
			label string
			all   []downloaded
			cpu   []float64
		}{{"vstream", ours, ourCPU}, {"a file", theirs, theirCPU}}
		for _, r := range rows {
			if len(r.all) == 0 {
				continue
			}
			var perSecond, bytesPerSecond []float64
			for _, d := range r.all {
				perSecond = append(perSecond, events/d.Wall.Seconds())
				bytesPerSecond = append(bytesPerSecond, float64(d.Bytes)/d.Wall.Seconds())
			}
			toFile := missing
			if r.label == "vstream" && len(theirs) > 0 {
				var file []float64
				for _, d := range theirs {
					file = append(file, float64(d.Bytes)/d.Wall.Seconds())
				}
				toFile = factor(median(bytesPerSecond) / median(file))
			}
			table.grid = append(table.grid, []string{kind.label, r.label, rate(median(perSecond)), bytesOf(median(bytesPerSecond)) + "/s", seconds(median(r.cpu) / events), toFile})
		}
		if kind.name == "stream" {
			if err := server.ask(command{Do: "profiled"}, &going); err != nil {
				return err
			}
		}
		fmt.Fprintf(b.progress, "replay %s: %v\n", kind.label, ours[0].Wall.Round(time.Millisecond))
	}
	b.add(table)
	return nil
}

// download reads from a server, and returns what came with the CPU time that the server used.
func (b *bench) download(ctx context.Context, server *process, o downloadOrder) (d downloaded, cpu float64, err error) {
	var before, after usage
	err = errors.Join(
		server.ask(command{Do: "usage"}, &before),
		b.measured(ctx, "download", "", o, &d),
		server.ask(command{Do: "usage"}, &after),
	)
	return d, (after.CPU - before.CPU).Seconds(), err
}

// downloadChild reads, and looks at nothing but the number of lines and a sum of the bytes.
func downloadChild(ctx context.Context, c *child) error {
	var o downloadOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 256<<10)
	buffer := make([]byte, 256<<10)
	var d downloaded
	var took clock
	took.start()
	for page := range max(o.Pages, 1) {
		request := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n"
		if o.Accept != "" {
			request += "Accept: " + o.Accept + "\r\n"
		}
		if o.Encoding != "" {
			request += "Accept-Encoding: " + o.Encoding + "\r\n"
		}
		if o.Pages > 0 && o.Length > 0 {
			request += fmt.Sprintf("Range: bytes=%d-%d\r\n", int64(page)*o.Length, int64(page+1)*o.Length-1)
		}
		if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
			return err
		}
		next, err := d.read(in, buffer, o.Encoding)
		if err != nil {
			return fmt.Errorf("page %d: %w", page, err)
		}
		if o.Pages > 0 && o.Length == 0 && page+1 < o.Pages {
			if u, err = u.Parse(next); err != nil || next == "" {
				return fmt.Errorf("page %d has no link to the next: %w", page, err)
			}
		}
	}
	took.stop()
	d.Wall, d.CPU = took.wall, took.cpu
	return c.say(d)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// read reads a response, and returns where its link to the next page leads.
func (d *downloaded) read(in *bufio.Reader, buffer []byte, encoding string) (next string, err error) {
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent {
		return "", errors.New(res.Status)
	}
	if got := res.Header.Get("Content-Encoding"); got != encoding {
		return "", fmt.Errorf("it is encoded as %q, want %q", got, encoding)
	}
	for {
		n, err := res.Body.Read(buffer)
		d.Bytes += int64(n)
		d.Lines += int64(bytes.Count(buffer[:n], []byte{'\n'}))
		d.Sum = crc32.Update(d.Sum, castagnoli, buffer[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	for _, header := range res.Header.Values("Link") {
		for link := range strings.SplitSeq(header, ",") {
			if target, found := strings.CutSuffix(strings.TrimSpace(link), `>; rel="next"`); found {
				next = strings.TrimPrefix(target, "<")
			}
		}
	}
	return next, nil
}
