package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/tcckit/tcckit/internal/stack"
	"github.com/tcckit/tcckit/messaging/outbox"
)

// stuck counts the branches of a service's database that were tried and are not decided.
func (d *demo) stuck(ctx context.Context, service *stack.Service) (int, error) {
	branches, err := listed[json.RawMessage](ctx, d, service.Database, "barrier", "stuck", "--older-than=1ms")
	return len(branches), err
}

// listed is what a command of tcckit lists about a database.
func listed[Row any](ctx context.Context, d *demo, dsn string, args ...string) ([]Row, error) {
	cmd := exec.CommandContext(ctx, d.program, append(args, "--json")...)
	cmd.Env = stack.DatabaseEnvironment("TCCKIT_DB", dsn)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	what := "tcckit " + strings.Join(args, " ")
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", what, err, problem.String())
	}
	var rows []Row
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return rows, nil
}

// unhandled counts the messages of all databases that nobody has taken yet, and those that a consumer could not
// handle. What a receiver has refused is answered: it does not count.
func (d *demo) unhandled(ctx context.Context) (waiting, dead int, err error) {
	err = until(ctx, "no message waits", func(ctx context.Context) (bool, error) {
		waiting = 0
		for _, name := range stack.Services() {
			for _, dsn := range d.stack.Service(name).Databases() {
				rows, err := listed[outbox.Row](ctx, d, dsn, "outbox", "list")
				if err != nil {
					return false, err
				}
				for _, r := range rows {
					if r.SettledAt.IsZero() {
						waiting++
					}
				}
			}
		}
		return waiting == 0, nil
	})
	if err != nil {
		return waiting, dead, err
	}
	for _, name := range stack.Services() {
		for _, dsn := range d.stack.Service(name).Databases() {
			rows, err := listed[json.RawMessage](ctx, d, dsn, "deadletter", "list", "--parked")
			if err != nil {
				return waiting, dead, err
			}
			dead += len(rows)
		}
	}
	return waiting, dead, nil
}
