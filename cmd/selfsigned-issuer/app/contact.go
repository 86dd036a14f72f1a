// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	// contactTimeout bounds one attempt to reach the API server.
	contactTimeout = 10 * time.Second

	// contactPeriod is how often an attempt is made.
	contactPeriod = 2 * time.Second
)

// contact is the first contact with the API server.
type contact struct {
	client  discovery.DiscoveryInterface
	address *url.URL
	probes  *probes
	logger  logr.Logger
	proxy   func(*http.Request) (*url.URL, error)

	reported string // the reason in the log
	limit    rate.Sometimes
}

// newContact fails only for an address or credentials that can never be used.
func newContact(config *rest.Config, probes *probes, logger logr.Logger) (*contact, error) {
	config = rest.CopyConfig(config)
	config.Timeout = contactTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("no access to an API server at %q: %w", config.Host, err)
	}
	address, _, err := rest.DefaultServerUrlFor(config)
	if err != nil || !isAddress(address) {
		return nil, fmt.Errorf("no access to an API server at %q: want https://HOST:PORT", config.Host)
	}
	c := &contact{client: client, address: address, probes: probes, logger: logger, proxy: config.Proxy}
	if c.proxy == nil { // as client-go
		c.proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	c.limit = rate.Sometimes{Interval: repeatedLogInterval}
	return c, nil
}

func isAddress(address *url.URL) bool {
	if address.Scheme != "https" && address.Scheme != "http" || address.Hostname() == "" {
		return false
	}
	_, err := strconv.ParseUint(address.Port(), 10, 16)
	return err == nil || address.Port() == ""
}

// await returns when the API server has answered or ctx has ended. If the process ended
// instead, the kubelet would wait up to five minutes before the next start. Every failure may
// be temporary: a network, a mesh or DNS that starts later, a credential or a CA that is being
// replaced, a node that comes up before its control plane.
func (c *contact) await(ctx context.Context) {
	err := wait.PollUntilContextCancel(ctx, contactPeriod, true, func(ctx context.Context) (bool, error) {
		err := c.client.RESTClient().Get().AbsPath("/version").MaxRetries(0).Do(ctx).Error()
		if err == nil || apierrors.IsForbidden(err) { // either is an answer
			return true, nil
		}
		c.report(err)
		return false, nil
	})
	if err == nil && c.reported != "" {
		c.logger.Info("The API server is available")
	}
	c.probes.setNotReady(errors.New("starting"))
}

// report says why the API server is waited for, in the log only when the reason has changed.
func (c *contact) report(err error) {
	reason := err.Error() + c.proxyHint()
	c.probes.setNotReady(errors.New("waiting for the API server: " + reason))
	if reason == c.reported {
		return
	}
	c.limit.Do(func() { // some reasons differ each time, by the port of the connection
		c.logger.Info("Not ready: waiting for the API server: " + reason)
		c.reported = reason
	})
}

// proxyHint names a frequent cause.
func (c *contact) proxyHint() string {
	proxy, err := c.proxy(&http.Request{URL: c.address})
	if err != nil || proxy == nil {
		return ""
	}
	return fmt.Sprintf("; connections go through the proxy %s: to connect directly, add %s to NO_PROXY", proxy.Redacted(), c.address.Hostname())
}
