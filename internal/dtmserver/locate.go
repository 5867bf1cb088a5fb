package dtmserver

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	// EnvBinary names the environment variable with the path of the dtm-server to run.
	EnvBinary = "TCCKIT_DTM_SERVER"
	// EnvStockBinary is EnvBinary for the stock build.
	EnvStockBinary = "TCCKIT_DTM_SERVER_STOCK"

	binaryName      = "dtm-server"
	stockBinaryName = "dtm-server-stock"
)

// Locate returns the path of the dtm-server to run: explicit if it is not empty, else what EnvBinary names,
// else a dtm-server beside the running program, else the nearest bin/dtm-server in the working directory or
// above. A path that is given but does not exist is an error, not a reason to look further.
func Locate(explicit string) (string, error) { return locate(explicit, EnvBinary, binaryName) }

// LocateStock is Locate for the stock build, dtm-server-stock, and EnvStockBinary.
func LocateStock(explicit string) (string, error) {
	return locate(explicit, EnvStockBinary, stockBinaryName)
}

func locate(explicit, env, name string) (string, error) {
	if explicit != "" {
		return given(explicit, "the path given for "+name)
	}
	if path := os.Getenv(env); path != "" {
		return given(path, env)
	}
	if self, err := os.Executable(); err == nil {
		if path := filepath.Join(filepath.Dir(self), name); isProgram(path) {
			return path, nil
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("dtmserver: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, "bin", name); isProgram(path) {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("dtmserver: no %s beside this program or in bin/ of %s or above: run `make build`, or set %s to its path", name, wd, env)
		}
	}
}

func given(path, by string) (string, error) {
	if !isProgram(path) {
		return "", fmt.Errorf("dtmserver: %s is no program: %s names it; run `make build`", path, by)
	}
	return filepath.Abs(path)
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
