package connection

// Claim notes that a deployment of this name was made in this apply, and of which
// generation: one made by two resources of one configuration, and one that follows
// its predecessor before that is removed, can be told by it even where nothing but
// the provider remembers.
func (c *Connection) Claim(name, generation string) { c.made.Store(name, generation) }

// Claimed gives the generation of a deployment that was made in this apply, "" when
// it was not.
func (c *Connection) Claimed(name string) string {
	generation, _ := c.made.Load(name)
	text, _ := generation.(string)
	return text
}

// Release forgets a deployment that was removed.
func (c *Connection) Release(name string) { c.made.Delete(name) }
