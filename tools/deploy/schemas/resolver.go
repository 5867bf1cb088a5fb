package main

import (
	"slices"
	"strings"
)

// resolver turns schemas as Kubernetes writes them into whole and strict ones.
type resolver struct{ definitions map[string]map[string]any }

const refPrefix = "#/definitions/"

// strict returns the schema without references, and refusing unknown fields. within are the definitions that it is part
// of, by which one that contains itself is noticed.
func (r resolver) strict(schema map[string]any, within []string) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, refPrefix)
		if slices.Contains(within, name) {
			return map[string]any{}
		}
		return r.strict(r.definitions[name], append(slices.Clone(within), name))
	}
	if isIntOrString(schema) {
		return map[string]any{"type": []any{"integer", "string"}}
	}
	if strings.HasSuffix(last(within), ".resource.Quantity") {
		return map[string]any{"type": []any{"string", "number"}}
	}
	strict := make(map[string]any)
	for key, value := range schema {
		switch {
		case key == "properties":
			properties, _ := value.(map[string]any)
			strict[key] = r.each(properties, within)
		case key == "items" || key == "additionalProperties":
			if sub, ok := value.(map[string]any); ok {
				value = r.strict(sub, within)
			}
			strict[key] = value
		case key == "allOf" || key == "anyOf" || key == "oneOf" || key == "not" || strings.HasPrefix(key, "x-") || key == "format":
			// They add rules to fields that are known anyway, or are no JSON schema.
		default:
			strict[key] = value
		}
	}
	_, hasProperties := schema["properties"]
	_, hasOthers := schema["additionalProperties"]
	if keep, _ := schema["x-kubernetes-preserve-unknown-fields"].(bool); hasProperties && !hasOthers && !keep {
		strict["additionalProperties"] = false
	}
	return strict
}

func (r resolver) each(properties map[string]any, within []string) map[string]any {
	strict := make(map[string]any, len(properties))
	for name, value := range properties {
		if sub, ok := value.(map[string]any); ok {
			strict[name] = r.strict(sub, within)
		}
	}
	return strict
}

func isIntOrString(schema map[string]any) bool {
	both, _ := schema["x-kubernetes-int-or-string"].(bool)
	return both || schema["format"] == "int-or-string"
}

func last(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}
