package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// units are the files here, and the name under which systemd is asked about each.
func units() map[string]string {
	return map[string]string{"tcckit@.service": "tcckit@order.service", "dtm-server.service": "dtm-server.service"}
}

// systemd itself says whether it understands the units, and how exposed they are on a scale to 10.
func TestSystemdAcceptsTheUnits(t *testing.T) {
	if testing.Short() {
		t.Skip("needs systemd-analyze, which -short leaves out")
	}
	root := t.TempDir()
	folder := filepath.Join(root, "etc/systemd/system")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	for file, name := range units() {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		// It wants the programs to be there.
		text = []byte(strings.NewReplacer("/usr/local/bin/tcckit", "/bin/true", "/usr/local/bin/dtm-server", "/bin/true").Replace(string(text)))
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), text, 0o600))
		unit := filepath.Join(folder, name)
		if name != file {
			require.NoError(t, os.WriteFile(unit, text, 0o600))
		}

		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", unit).CombinedOutput()
		require.NoError(t, err, "systemd-analyze (of Debian's package systemd): %s", out)
		assert.Empty(t, string(out), name)
		out, err = exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--root="+root, "--threshold=15", "--no-pager", name).CombinedOutput()
		assert.NoError(t, err, "%s is exposed more than 1.5:\n%s", name, out)
	}
}

// A variable that nobody reads would be passed over in silence.
func TestEveryVariableOfTheExamplesIsASetting(t *testing.T) {
	flags, err := exec.CommandContext(t.Context(), "go", "run", "-C", "../..", "./cmd/tcckit", "serve", "--help").CombinedOutput()
	require.NoError(t, err, string(flags))
	dtm, err := os.ReadFile("../../cmd/dtm-server/main.go") // has its help text
	require.NoError(t, err)
	examples, err := filepath.Glob("*.env.example")
	require.NoError(t, err)
	files := examples
	for unit := range units() {
		files = append(files, unit)
	}
	assignment := regexp.MustCompile(`(?m)^#?(?:Environment=)?([A-Z][A-Z_]+)=`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range assignment.FindAllStringSubmatch(string(text), -1) {
			name := m[1]
			switch flag, ours := strings.CutPrefix(name, "TCCKIT_"); {
			case name == "SERVICES": // the unit's own
			case ours:
				assert.Contains(t, string(flags), "--"+strings.ToLower(strings.ReplaceAll(flag, "_", "-"))+" ", "%s: %s", file, name)
			default:
				assert.Regexp(t, `\b`+name+`\b`, string(dtm), "%s: %s", file, name)
			}
		}
	}
}

// What a service is started with must not be seen by everybody, and what it may do is the same for both.
func TestUnitsAreAlike(t *testing.T) {
	var hardening []string
	for file := range units() {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotRegexp(t, `Exec\w+=.*(?i:password|secret|://)`, string(text), file)
		_, rest, found := strings.Cut(string(text), "IPAddressDeny=any")
		require.True(t, found, file)
		rest, _, _ = strings.Cut(rest, "MemoryMax=")
		hardening = append(hardening, regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(rest, ""))
	}
	assert.Equal(t, hardening[0], hardening[1])
}
