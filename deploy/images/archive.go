package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeArchive writes images of one name as a file that `docker load` and `ctr images import` take: an OCI image
// layout with an index of all architectures, and Docker's own manifest.json, which names the first.
func writeArchive(to, reference string, images []platformImage, at time.Time) (err error) {
	dir, err := os.MkdirTemp("", "tcckit-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	named := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": reference,
	})
	if len(images) == 1 {
		err = path.AppendImage(images[0].image, named, layout.WithPlatform(*images[0].platform()))
	} else {
		err = path.AppendIndex(index(images), named)
	}
	if err != nil {
		return err
	}
	if err := writeDockerManifest(filepath.Join(dir, "manifest.json"), reference, images[0].image); err != nil {
		return err
	}
	return tarFolder(to, dir, at)
}

// writeDockerManifest writes what `docker load` reads.
func writeDockerManifest(to, reference string, img v1.Image) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	entry := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: blob(manifest.Config.Digest), RepoTags: []string{reference}}
	for _, l := range manifest.Layers {
		entry.Layers = append(entry.Layers, blob(l.Digest))
	}
	content, err := json.Marshal([]any{entry})
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// tarFolder writes a folder's files, by name, with nothing of the machine's about them.
func tarFolder(to, dir string, at time.Time) (err error) {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, ModTime: at, Typeflag: tar.TypeReg}
		if d.IsDir() {
			header.Name, header.Mode, header.Typeflag = header.Name+"/", 0o755, tar.TypeDir
			return w.WriteHeader(header)
		}
		return addFile(w, header, path)
	})
	if err := errors.Join(err, w.Close(), out.Close()); err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	return nil
}

func addFile(w *tar.Writer, header *tar.Header, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		header.Size = info.Size()
		err = w.WriteHeader(header)
	}
	if err == nil {
		_, err = io.Copy(w, f)
	}
	return errors.Join(err, f.Close())
}
