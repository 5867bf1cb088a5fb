package compose_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echo stands for dtm-server where only its line for the console's user is wanted.
const echo = "echo"

func TestEveryServiceIsHardened(t *testing.T) {
	project := loadProject(t, t.TempDir(), echo)
	for name, s := range project.Services {
		assert.True(t, s.ReadOnly, "%s: a writable root", name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, "%s: capabilities", name)
		assert.Equal(t, []string{"no-new-privileges:true"}, s.SecurityOpt, "%s: security_opt", name)
		assert.False(t, s.Privileged, "%s: privileged", name)
		assert.Positive(t, int64(s.MemLimit), "%s: no memory limit", name)
		assert.Positive(t, s.PidsLimit, "%s: no limit of processes", name)
		assert.NotNil(t, s.StopGracePeriod, "%s: how long it may take to stop", name)
		assert.Empty(t, s.Build, "%s: it is built", name)
		assert.Regexp(t, `^[^@]+:[^:@]*\d+\.\d+\.\d+$`, s.Image, "%s: its image is not pinned to a version", name)
		for _, port := range s.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP, "%s: port %s is published beyond loopback", name, port.Published)
		}
		if name == "rocketmq-volume" { // gives the volume to the broker's user
			assert.Equal(t, []string{"CHOWN"}, s.CapAdd, name)
			assert.True(t, isOneShot(s))
		} else {
			assert.Regexp(t, `^[1-9]\d*:\d+$`, s.User, "%s: a user that is root, or a name", name)
			assert.Empty(t, s.CapAdd, name)
		}
		if isOneShot(s) {
			assert.Nil(t, s.HealthCheck, "%s runs once", name)
		} else {
			assert.Equal(t, types.RestartPolicyUnlessStopped, s.Restart, "%s: restart", name)
			assert.NotNil(t, s.HealthCheck, "%s: no health check", name)
		}
	}
	assert.True(t, project.Networks["inner"].Internal)
	for _, name := range []string{"mysql", "redis", "rocketmq", "rocketmq-names", "account", "stock"} {
		assert.Equal(t, []string{"inner"}, slices.Collect(maps.Keys(project.Services[name].Networks)), "%s: networks", name)
	}
}

func TestServicesWaitForWhatTheyNeed(t *testing.T) {
	project := loadProject(t, t.TempDir(), echo)
	for name, s := range project.Services {
		for on, how := range s.DependsOn {
			want := types.ServiceConditionHealthy
			if isOneShot(project.Services[on]) {
				want = types.ServiceConditionCompletedSuccessfully
			}
			assert.Equal(t, want, how.Condition, "%s waits for %s", name, on)
		}
		if len(s.Command) > 0 && s.Command[0] == "serve" {
			assert.Contains(t, s.DependsOn, "migrate", name)
		}
	}
	for _, name := range []string{"order", "account", "stock", "cart", "dispatch", "express", "bank"} {
		require.Contains(t, project.Services, name)
	}
}

func TestNoSecretIsInTheFile(t *testing.T) {
	dir := t.TempDir()
	project := loadProject(t, dir, echo)
	text, err := os.ReadFile("../compose.yaml")
	require.NoError(t, err)
	for i, line := range strings.Split(string(text), "\n") {
		if literal := regexp.MustCompile(`(?i)(password|secret|key)\w*:\s*["']?[A-Za-z0-9]`).FindString(line); literal != "" {
			t.Errorf("compose.yaml:%d: %s: is this a secret?", i+1, line)
		}
		assert.NotRegexp(t, `://[^@/]*:[^$@/][^@/]*@`, line, "compose.yaml:%d: a password in a URL", i+1)
	}
	for name, s := range project.Services {
		for _, argument := range slices.Concat(s.Command, s.Entrypoint) {
			for _, password := range project.Environment {
				if len(password) >= 32 && !strings.Contains(password, "/") {
					assert.NotContains(t, argument, password, "%s: a command line is visible to everybody", name)
				}
			}
		}
	}
	info, err := os.Stat(filepath.Join(dir, "compose", "secrets"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "only the owner may enter the folder of the secrets")
	info, err = os.Stat(filepath.Join(dir, ".env"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestEverySecretAndConfigIsUsedAndThere(t *testing.T) {
	project := loadProject(t, t.TempDir(), echo)
	used := make(map[string]bool)
	for _, s := range project.Services {
		for _, one := range s.Secrets {
			used["secret "+one.Source] = true
		}
		for _, one := range s.Configs {
			used["config "+one.Source] = true
		}
	}
	for name, one := range project.Secrets {
		assert.FileExists(t, one.File, name)
		assert.True(t, used["secret "+name], "secret %s is not used", name)
	}
	for name, one := range project.Configs {
		assert.FileExists(t, one.File, name)
		assert.True(t, used["config "+name], "config %s is not used", name)
	}
}

func TestInitKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	first := loadProject(t, dir, echo)
	again := loadProject(t, dir, echo)
	assert.Equal(t, first.Environment["ORDER_PASSWORD"], again.Environment["ORDER_PASSWORD"])
	other := loadProject(t, t.TempDir(), echo)
	assert.NotEqual(t, first.Environment["ORDER_PASSWORD"], other.Environment["ORDER_PASSWORD"])
}
