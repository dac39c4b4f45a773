package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vstream"
	"vstream/client"
	"vstream/internal/httpapi"
)

// exampleServer runs a server of the vCenters vc1 and vc2 in this process, and returns its
// address and what stops it. A program has one running elsewhere.
func exampleServer() (url string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	api := &httpapi.Server{Listener: listener, WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	for i, name := range []string{"vc1", "vc2"} {
		v := newVCenter(name, 50)
		v.add(vstream.Offset(1+i*60), vstream.Offset(60+i*60))
		api.VCenters = append(api.VCenters, v.served())
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, v := range api.VCenters {
		running.Go(func() { _ = v.Index.Run(ctx) })
	}
	running.Go(func() {
		if err := api.Run(ctx); err != nil {
			log.Fatal(err)
		}
	})
	return "http://" + listener.Addr().String(), func() { cancel(); running.Wait() }
}

// Follow the errors of all vCenters, from the oldest on.
func ExampleClient_Watch() {
	url, stop := exampleServer()
	defer stop()

	c, err := client.New(url)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for e, err := range c.Watch(ctx, client.Severity("error"), client.Earliest()) {
		if err != nil {
			log.Fatal(err) // nothing that passes by itself
		}
		d, err := e.Decode()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Source, e.Offset, d.Type, d.VM)
		if e.Offset == 120 {
			cancel() // as a signal would; the loop ends without an error
		}
	}
	// Output:
	// https://vc1.example.com/sdk 20 esx.problem.x web2
	// https://vc1.example.com/sdk 30 esx.problem.x web0
	// https://vc1.example.com/sdk 40 esx.problem.x web1
	// https://vc1.example.com/sdk 50 esx.problem.x web2
	// https://vc1.example.com/sdk 60 esx.problem.x web0
	// https://vc2.example.com/sdk 80 esx.problem.x web2
	// https://vc2.example.com/sdk 90 esx.problem.x web0
	// https://vc2.example.com/sdk 100 esx.problem.x web1
	// https://vc2.example.com/sdk 110 esx.problem.x web2
	// https://vc2.example.com/sdk 120 esx.problem.x web0
}

// Read what there is of a virtual machine, and end.
func ExampleClient_List() {
	url, stop := exampleServer()
	defer stop()

	c, err := client.New(url)
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range c.VCenter("vc1").List(context.Background(), client.VM("web1"), client.Last(3)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Time.Format(time.TimeOnly), e.Type, e.Cursor)
	}
	// Output:
	// 22:14:12 vmware.vsphere.VmPoweredOnEvent.v0 vc1.52
	// 22:14:15 vmware.vsphere.VmPoweredOnEvent.v0 vc1.55
	// 22:14:18 vmware.vsphere.VmPoweredOnEvent.v0 vc1.58
}

// Go on where the run before has ended.
func ExampleWithCheckpoint() {
	url, stop := exampleServer()
	defer stop()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	c, err := client.New(url)
	if err != nil {
		log.Fatal(err)
	}
	for run := 1; run <= 2; run++ { // of a program
		place := c.CheckpointFile(filepath.Join(dir, "place.json"))
		for e, err := range c.Watch(context.Background(), client.WithCheckpoint(place), client.Earliest(), client.Limit(2)) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println("run", run, "got", e.ID)
		}
	}
	// Output:
	// run 1 got 11
	// run 1 got 12
	// run 2 got 13
	// run 2 got 14
}

// Go on where events are gone before they were read, and say so.
func ExampleOnGap() {
	url, stop := exampleServer()
	defer stop()

	c, err := client.New(url)
	if err != nil {
		log.Fatal(err)
	}
	last := vstream.Cursor{"vc1": {Offset: 3}, "vc2": {Offset: 119}} // of long ago
	for e, err := range c.List(context.Background(), client.After(last), client.OnGap(func(g client.Gap) error {
		fmt.Printf("missed up to %d events of %s\n", g.Missed, g.VCenter)
		return nil // an error would end the loop
	}), client.Limit(1)) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("goes on with", e.ID)
	}
	// Output:
	// missed up to 7 events of vc1
	// goes on with 11
}

// Tell errors apart.
func ExampleExpiredError() {
	url, stop := exampleServer()
	defer stop()

	c, err := client.New(url)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.VCenter("vc1").Get(context.Background(), 3)
	var expired *client.ExpiredError
	if errors.As(err, &expired) {
		fmt.Printf("%d is gone; there are %d to %d\n", expired.Requested, expired.Earliest, expired.Latest)
	}
	_, err = c.Get(context.Background(), 3)
	var ambiguous *client.AmbiguousError
	if errors.As(err, &ambiguous) {
		fmt.Println(err)
	}
	// Output:
	// 3 is gone; there are 11 to 60
	// several vCenters are served, and each has offsets of its own; name one of vc1, vc2
}

// The address of what a read asks for, for curl.
func ExampleClient_URL() {
	c, err := client.New("https://vstream.example.com")
	if err != nil {
		log.Fatal(err)
	}
	url, err := c.URL(client.Severity("error", "warning"), client.Cluster("prod-*"), client.Ago(15*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(url)
	// Output:
	// https://vstream.example.com/api/v1/events?cluster=prod-%2A&severity=error&severity=warning&since=15m0s
}

func ExampleNew() {
	c, err := client.New("https://vstream.example.com",
		client.WithTokenFile("/var/run/secrets/vstream/token"), // read again when it changes
		client.WithLogger(slog.Default()),
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Server())
	// Output:
	// https://vstream.example.com
}
