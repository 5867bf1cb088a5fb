package localserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tcckit/tcckit/internal/childproc"
)

// javaServer is one program of RocketMQ.
type javaServer struct {
	name     string // for errors
	main     string // the class
	heap     []string
	logback  string // the file that says what is logged
	dir      string
	programs string
	// check returns nil when the server answers and is this one.
	check func(ctx context.Context) error

	port    int
	process *childproc.Process // the last that was started; nil before
	running bool
}

// logbackConfig has warnings and errors written to standard output, where they are kept for Log, instead
// of dozens of files.
const logbackConfig = `<configuration>
  <appender name="out" class="org.apache.rocketmq.logging.ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %level %logger{0} %msg%n%ex</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="out"/></root>
</configuration>
`

func (j *javaServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(j.port)) }

func (j *javaServer) conf() string { return filepath.Join(j.dir, j.name+".conf") }

// startFirst starts the server for the first time, on a port of its own choice: with another when the port
// was taken meanwhile. conf says what its configuration is, once the port is known.
func (j *javaServer) startFirst(ctx context.Context, port func() (int, error), conf func() map[string]string) (err error) {
	for try := 1; ; try++ {
		if j.port, err = port(); err != nil {
			return fmt.Errorf("localserver: %s: %w", j.name, err)
		}
		if err := writeProperties(j.conf(), conf()); err != nil {
			return fmt.Errorf("localserver: %s: %w", j.name, err)
		}
		if err = j.start(ctx); err == nil || try == portTries || !inUse(j.log()) {
			return err
		}
	}
}

// start starts the server and returns when it answers.
func (j *javaServer) start(ctx context.Context) error {
	if j.running {
		return fmt.Errorf("localserver: %s on port %d runs already", j.name, j.port)
	}
	args := append([]string{
		"-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError",
		"--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
		"-Dtls.server.mode=disabled", // or each start generates an RSA key, which takes a second
		"-Duser.home=" + j.dir, "-Djava.io.tmpdir=" + j.dir, "-Drocketmq.home.dir=" + j.dir,
		"-Drmq.logback.configurationFile=" + j.logback,
		"-cp", filepath.Join(j.programs, "lib", "*"),
	}, j.heap...)
	p, err := childproc.Start(childproc.Config{
		Path: filepath.Join(j.programs, "bin", "java"), Args: append(args, j.main, "-c", j.conf()), Dir: j.dir,
	})
	if err != nil {
		return fmt.Errorf("localserver: %s: %w", j.name, err)
	}
	j.process, j.running = p, true
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := awaitAnswer(ctx, p, j.check); err != nil {
		return errors.Join(fmt.Errorf("localserver: %s did not start: %w; its log ends\n%s", j.name, err, j.log()), j.kill())
	}
	return nil
}

func (j *javaServer) kill() error {
	j.running = false
	if j.process == nil {
		return nil
	}
	return j.process.Kill()
}

func (j *javaServer) log() string {
	if j.process == nil {
		return ""
	}
	return j.process.Tail()
}

// writeProperties writes a file as java.util.Properties reads it. The values are numbers, names and paths.
func writeProperties(path string, properties map[string]string) error {
	var b strings.Builder
	for k, v := range properties {
		fmt.Fprintf(&b, "%s=%s\n", k, strings.ReplaceAll(v, `\`, `\\`))
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}
