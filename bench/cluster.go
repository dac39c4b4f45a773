package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	clusterServers = 3
	// clusterSynced is the log in a cluster whose servers sync every write, and not as
	// they do by default, every two minutes.
	clusterSynced = "cluster, synced"
)

// startCluster starts servers in this process that are a cluster, and returns where they
// are reached once they can keep streams.
func startCluster(dir string, synced bool) (url string, shutdown func(), err error) {
	for range 5 { // a port may be taken by another before its server has it
		if url, shutdown, err = tryCluster(dir, synced); err == nil {
			return url, shutdown, nil
		}
	}
	return "", nil, err
}

func tryCluster(dir string, synced bool) (url string, shutdown func(), err error) {
	var ports []int
	var routes []string
	for range clusterServers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", nil, err
		}
		defer l.Close() // when the ports of all are known
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, "nats://"+l.Addr().String())
		_ = l.Close()
	}
	var servers []*server.Server
	shutdown = func() {
		for _, s := range servers {
			s.Shutdown()
		}
		for _, s := range servers {
			s.WaitForShutdown()
		}
	}
	var urls []string
	for i, port := range ports {
		options := &server.Options{
			ServerName: fmt.Sprintf("bench-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprintf("server-%d", i)), SyncAlways: synced,
			JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 40,
			Cluster: server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: port},
			Routes:  server.RoutesFromStr(strings.Join(routes, ",")),
		}
		s, err := server.NewServer(options)
		if err != nil {
			shutdown()
			return "", nil, err
		}
		servers = append(servers, s)
		s.Start()
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, s := range servers {
		for !s.ReadyForConnections(100*time.Millisecond) || !s.JetStreamIsCurrent() || len(s.JetStreamClusterPeers()) < clusterServers && s.JetStreamIsLeader() {
			if time.Now().After(deadline) {
				shutdown()
				return "", nil, errors.New("the servers did not become a cluster")
			}
			time.Sleep(10 * time.Millisecond)
		}
		urls = append(urls, s.ClientURL())
	}
	return strings.Join(urls, ","), shutdown, nil
}
