{{/* tcckit.peers: pods of this release by component. Takes (list $ components). */}}
{{- define "tcckit.peers" -}}
{{- $root := index . 0 -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ include "tcckit.name" $root }}
      app.kubernetes.io/instance: {{ $root.Release.Name }}
    matchExpressions:
      - key: app.kubernetes.io/component
        operator: In
        values: {{ index . 1 | toJson }}
{{- end -}}
