// Package chart looks at every pod, Secret and argument that the chart renders with each of its ci/*-values.yaml. It has
// only tests.
package chart
