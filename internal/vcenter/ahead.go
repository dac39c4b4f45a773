package vcenter

import "context"

// ahead is a page that is read while the one before it is made use of.
type ahead struct {
	page   page
	err    error         // once done is closed
	done   chan struct{} // closed when the answer is there, or there will be none
	cancel context.CancelFunc
}

// maxSpare is how much memory is kept for pages to come. Most pages have about 1 MB.
const maxSpare = 4 << 20

// readAhead asks for the next page.
func (s *Source) readAhead(ctx context.Context) {
	ctx, cancel := s.limited(context.WithoutCancel(ctx), 0) // Open and Close end it
	a := &ahead{done: make(chan struct{}), cancel: cancel}
	if cap(s.spare) <= maxSpare {
		a.page.answer = s.spare
	}
	s.ahead, s.spare = a, nil
	client, collector := s.client, s.reading
	go func() {
		defer close(a.done)
		defer guard(&a.err)
		a.err = fetch(ctx, client, collector, &a.page)
	}()
}

// nextPage returns the page that comes next.
func (s *Source) nextPage(ctx context.Context) (*page, error) {
	if s.ahead == nil {
		s.readAhead(ctx)
	}
	a := s.ahead
	select {
	case <-a.done:
		a.cancel()
		s.ahead = nil
		return &a.page, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// dropAhead forgets what has been asked for.
func (s *Source) dropAhead() {
	if s.ahead == nil {
		return
	}
	s.ahead.cancel()
	<-s.ahead.done
	s.ahead = nil
}
