// Package postgres holds no Go: constraints.sql is the optional constraint pack for the watched database. The tests apply
// and remove each section as its text says, try it on every workflow of the application, show what two transactions at the
// same time can do in spite of it, and measure what it costs.
package postgres
