package swap

var (
	BesideName = besideName
	IsBeside   = isBeside
	OldName    = oldName
	SplitNames = splitNames
)
