{{/* oauth2-proxy runs beside DTM in its pod: the console then listens on the pod's loopback alone, and the password that
oauth2-proxy gives it for those whom it has let in never leaves the pod. */}}

{{/* tcckit.oauth2Config: what oauth2-proxy cannot be told by flags. Nothing secret is in it. */}}
{{- define "tcckit.oauth2Config" -}}
{{- $oauth2 := .Values.console.oauth2 -}}
server:
  {{- if or .Values.console.plaintext (not (include "tcckit.tls" .)) }}
  BindAddress: 0.0.0.0:4180
  {{- else }}
  SecureBindAddress: 0.0.0.0:4180
  TLS:
    Cert: {fromFile: /etc/tcckit/tls/tls.crt}
    Key: {fromFile: /etc/tcckit/tls/tls.key}
  {{- end }}
upstreamConfig:
  upstreams:
    - id: console
      path: /
      uri: http://127.0.0.1:36791
injectRequestHeaders:
  - name: Authorization
    values:
      - fromFile: /etc/tcckit/authorization/authorization
providers:
  - id: console
    provider: oidc
    clientID: {{ $oauth2.clientID | quote }}
    clientSecretFile: /etc/tcckit/oauth2-secret/client-secret
    {{- with $oauth2.allowedGroups }}
    allowedGroups: {{ toJson . }}
    {{- end }}
    oidcConfig:
      issuerURL: {{ $oauth2.issuerURL | quote }}
      emailClaim: email
      groupsClaim: groups
      audienceClaims: [aud]
{{- end -}}

{{- define "tcckit.oauth2Container" -}}
{{- $oauth2 := .Values.console.oauth2 -}}
- name: oauth2-proxy
  image: {{ $oauth2.image }}
  imagePullPolicy: IfNotPresent
  args:
    - --alpha-config=/etc/tcckit/oauth2/oauth2-proxy.yaml
    - --redirect-url={{ $oauth2.redirectURL }}
    {{- range $oauth2.emailDomains }}
    - --email-domain={{ . }}
    {{- end }}
    - --cookie-secure=true
    - --cookie-samesite=lax
    - --reverse-proxy=true
    - --skip-provider-button=true
  env:
    - name: OAUTH2_PROXY_COOKIE_SECRET
      valueFrom:
        secretKeyRef: {name: {{ $oauth2.existingSecret }}, key: cookie-secret}
  ports:
    - {name: oauth2, containerPort: 4180}
  readinessProbe:
    tcpSocket: {port: oauth2}
    periodSeconds: 5
  livenessProbe:
    tcpSocket: {port: oauth2}
    periodSeconds: 20
    failureThreshold: 6
  {{- include "tcckit.containerSecurity" . | nindent 2 }}
  resources:
    {{- toYaml $oauth2.resources | nindent 4 }}
  volumeMounts:
    - {name: oauth2, mountPath: /etc/tcckit/oauth2, readOnly: true}
    - {name: oauth2-secret, mountPath: /etc/tcckit/oauth2-secret, readOnly: true}
    - {name: authorization, mountPath: /etc/tcckit/authorization, readOnly: true}
    {{- if include "tcckit.tls" . }}
    {{- include "tcckit.tlsMount" . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "tcckit.oauth2Volumes" -}}
- name: oauth2
  configMap:
    name: {{ include "tcckit.fullname" . }}-oauth2
- name: oauth2-secret
  secret:
    secretName: {{ .Values.console.oauth2.existingSecret }}
    defaultMode: 0440
    items:
      - {key: client-secret, path: client-secret}
- name: authorization
  secret:
    secretName: {{ include "tcckit.consoleSecret" . }}
    defaultMode: 0440
    items:
      - {key: authorization, path: authorization}
{{- end -}}
