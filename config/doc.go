// Package config reads Tollgate's configuration: one YAML file and the
// environment. It is strict, and it reports everything that is wrong at once,
// each with file, line and column and with what would be right.
//
//	cfg, err := config.Load("tollgate.yaml", os.Getenv)
//
// Values may name environment variables: ${VAR} must be set and not empty,
// ${VAR:-default} need not be, $${ is a literal ${. They are replaced after the
// YAML was parsed, so a secret can hold any character.
//
// The package only reads: each part of the program owns its options and
// checks them again. Only the command imports this package.
package config
