package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func someRelease() release {
	return release{version: "1.2.3", revision: "0123456789abcdef", time: time.Unix(1_800_000_000, 0)}
}

func someImage(t *testing.T, p program, arch string) platformImage {
	t.Helper()
	binary := filepath.Join(t.TempDir(), p.name)
	require.NoError(t, os.WriteFile(binary, []byte("for "+arch), 0o600))
	img, err := image(p, binary, arch, someRelease())
	require.NoError(t, err)
	return platformImage{arch: arch, image: img}
}

func TestTheSameReleaseGivesTheSameBytes(t *testing.T) {
	for _, p := range programs() {
		var archives [][]byte
		for range 2 {
			to := filepath.Join(t.TempDir(), "image.tar")
			images := []platformImage{someImage(t, p, "amd64"), someImage(t, p, "arm64")}
			require.NoError(t, writeArchive(to, p.reference("1.2.3"), images, someRelease().time))
			content, err := os.ReadFile(to)
			require.NoError(t, err)
			archives = append(archives, content)
		}
		assert.True(t, bytes.Equal(archives[0], archives[1]), "two archives of %s differ", p.name)
	}
}

func TestAnArchiveIsReadByBothFormats(t *testing.T) {
	p := programs()[1]
	to := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, writeArchive(to, p.reference("1.2.3"), []platformImage{someImage(t, p, "amd64"), someImage(t, p, "arm64")}, someRelease().time))

	docker, err := tarball.ImageFromPath(to, nil) // by manifest.json
	require.NoError(t, err)
	require.NoError(t, check(docker, p, someRelease()))

	dir := t.TempDir()
	require.NoError(t, untar(to, dir))
	idx, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	manifest, err := idx.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, "ghcr.io/tcckit/dtm-server:1.2.3", manifest.Manifests[0].Annotations["io.containerd.image.name"])
	both, err := idx.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	inner, err := both.IndexManifest()
	require.NoError(t, err)
	for i, arch := range []string{"amd64", "arm64"} {
		assert.Equal(t, arch, inner.Manifests[i].Platform.Architecture)
		img, err := both.Image(inner.Manifests[i].Digest)
		require.NoError(t, err)
		require.NoError(t, check(img, p, someRelease()))
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	p := programs()[1]
	good := someImage(t, p, "amd64").image
	require.NoError(t, check(good, p, someRelease()))

	change := func(f func(*v1.Config)) v1.Image {
		config, err := good.ConfigFile()
		require.NoError(t, err)
		config = config.DeepCopy()
		f(&config.Config)
		img, err := mutate.ConfigFile(good, config)
		require.NoError(t, err)
		return img
	}
	shell, err := layer([]entry{{name: "bin/", mode: 0o755}, {name: "bin/sh", mode: 0o755, content: []byte("#!")}}, time.Time{})
	require.NoError(t, err)
	more, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(shell)), nil })
	require.NoError(t, err)
	withShell, err := mutate.AppendLayers(good, more)
	require.NoError(t, err)
	small := p
	small.maxCompressed = 100

	for want, err := range map[string]error{
		"the user is root":            check(change(func(c *v1.Config) { c.User = "root" }), p, someRelease()),
		"the entrypoint is [/bin/sh]": check(change(func(c *v1.Config) { c.Entrypoint = []string{"/bin/sh"} }), p, someRelease()),
		"the labels is map[]":         check(change(func(c *v1.Config) { c.Labels = nil }), p, someRelease()),
		"/bin/sh (file 755 of 0)":     check(withShell, p, someRelease()),
		"compressed it takes":         check(good, small, someRelease()),
		"/data/ is , want folder 700": check(someImage(t, programs()[0], "amd64").image, p, someRelease()),
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestAnSBOMIsValidSPDX(t *testing.T) {
	p := programs()[0]
	self, err := os.Executable()
	require.NoError(t, err)
	components, err := goComponents(p, someRelease(), []string{self, self})
	require.NoError(t, err)
	digest, err := someImage(t, p, "amd64").image.Digest()
	require.NoError(t, err)
	to := filepath.Join(t.TempDir(), "tcckit.spdx.json")
	require.NoError(t, writeSBOM(to, sbom(p, digest, someRelease(), components)))

	f, err := os.Open(to)
	require.NoError(t, err)
	defer f.Close()
	doc, err := spdxjson.Read(f)
	require.NoError(t, err)
	require.NoError(t, spdxlib.ValidateDocument(doc))
	assert.Equal(t, "SPDX-2.3", doc.SPDXVersion)
	var purls []string
	for _, one := range doc.Packages {
		purls = append(purls, one.PackageExternalReferences[0].Locator)
	}
	assert.Contains(t, purls, "pkg:oci/tcckit@"+digest.String()+"?repository_url=ghcr.io/tcckit/tcckit")
	assert.Contains(t, purls, "pkg:golang/github.com/google/go-containerregistry@v0.22.1")
	assert.Len(t, doc.Relationships, len(doc.Packages), "each package has its relationship")
}

func TestTheVersionIsTheCharts(t *testing.T) {
	version, err := chartVersion("../helm/tcckit/Chart.yaml")
	require.NoError(t, err)
	assert.Regexp(t, `^\d+\.\d+\.\d+$`, version)
}

func TestTheRootIsLaidOutAsInTheLayer(t *testing.T) {
	p := programs()[1]
	dir := filepath.Join(t.TempDir(), "root")
	if os.Getuid() != 0 {
		p.data = "" // it is not ours to give away
	}
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, layOut(root(p, self), dir))
	for _, e := range root(p, self) {
		info, err := os.Stat(filepath.Join(dir, e.name))
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(e.mode), info.Mode().Perm(), e.name)
	}
	certificates, err := os.ReadFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"))
	require.NoError(t, err)
	assert.Greater(t, bytes.Count(certificates, []byte("BEGIN CERTIFICATE")), 100)
}
