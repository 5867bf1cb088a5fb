{{/* tcckit.pod: what the specs of all pods begin with. Takes (list $ uid): the user, whose group gets the volumes. */}}
{{- define "tcckit.pod" -}}
{{- $root := index . 0 -}}{{- $uid := index . 1 -}}
{{- with $root.Values.serviceAccount.name }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $uid }}
  runAsGroup: {{ $uid }}
  fsGroup: {{ $uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* tcckit.container: the security context of every container. */}}
{{- define "tcckit.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* tcckit.scheduling: where pods go. Takes (list $ component settings). */}}
{{- define "tcckit.scheduling" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $set := index . 2 -}}
{{- with $set.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: {{ .maxSkew | int }}
    topologyKey: {{ .topologyKey }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "tcckit.selector" (list $root $component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with $set.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $set.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $set.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $set.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* tcckit.replicas: how many pods. Takes (list $ settings). */}}
{{- define "tcckit.replicas" -}}
{{- $replicas := (index . 1).replicas -}}
{{- if kindIs "invalid" $replicas -}}
{{- ternary 1 2 (index . 0).Values.dev.enabled -}}
{{- else -}}
{{- $replicas | int -}}
{{- end -}}
{{- end -}}

{{/* tcckit.secretChecksum: changes when a Secret that the chart does not make changes, so that an upgrade restarts who reads
it from the environment. Takes (list $ names). */}}
{{- define "tcckit.secretChecksum" -}}
{{- $root := index . 0 -}}{{- $data := list -}}
{{- range index . 1 -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace . -}}
{{- if $secret }}{{ $data = append $data $secret.data }}{{ end -}}
{{- end -}}
{{- toJson $data | sha256sum -}}
{{- end -}}
