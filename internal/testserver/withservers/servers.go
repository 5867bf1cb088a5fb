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
	started []*localserver.Server
	environ []string // NAME=VALUE for the command
}

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
	started := make([]*localserver.Server, len(missing))
	group, ctx := errgroup.WithContext(ctx)
	for i, kind := range missing {
		group.Go(func() (err error) {
			started[i], err = startOne(ctx, kind, filepath.Join(set.dir, string(kind)))
			return err
		})
	}
	err = group.Wait()
	for i, s := range started {
		if s == nil {
			continue
		}
		set.started = append(set.started, s)
		set.environ = append(set.environ, testserver.Env(missing[i])+"="+addressOf(missing[i], s))
	}
	if err != nil {
		return nil, errors.Join(err, set.stop())
	}
	return set, nil
}

func startOne(ctx context.Context, kind localserver.Kind, dir string) (*localserver.Server, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return localserver.Start(ctx, localserver.Config{Kind: kind, Dir: dir})
}

// addressOf is what the environment variable of the kind holds.
func addressOf(kind localserver.Kind, s *localserver.Server) string {
	if kind == localserver.Redis {
		return s.Addr()
	}
	return s.SQL().FormatDSN()
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
