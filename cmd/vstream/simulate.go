package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vstream/internal/simulator"
)

func simulateCommand() *cobra.Command {
	var (
		address   string
		secretDir string
		rate      float64
		seed      uint64
		debug     bool
	)
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a vCenter to try things on",
		Long: "Run a simulated vCenter in which things happen, until stopped: SOAP over TLS, any user,\n" +
			"any password. It prints the environment with which vstream serve reads it.\n\n" +
			"It keeps its newest 1000 events only, where a real vCenter keeps a month: a server that does\n" +
			"not read it for longer than that lasts has a gap afterwards.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRate(rate); err != nil {
				return err
			}
			if _, _, err := net.SplitHostPort(address); err != nil {
				return fmt.Errorf("--listen: %q is not an address with a port; write for example 127.0.0.1:8989", address)
			}
			sim, err := startSimulator(cmd, address, rate, &seed, debug)
			if err != nil {
				return fmt.Errorf("--listen %s: %w", address, err)
			}
			defer sim.Close()
			if secretDir == "" {
				dir, err := temporarySecret("user", "pass")
				if err != nil {
					return err
				}
				defer os.RemoveAll(dir)
				secretDir = dir
			} else if err := keepSecret(&secretDir); err != nil {
				return fmt.Errorf("--secret-dir: %w", err)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), `A vCenter to try things on is at %[1]s, with about %[2]g events a second (seed %[3]d).
It takes any user and password. To read it, in another terminal:

  export VCENTER_URL=%[1]s
  export VCENTER_INSECURE=true
  export VCENTER_SECRET_PATH=%[4]s
  vstream serve                  # or, where it is not installed: go run ./cmd/vstream serve

Stop it with Ctrl-C.
`, sim.URL(), rate, seed, secretDir); err != nil {
				return err
			}
			return sim.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8989", "address to listen on; port 0 picks a free one")
	cmd.Flags().StringVar(&secretDir, "secret-dir", "", "directory to write username and password to, and to leave there; a temporary one by default")
	cmd.Flags().Float64Var(&rate, "rate", 5, "events per second in the long run")
	cmd.Flags().BoolVar(&debug, "debug", false, "log operations that failed")
	addSeedFlag(cmd, &seed)
	return cmd
}

func addSeedFlag(cmd *cobra.Command, seed *uint64) {
	cmd.Flags().Uint64Var(seed, "seed", 0, "repeat the run with this seed; 0 picks one")
}

func checkRate(rate float64) error {
	const most = 10_000
	if !(rate > 0 && rate <= most) { // not a number is neither
		return fmt.Errorf("--rate: %g is not a number of events per second above 0 and up to %d", rate, most)
	}
	return nil
}

// startSimulator starts a simulated vCenter, and picks its seed if that is 0.
func startSimulator(cmd *cobra.Command, address string, rate float64, seed *uint64, debug bool) (*simulator.Simulator, error) {
	if *seed == 0 {
		*seed = uint64(rand.Uint32()) // short enough to type again
	}
	sim, err := simulator.Start(cmd.Context(), address, simulator.Options{
		Rate:   rate,
		Rand:   rand.New(rand.NewPCG(*seed, *seed)),
		Logger: newLogger(cmd.ErrOrStderr(), debug),
	})
	if err != nil && cmd.Context().Err() != nil {
		return nil, errInterrupted
	}
	return sim, err
}

// temporarySecret makes a directory with the files username and password.
func temporarySecret(username, password string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "vstream-secret-")
	if err != nil {
		return "", err
	}
	if err := writeSecret(dir, username, password); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// keepSecret writes a user to a directory that is to stay, and makes its path absolute:
// what reads it may run elsewhere.
func keepSecret(dir *string) error {
	full, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	*dir = full
	if err := os.MkdirAll(full, 0o700); err != nil {
		return err
	}
	return writeSecret(full, "user", "pass")
}

func writeSecret(dir, username, password string) error {
	for name, text := range map[string]string{"username": username, "password": password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
