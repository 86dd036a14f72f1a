// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Program describes how a program is built.
type Program struct {
	// Name is the name of the program's file.
	Name string
	// directory of its module, below the repository's root
	directory string
	// Go package to build, as seen from the module
	pkg string
	// module with the version of the program, and the linker variables for it, as the project's
	// release build sets them with -X
	versionModule string
	versionVars   []string
	// alternative to go.mod, with its build tags
	modfile, tags string
	// duration of the first build on 2 cores, without downloads
	coldBuild string
	// built from files that are not pinned
	workingTree bool
	// built with the race detector
	race bool
	// part of what setup-envtest installs, which is used instead
	envtest bool
	// an installed program of this name is used
	fromPath bool
}

const kubernetesDirectory = "e2e/versions/kubernetes"

const (
	// These variables name a minor version, such as v1.33. Each but that of go.mod has a file of that
	// name with the suffix .mod beside it.
	kubernetesEnv     = "KUBERNETES"
	certManagerEnv    = "CERT_MANAGER"
	certManagerModule = "github.com/cert-manager/cert-manager"
)

var kubernetesVersionVars = []string{
	"k8s.io/component-base/version.gitVersion",
	"k8s.io/client-go/pkg/version.gitVersion",
}

// Etcd is the store of the control plane. If it is built, it is the same for all versions of Kubernetes.
func Etcd() Program {
	return Program{
		Name: "etcd", directory: kubernetesDirectory, pkg: "go.etcd.io/etcd/server/v3",
		versionModule: "go.etcd.io/etcd/server/v3",
		coldBuild:     "a minute", envtest: true,
	}
}

// KubeAPIServer is the Kubernetes API server.
func KubeAPIServer() Program {
	return kubernetes("kube-apiserver", "4 minutes", Program{envtest: true})
}

// KubeControllerManager runs the controllers of Kubernetes.
func KubeControllerManager() Program {
	return kubernetes("kube-controller-manager", "a minute", Program{})
}

// Kubectl is taken from the PATH, if possible.
func Kubectl() Program {
	return kubernetes("kubectl", "half a minute", Program{envtest: true, fromPath: true})
}

// SetupEnvtest installs the programs of the control plane.
func SetupEnvtest() Program {
	const module = "sigs.k8s.io/controller-runtime/tools/setup-envtest"
	return Program{
		Name: "setup-envtest", directory: "e2e/versions/envtest", pkg: module, versionModule: module,
		coldBuild: "10 seconds",
	}
}

func kubernetes(name, coldBuild string, p Program) Program {
	p.Name, p.coldBuild = name, coldBuild
	p.directory, p.pkg = kubernetesDirectory, "k8s.io/kubernetes/cmd/"+name
	p.versionModule, p.versionVars = "k8s.io/kubernetes", kubernetesVersionVars
	return p.selectedBy(kubernetesEnv)
}

// CertManager has the controllers and the webhook of cert-manager in one program.
func CertManager() Program {
	return Program{
		Name: "cert-manager", directory: "e2e/versions/certmanager", pkg: ".",
		versionModule: certManagerModule,
		versionVars:   []string{certManagerModule + "/pkg/util.AppVersion"},
		coldBuild:     "a minute",
	}.selectedBy(certManagerEnv)
}

// selectedBy selects the minor version in an environment variable; by default, that of go.mod.
func (p Program) selectedBy(env string) Program {
	if minor := os.Getenv(env); minor != "" && minor != p.Minors()[0] {
		p.modfile = minor + ".mod"
		p.tags = filepath.Base(p.directory) + "_" + strings.ReplaceAll(minor, ".", "_")
		p.coldBuild += " or more" // it shares few packages with the other programs
	}
	return p
}

// Minors returns the pinned minor versions of a program, that of go.mod first.
func (p Program) Minors() []string {
	minors := []string{""}
	root, err := Root()
	if err != nil {
		return minors
	}
	directory := filepath.Join(root, p.directory)
	if content, err := os.ReadFile(filepath.Join(directory, "go.mod")); err == nil {
		if found := regexp.MustCompile(p.versionModule + ` (v\d+\.\d+)`).FindSubmatch(content); found != nil {
			minors[0] = string(found[1])
		}
	}
	others, _ := filepath.Glob(filepath.Join(directory, "v*.mod")) // the pattern is valid
	for _, file := range others {
		minors = append(minors, strings.TrimSuffix(filepath.Base(file), ".mod"))
	}
	return minors
}

// ModfileFlags select the go.mod of the program, if its module has several.
func (p Program) ModfileFlags() []string {
	if p.modfile == "" {
		return nil
	}
	return []string{"-modfile=" + p.modfile}
}

// TrustManager is trust-manager, its controllers and its webhook.
func TrustManager() Program {
	return Program{
		Name: "trust-manager", directory: "e2e/versions/trustmanager", pkg: ".",
		versionModule: "github.com/cert-manager/trust-manager",
		coldBuild:     "3 minutes",
	}
}

// ApproverPolicy is approver-policy.
func ApproverPolicy() Program {
	const module = "github.com/cert-manager/approver-policy"
	return Program{
		Name: "approver-policy", directory: "e2e/versions/approverpolicy", pkg: module + "/cmd",
		versionModule: module,
		coldBuild:     "2 minutes",
	}
}

// Issuer is selfsigned-issuer, with the version from git.
func Issuer() Program {
	return Program{
		Name: "selfsigned-issuer", directory: ".", pkg: "./cmd/selfsigned-issuer",
		workingTree: true,
	}
}

// KubectlPlugin is kubectl-selfsigned.
func KubectlPlugin() Program {
	return Program{Name: "kubectl-selfsigned", directory: "cmd/kubectl-selfsigned", pkg: ".", workingTree: true}
}

// IssuerRace is selfsigned-issuer with the race detector, which needs a C compiler.
func IssuerRace() Program {
	p := Issuer()
	p.race = true
	return p
}
