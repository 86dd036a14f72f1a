// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// example shows a field at work: an issuer with the field as its comment has it, a
// Certificate, and what can be seen then.
type example struct {
	Field string
	Topic string // what it decides, in a few words
	Name  string // of the issuer, the Certificate and its Secret

	Certificate []string // lines of its spec
	Look        string   // commands; "show" is explained on the page
	Seen        string   // what they print
}

// examples are in the order of the page.
var examples = []example{
	{
		Field: "crlDistributionPoints", Topic: "where clients find the revocation list", Name: "crl",
		Certificate: []string{"commonName: crl.example.com"},
		Look:        "show crl -ext crlDistributionPoints",
		Seen:        "X509v3 CRL Distribution Points:\n    Full Name:\n      URI:http://crl.example.com/root.crl",
	},
	{
		Field: "emptySubject", Topic: "what becomes of a request without a subject", Name: "no-subject",
		Certificate: []string{"dnsNames: [no-subject.example.com]"},
		Look: `kubectl wait -n reference --for=create certificaterequest/no-subject-1 --timeout=60s
kubectl wait -n reference certificaterequest/no-subject-1 --timeout=60s \
  --for=jsonpath='{.status.conditions[?(@.type=="Ready")].reason}'=Failed
kubectl get certificaterequest no-subject-1 -n reference \
  -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}'`,
		Seen: "certificaterequest.cert-manager.io/no-subject-1 condition met\ncertificaterequest.cert-manager.io/no-subject-1 condition met\nThe certificate cannot be signed by SelfSignedIssuer reference/no-subject: the subject is empty, …",
	},
	{
		Field: "signatureAlgorithm", Topic: "how the certificate is signed", Name: "pss",
		Certificate: []string{"commonName: pss.example.com"},
		Look:        "show pss -text | awk '/Signature Algorithm/ { name = $NF } END { print name }'",
		Seen:        "rsassaPss",
	},
	{
		Field: "maxPathLength", Topic: "how many CAs may stand below a CA", Name: "path-length",
		Certificate: []string{"commonName: Example Root", "isCA: true"},
		Look:        "show path-length -ext basicConstraints",
		Seen:        "X509v3 Basic Constraints: critical\n    CA:TRUE, pathlen:0",
	},
	{
		Field: "backdate", Topic: "how far in the past a certificate begins", Name: "backdate",
		Certificate: []string{"commonName: backdate.example.com", "duration: 24h"},
		Look:        "show backdate -startdate -enddate\nkubectl get certificaterequest backdate-1 -n reference -o jsonpath='{.metadata.creationTimestamp}'",
		Seen:        "notBefore=…\nnotAfter=…\n…",
	},
	{
		Field: "subjectKeyIdentifier", Topic: "how the key identifier is derived", Name: "key-id",
		Certificate: []string{"commonName: Example Root", "isCA: true"},
		Look:        "show key-id -ext subjectKeyIdentifier -ocspid",
		Seen:        "X509v3 Subject Key Identifier:\n    …\nSubject OCSP hash: …\nPublic key OCSP hash: …",
	},
}
