// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
)

// Reason identifies the outcome of a request. It is the reason of the event, and of the
// condition of a failed Kubernetes CSR. Where cert-manager's in-tree SelfSigned issuer has a
// reason for the same outcome, the value is the same.
type Reason string

// state is what an outcome means for the request.
type state int

const (
	pending state = iota // the request is signed when the cause is fixed
	failed               // final: the request must be re-created
	denied               // final: an approver denied the request
	issued               // final: the request has its certificate
)

// String is the value in metrics.
func (s state) String() string { return [...]string{"pending", "failed", "denied", "issued"}[s] }

// The reasons of all outcomes.
const (
	ReasonDenied                Reason = "Denied"
	ReasonIssued                Reason = "CertificateIssued"
	ReasonMissingAnnotation     Reason = "MissingAnnotation"
	ReasonSecretNotFound        Reason = "MissingSecret"
	ReasonMissingOwner          Reason = "MissingOwner"
	ReasonMissingPrivateKey     Reason = "MissingPrivateKey"
	ReasonInvalidPrivateKey     Reason = "ErrorParsingKey"
	ReasonSecretForbidden       Reason = "ForbiddenSecret"
	ReasonSecretReadError       Reason = "ErrorGettingSecret"
	ReasonInvalidRequest        Reason = "ErrorGenerating"
	ReasonWaitingForMatchingKey Reason = "WaitingForMatchingKey"
	ReasonKeyMismatch           Reason = "ErrorKeyMatch"
	ReasonSigningError          Reason = "ErrorSigning"
	ReasonRequestReadError      Reason = "ErrorGettingRequest"
	ReasonIssuerNotFound        Reason = "IssuerNotFound"
	ReasonIssuerReadError       Reason = "ErrorGettingIssuer"
	ReasonIssuerNotChecked      Reason = "IssuerNotChecked"
	ReasonIssuerOutdated        Reason = "IssuerOutdated"
	ReasonIssuerNotReady        Reason = "IssuerNotReady"
	ReasonIssuerNotServed       Reason = "IssuerNotServed"
	ReasonReferenceDenied       Reason = "DeniedReference"
	ReasonReferenceReviewError  Reason = "ErrorReviewingReference"
	ReasonInvalidDuration       Reason = "InvalidDuration"
)

// outcome is the state of the request and the message for its user. Words in braces are
// replaced for each request, see messageArgs.
type outcome struct {
	state   state
	event   string // type of the event; empty: no event
	message string
}

// outcomes is the table of all outcomes. The message is in the condition and in the event.
var outcomes = map[Reason]outcome{
	ReasonIssued: {issued, corev1.EventTypeNormal,
		"Certificate issued, signed with the private key in Secret {secret}."},
	ReasonDenied: {denied, "", // the approver sends the event
		"The {kind} was denied by an approver and will not be signed."},

	ReasonMissingAnnotation: {failed, corev1.EventTypeWarning,
		"The annotation {annotation} is missing or empty. It must name the Secret with the private key of this request. cert-manager sets the annotation for each Certificate. If you created the {kind} yourself, re-create it with the annotation."},
	ReasonInvalidRequest: {failed, corev1.EventTypeWarning,
		"The request is not valid: {detail}. Correct the Certificate, or re-create the {kind} with a correct spec.request."},
	ReasonInvalidDuration: {failed, corev1.EventTypeWarning,
		"The requested duration is not valid: {detail}. Re-create the {kind} with a duration of at least {minimum}, in the annotation experimental.cert-manager.io/request-duration or in spec.expirationSeconds."},
	ReasonReferenceDenied: {failed, corev1.EventTypeWarning,
		"User {user} is not allowed to use {issuer}. Grant the verb \"reference\" on resource \"signers\" in apiGroup \"selfsigned.cert-manager.io\" for the issuer's name in its namespace, and re-create the {kind}."},
	ReasonKeyMismatch: {failed, corev1.EventTypeWarning,
		"The private key in Secret {secret} has not matched this request for {grace}. For a Certificate, cert-manager creates a new request automatically. Otherwise correct the annotation {annotation} and re-create the {kind}."},
	ReasonSigningError: {failed, corev1.EventTypeWarning,
		"{issuer} cannot sign the certificate: {detail}. Correct the Certificate or the issuer, and request the certificate again."},

	ReasonSecretNotFound: {pending, corev1.EventTypeNormal,
		"Waiting for Secret {secret} to be created. The annotation {annotation} names it as the Secret with the private key of this request."},
	ReasonMissingOwner: {pending, corev1.EventTypeWarning,
		"Secret {secret} with the private key of this request does not exist, and no Certificate owns the request, for example after a restore from a backup. Delete this {kind}: cert-manager does not use it, and cannot create another one with the same name."},
	ReasonMissingPrivateKey: {pending, corev1.EventTypeWarning,
		"Waiting for the private key of this request: Secret {secret} has no data in \"tls.key\". Store the PEM-encoded private key there."},
	ReasonInvalidPrivateKey: {pending, corev1.EventTypeWarning,
		"The private key in \"tls.key\" of Secret {secret} is not usable: {detail}. Replace it with the PEM-encoded private key of this request."},
	ReasonSecretForbidden: {pending, corev1.EventTypeWarning,
		"selfsigned-issuer is not allowed to get Secret {secret}. {role} in {overlay} grants this permission."},
	ReasonSecretReadError: {pending, corev1.EventTypeWarning,
		"Failed to read Secret {secret}, will retry: {detail}."},
	ReasonWaitingForMatchingKey: {pending, corev1.EventTypeNormal,
		"The private key in Secret {secret} does not match this request, which is normal while the key is being replaced. The request fails if this lasts for {grace}."},

	ReasonRequestReadError: {pending, corev1.EventTypeWarning,
		"Failed to read the {kind}, will retry: {detail}."},

	ReasonIssuerNotFound: {pending, corev1.EventTypeWarning,
		"{issuer} does not exist. Create it, or correct {reference}."},
	ReasonIssuerReadError: {pending, corev1.EventTypeWarning,
		"Failed to read {issuer}, will retry: {detail}."},
	ReasonIssuerNotChecked: {pending, corev1.EventTypeNormal,
		"Waiting for {issuer} to become ready."},
	ReasonIssuerOutdated: {pending, corev1.EventTypeNormal,
		"Waiting for {issuer} to become ready after its latest change."},
	ReasonIssuerNotReady: {pending, corev1.EventTypeWarning,
		"{issuer} is not ready: {detail}. Correct the issuer."},
	ReasonIssuerNotServed: {pending, corev1.EventTypeWarning,
		"{issuer} is not served: with --namespaces, selfsigned-issuer serves no cluster issuers. Use a SelfSignedIssuer in this namespace, or install deploy/overlays/default."},
	ReasonReferenceReviewError: {pending, corev1.EventTypeWarning,
		"Failed to check whether user {user} is allowed to use {issuer}, will retry: {detail}. selfsigned-issuer needs the verb \"create\" on resource \"subjectaccessreviews\" in apiGroup \"authorization.k8s.io\", which deploy/components/kubernetes-csrs grants."},
}

// The reasons of events in addition to ReasonIssued.
const (
	// adjusted: the message describes how the certificate differs from the request.
	adjusted = "Adjusted"

	badConfig        = "BadConfig"
	badConfigMessage = "The certificate has an empty subject and therefore an empty issuer DN, which RFC 5280 section 4.1.2.4 forbids and strict clients reject. Add a subject to the request. For a Certificate, set spec.commonName or spec.subject."
)

// The reasons of hints, see hints.go. The first one is that of the in-tree issuer.
const (
	ReasonWaitingForApproval Reason = "WaitingForApproval"
	ReasonIssuerKindUnknown  Reason = "IssuerKindUnknown"
	ReasonSignerNameInvalid  Reason = "SignerNameInvalid"
)

var (
	approvalHint = hint{
		reason: ReasonWaitingForApproval, eventType: corev1.EventTypeWarning, delay: approvalDelay,
		message: "This CertificateRequest was neither approved nor denied within {delay} of its creation. To approve it automatically, cert-manager needs the verb \"approve\" on resource \"signers\" in apiGroup \"cert-manager.io\" for resourceName \"{signer}/*\", which deploy/admin/approver.yaml grants. To approve it manually, run: cmctl approve -n {namespace} {name}",
	}
	csrApprovalHint = hint{
		reason: ReasonWaitingForApproval, eventType: corev1.EventTypeNormal, delay: approvalDelay,
		message: "This CertificateSigningRequest was neither approved nor denied within {delay} of its creation. To approve it, run: kubectl certificate approve {name}",
	}
	kindHint = hint{
		reason: ReasonIssuerKindUnknown, eventType: corev1.EventTypeWarning,
		message: "This CertificateRequest will not be signed: apiGroup {group} has no issuer kind \"{kind}\". Set the kind in the issuerRef of the Certificate to SelfSignedIssuer or ClusterSelfSignedIssuer. If you created the CertificateRequest yourself, re-create it with the correct kind.",
	}
	signerNameHint = hint{
		reason: ReasonSignerNameInvalid, eventType: corev1.EventTypeWarning,
		message: "This CertificateSigningRequest will not be signed: the signer name \"{signer}\" names no issuer. Re-create it with a signer name of the form selfsignedissuers.{group}/NAMESPACE.NAME or clusterselfsignedissuers.{group}/NAME.",
	}
)

// messageArgs are the values of one request for the words in braces.
type messageArgs map[string]string

// message renders the message of a reason.
func (a messageArgs) message(reason Reason) string { return a.render(outcomes[reason].message) }

// render replaces the words in braces. The values come from objects that others write: they are
// made printable and short.
func (a messageArgs) render(message string) string {
	pairs := make([]string, 0, 2*len(a))
	for word, value := range a {
		pairs = append(pairs, "{"+word+"}", printable(value))
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// maxArg is the maximum length of a value in a message, in bytes.
const maxArg = 400

// printable makes any text suitable for a condition, an event and a log line: valid UTF-8, on
// one line, of bounded length, and without a trailing period, which the message adds.
func printable(text string) string {
	return strings.TrimSuffix(strings.TrimSpace(truncate(onOneLine(text), maxArg)), ".")
}

// onOneLine replaces what is not printable. It is idempotent.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
}

// truncated marks where text was removed.
const truncated = "…"

// truncate limits text to limit bytes without breaking a rune, and marks the end.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(truncated)], "") + truncated
}
