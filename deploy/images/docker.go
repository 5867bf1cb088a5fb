package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// dockerTimeout bounds the question whether there is an engine.
const dockerTimeout = 10 * time.Second

// hasDocker says whether a Docker engine answers.
func hasDocker(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	_, err := output(ctx, "", nil, "docker", "info", "--format", "{{.ServerVersion}}")
	return err == nil
}

// dockerBuild has Docker build an image for the engine's architecture by deploy/docker/Dockerfile, and saves it.
func dockerBuild(ctx context.Context, root, to string, p program, r release, more []string) error {
	reference := p.reference(r.version)
	args := append([]string{
		"build", "--file", "deploy/docker/Dockerfile", "--target", p.name, "--tag", reference,
		"--build-arg", "VERSION=" + r.version, "--build-arg", "REVISION=" + r.revision, "--build-arg", "CREATED=" + r.created(),
		"--build-arg", "SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.time.Unix(), 10),
	}, more...)
	cmd := exec.CommandContext(ctx, "docker", append(args, ".")...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "DOCKER_BUILDKIT=1")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // minutes, in which it says what it does
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("docker build of %s: %w", p.name, err)
	}
	_, err := output(ctx, root, nil, "docker", "save", "--output", to, reference)
	return err
}
