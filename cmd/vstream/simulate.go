package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vstream/internal/simulator"
)

func simulateCommand() *cobra.Command {
	var (
		address string
		rate    float64
		seed    uint64
		debug   bool
	)
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a vCenter to try things on",
		Long: "Run a simulated vCenter in which things happen, until stopped: SOAP over TLS, any user,\n" +
			"any password. It prints the environment with which vstream serve reads it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRate(rate); err != nil {
				return err
			}
			sim, err := startSimulator(cmd, address, rate, &seed, debug)
			if err != nil {
				return fmt.Errorf("--listen %s: %w", address, err)
			}
			defer sim.Close()
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "A vCenter to try things on is at %s, with about %g events a second (seed %d).\n"+
				"It takes any user and password. To read it, in another terminal:\n\n"+
				"  export VCENTER_URL=%s\n  export VCENTER_INSECURE=true\n", sim.URL(), rate, seed, sim.URL())
			if dir, err := writeSecret("user", "pass"); err == nil {
				defer os.RemoveAll(dir)
				fmt.Fprintf(out, "  export VCENTER_SECRET_PATH=%s\n", dir)
			}
			fmt.Fprint(out, "  vstream serve\n\nStop it with Ctrl-C.\n")
			return sim.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&address, "listen", "127.0.0.1:8989", "address to listen on; port 0 picks a free one")
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
	return simulator.Start(cmd.Context(), address, simulator.Options{
		Rate:   rate,
		Rand:   rand.New(rand.NewPCG(*seed, *seed)),
		Logger: newLogger(cmd.ErrOrStderr(), debug),
	})
}

// writeSecret makes a directory with the files username and password.
func writeSecret(username, password string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "vstream-secret-")
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"username": username, "password": password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			os.RemoveAll(dir)
			return "", err
		}
	}
	return dir, nil
}
