// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SelfSignedIssuerSpec defines how an issuer signs certificates. Every field is
// optional. With an empty spec, certificates are the same as those of
// cert-manager's built-in SelfSigned issuer. A change applies to certificates
// that are signed afterwards and does not re-issue existing ones.
type SelfSignedIssuerSpec struct {
	// crlDistributionPoints lists the locations of the certificate revocation list
	// (CRL): absolute URIs that start with http://, https://, ldap:// or ldaps://.
	// Each URI is added as a separate distribution point, in this order (RFC 5280
	// section 4.2.1.13). At most 16 URIs of at most 2048 ASCII characters each.
	// Prefer http: to fetch a CRL over https, a client may need another CRL.
	// selfsigned-issuer does not publish a CRL.
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

	// emptySubject defines how a request with an empty subject is handled. The
	// issuer of a self-signed certificate is its subject, and RFC 5280 section
	// 4.1.2.4 requires a non-empty issuer. Some clients, such as Java, reject a
	// certificate with an empty one.
	//
	// `Warn`, the default, signs the certificate and records a Warning event with
	// the reason BadConfig. `Reject` fails the request. `Fill` sets the subject to
	// serialNumber=<subject key identifier in hexadecimal>, which does not change
	// as long as the key is the same.
	//
	// Example: `emptySubject: Reject`
	//
	// +optional
	EmptySubject EmptySubjectPolicy `json:"emptySubject,omitempty"`

	// signatureAlgorithm is the algorithm that signs the certificate. A request
	// whose key does not support the algorithm fails.
	//
	// `FromKey`, the default, derives the algorithm from the key in the same way as
	// cert-manager: RSA with 2048 bits uses SHA-256, with 3072 bits SHA-384, and
	// with 4096 bits or more SHA-512; ECDSA P-256 uses SHA-256, P-384 SHA-384, and
	// P-521 SHA-512; Ed25519 has only one algorithm. `FromRequest` uses the
	// algorithm that signed the request, so that spec.signatureAlgorithm of a
	// Certificate takes effect. Values that end in `RSA` use PKCS #1 v1.5, and
	// values that end in `RSAPSS` use RSASSA-PSS.
	//
	// Example: `signatureAlgorithm: SHA256WithRSAPSS`
	//
	// +optional
	SignatureAlgorithm SignatureAlgorithm `json:"signatureAlgorithm,omitempty"`

	// maxPathLength is the path length constraint of CA certificates: the maximum
	// number of intermediate CAs between this certificate and a leaf certificate
	// (RFC 5280 section 4.2.1.9). With 0, the CA can only sign leaf certificates.
	// If the request contains a path length constraint too, the smaller value
	// applies. Without maxPathLength, certificates have no path length constraint,
	// even if the request contains one: this is what cert-manager's built-in issuer
	// does. Certificates that are not CA certificates never have the constraint.
	//
	// Example: `maxPathLength: 0`
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxPathLength *int32 `json:"maxPathLength,omitempty"`

	// backdate is how far before signing time notBefore is set, for clients with
	// slow clocks: 0s to 24h, as whole hours (h), minutes (m) and seconds (s). The
	// default is 0s. notAfter is not changed.
	//
	// The limit is 0.5 percent of the requested duration: 18s for 1h, 7m12s for
	// 24h, 10h48m for 90 days. A larger value is reduced to the limit, with a
	// Warning event with the reason Adjusted. Without the limit, cert-manager could
	// renew a Certificate immediately: spec.renewBeforePercentage refers to the time
	// between notBefore and notAfter.
	//
	// Example: `backdate: 5m`
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=18
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}(h|m|s)){1,3}$') && duration(self) <= duration('24h')",message="write 0s to 24h as whole hours (h), minutes (m) and seconds (s), such as 5m or 1h30m"
	Backdate *metav1.Duration `json:"backdate,omitempty"`

	// subjectKeyIdentifier defines how the subject key identifier is derived from
	// the public key. `SHA256`, the default, uses the first 160 bits of its SHA-256
	// hash (RFC 7093 section 2, method 1), as cert-manager does for CAs if it is
	// built with Go 1.25 or later. `SHA1` uses its SHA-1 hash (RFC 5280 section
	// 4.2.1.2, method 1), as older versions of cert-manager do. Use `SHA1` to renew
	// a root that such a version issued, so that the key identifier in the
	// certificates that it has signed stays valid.
	//
	// Example: `subjectKeyIdentifier: SHA1`
	//
	// +optional
	SubjectKeyIdentifier SubjectKeyIdentifierMethod `json:"subjectKeyIdentifier,omitempty"`
}

// EmptySubjectPolicy defines how a request with an empty subject is handled.
//
// +kubebuilder:validation:Enum=Warn;Reject;Fill
type EmptySubjectPolicy string

// The values of spec.emptySubject.
const (
	EmptySubjectWarn   EmptySubjectPolicy = "Warn"
	EmptySubjectReject EmptySubjectPolicy = "Reject"
	EmptySubjectFill   EmptySubjectPolicy = "Fill"
)

// SignatureAlgorithm is the algorithm that signs certificates, or the rule that
// selects it.
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

// SubjectKeyIdentifierMethod defines how a subject key identifier is derived
// from a public key.
//
// +kubebuilder:validation:Enum=SHA256;SHA1
type SubjectKeyIdentifierMethod string

// The values of spec.subjectKeyIdentifier.
const (
	SubjectKeyIdentifierSHA256 SubjectKeyIdentifierMethod = "SHA256"
	SubjectKeyIdentifierSHA1   SubjectKeyIdentifierMethod = "SHA1"
)
