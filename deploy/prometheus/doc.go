// Package prometheus holds what monitoring can use: alerts.yaml, the alerts, with
// alerts_test.yaml, their tests, and grafana.json, a dashboard. What they ask for is
// held against what the program serves by a test of internal/app.
package prometheus
