package barrier_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/tcckit/tcckit/barrier"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/tcc"
)

// envChild makes the test binary a process that resolves branches and is killed
// on the way: see TestKilledResolver.
const envChild = "TCCKIT_TEST_BARRIER_CHILD"

// errand is what a child does.
type errand struct {
	DSN, Addr, Key string
	// Commit, Abort and Operator are gids: the first two of what the
	// coordinator decided, the last of what a person cancels.
	Commit, Abort, Operator string
	// KillAt is the moment at which it is killed: before or after one of the
	// calls that it makes.
	KillAt int
}

// runChild does an errand. SIGKILL ends it before it returns, unless KillAt is
// beyond its last step.
func runChild(order string) error {
	var e errand
	if err := json.Unmarshal([]byte(order), &e); err != nil {
		return err
	}
	ctx := context.Background()
	db, err := database.Open(ctx, database.Config{DSN: e.DSN, Migrations: tillMigrations(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := grpc.NewClient(e.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ring, err := tcc.NewKeyring("k", map[string][]byte{"k": []byte(e.Key)})
	if err != nil {
		return err
	}
	store, ok := db.Barrier().(barrier.ResolutionStore)
	if !ok {
		return errors.New("the store keeps no resolutions")
	}
	m := &mortal{ResolutionStore: store, sender: &barrier.GRPCSender{Conn: conn, Keys: ring}, killAt: e.KillAt}
	r, err := barrier.NewResolver(barrier.ResolverConfig{
		Store: m, Sender: m, By: "the child", Logger: slog.New(slog.DiscardHandler),
		Coordinator: &oracle{views: map[string]barrier.View{e.Commit: says(barrier.Committed), e.Abort: says(barrier.Aborted)}},
	})
	if err != nil {
		return err
	}
	if _, err := r.Pass(ctx); err != nil {
		return err
	}
	_, err = r.Resolve(ctx, barrier.Decision{GID: e.Operator, Phase: tcc.Cancel, By: "ada", Reason: "CASE-118"})
	return err
}

// mortal is a store and a sender whose process is killed before or after the
// call numbered killAt.
type mortal struct {
	barrier.ResolutionStore
	sender         barrier.Sender
	moment, killAt int
}

// step is one moment between two calls.
func (m *mortal) step() {
	if m.moment++; m.moment == m.killAt {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // it comes at once
	}
}

func (m *mortal) Stuck(ctx context.Context, o barrier.StuckOptions) ([]barrier.StuckBranch, error) {
	m.step()
	defer m.step()
	return m.ResolutionStore.Stuck(ctx, o)
}

func (m *mortal) Branches(ctx context.Context, gid string) ([]barrier.Branch, error) {
	m.step()
	defer m.step()
	return m.ResolutionStore.Branches(ctx, gid)
}

func (m *mortal) BeginResolution(ctx context.Context, r barrier.Resolution) error {
	m.step()
	defer m.step()
	return m.ResolutionStore.BeginResolution(ctx, r)
}

func (m *mortal) EndResolution(ctx context.Context, r barrier.Resolution) error {
	m.step()
	defer m.step()
	return m.ResolutionStore.EndResolution(ctx, r)
}

func (m *mortal) Resolutions(ctx context.Context, o barrier.ResolutionsOptions) ([]barrier.Resolution, error) {
	m.step()
	defer m.step()
	return m.ResolutionStore.Resolutions(ctx, o)
}

func (m *mortal) Send(ctx context.Context, b tcc.Branch, request []byte) error {
	m.step()
	defer m.step()
	return m.sender.Send(ctx, b, request)
}
