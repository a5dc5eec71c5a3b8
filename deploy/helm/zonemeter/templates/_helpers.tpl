{{- define "zonemeter.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "zonemeter.fullname" -}}
{{- $name := include "zonemeter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "zonemeter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "zonemeter.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Of the agent's pods; they never change while a release lives. */}}
{{- define "zonemeter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "zonemeter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "zonemeter.labels" -}}
{{ include "zonemeter.selectorLabels" . }}
{{ include "zonemeter.chartLabels" . }}
{{- end }}

{{/* Of everything else that runs or lies in the cluster. */}}
{{- define "zonemeter.chartLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: zonemeter
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Of what serves the whole cluster's page. */}}
{{- define "zonemeter.serveLabels" -}}
app.kubernetes.io/name: {{ include "zonemeter.name" . }}-serve
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "zonemeter.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{ .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A quantity of memory in bytes. */}}
{{- define "zonemeter.bytes" -}}
{{- $text := . | toString -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- $unit := regexReplaceAll "^[0-9]+" $text "" | trimSuffix "B" -}}
{{- $shift := dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- if not (hasKey $shift $unit) -}}
{{- fail (printf "%q is no size: say it like 64Mi, 128MiB or 1Gi" $text) -}}
{{- end -}}
{{ mul $number (get $shift $unit) }}
{{- end }}

{{/* The sum of quantities of memory, rounded up to Mi. */}}
{{- define "zonemeter.memory" -}}
{{- $sum := 1048575 -}}
{{- range . -}}
{{- $sum = add $sum (include "zonemeter.bytes" . | int64) -}}
{{- end -}}
{{ div $sum 1048576 }}Mi
{{- end }}

{{- define "zonemeter.resources" -}}
{{- if .Values.resources -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if $limit -}}
{{- $needed := add (include "zonemeter.bytes" .Values.mapMemory | int64) 33554432 -}}
{{- if lt (include "zonemeter.bytes" $limit | int64) $needed -}}
{{- fail (printf "resources.limits.memory %s is less than mapMemory %v and 32Mi for the process: raise it or lower mapMemory" $limit .Values.mapMemory) -}}
{{- end -}}
{{- end -}}
{{ toYaml .Values.resources }}
{{- else -}}
requests:
  cpu: 25m
  memory: {{ include "zonemeter.memory" (list .Values.mapMemory "64Mi") }}
limits:
  # mapMemory and processMemory: kernel maps count against the limit.
  memory: {{ include "zonemeter.memory" (list .Values.mapMemory .Values.processMemory) }}
{{- end }}
{{- end }}

{{- define "zonemeter.affinity" -}}
{{- if .Values.affinity -}}
{{ toYaml .Values.affinity }}
{{- else -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          - { key: kubernetes.io/os, operator: In, values: [linux] }
          - { key: kubernetes.io/arch, operator: In, values: [amd64, arm64] }
          - { key: eks.amazonaws.com/compute-type, operator: NotIn, values: [fargate, hybrid] }
{{- end }}
{{- end }}

{{/* What a pod needs to be on every node that is counted. */}}
{{- define "zonemeter.everywhere" -}}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
affinity: {{- include "zonemeter.affinity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "zonemeter.securityContext" -}}
# Three capabilities are enough to load, attach and count. The user is root for one thing: on
# most nodes /sys/fs/bpf belongs to root.
runAsUser: 0
runAsGroup: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: [BPF, NET_ADMIN, PERFMON]
seccompProfile: {{- toYaml .Values.seccompProfile | nindent 2 }}
{{- with .Values.seLinuxOptions }}
seLinuxOptions: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of a container that touches nothing of the node. */}}
{{- define "zonemeter.restricted" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The ConfigMap of the networks file, empty where there is none. */}}
{{- define "zonemeter.networksConfigMap" -}}
{{- $networks := .Values.networks -}}
{{- $given := list -}}
{{- if $networks.content }}{{ $given = append $given "networks.content" }}{{ end -}}
{{- if $networks.existingConfigMap }}{{ $given = append $given "networks.existingConfigMap" }}{{ end -}}
{{- if $networks.refresh.enabled }}{{ $given = append $given "networks.refresh.enabled" }}{{ end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "%s: give one of them" (join " and " $given)) -}}
{{- end -}}
{{- if $networks.existingConfigMap -}}
{{ $networks.existingConfigMap }}
{{- else if $given -}}
{{ include "zonemeter.fullname" . }}-networks
{{- end }}
{{- end }}

{{/* "true" where the value says so, or says auto and the cluster knows the kind. */}}
{{- define "zonemeter.wanted" -}}
{{- if eq (toString .value) "auto" -}}
{{- if .capabilities.APIVersions.Has .api }}true{{ end -}}
{{- else if .value -}}
true
{{- end }}
{{- end }}

{{/* What a gigabyte costs, as rules: for Prometheus, and for the agents' page. */}}
{{- define "zonemeter.prices" -}}
groups:
  - name: zonemeter.prices
    interval: 1m
    rules:
      {{- if .Values.prices.defaults }}
      {{- range (index (.Files.Get "files/zonemeter.prices.yaml" | fromYaml).groups 0).rules }}
      {{- if not (has .record (list "zonemeter:gigabyte:bytes" "zonemeter:workload_budget:dollars_per_month")) }}
      - {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      {{- end }}
      {{- range .Values.prices.rows }}
      - record: zonemeter:price:dollars_per_gigabyte
        expr: vector({{ .dollarsPerGigabyte }})
        labels:
          scope: {{ .scope }}
          direction: {{ .direction }}
          {{- with .via }}
          via: {{ . }}
          {{- end }}
          as_of: {{ .asOf | quote }}
      {{- end }}
      - record: zonemeter:gigabyte:bytes
        expr: vector({{ .Values.prices.gigabyteBytes | int64 }})
      - record: zonemeter:workload_budget:dollars_per_month
        expr: vector({{ .Values.prices.workloadBudgetDollarsPerMonth }})
{{- end }}

{{/* The ConfigMap with these; empty where there are none to mount. */}}
{{- define "zonemeter.pricesConfigMap" -}}
{{- if or .Values.prices.defaults .Values.prices.rows -}}
{{ include "zonemeter.fullname" . }}-prices
{{- end }}
{{- end }}
