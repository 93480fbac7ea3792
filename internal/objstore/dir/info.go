package dir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// hashedSize is the largest file in bytes whose ETag is its content's hash. All
// that is ever replaced (leases) is far smaller; of larger files the inode,
// time and size have to do, so that describing one does not read it.
const hashedSize = 1 << 20

// errIsFolder: a folder is in the way of an object's name.
var errIsFolder = errors.New("is a folder")

// describe an open file.
func describe(key string, f *os.File) (objstore.Info, error) {
	st, err := f.Stat()
	if err != nil {
		return objstore.Info{}, err
	}
	if !st.Mode().IsRegular() {
		return objstore.Info{}, errIsFolder
	}
	info := plain(key, st)
	if info.Size > hashedSize {
		info.ETag = fmt.Sprintf("%x-%x-%x", inode(st), st.ModTime().UnixNano(), st.Size())
		return info, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, info.Size)); err != nil {
		return objstore.Info{}, err
	}
	info.ETag = hex.EncodeToString(h.Sum(nil)[:16])
	return info, nil
}

// plain is what a listing tells: all but the ETag.
func plain(key string, st fs.FileInfo) objstore.Info {
	return objstore.Info{Key: key, Size: st.Size(), Modified: st.ModTime()}
}
