package dtmserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/tcckit/tcckit/internal/childproc"
)

const (
	// pollPause is the pause between two looks at a server that starts, which takes about 150 ms.
	pollPause = 10 * time.Millisecond
	// askTimeout bounds one question to it.
	askTimeout = 2 * time.Second
)

// awaitReady waits until both APIs of the process answer, it ends, or ctx does.
func (s *Server) awaitReady(ctx context.Context, process *childproc.Process) error {
	creds := insecure.NewCredentials()
	if s.cfg.TLS != nil {
		creds = s.cfg.TLS.Client.Client()
	}
	conn, err := grpc.NewClient(s.GRPCAddr(), grpc.WithTransportCredentials(creds), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for {
		err := s.ask(ctx, dtmgpb.NewDtmClient(conn))
		if hasEnded(process) {
			if portTaken(process) {
				return errPortTaken
			}
			return fmt.Errorf("it ended before it answered: %w", exitReason(process))
		}
		if portTaken(process) {
			return errPortTaken
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", errors.Join(context.Cause(ctx), err))
		case <-process.Done():
		case <-time.After(pollPause):
		}
		conn.ResetConnectBackoff() // try at once
	}
}

// ask puts one question to each API.
func (s *Server) ask(ctx context.Context, dtm dtmgpb.DtmClient) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.HTTPURL()+"/api/ping", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy
	if s.cfg.TLS != nil {
		client = s.cfg.TLS.Client.HTTPClient(askTimeout)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", request.URL, response.Status)
	}
	_, err = dtm.NewGid(ctx, &emptypb.Empty{})
	return err
}

func hasEnded(process *childproc.Process) bool {
	select {
	case <-process.Done():
		return true
	default:
		return false
	}
}

// exitReason is the exit status alone; the caller adds the log.
func exitReason(process *childproc.Process) error {
	var exit *childproc.ExitError
	if errors.As(process.Err(), &exit) {
		return exit.Err
	}
	return errors.New("exit status 0")
}
