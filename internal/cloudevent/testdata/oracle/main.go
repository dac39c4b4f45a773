// Command oracle records what this product's events were when their shape was fixed:
// plain encoding/json over govmomi v0.30.4, the last version without json tags. It is a
// module of its own because one build cannot hold two versions of govmomi.
//
//	oracle shape               each registered struct type, a tab, and its zero value
//	oracle data < page.xml     the data of each event of a page, one a line
//
// "go test -run TestRecord -update" in the package above runs both.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"reflect"
	"slices"
	_ "unsafe" // for linkname

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// registry is where govmomi keeps its types by their names in vSphere. It can be asked
// for a name, but not for all of them.
//
//go:linkname registry github.com/vmware/govmomi/vim25/types.t
var registry map[string]reflect.Type

func main() {
	log.SetFlags(0)
	out := bufio.NewWriter(os.Stdout)
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "shape":
		err = shape(out)
	case len(os.Args) == 2 && os.Args[1] == "data":
		err = data(out, os.Stdin)
	default:
		log.Fatal("usage: oracle shape | oracle data < page.xml")
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func shape(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(registry)) {
		t := registry[name]
		if t.Kind() != reflect.Struct || t.Name() != name {
			continue
		}
		b, err := json.Marshal(reflect.Zero(t).Interface())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(w, "%s\t%s\n", name, b)
	}
	return nil
}

func data(w io.Writer, r io.Reader) error {
	var envelope struct {
		Body methods.ReadNextEventsBody
	}
	d := xml.NewDecoder(r)
	d.TypeFunc = types.TypeFunc()
	if err := d.Decode(&envelope); err != nil {
		return err
	}
	for i, ev := range envelope.Body.Res.Returnval {
		b, err := json.Marshal(ev)
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		fmt.Fprintf(w, "%s\n", b)
	}
	return nil
}
