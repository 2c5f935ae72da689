package testkit

// TB is what the helpers need of *testing.T, *testing.B and *rapid.T.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}
