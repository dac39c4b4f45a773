{{/*
Values that contradict one another, each with what to do. What can be said of a value by itself
is in values.schema.json.
*/}}
{{- define "vstream.check" -}}
{{- $v := .Values }}
{{- if not $v.image.repository }}
{{- fail "image.repository is not set; set it to where your image of vstream is, as registry.example.com/team/vstream" }}
{{- end }}
{{- if contains ":" (base $v.image.repository) }}
{{- fail (printf "image.repository is %s, with a tag; put that into image.tag" $v.image.repository) }}
{{- end }}
{{- if not (or $v.image.tag $v.image.digest .Chart.AppVersion) }}
{{- fail "image.tag is not set, and this chart is of no release; set image.tag or image.digest" }}
{{- end }}
{{- if and $v.image.tag $v.image.digest }}
{{- fail "image.tag and image.digest both say which image; set only one of them" }}
{{- end }}

{{- if and $v.vcenters $v.vcenter.url }}
{{- fail "vcenter.url and vcenters both say which vCenters to read; set only one of them" }}
{{- end }}
{{- if not (or $v.vcenters $v.vcenter.url) }}
{{- fail "vcenter.url is not set; set it to the address of your vCenter, as https://vcenter.example.com, or list several in vcenters" }}
{{- end }}
{{- $names := list }}
{{- range $i, $c := $v.vcenters }}
{{- if has $c.name $names }}
{{- fail (printf "vcenters[%d].name: another vCenter is named %s already; give each a name of its own" $i $c.name) }}
{{- end }}
{{- $names = append $names $c.name }}
{{- include "vstream.checkVCenter" (dict "label" (printf "vcenters[%d]" $i) "v" $c) }}
{{- if not (or $c.existingSecret $c.username) }}
{{- fail (printf "vcenters[%d] (%s) has neither existingSecret nor username and password; name a Secret with the keys username and password" $i $c.name) }}
{{- end }}
{{- end }}
{{- if not $v.vcenters }}
{{- include "vstream.checkVCenter" (dict "label" "vcenter" "v" $v.vcenter) }}
{{- end }}

{{- if and (gt (int $v.replicas) 1) (ne $v.mode "cluster") }}
{{- fail (printf "replicas is %d, but in the mode %s the log belongs to one pod; set replicas to 1, or mode to cluster and nats.url" (int $v.replicas) $v.mode) }}
{{- end }}
{{- if and (eq $v.mode "memory") $v.log.retention }}
{{- fail "log.retention is for the modes durable and cluster, but mode is memory; there, log.segmentSize says how many events are kept" }}
{{- end }}
{{- if and (eq $v.mode "durable") (not $v.persistence.size) (not $v.persistence.existingClaim) }}
{{- fail "mode is durable, but there is no volume; set persistence.size or persistence.existingClaim" }}
{{- end }}
{{- if and (eq $v.mode "durable") (not $v.persistence.existingClaim) }}
{{- $vcenters := include "vstream.vcenters" . | fromJsonArray | len }}
{{- $each := $v.log.maxBytes | default "2GiB" }}
{{- if le (include "vstream.bytes" $v.persistence.size | int64) (mul $vcenters (include "vstream.bytes" $each | int64)) }}
{{- fail (printf "persistence.size is %s, but the log of each of %d vCenter(s) may take %s; make the volume larger, or log.maxBytes smaller" $v.persistence.size $vcenters $each) }}
{{- end }}
{{- end }}
{{- if and (eq $v.mode "cluster") (not $v.nats.url) }}
{{- fail "mode is cluster, but nats.url is not set; set it to your NATS servers, as nats://nats.nats.svc:4222" }}
{{- end }}
{{- if contains "@" ($v.nats.url | default "") }}
{{- fail "nats.url holds a user or a password; put credentials into the Secret nats.credentialsSecret" }}
{{- end }}
{{- with $v.nats.url }}
{{- range splitList "," . }}
{{- if not (regexMatch "^ *(nats|tls|wss?)://[^/]+/? *$" .) }}
{{- fail (printf "nats.url: %q is not the address of a NATS server; write it as nats://nats.nats.svc:4222 or tls://…" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne $v.mode "cluster" }}
{{- range $key := list "url" "credentialsSecret" "caConfigMap" "logReplicas" }}
{{- if index $v.nats $key }}
{{- fail (printf "nats.%s is set, but mode is %s; set mode to cluster, or remove it" $key $v.mode) }}
{{- end }}
{{- end }}
{{- end }}

{{- with dig "limits" "memory" "" $v.resources }}
{{- $limit := include "vstream.bytes" . | int64 }}
{{- if not $limit }}
{{- fail (printf "resources.limits.memory: %v is no size that the chart can read; write it as 1280Mi" .) }}
{{- end }}
{{- if ge (include "vstream.bytes" ($v.goMemLimit | default "0") | int64) $limit }}
{{- fail (printf "goMemLimit is %s, but resources.limits.memory is %v; leave goMemLimit out, or make it some 90 %% of that" $v.goMemLimit .) }}
{{- end }}
{{- end }}
{{- range $key := keys ($v.config | default dict) | sortAlpha }}
{{- if has $key (list "vcenters" "log" "auth" "tls" "limits" "watchMaxAge" "debug") }}
{{- fail (printf "config.%s: the chart has values for it; set them in %s" $key $key) }}
{{- end }}
{{- if eq $key "cors" }}
{{- fail "config.cors: the chart has a value for it; set corsOrigins" }}
{{- end }}
{{- if eq $key "port" }}
{{- fail "config.port: the pod's port is 8080; set service.port for that of the Service" }}
{{- end }}
{{- end }}
{{- range $key := keys (include "vstream.selector" . | fromYaml) | sortAlpha }}
{{- if hasKey ($v.podLabels | default dict) $key }}
{{- fail (printf "podLabels.%s: by this label the pods are found, so it cannot be another; remove it" $key) }}
{{- end }}
{{- end }}
{{- $set := list }}
{{- range include "vstream.env" . | fromYamlArray }}{{ $set = append $set .name }}{{ end }}
{{- range $i, $e := $v.extraEnv }}
{{- if has $e.name (concat $set (list "PORT" "LOG_DIR" "NATS_URL" "VSTREAM_CONFIG")) }}
{{- fail (printf "extraEnv[%d]: %s is set by the chart; use the value for it" $i $e.name) }}
{{- end }}
{{- end }}

{{- if and $v.auth.oidcIssuer (not $v.auth.oidcAudience) }}
{{- fail "auth.oidcIssuer is set, but auth.oidcAudience is not; without it, tokens for others would let in" }}
{{- end }}
{{- if and $v.auth.oidcAudience (not $v.auth.oidcIssuer) }}
{{- fail "auth.oidcAudience is set, but auth.oidcIssuer is not; set both" }}
{{- end }}
{{- if and $v.tls.clientCAConfigMap (not $v.tls.existingSecret) }}
{{- fail "tls.clientCAConfigMap is set, but tls.existingSecret is not; client certificates need TLS" }}
{{- end }}
{{- if and (eq $v.corsOrigins "*") (include "vstream.guarded" .) }}
{{- fail "corsOrigins is *, but somebody has to authenticate; list the origins" }}
{{- end }}

{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.enabled is true, but ingress.hosts is empty; list the host names" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled is true, but httpRoute.parentRefs is empty; name the Gateway, as [{name: public}]" }}
{{- end }}
{{- if and $v.serviceMonitor.enabled (or $v.auth.tokensSecret $v.auth.oidcIssuer) (not $v.serviceMonitor.tokenSecret) }}
{{- fail "serviceMonitor.enabled is true and somebody has to authenticate, but serviceMonitor.tokenSecret is not set; give Prometheus a token of its own" }}
{{- end }}
{{- if and $v.serviceMonitor.enabled $v.tls.existingSecret (not $v.serviceMonitor.tlsConfig) }}
{{- fail "serviceMonitor.enabled is true and vstream serves TLS, but serviceMonitor.tlsConfig is not set; name the authority, as {ca: {configMap: {name: ca, key: ca.crt}}}" }}
{{- end }}
{{- end }}

{{- define "vstream.checkVCenter" -}}
{{- $v := .v }}
{{- if and $v.existingSecret (or $v.username $v.password) }}
{{- fail (printf "%s.existingSecret and %s.username or password both say who reads; set only one of them" .label .label) }}
{{- end }}
{{- if ne (not $v.username) (not $v.password) }}
{{- fail (printf "%s.username and %s.password go together; set both, or better an existingSecret" .label .label) }}
{{- end }}
{{- if contains "@" $v.url }}
{{- fail (printf "%s.url holds a user or a password; credentials go into existingSecret" .label) }}
{{- end }}
{{- $trust := list }}
{{- range $key := list "insecure" "thumbprint" "caConfigMap" }}
{{- if index $v $key }}{{ $trust = append $trust (printf "%s.%s" $.label $key) }}{{ end }}
{{- end }}
{{- if gt (len $trust) 1 }}
{{- fail (printf "%s say different things about whom to trust; set only one of them" (join " and " $trust)) }}
{{- end }}
{{- end }}
