package manifest

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"

	"sigs.k8s.io/yaml"
)

// Render runs helm template, and returns what it renders as text.
func Render(ctx context.Context, helm, release, namespace, chart string, args ...string) ([]byte, error) {
	args = append([]string{"template", release, chart, "--namespace", namespace, "--kube-version", "v1.34.0"}, args...)
	cmd := exec.CommandContext(ctx, helm, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("helm %q: %w: %s", args, err, stderr.Bytes())
	}
	return out, nil
}

// Parse reads the documents of a YAML file.
func Parse(text []byte) ([]Object, error) {
	var objects []Object
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
		var o Object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, document)
		}
		if o.Kind != "" {
			objects = append(objects, o)
		}
	}
	return objects, nil
}
