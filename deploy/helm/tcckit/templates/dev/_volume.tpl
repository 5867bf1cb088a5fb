{{/* tcckit.devVolume: the volume of a development server. Takes (list $ server). */}}
{{- define "tcckit.devVolume" -}}
- name: data
{{- if (index . 0).Values.dev.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ include "tcckit.fullname" (index . 0) }}-{{ index . 1 }}
{{- else }}
  emptyDir: {}
{{- end }}
- name: tmp
  emptyDir: {}
{{- end -}}

{{/* tcckit.devClaim: the claim for it, which goes with the release. Takes (list $ server size). */}}
{{- define "tcckit.devClaim" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.dev.persistence.enabled }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "tcckit.fullname" $root }}-{{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "tcckit.labels" (list $root (index . 1)) | nindent 4 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $root.Values.dev.persistence.storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ index . 2 }}
{{- end }}
{{- end -}}
