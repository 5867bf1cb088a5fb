// Command images makes the container images of tcckit and dtm-server, with an SBOM of each:
//
//	go run -C deploy ./images -o ../.cache/images
//
// Where a Docker engine answers it builds deploy/docker/Dockerfile; elsewhere it builds the programs with Go (and
// DTM's console with npm) and assembles the same images itself. It says which it did, and checks what came of it:
// files, user, entrypoint, labels and size. The same commit gives the same bytes, if it was not Docker.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	out := flags.String("o", filepath.Join("..", ".cache", "images"), "the folder for the archives, relative to the working directory")
	archs := flags.String("arch", runtime.GOARCH, "architectures, separated by commas: amd64, arm64; Docker builds for its own alone")
	with := flags.String("with", "auto", "docker, go, or auto: docker where an engine answers")
	dockerFlags := flags.String("docker-flags", "", "further flags of docker build, separated by spaces, such as \"--network host\"")
	rootOf := flags.String("root", "", "only build the named program and lay its image's root out in the folder -o: for the Dockerfile")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	top, err := filepath.Abs("..")
	if err == nil {
		_, err = os.Stat(filepath.Join(top, "cmd", "tcckit"))
	}
	if err != nil {
		return fmt.Errorf("start it in the folder deploy: go run -C deploy ./images: %w", err)
	}
	r, err := findRelease(ctx, top)
	if err != nil {
		return err
	}
	m := maker{root: top, out: *out, release: r, archs: strings.Split(*archs, ","), dockerFlags: strings.Fields(*dockerFlags), log: stdout}
	if err := checkArchitectures(m.archs); err != nil {
		return err
	}
	if *rootOf != "" {
		return m.layOut(ctx, *rootOf)
	}
	switch *with {
	case "docker":
		m.docker = true
	case "auto":
		m.docker = hasDocker(ctx)
	case "go":
	default:
		return fmt.Errorf("-with=%s: want docker, go or auto", *with)
	}
	return m.make(ctx)
}

// A maker makes the images of a release.
type maker struct {
	root, out string
	release   release
	archs     []string
	docker    bool
	log       io.Writer

	dockerFlags []string
}

func (m *maker) make(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(m.out, "build"), 0o755); err != nil {
		return err
	}
	if m.docker {
		fmt.Fprintln(m.log, "Docker builds the images by deploy/docker/Dockerfile")
	} else {
		fmt.Fprintf(m.log, "no Docker engine, or none asked for: Go builds the programs for %s, and the images are assembled here\n", strings.Join(m.archs, " and "))
	}
	for _, p := range programs() {
		started := time.Now()
		images, components, err := m.one(ctx, p)
		if err != nil {
			return err
		}
		doc := sbom(p, images[0].digest, m.release, components)
		if err := writeSBOM(filepath.Join(m.out, p.name+".spdx.json"), doc); err != nil {
			return err
		}
		for _, one := range images {
			fmt.Fprintf(m.log, "%s for %s: %s compressed (at most %s), %s\n",
				p.reference(m.release.version), one.arch, megabytes(one.size), megabytes(p.maxCompressed), one.digest)
		}
		fmt.Fprintf(m.log, "  %s and %s.spdx.json with %d components, in %s\n", m.archive(p), p.name, len(components), time.Since(started).Round(100*time.Millisecond))
	}
	return nil
}

func (m *maker) archive(p program) string { return filepath.Join(m.out, p.name+".tar") }

// A made image is one that was checked.
type made struct {
	arch   string
	digest v1.Hash
	size   int64
}

// one makes a program's archive, and tells what is in it.
func (m *maker) one(ctx context.Context, p program) (images []made, components []component, err error) {
	var loaded []platformImage
	var binaries []string
	if m.docker {
		if err := dockerBuild(ctx, m.root, m.archive(p), p, m.release, m.dockerFlags); err != nil {
			return nil, nil, err
		}
		if loaded, binaries, err = m.load(p); err != nil {
			return nil, nil, err
		}
	} else {
		for _, arch := range m.archs {
			binary, err := build(ctx, m.root, filepath.Join(m.out, "build"), p, m.release, arch)
			if err != nil {
				return nil, nil, err
			}
			img, err := image(p, binary, arch, m.release)
			if err != nil {
				return nil, nil, err
			}
			loaded, binaries = append(loaded, platformImage{arch: arch, image: img}), append(binaries, binary)
		}
		if err := writeArchive(m.archive(p), p.reference(m.release.version), loaded, m.release.time); err != nil {
			return nil, nil, err
		}
	}
	for _, one := range loaded {
		result, err := inspect(one, p, m.release)
		if err != nil {
			return nil, nil, err
		}
		images = append(images, result)
	}
	components, err = goComponents(p, m.release, binaries)
	if err == nil && p.name == "dtm-server" {
		var console []component
		console, err = consoleComponents(ctx, m.root)
		components = append(components, console...)
	}
	return images, components, err
}

func inspect(one platformImage, p program, r release) (made, error) {
	if err := check(one.image, p, r); err != nil {
		return made{}, err
	}
	digest, err := one.image.Digest()
	if err != nil {
		return made{}, err
	}
	size, err := compressedSize(one.image)
	return made{arch: one.arch, digest: digest, size: size}, err
}

// load reads the image that Docker saved, and unpacks its program.
func (m *maker) load(p program) ([]platformImage, []string, error) {
	img, err := tarball.ImageFromPath(m.archive(p), nil)
	if err != nil {
		return nil, nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	binary := filepath.Join(m.out, "build", p.name+"-"+config.Architecture)
	if err := extract(img, p.name, binary); err != nil {
		return nil, nil, err
	}
	return []platformImage{{arch: config.Architecture, image: img}}, []string{binary}, nil
}

// layOut builds a program for the first architecture and lays the image's root out.
func (m *maker) layOut(ctx context.Context, name string) error {
	list := programs()
	i := slices.IndexFunc(list, func(p program) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("unknown program %q", name)
	}
	work, err := os.MkdirTemp("", "tcckit-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	binary, err := build(ctx, m.root, work, list[i], m.release, m.archs[0])
	if err != nil {
		return err
	}
	return layOut(root(list[i], binary), m.out)
}
