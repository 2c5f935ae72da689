// Package config reads the program's settings: flags over environment over file
// over defaults.
//
// The file is YAML and strict: an unknown key is an error with its line and
// column. Every key has an environment variable, QUESTWATCH_ and its path in
// capitals: postgres.dsn is QUESTWATCH_POSTGRES_DSN. Every secret has a twin that
// names a file to read it from. Errors never repeat a line of the file, which may
// hold secrets, nor a value other than a status word.
package config
