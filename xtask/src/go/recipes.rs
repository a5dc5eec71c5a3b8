//! What tests and commands need that is built from Go's sources.

use zonemeter_lab::go_tools;

use super::{Instead, Recipe};

/// All of them; what takes longest to build comes last.
pub(crate) const ALL: &[&Recipe] = &[OPERATOR, SECCOMP, HELM, PROMETHEUS, KUBERNETES];

/// The schemas of the Prometheus Operator, for what the chart makes of its kinds.
pub(crate) const OPERATOR: &Recipe = &Recipe {
    tools: go_tools::OPERATOR,
    minutes: 0,
    packages: &[],
    files: &[
        (
            "podmonitors.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
        ),
        (
            "prometheusrules.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        ),
    ],
    release: (1, 24),
    linked: |_| String::new(),
    instead: None,
};

/// What gives a container the seccomp profile of containerd.
pub(crate) const SECCOMP: &Recipe = &Recipe {
    tools: go_tools::SECCOMP,
    minutes: 1,
    packages: &[("runtime-default", ".")],
    files: &[],
    release: (1, 24),
    linked: |_| String::new(),
    instead: None,
};

/// Helm, for the tests of the chart and for `cargo xtask manifests`.
pub(crate) const HELM: &Recipe = &Recipe {
    tools: go_tools::HELM,
    minutes: 2,
    packages: &[("helm", "helm.sh/helm/v4/cmd/helm")],
    files: &[],
    release: (1, 26),
    linked: |version| format!("-X helm.sh/helm/v4/internal/version.version={version}"),
    instead: None,
};

/// Prometheus and promtool for the lab, the demo and the checks of the rules. Service discovery
/// for two dozen clouds is most of what there is to compile; the lab names its targets itself.
pub(crate) const PROMETHEUS: &Recipe = &Recipe {
    tools: go_tools::PROMETHEUS,
    minutes: 4,
    packages: &[
        (
            "prometheus",
            "github.com/prometheus/prometheus/cmd/prometheus",
        ),
        ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
    ],
    files: &[],
    release: (1, 24),
    linked: |module| {
        let release = release_of_prometheus(module);
        format!("-X github.com/prometheus/common/version.Version={release}")
    },
    instead: Some(Instead {
        module: "github.com/prometheus/prometheus",
        file: "plugins/plugins.go",
        ours: "plugins/plugins.go",
    }),
};

/// etcd, kube-apiserver and kubectl for the tests that need a real API server. Without a version
/// the server and kubectl would call themselves `v0.0.0-master`.
pub(crate) const KUBERNETES: &Recipe = &Recipe {
    tools: go_tools::KUBERNETES,
    minutes: 8,
    packages: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
    files: &[],
    release: (1, 25),
    linked: |version| {
        let mut numbers = version.trim_start_matches('v').split('.');
        let set = |name: &str, value: Option<&str>| {
            let value = value.unwrap_or_default();
            format!("-X k8s.io/component-base/version.{name}={value} ")
        };
        set("gitVersion", Some(version))
            + &set("gitMajor", numbers.next())
            + &set("gitMinor", numbers.next())
    },
    instead: None,
};

/// Prometheus 3.5.0 is version v0.305.0 as a module: the minor number holds the major one.
fn release_of_prometheus(module: &str) -> String {
    let mut numbers = module.trim_start_matches("v0.").split('.');
    let both = numbers.next().and_then(|both| both.parse::<u32>().ok());
    match (both, numbers.next()) {
        (Some(both), Some(patch)) => format!("{}.{}.{patch}", both / 100, both % 100),
        _ => module.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_prometheus_is_told_as_a_release() {
        assert_eq!(release_of_prometheus("v0.305.0"), "3.5.0");
        assert_eq!(release_of_prometheus("v0.312.2"), "3.12.2");
        assert_eq!(release_of_prometheus("main"), "main");
        let version = go_tools::PROMETHEUS.version().unwrap();
        assert!((PROMETHEUS.linked)(&version).ends_with("version.Version=3.5.0"));
    }

    #[test]
    fn the_api_server_knows_its_version() {
        let flags = (KUBERNETES.linked)("v1.35.4");
        assert!(flags.contains("gitVersion=v1.35.4 "), "{flags}");
        assert!(flags.ends_with("gitMinor=35 "), "{flags}");
    }
}
