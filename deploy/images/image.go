package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image makes the image of a program for an architecture, as deploy/docker/Dockerfile does.
func image(p program, binary, arch string, r release) (v1.Image, error) {
	content, err := layer(root(p, binary), r.time)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	l, err := tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{
		Layer:   l,
		History: v1.History{Created: v1.Time{Time: r.time.UTC()}, CreatedBy: "deploy/images", Comment: p.name + " on an empty root"},
	})
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: r.time.UTC()}
	config.Config = v1.Config{
		User: owner, Entrypoint: []string{"/" + p.name}, Env: p.env, WorkingDir: "/", Labels: p.labels(r),
		ExposedPorts: make(map[string]struct{}),
	}
	for _, port := range p.ports {
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(img, config)
}

// A platformImage is an image for an architecture of Linux.
type platformImage struct {
	arch  string
	image v1.Image
}

func (p platformImage) platform() *v1.Platform {
	return &v1.Platform{OS: "linux", Architecture: p.arch}
}

// index is what a name stands for whose image there is for several architectures.
func index(images []platformImage) v1.ImageIndex {
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, one := range images {
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: one.image, Descriptor: v1.Descriptor{Platform: one.platform()}})
	}
	return idx
}

// compressedSize is what has to be fetched: the manifest counts for nothing.
func compressedSize(img v1.Image) (int64, error) {
	layers, err := img.Layers()
	if err != nil {
		return 0, err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return 0, err
	}
	size := int64(len(config))
	for _, l := range layers {
		n, err := l.Size() // compressed, also if the archive has it uncompressed
		if err != nil {
			return 0, fmt.Errorf("layer: %w", err)
		}
		size += n
	}
	return size, nil
}
