package vstream_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// permitted lists, for each package of the module, what it may import beyond the standard
// library: packages of ours in full, others by the beginning of their path. Arrows go
// down only, and a third-party system appears in one package only. A new package is a
// line here.
var permitted = map[string][]string{
	".":                 {},
	"internal/memlog":   {"vstream"},
	"internal/logtest":  {"vstream", "github.com/google/go-cmp"},
	"internal/spelling": {},
	"internal/index":    {"vstream", "vstream/internal/filter"},
	"internal/natslog": {
		"vstream", "vstream/internal/memlog", "github.com/nats-io",
		"github.com/gofrs/flock", "github.com/cenkalti/backoff", "golang.org/x/sync/errgroup",
	},
	"internal/metrics":  {"vstream", "github.com/prometheus/client_golang"},
	"internal/tracing":  {"go.opentelemetry.io/otel", "github.com/go-logr/logr"},
	"internal/duration": {},
	"internal/httpapi": {
		"vstream", "vstream/internal/duration", "vstream/internal/filter", "vstream/internal/index", "vstream/internal/spelling",
		"github.com/klauspost/compress/zstd",
	},
	"internal/webui":       {},
	"internal/filter":      {"vstream", "vstream/internal/spelling", "cel.dev/cel-go"},
	"internal/access":      {"github.com/coreos/go-oidc", "github.com/go-jose/go-jose", "golang.org/x/time/rate"},
	"internal/cloudevent":  {"vstream", "github.com/vmware/govmomi/vim25"},
	"internal/vcenter":     {"vstream", "vstream/internal/cloudevent", "github.com/vmware/govmomi"},
	"internal/collector":   {"vstream", "github.com/cenkalti/backoff"},
	"internal/vcentertest": {"github.com/vmware/govmomi"},
	"internal/simulator":   {"github.com/vmware/govmomi"},
	"client":               {"vstream", "github.com/cenkalti/backoff"},
	"internal/contexts":    {"vstream/internal/spelling", "go.yaml.in/yaml/v3"},
	"internal/output": {
		"vstream/client", "vstream/internal/spelling",
		"github.com/itchyny/gojq", "go.yaml.in/yaml/v3", "k8s.io/client-go/util/jsonpath",
	},
	"internal/kubetest": { // of Kubernetes only what manifests are made of
		"k8s.io/api", "k8s.io/apimachinery", "sigs.k8s.io/gateway-api/apis", "github.com/prometheus-operator/prometheus-operator/pkg/apis",
	},
	"deploy":            {},
	"deploy/kubernetes": {},
	"deploy/grafana":    {},
	"deploy/helm":       {},
	"bench": { // all it measures, wired as cmd/vstream wires it; nats-server for a cluster; the peers
		"vstream", "vstream/internal/access", "vstream/internal/cloudevent", "vstream/internal/collector", "vstream/internal/httpapi", "vstream/internal/index",
		"vstream/internal/memlog", "vstream/internal/natslog", "vstream/internal/simulator", "vstream/internal/vcenter",
		"github.com/dustin/go-humanize", "github.com/nats-io/nats-server", "github.com/vmware/govmomi",
		"github.com/cloudevents/sdk-go/v2/event", "github.com/embano1/memlog",
	},
	"cmd/vstream": {
		"vstream", "vstream/client", "vstream/internal/access", "vstream/internal/cloudevent", "vstream/internal/collector", "vstream/internal/contexts", "vstream/internal/duration", "vstream/internal/httpapi", "vstream/internal/index",
		"vstream/internal/memlog", "vstream/internal/metrics", "vstream/internal/natslog", "vstream/internal/output", "vstream/internal/simulator", "vstream/internal/spelling", "vstream/internal/tracing", "vstream/internal/vcenter", "vstream/internal/webui",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/dustin/go-humanize", "golang.org/x/sync/errgroup", "golang.org/x/sys/unix", "golang.org/x/term",
		"go.yaml.in/yaml/v3",
	},
}

// permittedInTests lists what tests may import besides: the fakes they run against.
var permittedInTests = []string{
	"vstream/internal/logtest", "vstream/internal/kubetest", "vstream/internal/memlog", "vstream/internal/simulator",
	"vstream", "vstream/internal/access", "vstream/internal/cloudevent", "vstream/internal/vcenter", "vstream/internal/vcentertest",
	"vstream/client", "vstream/internal/filter", "vstream/internal/httpapi", "vstream/internal/index",
	"github.com/getkin/kin-openapi", "github.com/google/go-cmp", "github.com/rogpeppe/go-internal/testscript", "go.uber.org/goleak",
	"github.com/vmware/govmomi", "github.com/nats-io", "k8s.io/", "sigs.k8s.io/", "github.com/prometheus-operator", "go.yaml.in/yaml/v3",
	"github.com/chromedp/chromedp", "github.com/chromedp/cdproto", "github.com/tmaxmax/go-sse",
	"vstream/internal/collector", "vstream/internal/metrics", "github.com/prometheus/common", "github.com/prometheus/prometheus",
	"go.opentelemetry.io/proto/otlp", "google.golang.org/protobuf/proto",
}

func TestPackagesImportOnlyWhatTheArchitecturePermits(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		seen[pkg] = true
		allowed, known := permitted[pkg]
		if !known {
			t.Errorf("package %s is not in the table of permitted imports", pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			test := strings.HasSuffix(path, "_test.go")
			own := "vstream/" + pkg
			if pkg == "." {
				own = "vstream"
			}
			if standard(imported) || matches(imported, allowed) || test && (imported == own || matches(imported, permittedInTests)) {
				continue
			}
			t.Errorf("%s imports %s, which %s may not", path, imported, pkg)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range permitted {
		if !seen[pkg] {
			t.Errorf("the table of permitted imports names %s, which is not there", pkg)
		}
	}
}

// standard reports whether path is in the standard library: those paths alone begin
// without a domain.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && first != "vstream"
}

func matches(path string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool {
		if strings.HasPrefix(a, "vstream") {
			return path == a
		}
		return path == a || strings.HasPrefix(path, strings.TrimSuffix(a, "/")+"/")
	})
}
