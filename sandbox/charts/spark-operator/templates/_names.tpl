{{- define "standin.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "standin.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "standin.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "standin.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "standin.selector" -}}
app.kubernetes.io/name: {{ include "standin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "standin.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{ include "standin.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "standin.image" -}}
{{- .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}

{{- /* The account of a component: its given name, its own name, or "default" when none is to be made. */ -}}
{{- define "standin.account" -}}
{{- if .settings.serviceAccount.create -}}
{{- .settings.serviceAccount.name | default (printf "%s-%s" (include "standin.fullname" .root) .component) -}}
{{- else -}}
{{- .settings.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* "true" when the operator works in every namespace */ -}}
{{- define "standin.everywhere" -}}
{{- if or (not .Values.spark.jobNamespaces) (has "" .Values.spark.jobNamespaces) }}true{{ end -}}
{{- end -}}

{{- define "standin.namespacesArgument" -}}
{{- if .Values.spark.jobNamespaces }}
- --namespaces={{ if has "" .Values.spark.jobNamespaces }}""{{ else }}{{ join "," .Values.spark.jobNamespaces }}{{ end }}
{{- end }}
{{- with .Values.spark.jobNamespaceSelector }}
- --namespace-selector={{ . }}
{{- end }}
{{- end -}}

{{- define "standin.namespaceSelector" -}}
{{- if not (include "standin.everywhere" .) }}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{- toYaml .Values.spark.jobNamespaces | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "standin.rules" -}}
- apiGroups: [""]
  resources: [pods, configmaps, services, persistentvolumeclaims]
  verbs: [get, list, watch, create, update, patch, delete, deletecollection]
- apiGroups: [extensions, networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [sparkoperator.k8s.io]
  resources: ["*"]
  verbs: [get, list, watch, create, update, patch, delete]
{{- end -}}

{{- /* Scheduling and security settings that both components have. */ -}}
{{- define "standin.podSettings" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.volumes }}
volumes: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "standin.containerSettings" -}}
image: {{ include "standin.image" .root }}
{{- with .root.Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .settings.env }}
env: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .settings.envFrom }}
envFrom: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .settings.volumeMounts }}
volumeMounts: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .settings.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
livenessProbe:
  httpGet: {port: 8081, scheme: HTTP, path: /healthz}
readinessProbe:
  httpGet: {port: 8081, scheme: HTTP, path: /readyz}
{{- end -}}
