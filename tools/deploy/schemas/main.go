// Command schemas writes the JSON schemas with which kubeconform checks manifests: of Kubernetes' own objects, from the
// OpenAPI document in its module, and of the custom resources that the chart makes, from the modules of those who define
// them. Each schema is whole, and refuses fields that it does not know.
//
//	schemas DIR
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// kubernetes are the releases whose schemas are made: that of Kubernetes' own module.
func kubernetes() []string { return []string{"v1.34.4", "v1.36.3"} }

// definitions are modules with definitions of custom resources, and the files of those that the chart makes.
func definitions() map[string][]string {
	return map[string][]string{
		"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
		"github.com/cert-manager/cert-manager@v1.21.2": {
			"deploy/crds/cert-manager.io_certificates.yaml",
			"deploy/crds/cert-manager.io_issuers.yaml",
		},
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemas DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	for _, version := range kubernetes() {
		module, err := download("k8s.io/kubernetes@" + version)
		if err != nil {
			return err
		}
		document, err := os.ReadFile(filepath.Join(module, "api/openapi-spec/swagger.json"))
		if err != nil {
			return err
		}
		if err := writeOpenAPI(document, filepath.Join(dir, version)); err != nil {
			return fmt.Errorf("kubernetes %s: %w", version, err)
		}
	}
	for module, files := range definitions() {
		root, err := download(module)
		if err != nil {
			return err
		}
		for _, file := range files {
			document, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				return err
			}
			if err := writeCustom(document, filepath.Join(dir, "custom")); err != nil {
				return fmt.Errorf("%s in %s: %w", file, module, err)
			}
		}
	}
	return nil
}

// download returns the folder of a module, of which only some files are read.
func download(module string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module) //nolint:noctx // one of the above, as long as it takes
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var result struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(out, &result); err != nil || decodeErr != nil {
		return "", fmt.Errorf("go mod download %s: %w: %s%s", module, err, stderr.Bytes(), result.Error)
	}
	return result.Dir, nil
}

// writeOpenAPI writes a schema for each kind of Kubernetes' OpenAPI document.
func writeOpenAPI(document []byte, dir string) error {
	var api struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(document, &api); err != nil {
		return err
	}
	for name, definition := range api.Definitions {
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 || strings.HasSuffix(name, "List") {
			continue // what is no object of its own, as DeleteOptions, has many
		}
		kind, _ := kinds[0].(map[string]any)
		r := resolver{definitions: api.Definitions}
		if err := write(dir, text(kind["group"]), text(kind["version"]), text(kind["kind"]), r.strict(definition, nil)); err != nil {
			return err
		}
	}
	return nil
}

// writeCustom writes a schema for each version of a custom resource.
func writeCustom(document []byte, dir string) error {
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(document, &crd); err != nil {
		return err
	}
	for _, v := range crd.Spec.Versions {
		schema := resolver{}.strict(v.Schema.OpenAPIV3Schema, nil)
		if properties, ok := schema["properties"].(map[string]any); ok {
			properties["metadata"] = map[string]any{"type": "object"}
		}
		if err := write(dir, crd.Spec.Group, v.Name, crd.Spec.Names.Kind, schema); err != nil {
			return err
		}
	}
	return nil
}

// write names the file as kubeconform's template {{.ResourceKind}}{{.KindSuffix}} does.
func write(dir, group, version, kind string, schema map[string]any) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	name := strings.ToLower(kind) + "-"
	if group != "" {
		first, _, _ := strings.Cut(group, ".")
		name += first + "-"
	}
	content, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+version+".json"), content, 0o600)
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
