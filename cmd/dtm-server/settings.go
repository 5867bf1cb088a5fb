package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dtm-labs/dtm/dtmsvr/config"
)

// settings are what this program adds to DTM's own configuration, and that configuration.
type settings struct {
	httpHost, grpcHost string
	dataDir            string
	storeWait          time.Duration
	migrateAtStart     bool
	dieWithStdin       bool
	tls                tlsSettings
	console            consoleSettings
	probeAddr          string // host:port, or empty
	shutdownDelay      time.Duration
	cronLoops          int64
	finished           finishedSettings
	configFile         string // absolute, or empty
	dtm                *config.Type
}

// maxCronLoops keeps a slip of the finger from starting a thousand connections to the store.
const maxCronLoops = 64

// setDefaults puts into the environment, from which DTM reads its configuration, the values on which this
// server differs from DTM's own defaults.
func setDefaults() error {
	for name, value := range map[string]string{
		"STORE_DRIVER":       config.BoltDb,
		"HTTP_PORT":          "36789",
		"GRPC_PORT":          "36790",
		"UPDATE_BRANCH_SYNC": "1",
	} {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadSettings reads the environment and the configuration file, and refuses what DTM would only panic on.
func loadSettings(configFile string) (settings, error) {
	if err := setDefaults(); err != nil {
		return settings{}, err
	}
	s := settings{
		httpHost:       envOr("HTTP_HOST", "127.0.0.1"),
		grpcHost:       envOr("GRPC_HOST", "127.0.0.1"),
		dataDir:        envOr("DATA_DIR", "."),
		migrateAtStart: true,
	}
	var err error
	if s.storeWait, err = envDuration("STORE_WAIT", "30s"); err != nil {
		return s, err
	}
	if err := s.loadListeners(); err != nil {
		return s, err
	}
	if s.migrateAtStart, err = envSwitch("STORE_MIGRATE", true); err != nil {
		return s, err
	}
	if s.dieWithStdin, err = envSwitch("DTM_DIE_WITH_STDIN", false); err != nil {
		return s, err
	}
	if configFile != "" {
		if s.configFile, err = filepath.Abs(configFile); err != nil {
			return s, err
		}
		if _, err := os.Stat(s.configFile); err != nil {
			return s, fmt.Errorf("configuration file: %w", err)
		}
	}
	if s.dtm, err = loadDTMConfig(s.configFile); err != nil {
		return s, err
	}
	return s, s.check()
}

// loadListeners reads what this program adds to DTM's listeners and loops.
func (s *settings) loadListeners() error {
	var err error
	if s.tls, err = loadTLS(); err != nil {
		return err
	}
	if s.console, err = loadConsole(s.tls.on()); err != nil {
		return err
	}
	if s.probeAddr = os.Getenv("PROBE_ADDR"); s.probeAddr != "" {
		if err := checkAddr("PROBE_ADDR", s.probeAddr); err != nil {
			return err
		}
	}
	if s.shutdownDelay, err = envDuration("SHUTDOWN_DELAY", "0s"); err != nil {
		return err
	}
	loops := envOr("CRON_LOOPS", "4")
	if s.cronLoops, err = strconv.ParseInt(loops, 10, 64); err != nil || s.cronLoops < 1 || s.cronLoops > maxCronLoops {
		return fmt.Errorf("CRON_LOOPS=%s: want a number from 1 to %d", loops, maxCronLoops)
	}
	s.finished, err = loadFinished()
	return err
}

// loadDTMConfig has DTM read its configuration, and turns its panics into errors. (Stock DTM ends the process
// instead when its own check refuses something.)
func loadDTMConfig(file string) (_ *config.Type, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("configuration: %v", p)
		}
	}()
	config.MustLoadConfig(file)
	return &config.Config, nil
}

func (s settings) check() error {
	switch driver := s.dtm.Store.Driver; driver {
	case config.BoltDb, config.Redis, config.Mysql, config.Postgres, config.SQLServer:
	default:
		return fmt.Errorf("STORE_DRIVER=%s: want boltdb, redis or mysql", driver)
	}
	for name, port := range map[string]int64{"HTTP_PORT": s.dtm.HTTPPort, "GRPC_PORT": s.dtm.GrpcPort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("%s=%d: not a port", name, port)
		}
	}
	switch strings.ToLower(s.dtm.LogLevel) {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("LOG_LEVEL=%s: want debug, info, warn or error", s.dtm.LogLevel)
	}
	if path := s.dtm.AdminBasePath; path != "" && !isBasePath(path) {
		return fmt.Errorf("ADMIN_BASE_PATH=%s: want a path such as /dtm", path)
	}
	if s.dtm.TransCronInterval < 1 {
		return errors.New("TRANS_CRON_INTERVAL: at least 1 second")
	}
	return nil
}

func isBasePath(path string) bool {
	matched, _ := regexp.MatchString(`^(/[A-Za-z0-9._~-]+)+$`, path)
	return matched
}

func (s settings) httpAddr() string { return hostPort(s.httpHost, s.dtm.HTTPPort) }
func (s settings) grpcAddr() string { return hostPort(s.grpcHost, s.dtm.GrpcPort) }

func hostPort(host string, port int64) string {
	return net.JoinHostPort(host, strconv.FormatInt(port, 10))
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// envPath is absolute, for the process goes to DATA_DIR later, or empty.
func envPath(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", nil
	}
	path, err := filepath.Abs(value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return path, nil
}

func envDuration(name, otherwise string) (time.Duration, error) {
	value := envOr(name, otherwise)
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s=%s: want a duration such as 30s", name, value)
	}
	return d, nil
}

func envSwitch(name string, otherwise bool) (bool, error) {
	switch value := os.Getenv(name); strings.ToLower(value) {
	case "":
		return otherwise, nil
	case "1", "on", "true", "yes":
		return true, nil
	case "0", "off", "false", "no":
		return false, nil
	default:
		return false, fmt.Errorf("%s=%s: want on or off", name, value)
	}
}
