package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/keys"
	"github.com/tcckit/tcckit/tcc"
)

// Stack is the shop. Whoever made it must Stop it. Its methods may be called concurrently, but for Start
// and Stop.
type Stack struct {
	cfg      Config
	keys     string
	services map[string]*Service
	targets  map[string]string // where DTM reaches a service, if not at its Internal address
	guard    net.Listener      // nil unless the ports are the well-known ones
	dtm      *dtmserver.Server // nil if a given one is used or none was started yet
	broker   *broker           // nil unless RocketMQ is the stack's own, and started
}

// New chooses addresses and makes the signing key. It starts no process, but what it returns must be
// stopped.
func New(ctx context.Context, cfg Config) (*Stack, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, services: make(map[string]*Service), targets: make(map[string]string)}
	if s.keys, err = ensureKey(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.FixedPorts {
		s.guard = guard(ctx)
		s.cfg.FixedPorts = s.guard != nil
	}
	for _, name := range Services() {
		addresses, err := chooseAddresses(ctx, name, s.cfg.FixedPorts)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stack: %w", err), s.closeGuard())
		}
		service := &Service{
			Name: name, Database: cfg.database(name), Addresses: addresses,
			program: cfg.Program, dir: cfg.Dir, timeout: cfg.StartTimeout,
		}
		if cfg.Follow {
			service.followers = make(map[string]string)
			for _, follower := range Followers(name) {
				service.followers[follower] = cfg.database(follower)
			}
		}
		s.services[name] = service
	}
	return s, nil
}

// Service returns a service by its name, one of Services.
func (s *Stack) Service(name string) *Service { return s.services[name] }

// Interpose makes DTM reach a service at addr instead of directly. It must be called before Start.
func (s *Stack) Interpose(service, addr string) { s.targets[service] = addr }

// DTM is where the DTM server is reached. It is known after Start.
func (s *Stack) DTM() DTM {
	if s.dtm == nil {
		return s.cfg.DTM
	}
	return DTM{GRPCAddr: s.dtm.GRPCAddr(), HTTPURL: s.dtm.HTTPURL()}
}

// Keyring signs what the stack's services accept.
func (s *Stack) Keyring() (*tcc.Keyring, error) { return keys.Load(s.keys) }

// OwnsDTM tells whether the DTM server is the stack's own.
func (s *Stack) OwnsDTM() bool { return s.cfg.DTM == DTM{} }

// Start starts everything, databases migrated, and returns when all of it takes work. On an error all
// that was started is stopped.
func (s *Stack) Start(ctx context.Context) error {
	err := s.startDTM(ctx)
	if err == nil && s.cfg.OwnRocketMQ {
		s.broker, err = startBroker(ctx, filepath.Join(s.cfg.Dir, "rocketmq"))
	}
	for _, name := range Services() {
		if err == nil {
			service := s.services[name]
			service.args = s.arguments(service)
			err = service.Start(ctx)
		}
	}
	if err != nil {
		return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func (s *Stack) startDTM(ctx context.Context) error {
	if !s.OwnsDTM() {
		return nil
	}
	cfg := dtmserver.Config{
		Dir: filepath.Join(s.cfg.Dir, "dtm"), Store: s.cfg.DTMStore, Env: s.cfg.DTMEnv, StartTimeout: s.cfg.StartTimeout,
	}
	if s.cfg.FixedPorts {
		var err error
		if cfg.HTTPAddr, err = chooseAddress(ctx, dtmHTTPPort, true); err != nil {
			return fmt.Errorf("stack: %w", err)
		}
		if cfg.GRPCAddr, err = chooseAddress(ctx, dtmGRPCPort, true); err != nil {
			return fmt.Errorf("stack: %w", err)
		}
	}
	server, err := dtmserver.Start(ctx, cfg)
	if err != nil {
		return fmt.Errorf("stack: %w", err)
	}
	s.dtm = server
	return nil
}

// arguments is the command line of a service.
func (s *Stack) arguments(service *Service) []string {
	args := append([]string{"serve", service.Name}, service.Followers()...)
	args = append(args, "--migrate",
		"--listen="+service.Public, "--listen-internal="+service.Internal, "--admin="+service.Admin,
		"--keys-file="+s.keys, "--log-format=json", "--stop-with-stdin")
	if addrs := s.RocketMQ(); len(addrs) > 0 {
		args = append(args, "--rocketmq="+strings.Join(addrs, ","))
		if s.cfg.RocketMQPrefix != "" {
			args = append(args, "--rocketmq-prefix="+s.cfg.RocketMQPrefix)
		}
	}
	if s.cfg.RelayLease > 0 {
		args = append(args, "--relay-lease="+s.cfg.RelayLease.String())
	}
	if service.Name != Order {
		return args
	}
	dtm := s.DTM()
	args = append(args, "--dtm-grpc="+dtm.GRPCAddr, "--dtm-http="+dtm.HTTPURL)
	if s.cfg.RetryInterval > 0 {
		args = append(args, "--retry-interval="+s.cfg.RetryInterval.String())
	}
	for _, name := range Services() {
		addr := s.services[name].Internal
		target := addr
		if other, ok := s.targets[name]; ok {
			target = other
		}
		args = append(args, "--"+name+"-addr="+addr, "--"+name+"-target="+target)
	}
	return args
}

// RocketMQ are the addresses of the name servers, host:port each; none if messages stay within their process.
// Those of an own RocketMQ are known after Start.
func (s *Stack) RocketMQ() []string {
	if s.broker != nil {
		return []string{s.broker.nameServer()}
	}
	return s.cfg.RocketMQ
}

// Stop ends everything in an orderly way, the services before what they need, and returns when all is gone.
func (s *Stack) Stop(ctx context.Context) error {
	errs := make([]error, len(s.services))
	var all sync.WaitGroup
	for i, name := range Services() {
		all.Go(func() { errs[i] = s.services[name].Stop(ctx) })
	}
	all.Wait()
	err := errors.Join(errs...)
	if s.dtm != nil {
		err = errors.Join(err, s.dtm.Stop(ctx))
	}
	if s.broker != nil {
		err = errors.Join(err, s.broker.stop())
	}
	return errors.Join(err, s.closeGuard())
}

func (s *Stack) closeGuard() error {
	if s.guard == nil {
		return nil
	}
	err := s.guard.Close()
	s.guard = nil
	return err
}
