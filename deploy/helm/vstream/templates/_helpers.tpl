{{/* Labels of everything. */}}
{{- define "vstream.labels" -}}
{{ include "vstream.selector" . }}
app.kubernetes.io/part-of: vstream
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.image.tag | default .Chart.AppVersion }}
app.kubernetes.io/version: {{ . | replace "+" "_" | trunc 63 | trimAll "-_." | quote }}
{{- end }}
{{- end }}

{{/* Labels of the pods that serve, by which they are selected. They never change. */}}
{{- define "vstream.selector" -}}
app.kubernetes.io/name: {{ .Values.name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of the pod of helm test. */}}
{{- define "vstream.testSelector" -}}
app.kubernetes.io/name: {{ .Values.name }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "vstream.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "vstream.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (ternary .Values.name "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* "true" where somebody has to authenticate. */}}
{{- define "vstream.guarded" -}}
{{- if or .Values.auth.tokensSecret .Values.auth.oidcIssuer .Values.tls.clientCAConfigMap }}true{{ end }}
{{- end }}

{{/* "true" where helm test has a pod, which is where it can pass. */}}
{{- define "vstream.tested" -}}
{{- $token := and .Values.test.tokenSecret (or .Values.auth.tokensSecret .Values.auth.oidcIssuer) }}
{{- $in := or $token (not (include "vstream.guarded" .)) }}
{{- if and .Values.test.enabled $in (or .Values.test.caConfigMap (not .Values.tls.existingSecret)) }}true{{ end }}
{{- end }}

{{/* A size as Kubernetes or vstream write it, in bytes; 0 if it is written otherwise. */}}
{{- define "vstream.bytes" -}}
{{- if kindIs "string" . }}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" . }}
{{- $unit := trimPrefix $number . | trim | trimSuffix "B" }}
{{- $factors := dict "" 1 "k" 1000 "K" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "P" 1000000000000000
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 }}
{{- mulf ($number | default 0) (get $factors $unit | default 0) | int64 }}
{{- else }}{{ int64 . }}
{{- end }}
{{- end }}

{{/* GOMEMLIMIT: 90 % of the limit of memory, unless it is given. */}}
{{- define "vstream.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources }}
{{- if or .Values.goMemLimit (not $limit) }}{{ .Values.goMemLimit | default "" }}
{{- else }}{{ div (mul 9 (include "vstream.bytes" $limit | int64)) 10485760 }}MiB
{{- end }}
{{- end }}

{{/* The vCenters as a JSON list, with where each one's secret is and where it is mounted. */}}
{{- define "vstream.vcenters" -}}
{{- $all := list }}
{{- if .Values.vcenters }}
{{- range $i, $v := .Values.vcenters }}
{{- $own := printf "%s-%s-credentials" $.Values.name $v.name }}
{{- $all = append $all (merge (dict "volume" (printf "vcenter-%d" $i) "path" (printf "/var/bindings/%s" $v.name) "secret" ($v.existingSecret | default $own)) $v) }}
{{- end }}
{{- else }}
{{- $secret := .Values.vcenter.existingSecret | default (ternary "vsphere-credentials" (printf "%s-credentials" .Values.name) (empty .Values.vcenter.username)) }}
{{- $all = append $all (merge (dict "volume" "vsphere-credentials" "path" "/var/bindings/vsphere" "secret" $secret) .Values.vcenter) }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{/* The configuration file, or nothing where the environment says all. */}}
{{- define "vstream.config" -}}
{{- $config := deepCopy (.Values.config | default dict) }}
{{- if .Values.vcenters }}
{{- $list := list }}
{{- range include "vstream.vcenters" . | fromJsonArray }}
{{- $entry := dict "name" .name "url" .url "secretPath" .path }}
{{- if .insecure }}{{ $_ := set $entry "insecure" true }}{{ end }}
{{- with .thumbprint }}{{ $_ := set $entry "thumbprint" . }}{{ end }}
{{- if .caConfigMap }}{{ $_ := set $entry "caFile" (printf "/etc/vstream/%s/ca.crt" .volume) }}{{ end }}
{{- with .begin }}{{ $_ := set $entry "begin" . }}{{ end }}
{{- with .typePrefix }}{{ $_ := set $entry "typePrefix" . }}{{ end }}
{{- $list = append $list $entry }}
{{- end }}
{{- $_ := set $config "vcenters" $list }}
{{- end }}
{{- if $config }}{{ toYaml $config }}{{ end }}
{{- end }}

{{/* The environment of the container, without extraEnv, as a YAML list. No secret is in it: they are files. */}}
{{- define "vstream.env" -}}
{{- $env := list }}
{{- if include "vstream.config" . }}
{{- $env = append $env (list "VSTREAM_CONFIG" "/etc/vstream/config/vstream.yaml") }}
{{- end }}
{{- if not .Values.vcenters }}
{{- with .Values.vcenter }}
{{- $env = append $env (list "VCENTER_URL" .url) }}
{{- $env = append $env (list "VCENTER_NAME" .name) }}
{{- $env = append $env (list "VCENTER_SECRET_PATH" "/var/bindings/vsphere") }}
{{- $env = append $env (list "VCENTER_INSECURE" (ternary "" "true" (empty .insecure))) }}
{{- $env = append $env (list "VCENTER_THUMBPRINT" .thumbprint) }}
{{- $env = append $env (list "VCENTER_CA_FILE" (ternary "" "/etc/vstream/vsphere-credentials/ca.crt" (empty .caConfigMap))) }}
{{- $env = append $env (list "VCENTER_STREAM_BEGIN" .begin) }}
{{- $env = append $env (list "CLOUDEVENT_TYPE_PREFIX" .typePrefix) }}
{{- end }}
{{- end }}
{{- if eq .Values.mode "durable" }}
{{- $env = append $env (list "LOG_DIR" "/var/lib/vstream") }}
{{- end }}
{{- if eq .Values.mode "cluster" }}
{{- with .Values.nats }}
{{- $env = append $env (list "NATS_URL" .url) }}
{{- $env = append $env (list "NATS_CREDENTIALS_FILE" (ternary "" "/etc/vstream/nats/nats.creds" (empty .credentialsSecret))) }}
{{- $env = append $env (list "NATS_CA_FILE" (ternary "" "/etc/vstream/nats-ca/ca.crt" (empty .caConfigMap))) }}
{{- $env = append $env (list "LOG_REPLICAS" (ternary (.logReplicas | int64 | toString) "" (gt (int64 .logReplicas) 0))) }}
{{- end }}
{{- end }}
{{- with .Values.log }}
{{- $env = append $env (list "LOG_RETENTION" .retention) }}
{{- $env = append $env (list "LOG_MAX_BYTES" .maxBytes) }}
{{- range $variable, $key := dict "LOG_MAX_SEGMENT_SIZE" "segmentSize" "LOG_MAX_RECORD_SIZE_BYTES" "maxRecordSizeBytes" "INDEX_MAX_EVENTS" "indexMaxEvents" }}
{{- $n := index $.Values.log $key | int64 }}
{{- $env = append $env (list $variable (ternary (toString $n) "" (gt $n 0))) }}
{{- end }}
{{- end }}
{{- with .Values.auth }}
{{- $env = append $env (list "AUTH_TOKENS_FILE" (ternary "" "/etc/vstream/tokens/tokens" (empty .tokensSecret))) }}
{{- $env = append $env (list "OIDC_ISSUER" .oidcIssuer) }}
{{- $env = append $env (list "OIDC_AUDIENCE" .oidcAudience) }}
{{- end }}
{{- with .Values.tls }}
{{- if .existingSecret }}
{{- $env = append $env (list "TLS_CERT_FILE" "/etc/vstream/tls/tls.crt") }}
{{- $env = append $env (list "TLS_KEY_FILE" "/etc/vstream/tls/tls.key") }}
{{- end }}
{{- $env = append $env (list "TLS_CLIENT_CA_FILE" (ternary "" "/etc/vstream/client-ca/ca.crt" (empty .clientCAConfigMap))) }}
{{- end }}
{{- $env = append $env (list "CORS_ORIGINS" .Values.corsOrigins) }}
{{- with .Values.limits }}
{{- $env = append $env (list "WATCH_MAX" (.watchMax | int64 | toString)) }}
{{- $env = append $env (list "WATCH_MAX_PER_CLIENT" (.watchMaxPerClient | int64 | toString)) }}
{{- $env = append $env (list "REQUEST_RATE_PER_CLIENT" (.requestRatePerClient | default 0 | toString)) }}
{{- end }}
{{- $env = append $env (list "WATCH_MAX_AGE" .Values.watchMaxAge) }}
{{- $env = append $env (list "DEBUG" (ternary "" "true" (empty .Values.debug))) }}
{{- $env = append $env (list "GOMEMLIMIT" (include "vstream.goMemLimit" .)) }}
{{- $given := list }}
{{- range $env }}
{{- if index . 1 }}{{ $given = append $given (dict "name" (index . 0) "value" (index . 1)) }}{{ end }}
{{- end }}
{{- toYaml $given }}
{{- end }}

{{/* What is mounted from elsewhere, as a JSON list: a secret or a ConfigMap each, and its path. */}}
{{- define "vstream.mounts" -}}
{{- $all := list }}
{{- range include "vstream.vcenters" . | fromJsonArray }}
{{- $all = append $all (dict "name" .volume "secret" .secret "path" .path) }}
{{- if .caConfigMap }}
{{- $all = append $all (dict "name" (printf "%s-ca" .volume) "configMap" .caConfigMap "path" (printf "/etc/vstream/%s" .volume)) }}
{{- end }}
{{- end }}
{{- if include "vstream.config" . }}
{{- $all = append $all (dict "name" "config" "configMap" (printf "%s-config" .Values.name) "path" "/etc/vstream/config") }}
{{- end }}
{{- if eq .Values.mode "cluster" }}
{{- with .Values.nats.credentialsSecret }}
{{- $all = append $all (dict "name" "nats" "secret" . "path" "/etc/vstream/nats") }}
{{- end }}
{{- with .Values.nats.caConfigMap }}
{{- $all = append $all (dict "name" "nats-ca" "configMap" . "path" "/etc/vstream/nats-ca") }}
{{- end }}
{{- end }}
{{- with .Values.auth.tokensSecret }}
{{- $all = append $all (dict "name" "tokens" "secret" . "path" "/etc/vstream/tokens") }}
{{- end }}
{{- with .Values.tls.existingSecret }}
{{- $all = append $all (dict "name" "tls" "secret" . "path" "/etc/vstream/tls") }}
{{- end }}
{{- with .Values.tls.clientCAConfigMap }}
{{- $all = append $all (dict "name" "client-ca" "configMap" . "path" "/etc/vstream/client-ca") }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{/* The ports in the addresses that vstream calls, each once, as a JSON list. */}}
{{- define "vstream.egressPorts" -}}
{{- $urls := list }}
{{- range include "vstream.vcenters" . | fromJsonArray }}{{ $urls = append $urls .url }}{{ end }}
{{- if eq .Values.mode "cluster" }}
{{- range splitList "," (.Values.nats.url | default "") }}{{ $urls = append $urls (trim .) }}{{ end }}
{{- end }}
{{- with .Values.auth.oidcIssuer }}{{ $urls = append $urls . }}{{ end }}
{{- $usual := dict "https" "443" "http" "80" "nats" "4222" "tls" "4222" "ws" "80" "wss" "443" }}
{{- $ports := list }}
{{- range $urls }}
{{- $url := urlParse . }}
{{- $ports = append $ports (regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (index $usual $url.scheme) | int) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{/* The pod template of the Deployment and of the StatefulSet. */}}
{{- define "vstream.pod" -}}
{{- $scheme := ternary "HTTP" "HTTPS" (empty .Values.tls.existingSecret) -}}
metadata:
  labels:
    {{- include "vstream.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    {{- with include "vstream.config" . }}
    # The configuration file is read at the start, secrets whenever they change.
    checksum/config: {{ sha256sum . }}
    {{- end }}
    kubectl.kubernetes.io/default-container: vstream
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "vstream.serviceAccount" . | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: vstream
      image: {{ include "vstream.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      {{- if and (eq .Values.mode "cluster") (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}
      # Proxies go on sending new connections here for some seconds after the pod is to go.
      lifecycle:
        preStop:
          sleep: {seconds: 5}
      {{- end }}
      env:
        {{- include "vstream.env" . | nindent 8 }}
        {{- with .Values.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - name: http
          containerPort: 8080
      # The probes ask about vstream, not about vCenter: a vCenter that is down changes none of
      # them, and what the log holds stays readable.
      startupProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: http, scheme: {{ $scheme }}}
        periodSeconds: 5
        timeoutSeconds: 2
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext: {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        {{- range include "vstream.mounts" . | fromJsonArray }}
        - name: {{ .name }}
          mountPath: {{ .path }}
          readOnly: true
        {{- end }}
        {{- if eq .Values.mode "durable" }}
        - name: log
          mountPath: /var/lib/vstream
        {{- end }}
        {{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    {{- range include "vstream.mounts" . | fromJsonArray }}
    - name: {{ .name }}
      {{- if .secret }}
      secret:
        secretName: {{ .secret | quote }}
        defaultMode: 0440
      {{- else }}
      configMap:
        name: {{ .configMap | quote }}
      {{- end }}
    {{- end }}
    {{- if and (eq .Values.mode "durable") .Values.persistence.existingClaim }}
    - name: log
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim | quote }}
    {{- end }}
    {{- with .Values.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if gt (int .Values.replicas) 1 }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "vstream.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
{{- end }}
