// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are below the range for outgoing connections of Linux (32768 and up) and macOS (49152 and
// up), and below the NodePorts of a cluster on this machine: the port must be free when
// kube-apiserver is restarted. A port that the kernel chooses could be taken, even by the clients
// that reconnect to it.
const firstPort, lastPort = 20000, 29999

// handedOut has the ports of all clusters of this process. If another process takes a port,
// kube-apiserver is started with another one.
var handedOut sync.Map

// FreePort returns a free TCP port at 127.0.0.1, and each port only once.
func FreePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if _, taken := handedOut.LoadOrStore(port, true); taken {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // in use
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("found no free port between %d and %d", firstPort, lastPort)
}
