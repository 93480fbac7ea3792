package objstore

// optional are the interfaces that a store may offer beside Store; nil for those it
// does not.
type optional struct {
	Tagger
	FolderLister
	Locker
	Thawer
}

// offered is what a store offers beside Store.
func offered(s Store) optional {
	var o optional
	o.Tagger, _ = s.(Tagger)
	o.FolderLister, _ = s.(FolderLister)
	o.Locker, _ = s.(Locker)
	o.Thawer, _ = s.(Thawer)
	return o
}

// with gives a decorator the optional interfaces that are not nil. Go has no
// shorter way to add methods to a value than one type for each set of them.
func (o optional) with(s Store) Store {
	t, f, l, a := o.Tagger, o.FolderLister, o.Locker, o.Thawer
	switch {
	case t != nil && f != nil && l != nil && a != nil:
		return struct {
			Store
			Tagger
			FolderLister
			Locker
			Thawer
		}{s, t, f, l, a}
	case t != nil && f != nil && l != nil:
		return struct {
			Store
			Tagger
			FolderLister
			Locker
		}{s, t, f, l}
	case t != nil && f != nil && a != nil:
		return struct {
			Store
			Tagger
			FolderLister
			Thawer
		}{s, t, f, a}
	case t != nil && l != nil && a != nil:
		return struct {
			Store
			Tagger
			Locker
			Thawer
		}{s, t, l, a}
	case f != nil && l != nil && a != nil:
		return struct {
			Store
			FolderLister
			Locker
			Thawer
		}{s, f, l, a}
	case t != nil && f != nil:
		return struct {
			Store
			Tagger
			FolderLister
		}{s, t, f}
	case t != nil && l != nil:
		return struct {
			Store
			Tagger
			Locker
		}{s, t, l}
	case t != nil && a != nil:
		return struct {
			Store
			Tagger
			Thawer
		}{s, t, a}
	case f != nil && l != nil:
		return struct {
			Store
			FolderLister
			Locker
		}{s, f, l}
	case f != nil && a != nil:
		return struct {
			Store
			FolderLister
			Thawer
		}{s, f, a}
	case l != nil && a != nil:
		return struct {
			Store
			Locker
			Thawer
		}{s, l, a}
	case t != nil:
		return struct {
			Store
			Tagger
		}{s, t}
	case f != nil:
		return struct {
			Store
			FolderLister
		}{s, f}
	case l != nil:
		return struct {
			Store
			Locker
		}{s, l}
	case a != nil:
		return struct {
			Store
			Thawer
		}{s, a}
	}
	return s
}
