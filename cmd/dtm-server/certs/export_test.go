package certs

// OpenEager is Open, but the files are looked at for each handshake.
func OpenEager(files Files, report func(error)) (*Identity, error) { return open(files, 0, report) }
