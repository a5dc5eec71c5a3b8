// Reads an OCI runtime configuration and prints it with the seccomp profile that containerd gives
// a container of its capabilities: what Kubernetes calls RuntimeDefault.
package main

import (
	"encoding/json"
	"os"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	var spec specs.Spec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		panic(err)
	}
	spec.Linux.Seccomp = seccomp.DefaultProfile(&spec)
	if err := json.NewEncoder(os.Stdout).Encode(&spec); err != nil {
		panic(err)
	}
}
