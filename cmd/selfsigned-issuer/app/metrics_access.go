// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/cache"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/cert-manager/selfsigned-issuer/controllers"
)

const (
	// maxAuthorization limits the Authorization header. The token of a ServiceAccount has about 1 KiB.
	maxAuthorization = 8 << 10

	// reviewTimeout limits one review by the API server.
	reviewTimeout = 5 * time.Second

	// Limits of concurrent reviews, in total and for one address.
	maxReviews        = 20
	maxReviewsPerHost = 5

	// slotTimeout limits how long a client waits for the reviews of others.
	slotTimeout = 2 * time.Second

	// refusalDelay slows down clients that try tokens.
	refusalDelay = 200 * time.Millisecond

	// Recently allowed clients have separate slots.
	allowedFor = 10 * time.Minute
	maxAllowed = 64
)

// metricsAccess limits the load from unknown clients of the metrics. controller-runtime's filter decides
// about each request.
type metricsAccess struct {
	filter  metricsserver.Filter
	metrics http.Handler
	failed  *repeatedLog

	unknownSlots *controllers.FairSlots
	allowedSlots *controllers.FairSlots
	allowed      *cache.LRUExpireCache // hashes of Authorization headers
}

// authorizeClients serves the metrics to clients that the API server allows to get /metrics.
func authorizeClients(config *rest.Config, logger logr.Logger, metrics http.Handler) (http.Handler, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // limited here
	config.Timeout = reviewTimeout
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return noRetry{next} })
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	filter, err := filters.WithAuthenticationAndAuthorization(config, client)
	if err != nil {
		return nil, err
	}
	return &metricsAccess{
		filter:  filter,
		metrics: metrics,
		failed:  newRepeatedLog(logger, "Failed to review a client of the metrics"),

		unknownSlots: controllers.NewFairSlots(maxReviews, maxReviewsPerHost),
		allowedSlots: controllers.NewFairSlots(maxReviews, maxReviewsPerHost),
		allowed:      cache.NewLRUExpireCache(maxAllowed),
	}, nil
}

func (a *metricsAccess) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	// The filter caches decisions by method, which can be as long as the header.
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	header := request.Header.Get("Authorization")
	if header == "" || len(header) > maxAuthorization {
		http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		return
	}
	token := sha256.Sum256([]byte(header))
	slots := a.unknownSlots
	if _, ok := a.allowed.Get(token); ok {
		slots = a.allowedSlots
	}
	waiting, cancel := context.WithTimeout(request.Context(), slotTimeout)
	defer cancel()
	release, err := slots.Acquire(waiting, hostOf(request.RemoteAddr))
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many clients", http.StatusServiceUnavailable)
		return
	}
	if a.review(w, request) {
		release()
		a.allowed.Add(token, nil, allowedFor)
		a.metrics.ServeHTTP(w, request)
		return
	}
	release()
	a.allowed.Remove(token)
	select { // net/http sends a short response when the handler returns
	case <-time.After(refusalDelay):
	case <-request.Context().Done():
	}
}

// review returns whether the client is allowed. If not, it writes the response.
func (a *metricsAccess) review(w http.ResponseWriter, request *http.Request) (allowed bool) {
	// The library continues when the client has disconnected, so the slot is still in use.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(request.Context()), reviewTimeout)
	defer cancel()
	review := &clientReview{ResponseWriter: w}
	handler, err := a.filter(logr.New(review), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { allowed = true }))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return false
	}
	handler.ServeHTTP(review, request.WithContext(ctx))
	if review.err != nil && !isRefusal(review.err) {
		a.failed.add(review.err.Error())
	}
	return allowed
}

// clientReview is the response to one client, and the logger of the filter, to get its error.
type clientReview struct {
	http.ResponseWriter
	err error
}

// WriteHeader replaces the filter's status 500 for an invalid token by 401.
func (r *clientReview) WriteHeader(status int) {
	if status == http.StatusInternalServerError && isRefusal(r.err) {
		status = http.StatusUnauthorized
	}
	r.ResponseWriter.WriteHeader(status)
}

// Init does nothing.
func (r *clientReview) Init(logr.RuntimeInfo) {}

// Enabled disables Info.
func (r *clientReview) Enabled(int) bool { return false }

// Info is not called.
func (r *clientReview) Info(int, string, ...any) {}

// Error keeps the error.
func (r *clientReview) Error(err error, _ string, _ ...any) { r.err = err }

// WithValues ignores the values.
func (r *clientReview) WithValues(...any) logr.LogSink { return r }

// WithName ignores the name.
func (r *clientReview) WithName(string) logr.LogSink { return r }

// errNotReviewed is the error of a review without a decision.
var errNotReviewed = errors.New("the API server did not answer")

// isRefusal returns whether the API server has rejected a token, not failed to review it.
func isRefusal(err error) bool {
	if several, ok := err.(utilerrors.Aggregate); ok { //nolint:errorlint // the library returns it as it is
		for _, err := range several.Errors() {
			if !isRefusal(err) {
				return false
			}
		}
		return true
	}
	status := apierrors.APIStatus(nil)
	return err != nil && !errors.As(err, &status) && !errors.Is(err, errNotReviewed) &&
		!errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// noRetry prevents retries by client-go and the filter, so that a review takes at most reviewTimeout.
type noRetry struct{ next http.RoundTripper }

// RoundTrip sends a request.
func (n noRetry) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := n.next.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errNotReviewed, err) //nolint:errorlint // unwrapping would allow a retry
	}
	if response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%w: %s", errNotReviewed, response.Status)
	}
	return response, nil
}
