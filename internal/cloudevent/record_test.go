package cloudevent

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

var update = flag.Bool("update", false, "record anew, with testdata/oracle, what the tests compare with")

const (
	pageFile = "testdata/classes.xml.gz"   // random events of all classes
	dataFile = "testdata/classes.jsonl.gz" // their data, as v0.30.4 gave it
)

// TestRecord does its work only with -update. It needs govmomi v0.30.4 in the module
// cache, or the network. Run the tests again after it: shape.go may be another one.
func TestRecord(t *testing.T) {
	if !*update {
		t.Skip("only with -update")
	}
	writeGzip(t, shapeFile, oracle(t, nil, "shape"))
	if err := os.WriteFile("shape.go", []byte(shapeSource(t, readShape(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	page := randomPage(t)
	writeGzip(t, pageFile, page)
	writeGzip(t, dataFile, oracle(t, page, "data"))
}

// randomPage returns a page of events for both versions of govmomi to decode. Types
// that v0.30.4 did not have are only in fields it did not have either.
func randomPage(t *testing.T) []byte {
	t.Helper()
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(readShape(t))), func(name string) bool {
		_, ok := registry[name]
		return !ok || strings.HasPrefix(name, "CreateImportSpec") // see deviates
	})
	f := newFiller(30, names, true)
	var res types.ReadNextEventsResponse
	for _, class := range eventClasses(t) {
		res.Returnval = append(res.Returnval, f.event(class, 120))
	}
	for some := range slices.Chunk(names, 40) {
		ev := &types.EventEx{EventTypeId: some[0]}
		for _, name := range some {
			v := reflect.New(registry[name]).Elem()
			f.room = 1
			f.fill(v, 1)
			ev.Arguments = append(ev.Arguments, types.KeyAnyValue{Key: name, Value: v.Interface()})
		}
		res.Returnval = append(res.Returnval, ev)
	}

	var page bytes.Buffer
	page.WriteString(`<Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Body>`)
	if err := xml.NewEncoder(&page).EncodeElement(res, xml.StartElement{Name: xml.Name{Local: "ReadNextEventsResponse"}}); err != nil {
		t.Fatal(err)
	}
	page.WriteString("</Body></Envelope>\n")
	return page.Bytes()
}

func oracle(t *testing.T, stdin []byte, command string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", command)
	cmd.Dir = "testdata/oracle"
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oracle %s: %v", command, err)
	}
	return out
}
