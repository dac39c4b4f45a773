package access

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Config is what a Guard is made of. What is empty is off.
type Config struct {
	CertFile, KeyFile string // the server's certificate, PEM; both or neither
	ClientCAFile      string // authorities of client certificates, PEM; only with CertFile
	TokensFile        string // a line name:sha256 for each token

	Issuer, Audience string // of JSON Web Tokens; both or neither

	// Origins are those whose pages may read, as ParseOrigins returns them.
	Origins []string
	// RequestRate is how many requests a second each client has; 0 is no limit.
	RequestRate float64
	// Watches is how many there may be at a time, and WatchesPerClient how many of one
	// client; 0 is no limit.
	Watches, WatchesPerClient int

	Logger *slog.Logger
}

// A Guard lets requests pass, or not.
type Guard struct {
	logger   *slog.Logger
	files    []*source
	server   *certificates // nil: plain HTTP
	clients  bool          // client certificates are asked for
	tokens   *tokens       // nil: none
	issuer   *issuer       // nil: none
	origins  origins
	requests *requests // nil: no limit
	attempts attempts
	watches  *watches
}

// New reads the files that c names. Its error is a *FileError.
func New(c Config) (*Guard, error) {
	g := &Guard{logger: c.Logger, origins: c.Origins, attempts: newAttempts(), watches: newWatches(c.Watches, c.WatchesPerClient)}
	if c.CertFile != "" {
		g.server = &certificates{}
		g.clients = c.ClientCAFile != ""
		paths := []string{c.CertFile, c.KeyFile}
		if g.clients {
			paths = append(paths, c.ClientCAFile)
		}
		g.files = append(g.files, &source{name: "tls", paths: paths, take: g.server.take})
	}
	if c.TokensFile != "" {
		g.tokens = &tokens{}
		g.files = append(g.files, &source{name: "tokens", paths: []string{c.TokensFile}, take: g.tokens.take})
	}
	for _, f := range g.files {
		if _, err := f.load(); err != nil {
			return nil, err
		}
	}
	if c.Issuer != "" {
		g.issuer = newIssuer(c.Issuer, c.Audience, c.Logger)
	}
	if c.RequestRate > 0 {
		g.requests = newRequests(c.RequestRate)
	}
	return g, nil
}

// reloadInterval is how often files are looked at for changes.
const reloadInterval = 5 * time.Second

// Run takes up changes of the files, and of the issuer's keys, and ends watches of those who
// would not be let in any more, until ctx is done.
func (g *Guard) Run(ctx context.Context) error {
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		g.warnOfExpiry()
		if g.issuer != nil && g.issuer.due() {
			_ = g.issuer.refresh(ctx) // it logs what is wrong
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		anyChanged := false
		for _, f := range g.files {
			switch changed, err := f.load(); {
			case err != nil && f.news(err):
				f.failed.Add(1)
				g.logger.Error("a changed file cannot be used; what it held before stays in force", "error", err)
			case changed:
				anyChanged = true
				f.taken.Add(1)
				g.logger.Info("files were read again", "files", f.paths)
			}
		}
		if n := g.watches.review(anyChanged); n > 0 {
			g.logger.Info("watches were ended whose tokens or certificates are not valid any more", "watches", n)
		}
	}
}

// authenticates reports whether anything has to be shown by clients.
func (g *Guard) authenticates() bool { return g.clients || g.signsIn() }

// signsIn reports whether there are tokens to sign in with.
func (g *Guard) signsIn() bool { return g.tokens != nil || g.issuer != nil }

// What an operator should know of a server that is not for its own machine only.
const (
	openAdvice  = "whoever reaches the port can read all events; docs/access.md tells how to change that"
	clearAdvice = "tokens travel in the clear: there is no TLS here; set TLS_CERT_FILE and TLS_KEY_FILE, or let clients reach only a proxy that has TLS"
)

// Advise logs what an operator should know of a server that listens on address.
func (g *Guard) Advise(address net.Addr) {
	switch g.Advice(address) {
	case openAdvice:
		g.logger.Warn(openAdvice)
	case clearAdvice:
		g.logger.Warn(clearAdvice)
	}
}

// Advice is what Advise logs, or nothing.
func (g *Guard) Advice(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	switch loopback := ok && tcp.IP.IsLoopback(); {
	case loopback:
	case !g.authenticates():
		return openAdvice
	case g.server == nil:
		return clearAdvice
	}
	return ""
}

// Deny answers r with an error: a status, the short and the long name of the problem, and
// what to do. The headers WWW-Authenticate, Allow and Retry-After are set before.
type Deny func(w http.ResponseWriter, r *http.Request, status int, slug, title, detail string)

// Handler returns next behind the guard. Probes pass always.
func (g *Guard) Handler(next http.Handler, deny Deny) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.origins.handled(w, r) {
			return
		}
		switch path := r.URL.Path; {
		case path == "/healthz", path == "/readyz":
			next.ServeHTTP(w, r)
			return
		case path == "/signin" && g.signsIn():
			g.signIn(w, r, deny)
			return
		case path == "/signout" && g.signsIn():
			g.signOut(w, r, deny)
			return
		}
		who, refused := g.identify(r)
		if refused != nil {
			if g.signsIn() && refused.status == http.StatusUnauthorized && opensPage(r) {
				toSignIn(w, r)
				return
			}
			refused.answer(w, r, deny)
			return
		}
		if who.name != "" {
			r = r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
		}
		if g.requests != nil {
			if refused := g.requests.admit(Client(r)); refused != nil {
				refused.answer(w, r, deny)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

type identityKey struct{}

// Identity returns the name of who sent the request of ctx: that of a token, of a client
// certificate, or what a JSON Web Token says. It is empty where nobody has to show one.
func Identity(ctx context.Context) string {
	who, _ := ctx.Value(identityKey{}).(holder)
	return who.name
}

// SignedIn reports whether who sent the request of ctx signed in at /signin, and can sign out.
func SignedIn(ctx context.Context) bool {
	who, _ := ctx.Value(identityKey{}).(holder)
	return who.session
}

// Client returns what limits per client count by: the identity, or the network address
// where there is none. No header is believed, so clients behind a proxy are one.
func Client(r *http.Request) string {
	if name := Identity(r.Context()); name != "" {
		return "name " + name
	}
	return network(r.RemoteAddr)
}

// network is the address of a peer without its port; of IPv6, the /64, of which one host
// has all.
func network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String() + "/64"
	}
	return host
}

// requests limits how many requests a second each client has.
type requests struct {
	rate    float64
	clients *recent[*rate.Limiter]
}

// manyClients is of how many clients or addresses something is kept at least.
const manyClients = 10000

func newRequests(perSecond float64) *requests {
	return &requests{rate: perSecond, clients: newRecent[*rate.Limiter](manyClients)}
}

// admit lets a client send a second's worth of requests at once, and twenty in any case, for
// a page and what it loads.
func (l *requests) admit(client string) *refusal {
	limiter := l.clients.get(client, func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(l.rate), max(20, int(l.rate)))
	})
	if limiter.Allow() {
		return nil
	}
	return &refusal{status: http.StatusTooManyRequests, slug: "too-many-requests", title: "Too many requests",
		detail:     "this client sends more requests than it may; wait as Retry-After says",
		retryAfter: time.Duration(float64(time.Second) / l.rate)}
}
