{{/* tcckit.tls: "true" if TLS is on. */}}
{{- define "tcckit.tls" -}}
{{- if ne .Values.tls.mode "off" }}true{{ end -}}
{{- end -}}

{{/* tcckit.components: who has a certificate, as JSON in `names`. ops is for helm test and for people. */}}
{{- define "tcckit.components" -}}
{{- $names := (include "tcckit.services" . | fromJson).names -}}
{{- if .Values.dtm.enabled }}{{ $names = append $names "dtm" }}{{ end -}}
{{- dict "names" (append $names "ops") | toJson -}}
{{- end -}}

{{/* tcckit.tlsSecret: the Secret with a component's certificate. Takes (list $ component). */}}
{{- define "tcckit.tlsSecret" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
{{- $name := printf "%s-%s-tls" (include "tcckit.fullname" $root) $component -}}
{{- if eq $root.Values.tls.mode "existing" -}}
{{- index $root.Values.tls.existingSecrets $component | default $name -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/* tcckit.dnsNames: the names of a component's certificate, as JSON in `names`: its identity first, then the names of
its Services. Takes (list $ component). */}}
{{- define "tcckit.dnsNames" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
{{- $names := list $component "localhost" -}}
{{- if hasPrefix "bank-" $component }}{{ $names = append $names "bank" }}{{ end -}}
{{- if ne $component "ops" -}}
{{- $service := printf "%s-%s" (include "tcckit.fullname" $root) $component -}}
{{- $services := ternary (list $service (printf "%s-console" (include "tcckit.fullname" $root))) (list $service (printf "%s-internal" $service)) (eq $component "dtm") -}}
{{- range $services -}}
{{- $inNamespace := printf "%s.%s" . $root.Release.Namespace -}}
{{- $names = concat $names (list . $inNamespace (printf "%s.svc" $inNamespace) (printf "%s.svc.%s" $inNamespace $root.Values.tls.clusterDomain)) -}}
{{- end -}}
{{- end -}}
{{- dict "names" (concat $names $root.Values.tls.extraDNSNames) | toJson -}}
{{- end -}}

{{/* tcckit.tlsVolume and Mount: a component's certificate in /etc/tcckit/tls. */}}
{{- define "tcckit.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "tcckit.tlsSecret" . }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      - {key: ca.crt, path: ca.crt}
{{- end -}}
{{- define "tcckit.tlsMount" -}}
- name: tls
  mountPath: /etc/tcckit/tls
  readOnly: true
{{- end -}}

{{/* tcckit.tlsEnv: the same for tcckit's flags. */}}
{{- define "tcckit.tlsEnv" -}}
- name: TCCKIT_TLS_CERT
  value: /etc/tcckit/tls/tls.crt
- name: TCCKIT_TLS_KEY
  value: /etc/tcckit/tls/tls.key
- name: TCCKIT_TLS_CA
  value: /etc/tcckit/tls/ca.crt
{{- end -}}
