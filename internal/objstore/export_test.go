package objstore

// Offering is a store that offers what is not nil, for tests of the decorators.
func Offering(s Store, t Tagger, f FolderLister, l Locker, a Thawer) Store {
	return optional{t, f, l, a}.with(s)
}
