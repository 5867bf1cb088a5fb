package certs

// Eager has the source look at its files at every handshake.
func (s *Source) Eager() *Source {
	s.recheck = 0
	return s
}
