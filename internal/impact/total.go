package impact

// Total is how much is lost, in a few words: "16 recovery points (4.1 GB)", "16
// recovery points (4.1 GB) and 9 days of point-in-time recovery of db1".
func (i Impact) Total() string {
	shortened := i.shortened()
	switch {
	case i.Points == 0 && shortened != "":
		return shortened
	case i.Points == 0 && i.Waiting > 0:
		return i.waiting() + " (as soon as what keeps " + agree(i.Waiting, "it", "them") + " is put right)"
	}
	text := points(i.Points) + " (" + sizeOf(i.Bytes, i.Points, i.Unsized) + ")"
	if shortened != "" {
		text += " and " + shortened
	}
	return text
}

// waiting is what waits, in a few words.
func (i Impact) waiting() string {
	windows := 0
	for _, w := range i.Windows {
		if w.waits() {
			windows++
		}
	}
	switch windows {
	case 0:
		return points(i.Waiting)
	case i.Waiting:
		return "part of the point-in-time recovery of " + count(windows, "server", "servers")
	}
	return points(i.Waiting-windows) + " and part of the point-in-time recovery of " + count(windows, "server", "servers")
}
