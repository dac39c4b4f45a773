package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/cloudevent"
	"vstream/internal/collector"
	"vstream/internal/duration"
	"vstream/internal/memlog"
)

// auditSettle is how long an event may take until the server has it, before it counts as
// missing.
const auditSettle = 30 * time.Second

func auditCommand() *cobra.Command {
	var file, server, back, tokenFile string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Compare what a server holds with the vCenters' own history",
		Long: "Read the vCenters' history and what the server holds of it, and count what the two do not\n" +
			"have in common. It changes nothing, and is configured like the server: by the environment or\n" +
			"--config. The exit code is 1 when the server lacks events.\n\n" +
			"A server does the same by itself every few minutes, and fetches what it lacks; the last\n" +
			"result is at /api/v1/vcenters. Extra events are held but not in the history, folded ones are\n" +
			"repetitions that a vCenter removes from its history.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(os.Getenv, configPath(file))
			if err != nil {
				return err
			}
			if server == "" {
				server = "http://localhost:" + strconv.Itoa(c.port)
			}
			base, err := url.Parse(server)
			if err != nil || base.Host == "" {
				return fmt.Errorf("--server: %q is not a URL; write for example http://localhost:8080", server)
			}
			since, err := duration.Parse(back)
			if err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			if since <= auditSettle {
				return fmt.Errorf("--since: %v is too short; the newest %v are left out, for they may be on their way", since, auditSettle)
			}
			if c.vcenters[0].url == nil {
				return errNoVCenter
			}
			readings := c.readings(nil, newLogger(io.Discard, false))
			if err := checkFiles(readings); err != nil {
				return err
			}
			held := &holder{url: base}
			if tokenFile != "" {
				token, err := os.ReadFile(tokenFile)
				if err != nil {
					return fmt.Errorf("--token-file: %w", err)
				}
				held.token = strings.TrimSpace(string(token))
			}
			return auditAll(cmd.Context(), cmd.OutOrStdout(), held, readings, since)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with the configuration")
	cmd.Flags().StringVar(&server, "server", "", "the server to compare with (default: this machine's, on PORT)")
	cmd.Flags().StringVar(&back, "since", "24h", "how far to look back, as in 24h or 7d")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the token that lets in, where the server wants one")
	return cmd
}

// A holder is the server that holds what is to be compared.
type holder struct {
	url   *url.URL
	token string // or empty
}

// auditAll compares one vCenter after the other and prints a line for each.
func auditAll(ctx context.Context, out io.Writer, server *holder, readings []reading, since time.Duration) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer table.Flush()
	fmt.Fprintln(table, "VCENTER\tFROM\tTO\tEVENTS\tMISSING\tEXTRA\tFOLDED")
	missing := int64(0)
	var failed error
	for _, r := range readings {
		a, err := r.audit(ctx, server, since)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", r.name, err))
			continue
		}
		missing += a.Missing
		if a.Events == 0 && a.Extra > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: nothing could be compared: the vCenter's history does not reach back to what the server holds", r.name))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", r.name, a.From.UTC().Format(time.RFC3339), a.To.UTC().Format(time.RFC3339),
			a.Events, a.Missing, a.Extra, a.Folded)
	}
	if failed == nil && missing > 0 {
		failed = fmt.Errorf("the server lacks %d events; it fetches them at its next audit, within %v", missing, auditInterval)
	}
	return failed
}

func (r reading) audit(ctx context.Context, server *holder, since time.Duration) (vstream.Audit, error) {
	defer func() { _ = r.source.Close(ctx) }()
	if _, err := r.source.Open(ctx, time.Now()); err != nil {
		return vstream.Audit{}, err
	}
	now := time.Now().Add(r.source.Seen().Skew)
	if err := r.fetch(ctx, server); err != nil {
		return vstream.Audit{}, err
	}
	if _, ok := r.log.Range(); !ok {
		return vstream.Audit{}, errors.New("the server holds no events yet")
	}
	return collector.Compare(ctx, r.source, r.log, now.Add(-since), now.Add(-auditSettle))
}

// fetch fills r.log with what the server holds. Only what a comparison needs is kept.
func (r *reading) fetch(ctx context.Context, server *holder) error {
	r.log = memlog.New(1<<30, 1<<50)
	for next := "~"; next != ""; {
		page := server.url.JoinPath("api/v1/vcenters", r.name, "events")
		page.RawQuery = url.Values{"cursor": {next}, "limit": {"1000"}, "format": {"ndjson"}}.Encode()
		var events []vstream.Event
		var err error
		if events, next, err = r.fetchPage(ctx, page, server.token); err != nil {
			return fmt.Errorf("read what the server holds: %w", err)
		}
		if err := r.log.Append(ctx, events); err != nil {
			return err
		}
	}
	return nil
}

// fetchPage returns the events of a page, and the cursor of the next if there is one.
func (r *reading) fetchPage(ctx context.Context, page *url.URL, token string) (events []vstream.Event, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), nil)
	if err != nil {
		return nil, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	var failed *url.Error
	switch {
	case errors.As(err, &failed) && errors.Is(err, syscall.ECONNREFUSED):
		return nil, "", fmt.Errorf("%w; start the server, or say with --server where it is", failed.Err)
	case err != nil:
		return nil, "", err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusNoContent:
		return nil, "", nil
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, "", fmt.Errorf("%s wants to know who asks; give a token with --token-file", page)
	default:
		return nil, "", fmt.Errorf("%s answers %s; is it a vstream server that reads this vCenter?", page, res.Status)
	}
	lines := bufio.NewReader(res.Body)
	for {
		line, err := lines.ReadBytes('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0 && res.Header.Get("Stream-Up-To-Date") == "true":
			return events, "", nil
		case errors.Is(err, io.EOF) && len(line) == 0:
			return events, res.Header.Get("Stream-Next-Cursor"), nil
		case err != nil:
			return nil, "", fmt.Errorf("%s: %w", page, err)
		}
		e, err := cloudevent.Decode(bytes.TrimSpace(line), r.typePrefix)
		if err != nil {
			return nil, "", fmt.Errorf("%s: an answer is not an event of vstream: %w", page, err)
		}
		e.JSON, e.Message = nil, ""
		events = append(events, e)
	}
}
