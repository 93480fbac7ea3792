package main

// verifyCopy keeps a verification of a copy from marking anything: what is bad there
// may be good in the repository, whose marks are its own.
func (a *app) verifyCopy(f *verifyFlags) error {
	if a.copied == nil {
		return nil
	}
	if f.clear {
		return usagef("--clear takes back marks of the repository, and a copy is only read: leave --from replica out")
	}
	if !f.noMark {
		a.log.Info("a copy is verified: what is bad there is told and not marked, for the repository itself may have it whole")
		f.noMark = true
	}
	return nil
}
