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
	// maxAuthorization is the longest Authorization header. A ServiceAccount's token has about 1 KiB.
	maxAuthorization = 8 << 10

	// reviewTimeout bounds one review by the API server.
	reviewTimeout = 5 * time.Second

	// reviewsAtOnce is how many clients are reviewed at the same time, and reviewsPerHost how many of
	// one address.
	reviewsAtOnce  = 20
	reviewsPerHost = 5

	// slotTimeout bounds the wait for others who are reviewed.
	slotTimeout = 2 * time.Second

	// refusalDelay slows down who tries tokens.
	refusalDelay = 200 * time.Millisecond

	// Clients that were allowed lately do not wait for others.
	allowedFor = 10 * time.Minute
	maxAllowed = 64
)

// metricsAccess limits what unknown clients of the metrics can cause. Who may read the metrics is decided
// by controller-runtime's filter, each time.
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
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return askOnce{next} })
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

		unknownSlots: controllers.NewFairSlots(reviewsAtOnce, reviewsPerHost),
		allowedSlots: controllers.NewFairSlots(reviewsAtOnce, reviewsPerHost),
		allowed:      cache.NewLRUExpireCache(maxAllowed),
	}, nil
}

func (a *metricsAccess) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	// The filter caches each decision under the method, which may be as long as the header.
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
	select { // net/http sends a short answer when the handler returns
	case <-time.After(refusalDelay):
	case <-request.Context().Done():
	}
}

// review reports whether the client is allowed, and answers it otherwise.
func (a *metricsAccess) review(w http.ResponseWriter, request *http.Request) (allowed bool) {
	// The library goes on to ask when the client is gone: so does this, and keeps the slot.
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

// clientReview is the review of one client: the answer to it, and the log of the filter, which knows why.
type clientReview struct {
	http.ResponseWriter
	err error
}

// WriteHeader answers 401 where the filter does not tell an invalid token from a failure.
func (r *clientReview) WriteHeader(status int) {
	if status == http.StatusInternalServerError && isRefusal(r.err) {
		status = http.StatusUnauthorized
	}
	r.ResponseWriter.WriteHeader(status)
}

// Init is of logr.LogSink, as are the other methods.
func (r *clientReview) Init(logr.RuntimeInfo) {}

// Enabled is false for what is no error.
func (r *clientReview) Enabled(int) bool { return false }

// Info is not called.
func (r *clientReview) Info(int, string, ...any) {}

// Error keeps the error.
func (r *clientReview) Error(err error, _ string, _ ...any) { r.err = err }

// WithValues has nowhere to put them.
func (r *clientReview) WithValues(...any) logr.LogSink { return r }

// WithName has nowhere to put it.
func (r *clientReview) WithName(string) logr.LogSink { return r }

// errNotReviewed is that the API server could not decide.
var errNotReviewed = errors.New("the API server did not answer")

// isRefusal tells the API server's answer that a token is invalid from the failure to get an answer.
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

// askOnce makes errors of failures that client-go and the filter would retry: a review takes
// reviewTimeout at most, and Prometheus asks again.
type askOnce struct{ next http.RoundTripper }

// RoundTrip sends a request.
func (o askOnce) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errNotReviewed, err) //nolint:errorlint // not for others to unwrap and retry
	}
	if response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%w: %s", errNotReviewed, response.Status)
	}
	return response, nil
}
