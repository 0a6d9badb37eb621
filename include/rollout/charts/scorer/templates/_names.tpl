{{- define "scorer.labels" -}}
app.kubernetes.io/name: {{ .Values.name }}
app.kubernetes.io/component: scorer
app.kubernetes.io/part-of: edgeloop
app.kubernetes.io/managed-by: edgeloop-rollout
edgeloop.io/workload: {{ .Values.workload }}
edgeloop.io/role: {{ .Values.role }}
{{- end -}}
