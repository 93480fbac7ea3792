// Package sqlscript takes the SQL that pg_dump and pg_dumpall write apart: into
// statements, psql's commands, comments, and the rows that follow a COPY.
//
// What lives here: where a statement ends, as psql decides it
// (src/fe_utils/psqlscan.l), and what a statement is about. What must not:
// connections, files, and running anything. psql itself is not used to load a
// foreign dump because it runs programs when a line of the file says so; here a
// line with a backslash is a value that the caller looks at.
package sqlscript
