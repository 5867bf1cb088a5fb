package compose_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/childproc"
)

// container runs a service of the compose file as a process from its image's file system, as a container would: as
// the user named, without privileges, on a read-only root that has its secrets and volumes. Of what a container
// engine adds there is /proc, from which a process knows its memory, and neither /dev nor /sys nor /tmp. All share the machine's network, so each has a loopback
// address of its own instead of all interfaces.
type container struct {
	name        string
	service     types.ServiceConfig
	dir         string // the root, as it is mounted
	volume      string // what is at /data, empty if nothing
	addr        string
	env         []string
	entrypoint  []string
	before      map[string]string // what is in dir
	process     *childproc.Process
	logs        string
	stopTimeout time.Duration
}

// image is an unpacked one.
type image struct {
	dir        string
	env        []string
	entrypoint []string
	user       string
	stays      string // a folder that is writable if a volume is there
}

// unpack unpacks an image's archive.
func unpack(t *testing.T, archive, dir string) image {
	t.Helper()
	img, err := tarball.ImageFromPath(archive, nil)
	require.NoError(t, err, "make the images first: make images")
	config, err := img.ConfigFile()
	require.NoError(t, err)
	result := image{dir: dir, env: config.Config.Env, entrypoint: config.Config.Entrypoint, user: config.Config.User}
	for _, e := range config.Config.Env {
		if data, ok := strings.CutPrefix(e, "DATA_DIR="); ok {
			result.stays = data
		}
	}
	stream := mutate.Extract(img)
	defer stream.Close()
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return result
		}
		require.NoError(t, err)
		to := filepath.Join(dir, filepath.Clean("/"+header.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		if header.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(to, 0o755))
		} else {
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(to, content, 0o600))
		}
		require.NoError(t, os.Chmod(to, os.FileMode(header.Mode)&fs.ModePerm))
		require.NoError(t, os.Chown(to, header.Uid, header.Gid))
	}
}

// newContainer prepares the root of a service.
func newContainer(t *testing.T, project *types.Project, name string, img image, work, addr, hosts string) *container {
	t.Helper()
	s := project.Services[name]
	require.Equal(t, img.user, s.User, "%s: the image's user and the service's", name)
	c := &container{
		name: name, service: s, addr: addr, dir: filepath.Join(work, name), logs: filepath.Join(work, name+".log"),
		entrypoint: img.entrypoint, stopTimeout: time.Duration(*s.StopGracePeriod),
	}
	copyRoot(t, img.dir, c.dir)
	c.put(t, "/etc/hosts", []byte(hosts))
	require.NoError(t, os.Mkdir(filepath.Join(c.dir, "proc"), 0o755))
	for _, one := range s.Secrets {
		target := one.Target
		if !strings.HasPrefix(target, "/") {
			target = "/run/secrets/" + target
		}
		content, err := os.ReadFile(project.Secrets[one.Source].File)
		require.NoError(t, err)
		c.put(t, target, content)
	}
	if img.stays != "" {
		c.volume = filepath.Join(work, name+"-data")
		require.NoError(t, os.Mkdir(c.volume, 0o700))
		require.NoError(t, os.Chown(c.volume, imageUser, imageUser))
	}
	c.env = slices.Clone(img.env)
	for key, value := range s.Environment {
		require.NotNil(t, value, "%s: %s has no value", name, key)
		c.env = append(c.env, key+"="+strings.ReplaceAll(*value, "0.0.0.0", addr))
	}
	c.before = c.list(t)
	return c
}

// imageUser is the images'.
const imageUser = 65532

// copyRoot copies an unpacked image, by links where it can.
func copyRoot(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "cp", "-al", from, to).CombinedOutput()
	require.NoError(t, err, string(out))
}

func (c *container) put(t *testing.T, name string, content []byte) {
	t.Helper()
	to := filepath.Join(c.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, content, 0o644))
}

// enter is the script that becomes a container's process: in a mount namespace of its own.
const enter = `mount --bind "$1" "$1"
[ -z "$2" ] || mount --bind "$2" "$1/data"
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
root=$1
shift 2
exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid chroot --userspec=65532:65532 --groups=65532 "$root" "$@"`

// command is a command line that runs args in the container, with nothing else in its environment.
func (c *container) command(args []string) []string {
	return slices.Concat([]string{"unshare", "--mount", "--propagation=private", "sh", "-ec", enter, "sh", c.dir, c.volume}, args)
}

// start starts the service's own command.
func (c *container) start(t *testing.T) {
	t.Helper()
	log, err := os.Create(c.logs)
	require.NoError(t, err)
	args := c.command(slices.Concat(c.entrypoint, c.service.Command))
	path, err := exec.LookPath(args[0])
	require.NoError(t, err)
	c.process, err = childproc.Start(childproc.Config{
		Path: path, Args: args[1:], Output: log, StopTimeout: c.stopTimeout, Env: append([]string{"PATH=" + os.Getenv("PATH")}, c.env...),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = c.process.Kill()
		_ = log.Close()
	})
}

// once runs the service to its end, with more arguments, and returns what it wrote.
func (c *container) once(t *testing.T, more ...string) string {
	t.Helper()
	c.start(t)
	select {
	case <-c.process.Done():
	case <-time.After(bound):
		t.Fatalf("%s has not ended within %s:\n%s", c.name, bound, c.process.Tail())
	}
	require.NoError(t, c.process.Err(), c.name)
	return c.process.Tail()
}

// awaitHealthy runs the service's health check in the container until it succeeds.
func (c *container) awaitHealthy(t *testing.T) {
	t.Helper()
	test := c.service.HealthCheck.Test
	require.Equal(t, "CMD", test[0], "%s: there is no shell", c.name)
	var args []string
	for _, a := range test[1:] {
		args = append(args, strings.ReplaceAll(a, "127.0.0.1", c.addr))
	}
	require.Eventually(t, func() bool {
		select {
		case <-c.process.Done():
			t.Errorf("%s has ended: %v", c.name, c.process.Err())
			return true
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*c.service.HealthCheck.Timeout))
		defer cancel()
		line := c.command(args)
		check := exec.CommandContext(ctx, line[0], line[1:]...)
		check.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.env...)
		return check.Run() == nil
	}, bound, 100*time.Millisecond, "%s does not become healthy", c.name)
	if t.Failed() {
		t.FailNow()
	}
}

// requireUnprivileged reads what the kernel says about the process.
func (c *container) requireUnprivileged(t *testing.T) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.PID()))
	require.NoError(t, err)
	for _, want := range []string{"Uid:\t65532\t65532\t65532\t65532", "Gid:\t65532\t65532\t65532\t65532", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"} {
		require.Contains(t, string(status), want, c.name)
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", c.process.PID()))
	require.NoError(t, err)
	require.Equal(t, c.dir, root, c.name)
}

// requireUntouched compares the root with what it was.
func (c *container) requireUntouched(t *testing.T) {
	t.Helper()
	require.Equal(t, c.before, c.list(t), "%s has written to its root", c.name)
}

func (c *container) list(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(c.dir, path)
		files[name] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		return nil
	}))
	return files
}
