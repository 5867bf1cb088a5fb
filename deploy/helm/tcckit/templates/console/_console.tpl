{{/* tcckit.consoleSecret: where the console's password is. */}}
{{- define "tcckit.consoleSecret" -}}
{{- .Values.console.existingSecret | default (printf "%s-console" (include "tcckit.fullname" .)) -}}
{{- end -}}

{{/* tcckit.consolePlaintext: "true" if DTM serves the console without TLS. */}}
{{- define "tcckit.consolePlaintext" -}}
{{- if or .Values.console.plaintext .Values.console.oauth2.enabled (not (include "tcckit.tls" .)) }}true{{ end -}}
{{- end -}}

{{/* tcckit.consolePort: the port of the pod that the console's Service leads to. */}}
{{- define "tcckit.consolePort" -}}
{{- ternary 4180 36791 .Values.console.oauth2.enabled -}}
{{- end -}}
