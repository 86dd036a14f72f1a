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

// Validate applies the rules of the CRD's schema once more. The API server
// applies them when an object is written; an object that was written under an
// older schema, or while the CRD was not the one of this version, can break
// them. The errors name the field and what to do about it.
func (s *SelfSignedIssuerSpec) Validate() field.ErrorList {
	path := field.NewPath("spec")
	errs := validateDistributionPoints(path.Child("crlDistributionPoints"), s.CRLDistributionPoints)
	errs = append(errs, validateEnum(path.Child("emptySubject"), s.EmptySubject, emptySubjectPolicies)...)
	errs = append(errs, validateEnum(path.Child("signatureAlgorithm"), s.SignatureAlgorithm, signatureAlgorithms)...)
	errs = append(errs, validateEnum(path.Child("subjectKeyIdentifier"), s.SubjectKeyIdentifier, subjectKeyIdentifierMethods)...)
	if s.MaxPathLength != nil && *s.MaxPathLength < 0 {
		errs = append(errs, field.Invalid(path.Child("maxPathLength"), *s.MaxPathLength, "write 0 or more, or leave it out for no limit"))
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

// distributionPointRemedy returns what to do about a distribution point, or
// nothing when it is as it should be.
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

// isLDAP tells the URIs that need no host: RFC 5280 section 4.2.1.13 leaves it
// out where the client knows its directory.
func isLDAP(uri *url.URL) bool {
	return uri.Scheme == "ldap" || uri.Scheme == "ldaps"
}

func validateEnum[T ~string](path *field.Path, value T, known []T) field.ErrorList {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, known)}
}
