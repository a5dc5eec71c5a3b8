// The Prometheus Operator, for the schemas of its kinds alone: nothing of it is built.
module zonemeter.invalid/tools/operator

go 1.24.0

require (
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
