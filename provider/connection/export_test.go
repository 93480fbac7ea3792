package connection

import "time"

// FailureTime is for tests.
const FailureTime = failureTime

// Age lets time pass for what is remembered of STS.
func (c *Connection) Age(by time.Duration) {
	c.identity.Lock()
	defer c.identity.Unlock()
	c.failedAt = c.failedAt.Add(-by)
}
