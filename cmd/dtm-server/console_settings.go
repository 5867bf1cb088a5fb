package main

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// consoleSettings say where the console is served on a listener of its own, behind a password.
type consoleSettings struct {
	addr         string // host:port; empty: no such listener
	passwordFile string
	plaintext    bool
}

func loadConsole(tlsOn bool) (consoleSettings, error) {
	s := consoleSettings{addr: os.Getenv("CONSOLE_ADDR")}
	var err error
	if s.passwordFile, err = envPath("CONSOLE_PASSWORD_FILE"); err != nil {
		return s, err
	}
	if s.plaintext, err = envSwitch("CONSOLE_PLAINTEXT", false); err != nil {
		return s, err
	}
	if s.addr == "" {
		if s.passwordFile != "" {
			return s, errors.New("CONSOLE_PASSWORD_FILE is given, but CONSOLE_ADDR is not: where shall the console listen?")
		}
		return s, nil
	}
	if err := checkAddr("CONSOLE_ADDR", s.addr); err != nil {
		return s, err
	}
	if s.passwordFile == "" {
		return s, errors.New("CONSOLE_ADDR: the console is not served without a password: give CONSOLE_PASSWORD_FILE, a file of lines such as `htpasswd -nB USER` prints")
	}
	if !tlsOn && !s.plaintext && !isLoopback(s.addr) {
		return s, fmt.Errorf("CONSOLE_ADDR=%s: its password would pass in the clear: give TLS_CERT, TLS_KEY and TLS_CA, or set CONSOLE_PLAINTEXT=on if something in front of it ends TLS", s.addr)
	}
	return s, nil
}

func isLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkAddr(name, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%s=%s: want host:port: %w", name, addr, err)
	}
	return nil
}
