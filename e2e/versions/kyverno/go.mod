// The CustomResourceDefinitions of Kyverno, for tests of the example policies.
module github.com/cert-manager/selfsigned-issuer/e2e/versions/kyverno

go 1.26.0

require github.com/kyverno/kyverno v1.19.1
