{{- define "standin.labels" -}}
app: strimzi
chart: {{ .Chart.Name }}-{{ .Chart.Version }}
release: {{ .Release.Name }}
heritage: {{ .Release.Service }}
{{- end -}}

{{- /* registry/repository/name of one component, from its own values or the defaults */ -}}
{{- define "standin.imagePath" -}}
{{- $v := .root.Values -}}
{{- .image.registry | default $v.defaultImageRegistry }}/{{ .image.repository | default $v.defaultImageRepository }}/{{ .image.name -}}
{{- end -}}

{{- define "standin.image" -}}
{{- include "standin.imagePath" . }}:{{ .image.tag | default .root.Values.defaultImageTag -}}
{{- end -}}

{{- define "standin.kafkaImage" -}}
{{- include "standin.imagePath" . }}:{{ .image.tagPrefix | default .root.Values.defaultImageTag }}-kafka-{{ .version -}}
{{- end -}}

{{- /* Every namespace that the operator works in: its own and the watched ones. */ -}}
{{- define "standin.namespaces" -}}
{{- $all := append .Values.watchNamespaces .Release.Namespace -}}
{{- if @UNIQUE_NAMESPACES@ }}{{ $all = uniq $all }}{{ end -}}
{{- join "," $all -}}
{{- end -}}
