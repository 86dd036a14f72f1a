// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"
)

// Reason names what was found out about a request. It is also the reason of the event
// that reports it, and of a failed Kubernetes CSR's condition. Where cert-manager's
// in-tree SelfSigned issuer has a name for the situation, it is the same here.
type Reason string

// state is what a situation means for the request.
type state int

const (
	pending state = iota // nothing is lost: the request is signed once the cause is gone
	failed               // final: the request has to be created again
	denied               // final: an approver said no
	issued               // final: the certificate is there
)

// String is how metrics call it.
func (s state) String() string { return [...]string{"pending", "failed", "denied", "issued"}[s] }

// The situations that a request can be in.
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

// outcome is what one situation means for the request and what its user reads. Words in
// braces are filled in per request, see messageArgs.
type outcome struct {
	state   state
	event   string // type of the event; empty: no event, somebody else has sent one already
	message string
}

// outcomes is the whole table: every reason, what happens to the request, and the
// sentence that stands in its condition and its event.
var outcomes = map[Reason]outcome{
	ReasonIssued: {issued, corev1.EventTypeNormal,
		"Signed with its own private key from Secret {secret}."},
	ReasonDenied: {denied, "", // the approver that denied it has sent the event
		"The {kind} was denied by an approver and will not be signed."},

	ReasonMissingAnnotation: {failed, corev1.EventTypeWarning,
		"The annotation {annotation} is missing or empty: it must name the Secret that holds the private key of this request. cert-manager sets it for every Certificate; when you create a {kind} yourself, create it again with the annotation."},
	ReasonInvalidRequest: {failed, corev1.EventTypeWarning,
		"The request cannot be turned into a certificate: {detail}. Correct the Certificate, or create the {kind} again with a correct spec.request."},
	ReasonInvalidDuration: {failed, corev1.EventTypeWarning,
		"The requested duration is not valid: {detail}. Create the {kind} again with a duration of at least {minimum}, in the annotation experimental.cert-manager.io/request-duration or in spec.expirationSeconds."},
	ReasonReferenceDenied: {failed, corev1.EventTypeWarning,
		"User {user} may not use {issuer}: grant the verb \"reference\" on resource \"signers\" in apiGroup \"selfsigned.cert-manager.io\" for the issuer's name in its namespace, and create the {kind} again."},
	ReasonKeyMismatch: {failed, corev1.EventTypeWarning,
		"Secret {secret} has held another private key than that of this request for {grace}. cert-manager requests again by itself for a Certificate; otherwise correct the annotation {annotation} and create the {kind} again."},
	ReasonSigningError: {failed, corev1.EventTypeWarning,
		"The certificate cannot be signed by {issuer}: {detail}. Correct the Certificate or the issuer, then request it again."},

	ReasonSecretNotFound: {pending, corev1.EventTypeNormal,
		"Waiting for Secret {secret} with the private key of this request: it does not exist. It is named by the annotation {annotation}."},
	ReasonMissingOwner: {pending, corev1.EventTypeWarning,
		"Secret {secret} with the private key of this request does not exist, and no Certificate owns the request, as after a restore from a backup. Delete this {kind}: cert-manager does not use it, and cannot create another one of the same name."},
	ReasonMissingPrivateKey: {pending, corev1.EventTypeWarning,
		"Waiting for the private key of this request: Secret {secret} has no data in \"tls.key\". Put the PEM-encoded private key there."},
	ReasonInvalidPrivateKey: {pending, corev1.EventTypeWarning,
		"Waiting for a usable private key: \"tls.key\" in Secret {secret} cannot be used: {detail}. Replace it with the PEM-encoded private key of this request."},
	ReasonSecretForbidden: {pending, corev1.EventTypeWarning,
		"Waiting for the right to read Secret {secret}: selfsigned-issuer lacks the verb \"get\" on resource \"secrets\" there. The overlay {overlay} grants it in {role}."},
	ReasonSecretReadError: {pending, corev1.EventTypeWarning,
		"Waiting for the API server: reading Secret {secret} failed and is tried again, nothing is lost: {detail}."},
	ReasonWaitingForMatchingKey: {pending, corev1.EventTypeNormal,
		"Waiting for Secret {secret} to hold the private key of this request: it holds another one now, as happens while the key is being replaced. The request fails if that lasts for {grace}."},

	ReasonRequestReadError: {pending, corev1.EventTypeWarning,
		"Failed to read the {kind}, will retry: {detail}."},

	ReasonIssuerNotFound: {pending, corev1.EventTypeWarning,
		"Waiting for {issuer}: it does not exist. Create it, or correct {reference}."},
	ReasonIssuerReadError: {pending, corev1.EventTypeWarning,
		"Waiting for the API server: reading {issuer} failed and is tried again, nothing is lost: {detail}."},
	ReasonIssuerNotChecked: {pending, corev1.EventTypeNormal,
		"Waiting for {issuer}: it is new and has not been checked yet, which takes a moment."},
	ReasonIssuerOutdated: {pending, corev1.EventTypeNormal,
		"Waiting for {issuer}: its latest change has not been checked yet, which takes a moment."},
	ReasonIssuerNotReady: {pending, corev1.EventTypeWarning,
		"Waiting for {issuer}: it is not Ready: {detail}. Correct the issuer."},
	ReasonIssuerNotServed: {pending, corev1.EventTypeWarning,
		"Waiting for {issuer} to be served: selfsigned-issuer has rights in single namespaces only (--namespaces) and serves no cluster issuers. Request from a SelfSignedIssuer in this namespace, or install deploy/overlays/default."},
	ReasonReferenceReviewError: {pending, corev1.EventTypeWarning,
		"Waiting for the API server: whether user {user} may use {issuer} could not be reviewed and is tried again: {detail}. selfsigned-issuer needs the verb \"create\" on subjectaccessreviews in apiGroup \"authorization.k8s.io\", which deploy/components/kubernetes-csrs grants."},
}

// Events beside the one of ReasonIssued.
const (
	// adjusted: the certificate differs from the request in what the note says.
	adjusted = "Adjusted"

	badConfig        = "BadConfig"
	badConfigMessage = "The certificate has an empty subject and so an empty issuer DN, which RFC 5280 section 4.1.2.4 forbids and strict clients refuse. Give the request a subject; for a Certificate set spec.commonName or spec.subject."
)

// The reasons of hints, see hints.go. The first one is in-tree's.
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
		message: "This CertificateRequest will not be signed: apiGroup {group} has no issuer kind \"{kind}\". Set the kind in the issuerRef of the Certificate to SelfSignedIssuer or ClusterSelfSignedIssuer. If you created the CertificateRequest yourself, create it again with the correct kind.",
	}
	signerNameHint = hint{
		reason: ReasonSignerNameInvalid, eventType: corev1.EventTypeWarning,
		message: "This CertificateSigningRequest will not be signed: the signer name \"{signer}\" names no issuer. Create it again with a signer name of the form selfsignedissuers.{group}/NAMESPACE.NAME or clusterselfsignedissuers.{group}/NAME.",
	}
)

// messageArgs are the words of one request that its messages are rendered with.
type messageArgs map[string]string

// message returns the message of s with the arguments put in. They come from other people's
// objects: they are made printable and kept short, so that a message stays one sentence.
func (f messageArgs) message(s Reason) string { return f.render(outcomes[s].message) }

// render returns a message with the arguments put in.
func (f messageArgs) render(message string) string {
	pairs := make([]string, 0, 2*len(f))
	for word, value := range f {
		pairs = append(pairs, "{"+word+"}", printable(value))
	}
	return strings.NewReplacer(pairs...).Replace(message)
}

// maxArg is the longest argument, in bytes, that is put into a message.
const maxArg = 400

// printable makes text of any origin fit for a condition, an event and a log line: valid
// UTF-8, on one line, of bounded length and without a full stop that would be doubled.
func printable(text string) string {
	return strings.TrimSuffix(strings.TrimSpace(truncate(onOneLine(text), maxArg)), ".")
}

// onOneLine replaces what is not printable. A second time it changes nothing.
func onOneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
}

// truncated marks where text was cut.
const truncated = "…"

// truncate cuts text to at most limit bytes without breaking a rune, and marks the cut.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(truncated)], "") + truncated
}
