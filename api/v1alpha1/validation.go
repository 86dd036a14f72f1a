// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"net/url"
	"regexp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The limits of the schema, see SelfSignedIssuerSpec.
const (
	maxDistributionPoints      = 16
	maxDistributionPointLength = 2048
	maxBackdate                = 24 * time.Hour
)

// The enums of the schema.
var (
	emptySubjectPolicies = []EmptySubjectPolicy{
		EmptySubjectWarn,
		EmptySubjectReject,
		EmptySubjectFill,
	}
	signatureAlgorithms = []SignatureAlgorithm{
		SignatureAlgorithmFromKey,
		SignatureAlgorithmFromRequest,
		SignatureAlgorithmSHA256WithRSA,
		SignatureAlgorithmSHA384WithRSA,
		SignatureAlgorithmSHA512WithRSA,
		SignatureAlgorithmSHA256WithRSAPSS,
		SignatureAlgorithmSHA384WithRSAPSS,
		SignatureAlgorithmSHA512WithRSAPSS,
		SignatureAlgorithmECDSAWithSHA256,
		SignatureAlgorithmECDSAWithSHA384,
		SignatureAlgorithmECDSAWithSHA512,
		SignatureAlgorithmPureEd25519,
	}
	subjectKeyIdentifierMethods = []SubjectKeyIdentifierMethod{
		SubjectKeyIdentifierSHA256,
		SubjectKeyIdentifierSHA1,
	}
)

var (
	distributionPointScheme = regexp.MustCompile(`^(http|https|ldap|ldaps)://`)
	printableASCII          = regexp.MustCompile(`^[!-~]*$`)
)

// Validate applies the rules of the CRD's schema again, because an object that
// was written with another version of the CRD can violate them. An error names
// the field and the valid values.
func (s *SelfSignedIssuerSpec) Validate() field.ErrorList {
	path := field.NewPath("spec")
	errs := validateDistributionPoints(path.Child("crlDistributionPoints"), s.CRLDistributionPoints)
	errs = append(errs, validateEnum(path.Child("emptySubject"), s.EmptySubject, emptySubjectPolicies)...)
	errs = append(errs, validateEnum(path.Child("signatureAlgorithm"), s.SignatureAlgorithm, signatureAlgorithms)...)
	errs = append(errs, validateEnum(path.Child("subjectKeyIdentifier"), s.SubjectKeyIdentifier, subjectKeyIdentifierMethods)...)
	if s.MaxPathLength != nil && *s.MaxPathLength < 0 {
		errs = append(errs, field.Invalid(path.Child("maxPathLength"), *s.MaxPathLength, "write 0 or more, or omit it for no limit"))
	}
	if s.Backdate != nil && (s.Backdate.Duration < 0 || s.Backdate.Duration > maxBackdate) {
		errs = append(errs, field.Invalid(path.Child("backdate"), s.Backdate.Duration.String(), "write 0s to 24h, such as 5m or 1h30m"))
	}
	return errs
}

func validateDistributionPoints(path *field.Path, uris []string) field.ErrorList {
	var errs field.ErrorList
	if len(uris) > maxDistributionPoints {
		errs = append(errs, field.TooMany(path, len(uris), maxDistributionPoints))
	}
	for i, uri := range uris {
		if slices.Contains(uris[:i], uri) {
			errs = append(errs, field.Duplicate(path.Index(i), uri))
		}
		if len(uri) > maxDistributionPointLength {
			errs = append(errs, field.TooLong(path.Index(i), uri, maxDistributionPointLength))
		} else if remedy := distributionPointRemedy(uri); remedy != "" {
			errs = append(errs, field.Invalid(path.Index(i), uri, remedy))
		}
	}
	return errs
}

// distributionPointRemedy returns how to correct a distribution point. It is
// empty if the distribution point is valid.
func distributionPointRemedy(uri string) string {
	if !distributionPointScheme.MatchString(uri) {
		return "write an absolute URI that starts with http://, https://, ldap:// or ldaps://, such as http://crl.example.com/root.crl"
	}
	if !printableASCII.MatchString(uri) {
		return "use ASCII without spaces; percent-encode other characters, and write a host name in its xn-- form"
	}
	parsed, err := url.ParseRequestURI(uri)
	if err != nil || (parsed.Hostname() == "" && !isLDAP(parsed)) {
		return "write a well-formed URI, with a host name after http:// or https://, such as http://crl.example.com/root.crl"
	}
	return ""
}

// isLDAP returns whether a URI needs no host: RFC 5280 section 4.2.1.13 allows
// this if the client has a default LDAP server.
func isLDAP(uri *url.URL) bool {
	return uri.Scheme == "ldap" || uri.Scheme == "ldaps"
}

func validateEnum[T ~string](path *field.Path, value T, known []T) field.ErrorList {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, known)}
}
