package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
)

// RunBehind is Run with guard before all resources.
func (s *Server) RunBehind(ctx context.Context, guard func(http.Handler) http.Handler) error {
	server := &http.Server{
		Handler:           guard(s.handler(ctx)),
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.Logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // responses that nobody takes: the time for them is over
		}
	})
	err := server.Serve(s.Listener)
	if stop() {
		return fmt.Errorf("serve on %s: %w", s.Listener.Addr(), err)
	}
	<-stopped
	return nil
}

// Deny answers r with a problem document, for a guard that does not let it pass. The
// request's body is not waited for.
func (s *Server) Deny(w http.ResponseWriter, r *http.Request, status int, slug, title, detail string) {
	limitWrite(http.NewResponseController(w))
	if hasBody(r) {
		disregardBody(w)
	}
	s.fail(w, r, &problem{Status: status, Slug: slug, Title: title, Detail: detail})
}
