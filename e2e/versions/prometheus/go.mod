// The CustomResourceDefinitions of the Prometheus operator, for tests of what is applied for it.
module github.com/cert-manager/selfsigned-issuer/e2e/versions/prometheus

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
