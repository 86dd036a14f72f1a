// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SelfSignedIssuerSpec says how the issuer makes certificates. Every field is
// optional; an issuer without any signs as cert-manager's own SelfSigned issuer
// does. A change applies to certificates signed from then on: none is issued
// again because of it.
type SelfSignedIssuerSpec struct {
	// Where clients find the revocation list (CRL) of the certificates: absolute
	// URIs that start with http://, https://, ldap:// or ldaps://. Each one
	// becomes a distribution point of its own in the certificate, in the order
	// given here (RFC 5280 section 4.2.1.13). At most 16, each of at most 2048
	// ASCII characters. Prefer http: with https, a client may need a CRL to fetch
	// the CRL. Nothing is published there: that is up to you.
	//
	// Example: `crlDistributionPoints: ["http://crl.example.com/root.crl"]`
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=2048
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^(http|https|ldap|ldaps)://')",message="write an absolute URI that starts with http://, https://, ldap:// or ldaps://, such as http://crl.example.com/root.crl"
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[!-~]*$')",message="use ASCII without spaces; percent-encode other characters, and write a host name in its xn-- form"
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^(http|https|ldap|ldaps)://[!-~]*$') || isURL(self) && (self.startsWith('ldap') || url(self).getHostname() != '')",message="write a well-formed URI, with a host name after http:// or https://, such as http://crl.example.com/root.crl"
	// +kubebuilder:validation:XValidation:rule="self.all(uri, self.exists_one(other, other == uri))",message="name each URI once; remove the duplicate"
	CRLDistributionPoints []string `json:"crlDistributionPoints,omitempty"`

	// What to do with a request whose subject is empty. A self-signed
	// certificate's issuer is its subject, and RFC 5280 section 4.1.2.4 wants an
	// issuer that is not empty; Java, among others, refuses such a certificate.
	//
	// `Warn`, the default, signs it and records a Warning event with reason
	// BadConfig. `Reject` fails the request. `Fill` gives the certificate the
	// subject serialNumber=<subject key identifier in hexadecimal>, which stays
	// the same for as long as the key does.
	//
	// Example: `emptySubject: Reject`
	//
	// +optional
	EmptySubject EmptySubjectPolicy `json:"emptySubject,omitempty"`

	// Which algorithm signs the certificate. A request whose key cannot be used
	// with the named algorithm fails.
	//
	// `FromKey`, the default, derives it from the key as cert-manager does: RSA
	// of 2048 bits with SHA-256, of 3072 with SHA-384, of 4096 and more with
	// SHA-512; ECDSA P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512;
	// Ed25519. `FromRequest` takes the algorithm that signed the request, so that
	// the spec.signatureAlgorithm of a Certificate takes effect. Any other value
	// names the algorithm: those that end in `RSA` are PKCS #1 v1.5, those that
	// end in `RSAPSS` are RSASSA-PSS.
	//
	// Example: `signatureAlgorithm: SHA256WithRSAPSS`
	//
	// +optional
	SignatureAlgorithm SignatureAlgorithm `json:"signatureAlgorithm,omitempty"`

	// The path length constraint of CA certificates: how many intermediate CAs
	// may stand between this certificate and a leaf (RFC 5280 section 4.2.1.9).
	// 0 lets it sign leaves only. Where the request carries a path length of its
	// own, the smaller one applies. Without a value no certificate has the
	// constraint, as with cert-manager's own issuer, whatever the request says.
	// Certificates that are not for a CA never have one.
	//
	// Example: `maxPathLength: 0`
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxPathLength *int32 `json:"maxPathLength,omitempty"`

	// backdate is how far before signing time notBefore is set, for clients whose
	// clocks are slow: 0s to 24h, as whole hours (h), minutes (m) and seconds (s).
	// The limit is 0.5 percent of the requested duration: 18s for 1h, 7m12s for
	// 24h, 10h48m for 90 days. A larger value is reduced to the limit, with the
	// Warning event Adjusted. notAfter is not changed. The limit keeps cert-manager
	// from renewing a Certificate at once: with spec.renewBeforePercentage, it plans
	// the renewal by the time between notBefore and notAfter. The default is 0s.
	//
	// Example: `backdate: 5m`
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=18
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}(h|m|s)){1,3}$') && duration(self) <= duration('24h')",message="write 0s to 24h as whole hours (h), minutes (m) and seconds (s), such as 5m or 1h30m"
	Backdate *metav1.Duration `json:"backdate,omitempty"`

	// How the subject key identifier is derived from the public key. `SHA256`,
	// the default, takes the first 160 bits of its SHA-256 hash (RFC 7093
	// section 2, method 1), as cert-manager built with Go 1.25 or later does for
	// CAs. `SHA1` takes its SHA-1 hash (RFC 5280 section 4.2.1.2, method 1), as
	// older cert-manager did: choose it to renew a root from that time, so that
	// the certificates it signed still name its key identifier.
	//
	// Example: `subjectKeyIdentifier: SHA1`
	//
	// +optional
	SubjectKeyIdentifier SubjectKeyIdentifierMethod `json:"subjectKeyIdentifier,omitempty"`
}

// EmptySubjectPolicy says what to do with a request whose subject is empty.
//
// +kubebuilder:validation:Enum=Warn;Reject;Fill
type EmptySubjectPolicy string

// The values of spec.emptySubject.
const (
	EmptySubjectWarn   EmptySubjectPolicy = "Warn"
	EmptySubjectReject EmptySubjectPolicy = "Reject"
	EmptySubjectFill   EmptySubjectPolicy = "Fill"
)

// SignatureAlgorithm names the algorithm that signs certificates, or the rule
// that chooses it.
//
// +kubebuilder:validation:Enum=FromKey;FromRequest;SHA256WithRSA;SHA384WithRSA;SHA512WithRSA;SHA256WithRSAPSS;SHA384WithRSAPSS;SHA512WithRSAPSS;ECDSAWithSHA256;ECDSAWithSHA384;ECDSAWithSHA512;PureEd25519
type SignatureAlgorithm string

// The values of spec.signatureAlgorithm. The names are those of cert-manager's
// Certificate API, and of crypto/x509 where cert-manager has none.
const (
	SignatureAlgorithmFromKey          SignatureAlgorithm = "FromKey"
	SignatureAlgorithmFromRequest      SignatureAlgorithm = "FromRequest"
	SignatureAlgorithmSHA256WithRSA    SignatureAlgorithm = "SHA256WithRSA"
	SignatureAlgorithmSHA384WithRSA    SignatureAlgorithm = "SHA384WithRSA"
	SignatureAlgorithmSHA512WithRSA    SignatureAlgorithm = "SHA512WithRSA"
	SignatureAlgorithmSHA256WithRSAPSS SignatureAlgorithm = "SHA256WithRSAPSS"
	SignatureAlgorithmSHA384WithRSAPSS SignatureAlgorithm = "SHA384WithRSAPSS"
	SignatureAlgorithmSHA512WithRSAPSS SignatureAlgorithm = "SHA512WithRSAPSS"
	SignatureAlgorithmECDSAWithSHA256  SignatureAlgorithm = "ECDSAWithSHA256"
	SignatureAlgorithmECDSAWithSHA384  SignatureAlgorithm = "ECDSAWithSHA384"
	SignatureAlgorithmECDSAWithSHA512  SignatureAlgorithm = "ECDSAWithSHA512"
	SignatureAlgorithmPureEd25519      SignatureAlgorithm = "PureEd25519"
)

// SubjectKeyIdentifierMethod names the way from a public key to its identifier.
//
// +kubebuilder:validation:Enum=SHA256;SHA1
type SubjectKeyIdentifierMethod string

// The values of spec.subjectKeyIdentifier.
const (
	SubjectKeyIdentifierSHA256 SubjectKeyIdentifierMethod = "SHA256"
	SubjectKeyIdentifierSHA1   SubjectKeyIdentifierMethod = "SHA1"
)
