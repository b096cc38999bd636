{{- define "catdog.name" -}}
{{- if contains "catdog" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-catdog" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "catdog.selector" -}}
app.kubernetes.io/name: catdog
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "catdog.labels" -}}
{{ include "catdog.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "catdog.keys" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "catdog.name" .)) }}
{{- end }}

{{- define "catdog.hasDatabase" -}}
{{ if or .Values.database.url .Values.database.existingSecret }}yes{{ end }}
{{- end }}

{{- define "catdog.hasManyReplicas" -}}
{{ if or .Values.autoscaling.enabled (gt (int .Values.api.replicas) 1) }}yes{{ end }}
{{- end }}

{{/* The pod's part of the hardening that docker-compose.yml has too. */}}
{{- define "catdog.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "catdog.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Whether pods on different nodes see the same data: by volumes, or by buckets alone. */}}
{{- define "catdog.isShared" -}}
{{ if or (eq .Values.storage.accessMode "ReadWriteMany") .Values.storage.bucket.dataOfEachReplica }}yes{{ end }}
{{- end }}

{{- define "catdog.mounts" -}}
{{- if not .Values.storage.bucket.models }}
- {name: models, mountPath: /srv/catdog/models}
{{- end }}
- {name: data, mountPath: /srv/catdog/data}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "catdog.volumes" -}}
{{- if not .Values.storage.bucket.models }}
- name: models
  persistentVolumeClaim: {claimName: {{ .Values.storage.models.existingClaim | default (printf "%s-models" (include "catdog.name" .)) }}}
{{- end }}
- name: data
  {{- if .Values.storage.bucket.dataOfEachReplica }}
  emptyDir: {sizeLimit: {{ .Values.storage.data.size }}}
  {{- else }}
  persistentVolumeClaim: {claimName: {{ .Values.storage.data.existingClaim | default (printf "%s-data" (include "catdog.name" .)) }}}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end }}

{{/* Environment of both containers. */}}
{{- define "catdog.environment" -}}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ toJson $value | trimAll "\"" | quote }}}  {{- /* quote alone writes 1e+07 */}}
{{- end }}
{{- with .Values.storage.bucket.models }}
- {name: CATDOG_MODELS_DIR, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.bucket.pictures }}
- {name: CATDOG_PICTURES, value: {{ . | quote }}}
{{- end }}
{{- if include "catdog.hasDatabase" . }}
- name: CATDOG_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret | default (printf "%s-database" (include "catdog.name" .)) }}
      key: database-url
{{- end }}
{{- end }}

{{/* Keys of the object store, for both containers. */}}
{{- define "catdog.bucketKeys" -}}
{{- with .Values.storage.bucket.existingSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end }}

{{- define "catdog.trainerEnvironment" -}}
{{- with .Values.trainer.imagenetWeights }}
- {name: CATDOG_IMAGENET_WEIGHTS, value: {{ . | quote }}}
{{- end }}
{{- include "catdog.environment" . }}
{{- end }}

{{/* The names by which clients call the service, separated by commas. */}}
{{- define "catdog.hosts" -}}
{{- $name := include "catdog.name" . }}
{{- $inside := printf "%s.%s" $name .Release.Namespace }}
{{- $hosts := list $name $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside) }}
{{- if .Values.ingress.enabled }}{{ $hosts = append $hosts .Values.ingress.host }}{{ end }}
{{- concat $hosts .Values.api.allowedHosts | join "," }}
{{- end }}
