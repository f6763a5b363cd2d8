// A Parca server for the tests: the released packages, started with their own flags.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parca-dev/parca/pkg/parca"
)

func main() {
	flags := &parca.Flags{}
	kong.Parse(flags)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	logger := log.NewLogfmtLogger(log.NewSyncWriter(os.Stderr))
	if err := parca.Run(ctx, logger, prometheus.NewRegistry(), flags, "v0.28.0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
