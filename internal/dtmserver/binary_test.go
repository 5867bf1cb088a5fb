package dtmserver_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
)

// command runs the binary by hand, with its settings alone in the environment.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(bounded(t), ours().path(t), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "DATA_DIR=" + tempDir(t)}, env...)
	return cmd
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args       []string
		exit       int
		out, error string
	}{
		{[]string{"-version"}, 0, "dtm-server v1.19.0+tcckit", ""},
		{[]string{"--version"}, 0, "dtm-server v1.19.0+tcckit", ""},
		{[]string{"version"}, 0, "dtm-server v1.19.0+tcckit", ""},
		{[]string{"--help"}, 0, "Usage:", ""},
		{[]string{"help"}, 0, "Usage:", ""},
		{[]string{"-r"}, 2, "", "flag provided but not defined"}, // DTM's own: drop all data
		{[]string{"serv"}, 2, "", `unknown command "serv"`},
		{[]string{"-c", "nothing.yml"}, 2, "", "nothing.yml"},
		{[]string{"migrate"}, 1, "", "nothing to migrate"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			cmd := command(t, nil, test.args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			_ = cmd.Run()
			require.Equal(t, test.exit, cmd.ProcessState.ExitCode(), "%s%s", &stdout, &stderr)
			require.Contains(t, stdout.String(), test.out)
			if test.error == "" {
				require.Empty(t, stderr.String(), "nothing about a log level that is not set")
			} else {
				require.Contains(t, stderr.String(), test.error)
			}
		})
	}
}

func TestDiesWithStdin(t *testing.T) {
	t.Parallel()
	server := start(t, ours(), dtmserver.Bolt()) // takes the ports that the next one uses
	require.NoError(t, server.Stop(bounded(t)))
	_, httpPort, _ := strings.Cut(strings.TrimPrefix(server.HTTPURL(), "http://"), ":")
	_, grpcPort, _ := strings.Cut(server.GRPCAddr(), ":")
	cmd := command(t, []string{"DTM_DIE_WITH_STDIN=1", "HTTP_PORT=" + httpPort, "GRPC_PORT=" + grpcPort})
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 200)
	n, err := stderr.Read(line) // it serves
	require.NoError(t, err)
	require.Contains(t, string(line[:n]), "serving http 127.0.0.1:"+httpPort)
	require.NoError(t, stdin.Close())
	rest, err := io.ReadAll(stderr)
	require.NoError(t, err)
	require.Contains(t, string(rest), "the parent process is gone")
	require.ErrorContains(t, cmd.Wait(), "exit status 1")
}

// The console is in the build or it is not; either way nothing comes from another host.
func TestConsole(t *testing.T) {
	t.Parallel()
	server := start(t, ours(), dtmserver.Bolt())
	page, response := fetch(t, server.HTTPURL()+"/")
	require.Contains(t, response.Header.Get("Content-Security-Policy"), "default-src 'self'")
	if response.StatusCode == http.StatusNotFound {
		require.Contains(t, page, "The console is not in this build")
		require.Contains(t, page, "-console=on")
		return
	}
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.NotContains(t, page, "PUBLIC-PATH-VARIABLE")
	sources := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, sources)
	kinds := map[string]string{".js": "javascript", ".css": "text/css", ".ico": "image/"}
	for _, source := range sources {
		require.NotContains(t, source[1], "//", "a link to another host")
		content, response := fetch(t, server.HTTPURL()+"/"+strings.TrimPrefix(source[1], "/"))
		require.Equal(t, http.StatusOK, response.StatusCode, source[1])
		require.NotEmpty(t, content)
		require.Contains(t, response.Header.Get("Content-Type"), kinds[source[1][strings.LastIndexByte(source[1], '.'):]])
	}
	deep, response := fetch(t, server.HTTPURL()+"/admin/global-transactions/all")
	require.Equal(t, http.StatusOK, response.StatusCode, "its routes are paths")
	require.Equal(t, page, deep)
	_, response = fetch(t, server.HTTPURL()+"/assets/nothing.js")
	require.Equal(t, http.StatusNotFound, response.StatusCode)
}

// A web page that someone on this machine visits can reach loopback, too.
func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	server := start(t, ours(), dtmserver.Bolt())
	i, p := newInitiator(t, server), newParticipant(t)
	gid := i.prepare(p)
	post := func(name, value string) int {
		request, err := http.NewRequestWithContext(bounded(t), http.MethodPost, server.HTTPURL()+"/api/dtmsvr/forceStop",
			strings.NewReader(`{"gid":"`+gid+`"}`))
		require.NoError(t, err)
		request.Header.Set(name, value)
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusForbidden, post("Sec-Fetch-Site", "cross-site"))
	require.Equal(t, http.StatusForbidden, post("Origin", "http://example.com"))
	require.Equal(t, "prepared", i.status(gid))
	require.Equal(t, http.StatusOK, post("Origin", server.HTTPURL()), "the console's own")
	require.Equal(t, "failed", i.status(gid))
}

func fetch(t *testing.T, url string) (string, *http.Response) {
	t.Helper()
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body), response
}

// The password is in the environment; no level of logging may write it.
func TestPasswordIsNotLogged(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	const secret = "hunter2-hunter2"
	_, err := tryStart(t, ours(), func(c *dtmserver.Config) {
		c.Dir = dir
		c.Env = slices.Concat(c.Env, []string{"LOG_LEVEL=info", "STORE_PASSWORD=" + secret})
	})
	require.NoError(t, err)
	log, err := os.ReadFile(dir + "/dtm-server.log")
	require.NoError(t, err)
	require.Contains(t, string(log), "loaded config", "it logs its configuration")
	require.NotContains(t, string(log), secret)
}
