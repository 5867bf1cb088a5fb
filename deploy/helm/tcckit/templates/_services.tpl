{{/* tcckit.service: the settings of a service as YAML, its own over the defaults. Takes (list $ name). */}}
{{- define "tcckit.service" -}}
{{- $root := index . 0 -}}
{{- mergeOverwrite (deepCopy $root.Values.serviceDefaults) (deepCopy (index $root.Values.services (index . 1))) | toYaml -}}
{{- end -}}

{{/* tcckit.services: the names of the enabled services, in order, as JSON in `names`. */}}
{{- define "tcckit.services" -}}
{{- $names := list -}}
{{- range $name, $set := .Values.services -}}
{{- if $set.enabled }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- dict "names" ($names | sortAlpha) | toJson -}}
{{- end -}}

{{/* tcckit.has: "true" if a service is enabled. Takes (list $ name). */}}
{{- define "tcckit.has" -}}
{{- if has (index . 1) (include "tcckit.services" (index . 0) | fromJson).names }}true{{ end -}}
{{- end -}}

{{/* tcckit.internal: the name of a service's headless Service, for the coordinator, the other services and administration. */}}
{{- define "tcckit.internal" -}}
{{- printf "%s-%s-internal" (include "tcckit.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* tcckit.internalAddress: host:port of a service's pods. The name has no cluster domain, and ends in svc so that it also
resolves in other namespaces: the coordinator stores it with the transaction. */}}
{{- define "tcckit.internalAddress" -}}
{{- printf "%s.%s.svc:7402" (include "tcckit.internal" .) (index . 0).Release.Namespace -}}
{{- end -}}

{{/* tcckit.dtmHost: the coordinator's name within the cluster. */}}
{{- define "tcckit.dtmHost" -}}
{{- printf "%s-dtm.%s.svc" (include "tcckit.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* tcckit.databaseSecret and Key: where a service's DSN is. Take (list $ name settings). */}}
{{- define "tcckit.databaseSecret" -}}
{{- $root := index . 0 -}}{{- $name := index . 1 -}}{{- $db := (index . 2).database -}}
{{- if $root.Values.dev.enabled -}}
{{- include "tcckit.fullname" $root }}-databases
{{- else -}}
{{- $given := $db.existingSecret | default $root.Values.databases.existingSecret -}}
{{- required (printf "%s has no database: give databases.existingSecret, a Secret whose key %s is mysql://user:password@host:3306/database (or services.%s.database.existingSecret); dev.enabled=true installs a MySQL for development" $name $name $name) $given -}}
{{- end -}}
{{- end -}}
{{- define "tcckit.databaseKey" -}}
{{- if (index . 0).Values.dev.enabled }}{{ index . 1 }}{{ else }}{{ (index . 2).database.key | default (index . 1) }}{{ end -}}
{{- end -}}

{{/* tcckit.databaseVariable: the environment variable of a service's DSN. */}}
{{- define "tcckit.databaseVariable" -}}
TCCKIT_{{ . | upper | replace "-" "_" }}_DB
{{- end -}}

{{/* tcckit.signingSecret: where the signing keys are. */}}
{{- define "tcckit.signingSecret" -}}
{{- .Values.signing.existingSecret | default (printf "%s-signing" (include "tcckit.fullname" .)) -}}
{{- end -}}

{{/* tcckit.nameServers: RocketMQ's, separated by commas; empty if there is none. */}}
{{- define "tcckit.nameServers" -}}
{{- if .Values.dev.enabled -}}
{{- include "tcckit.fullname" . }}-rocketmq:9876
{{- else -}}
{{- join "," .Values.messages.rocketmq.nameServers -}}
{{- end -}}
{{- end -}}

{{/* tcckit.migrations: hook, init or off. */}}
{{- define "tcckit.migrations" -}}
{{- .Values.migrations.mode | default (ternary "init" "hook" .Values.dev.enabled) -}}
{{- end -}}

{{/* tcckit.waitForMySQL: an init container that waits for the development MySQL, so that nobody crashes before it is there. */}}
{{- define "tcckit.waitForMySQL" -}}
- name: wait-for-mysql
  image: {{ .Values.dev.mysql.image }}
  imagePullPolicy: IfNotPresent
  command: [sh, -c, 'until mysqladmin ping --host="$MYSQL_HOST" --connect-timeout=2 --silent; do sleep 1; done']
  env:
    - name: MYSQL_HOST
      value: {{ include "tcckit.fullname" . }}-mysql
  {{- include "tcckit.containerSecurity" . | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {cpu: 500m, memory: 128Mi}
{{- end -}}
