// Package django holds no Go: questwatch_report.py is what a Django application drops in to report approvals that were
// rolled back, and the tests run it on a real Postgres and read what it says as Questwatch does, from a logical slot.
package django
