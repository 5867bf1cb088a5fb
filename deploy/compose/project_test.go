package compose_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

// loadProject makes the secrets in dir by init.sh and loads deploy/compose.yaml with them. The program makes the
// console's user.
func loadProject(t *testing.T, dir, dtmServer string) *types.Project {
	t.Helper()
	initialise := exec.CommandContext(t.Context(), "./init.sh", dir)
	initialise.Env = append(initialise.Environ(), "TCCKIT_VERSION=0.0.0", "DTM_SERVER="+dtmServer)
	out, err := initialise.CombinedOutput()
	require.NoError(t, err, string(out))
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"},
		cli.WithProfiles([]string{"*"}),
		cli.WithEnv([]string{"TCCKIT_SECRETS=" + filepath.Join(dir, "compose", "secrets")}),
		cli.WithEnvFiles(filepath.Join(dir, ".env")), cli.WithDotEnv,
	)
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

// isOneShot tells what runs to its end from what serves.
func isOneShot(s types.ServiceConfig) bool { return s.Restart == types.RestartPolicyNo }
