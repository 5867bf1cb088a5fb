{{/* tcckit.dtmGRPC and dtmHTTP: where the coordinator is. */}}
{{- define "tcckit.dtmGRPC" -}}
{{- if .Values.dtm.enabled -}}
{{- include "tcckit.dtmHost" . }}:36790
{{- else -}}
{{- required "dtm.external.grpc is missing: with dtm.enabled=false say at which host:port your DTM has its gRPC API" .Values.dtm.external.grpc -}}
{{- end -}}
{{- end -}}
{{- define "tcckit.dtmHTTP" -}}
{{- if .Values.dtm.enabled -}}
{{- ternary "https" "http" (eq (include "tcckit.tls" .) "true") }}://{{ include "tcckit.dtmHost" . }}:36789
{{- else -}}
{{- required "dtm.external.http is missing: with dtm.enabled=false say at which URL your DTM has its HTTP API" .Values.dtm.external.http -}}
{{- end -}}
{{- end -}}

{{/* tcckit.dtmStoreEnv: the coordinator's store. Takes (list $ user secret key). */}}
{{- define "tcckit.dtmStoreEnv" -}}
{{- $root := index . 0 -}}{{- $store := $root.Values.dtm.store -}}{{- $dev := $root.Values.dev.enabled -}}
- name: STORE_DRIVER
  value: {{ $store.driver }}
- name: STORE_HOST
  value: {{ if $dev }}{{ include "tcckit.fullname" $root }}-{{ $store.driver }}{{ else }}{{ required (printf "dtm.store.host is missing: say where the %s is in which DTM keeps transactions; dev.enabled=true installs one for development" $store.driver) $store.host | quote }}{{ end }}
- name: STORE_PORT
  value: {{ if or $dev (not $store.port) }}{{ ternary "3306" "6379" (eq $store.driver "mysql") | quote }}{{ else }}{{ $store.port | int | toString | quote }}{{ end }}
{{- if eq $store.driver "mysql" }}
- name: STORE_DB
  value: {{ if $dev }}shop_dtm{{ else }}{{ $store.database | quote }}{{ end }}
{{- end }}
{{- with index . 1 }}
- name: STORE_USER
  value: {{ . | quote }}
{{- end }}
{{- with index . 2 }}
- name: STORE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ index $ 3 }}
{{- end }}
{{- end -}}

{{/* tcckit.dtmStore: the same with the user that serves. */}}
{{- define "tcckit.dtmStore" -}}
{{- $store := .Values.dtm.store -}}
{{- if .Values.dev.enabled -}}
{{- include "tcckit.dtmStoreEnv" (list . (ternary "shop" "" (eq $store.driver "mysql")) (printf "%s-dev" (include "tcckit.fullname" .)) (printf "%s-password" $store.driver)) -}}
{{- else -}}
{{- include "tcckit.dtmStoreEnv" (list . $store.user $store.existingSecret $store.passwordKey) -}}
{{- end -}}
{{- end -}}
