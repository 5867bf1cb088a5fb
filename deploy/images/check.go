package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// check returns what an image is not as it should be, whoever made it.
func check(img v1.Image, p program, r release) error {
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	got := config.Config
	var errs []error
	same := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			errs = append(errs, fmt.Errorf("%s is %v, want %v", what, got, want))
		}
	}
	same("the user", got.User, owner)
	same("the entrypoint", got.Entrypoint, []string{"/" + p.name})
	same("the command", got.Cmd, []string(nil))
	same("the working directory", path.Clean("/"+got.WorkingDir), "/")
	// Docker says where programs would be, if there were any.
	same("the environment", slices.DeleteFunc(slices.Clone(got.Env), func(e string) bool { return strings.HasPrefix(e, "PATH=") }), p.env)
	same("the ports", slices.Sorted(maps.Keys(got.ExposedPorts)), p.ports)
	same("the labels", got.Labels, p.labels(r))
	files, err := list(img)
	if err != nil {
		return err
	}
	for _, e := range root(p, "") {
		want := describe(e.name, e.mode, e.owner)
		same("/"+e.name, files[path.Clean(e.name)], want)
		delete(files, path.Clean(e.name))
	}
	for name, what := range files {
		errs = append(errs, fmt.Errorf("/%s (%s) is not expected", name, what))
	}
	size, err := compressedSize(img)
	if err != nil {
		return err
	}
	if size > p.maxCompressed {
		errs = append(errs, fmt.Errorf("compressed it takes %s, want at most %s", megabytes(size), megabytes(p.maxCompressed)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("image %s: %w", p.name, err)
	}
	return nil
}

// list returns what is in an image's file system, by name.
func list(img v1.Image) (_ map[string]string, err error) {
	stream := mutate.Extract(img)
	defer func() { err = errors.Join(err, stream.Close()) }()
	files := make(map[string]string)
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean(header.Name)
		if name == "." {
			continue
		}
		if header.Typeflag == tar.TypeDir {
			header.Name = name + "/"
		} else if header.Typeflag != tar.TypeReg {
			header.Name += fmt.Sprintf(" of type %c", header.Typeflag)
		}
		files[name] = describe(header.Name, header.Mode&0o7777, header.Uid)
	}
}

func describe(name string, mode int64, owner int) string {
	kind := "file"
	if strings.HasSuffix(name, "/") {
		kind = "folder"
	}
	return fmt.Sprintf("%s %o of %d", kind, mode, owner)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// extract writes one file of an image to another file.
func extract(img v1.Image, name, to string) (err error) {
	stream := mutate.Extract(img)
	defer func() { err = errors.Join(err, stream.Close()) }()
	for r := tar.NewReader(stream); ; {
		header, err := r.Next()
		if err != nil {
			return fmt.Errorf("/%s in the image: %w", name, err)
		}
		if path.Clean(header.Name) != name {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o600)
	}
}
