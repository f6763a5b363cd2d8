{{- define "pystrobe.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pystrobe.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pystrobe.labels" -}}
{{ include "pystrobe.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "pystrobe.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "pystrobe.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "pystrobe.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "pystrobe.configMap" -}}
{{- default (include "pystrobe.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{/* The AppArmor profile as an annotation's value, for servers that do not know the field yet; else nothing. */}}
{{- define "pystrobe.oldAppArmor" -}}
{{- if and .Values.appArmorProfile (semverCompare "<1.30.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $type := .Values.appArmorProfile.type -}}
{{- if eq $type "Localhost" -}}
localhost/{{ .Values.appArmorProfile.localhostProfile }}
{{- else -}}
{{- ternary "runtime/default" "unconfined" (eq $type "RuntimeDefault") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The whole configuration: what the values say, and .Values.config over it. */}}
{{- define "pystrobe.config" -}}
{{- $kubelet := dict "insecure_skip_verify" .Values.kubelet.insecureSkipVerify -}}
{{- with .Values.kubelet.caFile }}{{- $_ := set $kubelet "ca_file" . -}}{{- end -}}
{{- $kubernetes := dict "enabled" true "kubelet" $kubelet "targeting" .Values.targeting.scheme -}}
{{- with .Values.targeting.namespaces }}{{- $_ := set $kubernetes "namespaces" . -}}{{- end -}}
{{- with .Values.targeting.excludeNamespaces }}{{- $_ := set $kubernetes "exclude_namespaces" . -}}{{- end -}}
{{- $containers := dict "docker" (ternary .Values.runtimeSockets.docker.path "off" .Values.runtimeSockets.docker.enabled)
      "cri" (ternary .Values.runtimeSockets.cri.path "off" .Values.runtimeSockets.cri.enabled) -}}
{{- $base := dict
      "sampling" .Values.sampling
      "discovery" (dict "containers" $containers "kubernetes" $kubernetes)
      "server" (dict "listen" (printf ":%v" .Values.port))
      "log" .Values.log -}}
{{- with .Values.labels }}{{- $_ := set $base "labels" . -}}{{- end -}}
{{- with .Values.exporters }}{{- $_ := set $base "exporters" . -}}{{- end -}}
{{- $config := mergeOverwrite $base (deepCopy .Values.config) -}}
{{- toYaml $config -}}
{{- end -}}
