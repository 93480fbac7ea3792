package pgarchive

import "time"

// Version of the archive format, such as 1.14.0.
type Version struct{ Major, Minor, Rev byte }

// Compression of the data in an archive, as its header tells.
type Compression int

// Compressions pg_dump knows. Only CompressionNone can be read here.
const (
	CompressionNone Compression = iota
	CompressionGzip
	CompressionLZ4
	CompressionZstd
)

// Header is the head of an archive.
type Header struct {
	Version     Version
	IntSize     int // bytes in an integer, without the sign byte
	OffSize     int // bytes in a file offset
	Compression Compression
	// CreateDate is the clock of pg_dump's host as the archive has it: local
	// time without a zone, here labelled UTC.
	CreateDate    time.Time
	Database      string
	ServerVersion string // as the server tells, such as "15.6 (Debian 15.6-0)"
	DumpVersion   string // the version of pg_dump
}

// Section of the table of contents an entry belongs to.
type Section int

// Sections as numbered in archives.
const (
	SectionNone     Section = 1
	SectionPreData  Section = 2
	SectionData     Section = 3
	SectionPostData Section = 4
)

// Entry of the table of contents.
type Entry struct {
	DumpID     int32
	HadDumper  bool   // data for this entry follows in the archive
	TableOID   uint32 // the catalog the object is listed in
	OID        uint32
	Tag        string // name
	Desc       string // kind of object, such as "TABLE DATA"
	Section    Section
	Defn       string // SQL that makes the object
	DropStmt   string
	CopyStmt   string // "COPY … FROM stdin;\n" for tables' data
	Namespace  string
	Tablespace string
	TableAM    string // from 1.14 on
	Relkind    byte   // from 1.16 on
	Owner      string
	Deps       []int32
}

// TOC is the head and the table of contents of one archive.
type TOC struct {
	Header  Header
	Entries []Entry
	// Raw is header and table of contents as they came. It is a complete
	// archive without data: pg_restore takes it with --section=pre-data and
	// --section=post-data.
	Raw string
}
