// Package plugins takes the place of Prometheus's own list of service discoveries. Those for
// clouds are most of what there is to compile, and the lab names its targets itself.
package plugins
