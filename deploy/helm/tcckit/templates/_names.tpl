{{/* tcckit.fullname: what the names of all objects begin with. 36 characters leave room for what follows: a
StatefulSet may have 52, for its pods carry its name and a hash in a label of 63. */}}
{{- define "tcckit.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* tcckit.name: the value of app.kubernetes.io/name. */}}
{{- define "tcckit.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* tcckit.selector: the labels by which a component's pods are found. Takes (list $ component). */}}
{{- define "tcckit.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "tcckit.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* tcckit.labels: the labels of an object. Takes (list $ component). */}}
{{- define "tcckit.labels" -}}
{{- $root := index . 0 -}}
{{ include "tcckit.selector" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* tcckit.podLabels: the labels of a pod; without versions, so that an upgrade restarts only what it changes.
Takes (list $ component labels). */}}
{{- define "tcckit.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "tcckit.selector" (list $root (index . 1)) }}
{{- with merge (dict) (index . 2) $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* tcckit.image: the image's name. Takes (list $ image). */}}
{{- define "tcckit.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- $name := $image.repository -}}
{{- with $image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}
