{{- define "snowmelt.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "snowmelt.selector" -}}
app.kubernetes.io/name: snowmelt
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "snowmelt.labels" -}}
{{ include "snowmelt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "snowmelt.account" -}}
{{- default (ternary (include "snowmelt.name" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "snowmelt.config" -}}
[worker]
name = "${SNOWMELT_NAME:-worker}"
grace = "{{ .Values.drainSeconds }}s"

[aws]
region = {{ .Values.region | toJson }}

[source]
stream = {{ .Values.inStream | toJson }}
initial_position = {{ .Values.initialPosition | toJson }}

[leases]
table = {{ .Values.leaseTable | toJson }}

[enriched.kinesis]
stream = {{ .Values.enrichedStream | toJson }}

[enriched.s3]
bucket = {{ .Values.bucket | toJson }}
prefix = {{ printf "%senriched" .Values.bucketPrefix | toJson }}

[bad.kinesis]
stream = {{ .Values.badStream | toJson }}

[bad.s3]
bucket = {{ .Values.bucket | toJson }}
prefix = {{ printf "%sbad" .Values.bucketPrefix | toJson }}

# Not under the folder of bad rows, which may expire sooner.
[parked.s3]
bucket = {{ .Values.bucket | toJson }}
prefix = {{ printf "%sparked" .Values.bucketPrefix | toJson }}

[oversized.s3]
bucket = {{ .Values.bucket | toJson }}
prefix = {{ printf "%soversized" .Values.bucketPrefix | toJson }}

[admin]
listen = "0.0.0.0:8000"
{{- if .Values.resolver }}

[schemas]
resolver = "resolver.json"
{{- end }}
{{- if .Values.enrichments }}

[enrichments]
folder = "enrichments"
cache = "/var/lib/snowmelt/assets"
{{- end }}
{{- with .Values.config }}

{{ . | trim }}
{{- end }}
{{- end }}
