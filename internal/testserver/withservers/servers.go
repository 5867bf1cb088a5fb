//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/tcckit/tcckit/internal/localserver"
	"github.com/tcckit/tcckit/internal/testserver"
)

// servers are the servers that were started, with their data in one temporary folder.
type servers struct {
	dir     string
	started []server
	environ []string // NAME=VALUE for the command
}

// server is a server, or a group of them, that was started.
type server interface{ Stop() error }

// start starts a server of each kind that the environment does not name, all at once.
func start(ctx context.Context, kinds []localserver.Kind) (_ *servers, err error) {
	set := &servers{}
	if set.dir, err = os.MkdirTemp("", "tcckit-servers-"); err != nil {
		return nil, err
	}
	var missing []localserver.Kind
	for _, kind := range kinds {
		if os.Getenv(testserver.Env(kind)) == "" {
			missing = append(missing, kind)
		}
	}
	started := make([]server, len(missing))
	addresses := make([]string, len(missing))
	group, ctx := errgroup.WithContext(ctx)
	for i, kind := range missing {
		group.Go(func() (err error) {
			started[i], addresses[i], err = startOne(ctx, kind, filepath.Join(set.dir, string(kind)))
			return err
		})
	}
	err = group.Wait()
	for i, s := range started {
		if s == nil {
			continue
		}
		set.started = append(set.started, s)
		set.environ = append(set.environ, testserver.Env(missing[i])+"="+addresses[i])
	}
	if err != nil {
		return nil, errors.Join(err, set.stop())
	}
	return set, nil
}

// startOne returns the server and what its environment variable holds; no server if it did not start.
func startOne(ctx context.Context, kind localserver.Kind, dir string) (server, string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, "", err
	}
	if kind == localserver.KindRocketMQ {
		s, err := localserver.StartRocketMQ(ctx, localserver.RocketMQConfig{Dir: dir})
		if err != nil {
			return nil, "", err
		}
		return s, s.NameServer(), nil
	}
	s, err := localserver.Start(ctx, localserver.Config{Kind: kind, Dir: dir})
	if err != nil {
		return nil, "", err
	}
	if kind == localserver.Redis {
		return s, s.Addr(), nil
	}
	return s, s.SQL().FormatDSN(), nil
}

// stop stops all servers and removes their data.
func (set *servers) stop() error {
	var group errgroup.Group
	for _, s := range set.started {
		group.Go(s.Stop)
	}
	err := group.Wait()
	if removeErr := os.RemoveAll(set.dir); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("removing the servers' data: %w", removeErr))
	}
	return err
}
