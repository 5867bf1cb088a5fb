package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/cmd/tcckit/internal/serve"
	"github.com/tcckit/tcckit/internal/keys"
)

// The services and where they listen unless told otherwise.
const (
	defaultPublic   = "127.0.0.1:7401"
	defaultInternal = "127.0.0.1:7402"
	defaultAdmin    = "127.0.0.1:7403"
	defaultDTMGRPC  = "127.0.0.1:36790"
	defaultDTMHTTP  = "http://127.0.0.1:36789"
)

func serviceNames() []string { return serve.Names() }

func newServeCommand() *cobra.Command {
	cfg := serve.Config{Databases: make(map[string]string), Participants: make(map[string]serve.Participant), Version: version()}
	var (
		dsns          = databases{}
		addrs         = make(map[string]*string)
		targets       = make(map[string]*string)
		logs          logFlags
		mutual        serveTLSFlags
		keysFile      string
		stopWithStdin bool
		house         = defaultHousekeeping()
	)
	cmd := &cobra.Command{
		Use:   "serve SERVICE...",
		Short: "Run services: any of " + strings.Join(serve.Names(), ", "),
		Long: `serve runs any set of the shop's services in one process.

It listens on two addresses: one for what callers from outside may call, one for everything, which is for the
coordinator, for the other services and for administration. On SIGTERM it says so to those who ask after its
health, stops taking calls after --drain-delay, lets those under way finish and ends; a second SIGTERM ends it at
once.

With --tls-cert, --tls-key and --tls-ca the internal address takes only callers with a certificate of the CA: Try
from those of --tls-initiators, Confirm and Cancel from those of --tls-coordinators, by a DNS name or URI of their
certificate, and everything else from all of them; the process itself calls with the same certificate. The public
address serves the same certificate and asks for none. The files are read again when they change.

Signing keys come from --keys-file or from ` + keys.Environment + ` (ID:KEY, several separated by commas; the first one
signs, all verify; a key is at least 32 bytes in hex or base64, as made by "openssl rand -hex 32"). Without keys and
without certificates, whoever reaches the internal address can confirm or cancel anything, so on addresses other than
loopback serve then refuses to start.`,
		Example: `  tcckit serve account stock --account-db sqlite:account.db --stock-db sqlite:stock.db --migrate
  tcckit serve order --order-db mysql://shop:secret@db/orders --dtm-grpc dtm:36790 --dtm-http http://dtm:36789 \
      --account-addr account:7402 --stock-addr stock:7402 --listen-internal 0.0.0.0:7402 --order-target order:7402`,
		Args: serviceArguments,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			cfg.Services = args
			for _, name := range args {
				if cfg.Databases[name], err = dsns.of(name); err != nil {
					return err
				}
			}
			for _, name := range serve.Participants() {
				cfg.Participants[name] = serve.Participant{Addr: *addrs[name], Target: *targets[name]}
			}
			cfg.Housekeeping, cfg.TLS = house.of(cmd.Flags(), args), mutual.of(cmd.Flags())
			if cfg.Keys, err = keys.Load(keysFile); err != nil {
				return usageError{err}
			}
			if cfg.Logger, err = logs.logger(cmd.ErrOrStderr()); err != nil {
				return err
			}
			ctx := cmd.Context()
			if stopWithStdin {
				ctx = untilStdinEnds(ctx)
			}
			if err = serve.Run(ctx, cfg); errors.Is(err, serve.ErrConfig) {
				return usageError{err}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Public, "listen", defaultPublic, "address for callers from outside")
	flags.StringVar(&cfg.Internal, "listen-internal", defaultInternal, "address for the coordinator, the other services and administration")
	flags.StringVar(&cfg.Health, "listen-health", "", "address of a gRPC listener without TLS that answers health checks and nothing else, for probes that know no TLS: service \"\" whether work is taken, \"liveness\" that the process runs (default: none)")
	flags.StringVar(&cfg.Admin, "admin", defaultAdmin, "HTTP address of /metrics, /healthz and /readyz, and on loopback /debug/pprof, none if empty; it asks nobody who they are")
	flags.BoolVar(&cfg.AdminProfiles, "admin-pprof", false, "serve /debug/pprof on an --admin address other than loopback, too")
	mutual.register(flags)
	dsns.register(flags)
	flags.IntVar(&cfg.MaxConns, "max-conns", 0, "most connections to one MySQL database (default 32)")
	flags.IntVar(&cfg.Batch, "batch", 0, "most branches that share one transaction of a MySQL database; 1 gives each its own (default 64)")
	flags.BoolVar(&cfg.Migrate, "migrate", false, "create the databases and bring their tables up to date first")
	flags.StringVar(&cfg.DTMGRPC, "dtm-grpc", defaultDTMGRPC, "host:port of DTM's gRPC API, several separated by commas, or a gRPC target such as dns:///dtm:36790")
	flags.StringVar(&cfg.DTMHTTP, "dtm-http", defaultDTMHTTP, "URL of DTM's HTTP API")
	flags.DurationVar(&cfg.RetryInterval, "retry-interval", 0, "after what time DTM looks again at what it could not finish, in whole seconds (default 5s)")
	for _, name := range serve.Participants() {
		addrs[name] = flags.String(name+"-addr", "", "host:port, several separated by commas, or a gRPC target such as dns:///"+name+":7402, of "+name+"'s internal address, for "+callersOf(name)+" (default: this process, if it serves "+name+")")
		targets[name] = flags.String(name+"-target", "", "host:port at which DTM reaches "+name+" (default: as --"+name+"-addr)")
	}
	registerRocketMQ(flags, &cfg.RocketMQ)
	flags.DurationVar(&cfg.RelayLease, "relay-lease", 0, "after what time a message is published by another process if the one that was at it has died; it must exceed what a batch of messages takes (default 30s)")
	house.register(flags)
	flags.StringVar(&keysFile, "keys-file", "", "file with the signing keys, a line ID:KEY each")
	flags.BoolVar(&cfg.Insecure, "insecure", false, "serve the network although nothing is signed and nobody shows a certificate")
	flags.DurationVar(&cfg.DrainDelay, "drain-delay", 0, "how long calls are still taken at the end while health checks say already that they are not, for balancers to learn of it")
	flags.DurationVar(&cfg.DrainTimeout, "drain-timeout", 20*time.Second, "how long calls under way are waited for at the end")
	flags.StringVar(&cfg.OTLPEndpoint, "otlp-endpoint", "", "URL of a collector that takes traces by OTLP over gRPC, such as http://127.0.0.1:4317")
	flags.BoolVar(&stopWithStdin, "stop-with-stdin", false, "end when stdin ends, as it does when the parent process has died")
	_ = flags.MarkHidden("stop-with-stdin") // it exists
	logs.register(flags)
	return cmd
}

// callersOf names the services that call a participant.
func callersOf(participant string) string {
	if participant == "order" {
		return "order and dispatch"
	}
	return "order"
}

// registerRocketMQ registers where messages go.
func registerRocketMQ(flags *pflag.FlagSet, cfg *serve.RocketMQ) {
	flags.StringSliceVar(&cfg.NameServers, "rocketmq", nil, "host:port of RocketMQ's name servers (default: messages stay within this process)")
	flags.StringVar(&cfg.AccessKey, "rocketmq-access-key", "", "access key of a RocketMQ that asks for one")
	flags.StringVar(&cfg.SecretKey, "rocketmq-secret-key", "", "its secret key; better in the environment, for a command line shows it to everybody")
	flags.StringVar(&cfg.Prefix, "rocketmq-prefix", "", "what the names of topics and consumer groups begin with, for shops that share a RocketMQ")
	flags.BoolVar(&cfg.HalfMessages, "half-messages", false, "announce orders by half messages in place of the outbox")
}

// serviceArguments wants names of services.
func serviceArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("name the services: any of %s", strings.Join(serve.Names(), ", "))
	}
	for _, name := range args {
		if serve.Migrations(name) == nil {
			return usagef("unknown service %q: want any of %s", name, strings.Join(serve.Names(), ", "))
		}
	}
	return nil
}

// untilStdinEnds returns a context that ends when ctx or stdin does. The reader ends with the process.
func untilStdinEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}
