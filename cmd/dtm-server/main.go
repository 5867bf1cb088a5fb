// Command dtm-server is the DTM coordinator, with its console, for tcckit: DTM v1.19.0 in a process of its
// own (it cannot share one with DTM's client: both register the same protobuf file), listening on loopback
// unless told otherwise. See README.md for its settings.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	_ "github.com/tcckit/tcckit/cmd/dtm-server/early"
	"github.com/tcckit/tcckit/cmd/dtm-server/htpasswd"
)

// version is set by the build.
var version = "unknown"

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "dtm-server:", err)
		if errors.As(err, new(usageError)) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// A usageError is a command line, or settings, that make no sense: starting again does not help.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text + " (dtm-server -help lists what there is)" }

func run(args []string, stdout io.Writer) error {
	command := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet("dtm-server", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors are returned
	flags.Usage = func() {}
	config := flags.String("c", "", "")
	showVersion := flags.Bool("version", false, "")
	flags.BoolVar(showVersion, "v", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		command = "help"
	case err != nil:
		return usageError{err.Error()}
	case command == "password" && flags.NArg() == 1:
		return printPassword(flags.Arg(0), os.Stdin, stdout)
	case command == "password":
		return usageError{"password: want a user name"}
	case flags.NArg() > 0:
		return usageError{fmt.Sprintf("unexpected argument %q", flags.Arg(0))}
	case *showVersion:
		command = "version"
	}
	switch command {
	case "help":
		_, err := io.WriteString(stdout, usage)
		return err
	case "version":
		_, err := fmt.Fprintln(stdout, "dtm-server", version)
		return err
	case "health":
		return askHealth(context.Background(), os.Getenv("PROBE_ADDR"), stdout)
	case "serve", "migrate":
	default:
		return usageError{fmt.Sprintf("unknown command %q", command)}
	}
	settings, err := loadSettings(*config)
	if err != nil {
		return usageError{err.Error()}
	}
	if command == "migrate" {
		return migrateStore(context.Background(), settings, stdout)
	}
	return serve(settings)
}

// printPassword is the password command: a line for CONSOLE_PASSWORD_FILE.
func printPassword(user string, stdin io.Reader, stdout io.Writer) error {
	password, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the password from standard input: %w", err)
	}
	line, err := htpasswd.Line(user, strings.TrimRight(password, "\r\n"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, line)
	return err
}

const usage = `dtm-server runs the DTM coordinator.

Usage:
  dtm-server [-c FILE]           serve until SIGTERM
  dtm-server migrate [-c FILE]   create the tables of the MySQL store that are missing
  dtm-server health              ask the server at PROBE_ADDR whether it is ready, for containers without other programs
  dtm-server password USER       print a line for CONSOLE_PASSWORD_FILE; reads the password from standard input
  dtm-server -version
  dtm-server -help

-c FILE is a DTM configuration file (YAML); what it says wins over the environment.

Environment (defaults in brackets):
  HTTP_HOST [127.0.0.1]  HTTP_PORT [36789]   HTTP API, metrics and console
  GRPC_HOST [127.0.0.1]  GRPC_PORT [36790]   gRPC API
      Without TLS whoever reaches a port can end any transaction.

  TLS_CERT, TLS_KEY, TLS_CA   PEM files, all three or none: both APIs demand a client certificate of the CA, and
      calls to participants go by TLS. They are read again when they change.
  TLS_CLIENTS            names (DNS or URI, comma-separated) in the certificates of who may call the APIs;
      default: whoever has a certificate of the CA
  PARTICIPANT_TLS [on with TLS_CERT]   off: calls to participants stay plaintext

  CONSOLE_ADDR           host:port of a listener for the console alone, behind a password, by TLS with TLS_CERT
  CONSOLE_PASSWORD_FILE  its users: lines as from htpasswd -nB USER; read again when it changes
  CONSOLE_PLAINTEXT [off]  on: no TLS there, because what is in front of it ends TLS
  ADMIN_BASE_PATH        path prefix of the console behind a proxy, such as /dtm
  PROBE_ADDR             host:port of a plaintext listener for GET /healthz, /readyz and /metrics
  SHUTDOWN_DELAY [0s]    on SIGTERM /readyz fails at once, but calls are taken for so long

  STORE_DRIVER [boltdb]  boltdb, redis or mysql (DTM's postgres and sqlserver are passed through, untested)
  STORE_HOST, STORE_PORT, STORE_USER, STORE_PASSWORD, STORE_DB [dtm]
  STORE_WAIT [30s]       how long to wait for the store at start
  STORE_MIGRATE [on]     off: do not create missing MySQL tables at start
  FINISHED_RETENTION [168h]   how long a MySQL store keeps transactions that have ended: 24h or longer; 0: for ever
  FINISHED_INTERVAL [1h]      how often what is older is deleted there
  DATA_DIR [.]           where boltdb keeps its file, dtm.bolt
  LOG_LEVEL [warn]       debug, info, warn or error; info writes about 6 KB per order
  UPDATE_BRANCH_SYNC [1] leave it: DTM's asynchronous update deadlocks on a SQL store
  CRON_LOOPS [4]         how many transactions are recovered at the same time, at most
  TRANS_CRON_INTERVAL [3], RETRY_INTERVAL [10], TIMEOUT_TO_FAIL [35], REQUEST_TIMEOUT [3]   seconds
  DTM_DIE_WITH_STDIN     1: end when stdin is closed, as it is when the parent process has died
`
