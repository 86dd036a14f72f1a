{{/* The name in labels and selectors. */}}
{{- define "selfsigned-issuer.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of the Deployment, and the prefix of all other names. */}}
{{- define "selfsigned-issuer.fullname" -}}
{{- $name := include "selfsigned-issuer.name" . -}}
{{- $release := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $release .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "selfsigned-issuer.namespace" -}}
{{- default .Release.Namespace .Values.namespace -}}
{{- end -}}

{{- define "selfsigned-issuer.serviceAccountName" -}}
{{- default (.Values.serviceAccount.create | ternary (include "selfsigned-issuer.fullname" .) "default") .Values.serviceAccount.name -}}
{{- end -}}

{{- define "selfsigned-issuer.image" -}}
{{- $reference := .Values.image.digest | empty | ternary (printf ":%s" (default .Chart.AppVersion .Values.image.tag)) (printf "@%s" .Values.image.digest) -}}
{{- printf "%s/%s%s" .Values.image.registry .Values.image.repository $reference -}}
{{- end -}}

{{/* The labels of Pods and of all objects, except for the component. */}}
{{- define "selfsigned-issuer.podLabels" -}}
app.kubernetes.io/name: {{ include "selfsigned-issuer.name" . }}
app.kubernetes.io/part-of: cert-manager
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "selfsigned-issuer.labels" -}}
{{ include "selfsigned-issuer.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The labels that select the Pods. They are those of the kustomize overlays and contain no name
of the release, so that a release can adopt an installation by kustomize. */}}
{{- define "selfsigned-issuer.selectorLabels" -}}
app.kubernetes.io/name: {{ include "selfsigned-issuer.name" . }}
app.kubernetes.io/component: controller
{{- end -}}

{{/* Metadata of an object in the namespace of the release: (list $ NAME-SUFFIX COMPONENT). */}}
{{- define "selfsigned-issuer.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "selfsigned-issuer.fullname" $root }}{{ index . 1 }}
namespace: {{ include "selfsigned-issuer.namespace" $root }}
labels:
  {{- include "selfsigned-issuer.labels" $root | nindent 2 }}
  {{- with index . 2 }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end -}}

{{/* Metadata of an object of the cluster: (list $ NAME). */}}
{{- define "selfsigned-issuer.clusterMetadata" -}}
name: {{ index . 1 }}
labels:
  {{- include "selfsigned-issuer.labels" (index . 0) | nindent 2 }}
{{- end -}}

{{/* A binding of the ServiceAccount: (list $ KIND ROLE). */}}
{{- define "selfsigned-issuer.binding" -}}
{{- $root := index . 0 -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ index . 2 }}
subjects:
- kind: ServiceAccount
  name: {{ include "selfsigned-issuer.serviceAccountName" $root }}
  namespace: {{ include "selfsigned-issuer.namespace" $root }}
{{- end -}}

{{/* The permissions in every served namespace. With app.namespaces, those for
ClusterSelfSignedIssuers are omitted. */}}
{{- define "selfsigned-issuer.rules" -}}
{{- $issuers := .Values.app.namespaces | empty | ternary (list "selfsignedissuers" "clusterselfsignedissuers") (list "selfsignedissuers") -}}
# To read the issuers and their changes.
- apiGroups: [selfsigned.cert-manager.io]
  resources: {{ toJson $issuers }}
  verbs: [list, watch]
# To report whether an issuer is Ready.
- apiGroups: [selfsigned.cert-manager.io]
  resources:
  {{- range $issuers }}
  - {{ . }}/status
  {{- end }}
  verbs: [patch]
# To find the requests for these issuers.
- apiGroups: [cert-manager.io]
  resources: [certificaterequests]
  verbs: [list, watch]
# To set the certificate, or to report why there is none.
- apiGroups: [cert-manager.io]
  resources: [certificaterequests/status]
  verbs: [patch]
# To read the private key of a request (get), and to react to changes of its Secret (list and watch,
# metadata of labeled Secrets only).
- apiGroups: [""]
  resources: [secrets]
  verbs: {{ .Values.app.watchSecrets | ternary "[get, list, watch]" "[get]" }}
# To record events about requests and issuers.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* The arguments of the container. Each value of app is a flag. One that equals its default adds no
argument. `make generate` copies the defaults to files, because templates cannot read values.yaml. */}}
{{- define "selfsigned-issuer.args" -}}
- --leader-election-namespace=$(POD_NAMESPACE)
{{- range $key, $default := omit (.Files.Get "files/flags.yaml" | fromYaml).app "namespaces" }}
{{- $value := index $.Values.app $key }}
{{- if ne (toJson $value) (toJson $default) }}
- --{{ kebabcase $key }}={{ kindIs "string" $value | ternary $value (toJson $value) }}
{{- end }}
{{- end }}
{{- if not .Values.metrics.enabled }}
- --metrics-bind-address=0
{{- else if .Values.metrics.tls.enabled }}
- --metrics-secure
- --metrics-cert-dir=/etc/selfsigned-issuer/metrics
{{- if eq .Values.metrics.tls.clients "certificate" }}
- --metrics-client-ca-file=/etc/selfsigned-issuer/metrics/ca.crt
{{- end }}
{{- end }}
{{- range .Values.app.namespaces }}
- --namespaces={{ . }}
{{- end }}
{{- if .Values.kubernetesCSRs.enabled }}
- --enable-certificate-signing-requests
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Environment variables that extraEnv does not replace. */}}
{{- define "selfsigned-issuer.env" -}}
{{- $own := list (dict "name" "POD_NAMESPACE" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.namespace"))) (dict "name" "GOMEMLIMIT" "value" "200MiB") (dict "name" "GOGC" "value" "50") -}}
{{- $names := list -}}
{{- range .Values.extraEnv -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $env := list -}}
{{- range $own -}}
{{- if not (has .name $names) -}}
{{- $env = append $env . -}}
{{- end -}}
{{- end -}}
{{- concat $env .Values.extraEnv | toYaml -}}
{{- end -}}
