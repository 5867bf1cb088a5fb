package main

import (
	"github.com/spf13/pflag"
)

// databases are the DSNs of the services' databases, by service.
type databases map[string]*string

func (d databases) register(flags *pflag.FlagSet) {
	for _, name := range serviceNames() {
		d[name] = flags.String(name+"-db", "", name+"'s database: mysql://user:password@host:3306/database or sqlite:/path; better in the environment, for a command line shows the password to everybody")
	}
}

// of returns a service's DSN.
func (d databases) of(service string) (string, error) {
	if dsn := *d[service]; dsn != "" {
		return dsn, nil
	}
	return "", usagef("--%s-db is missing: say where %s keeps its data, such as sqlite:/path/to/file.db, or set %s", service, service, environmentName(service+"-db"))
}
