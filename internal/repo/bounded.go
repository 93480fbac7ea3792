package repo

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// What a reader takes from a document somebody else may have written. Far above
// what is ever needed, far below what would fill the memory of a small machine.
const (
	maxObjects = 20_000  // of a manifest: more than 500 TB
	maxList    = 500_000 // chunks or entries of an index: 4 TB
	maxBytes   = 1 << 50 // of one object
)

// decodeList decodes a JSON array of at most limit elements, one by one, so that
// a small document can not make a large slice.
func decodeList[T any](data []byte, limit int, what string) ([]T, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('[') {
		if err == nil && start == nil {
			return nil, nil // null
		}
		return nil, fmt.Errorf("its %s are not a list", what)
	}
	var list []T
	for dec.More() {
		if len(list) == limit {
			return nil, fmt.Errorf("it has more than %d %s", limit, what)
		}
		var element T
		if err := dec.Decode(&element); err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}

type objectList []Object

func (l *objectList) UnmarshalJSON(data []byte) (err error) {
	*l, err = decodeList[Object](data, maxObjects, "objects")
	return err
}

// UnmarshalJSON bounds the list of objects.
func (m *Manifest) UnmarshalJSON(data []byte) error {
	type plain Manifest
	bounded := struct {
		*plain
		Objects objectList `json:"objects"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(data, &bounded); err != nil {
		return err
	}
	m.Objects = bounded.Objects
	return nil
}

type chunkList []Chunk

func (l *chunkList) UnmarshalJSON(data []byte) (err error) {
	*l, err = decodeList[Chunk](data, maxList, "chunks")
	return err
}

type entryList []Entry

func (l *entryList) UnmarshalJSON(data []byte) (err error) {
	*l, err = decodeList[Entry](data, maxList, "entries")
	return err
}

// UnmarshalJSON bounds the lists.
func (x *Index) UnmarshalJSON(data []byte) error {
	type plain Index
	bounded := struct {
		*plain
		Chunks  chunkList `json:"chunks"`
		Entries entryList `json:"entries"`
	}{plain: (*plain)(x)}
	if err := json.Unmarshal(data, &bounded); err != nil {
		return err
	}
	x.Chunks, x.Entries = bounded.Chunks, bounded.Entries
	return nil
}
