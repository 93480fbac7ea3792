package impact

// Total is how much is lost, in a few words: "16 recovery points (4.1 GB)".
func (i Impact) Total() string {
	if i.Points == 0 && i.Waiting > 0 {
		return points(i.Waiting) + " (as soon as what keeps " + agree(i.Waiting, "it", "them") + " is put right)"
	}
	return points(i.Points) + " (" + sizeOf(i.Bytes, i.Points, i.Unsized) + ")"
}
