package sqlbranch

import (
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// guardedRows are known to their guard until they are closed. Their optional
// methods answer what database/sql assumes of drivers that do not have them.
type guardedRows struct {
	g    *guard
	rows driver.Rows
}

func newGuardedRows(g *guard, rows driver.Rows) *guardedRows {
	r := &guardedRows{g: g, rows: rows}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rows == nil {
		g.rows = make(map[*guardedRows]struct{})
	}
	g.rows[r] = struct{}{}
	return r
}

// Columns implements driver.Rows.
func (r *guardedRows) Columns() []string { return r.rows.Columns() }

// Close implements driver.Rows.
func (r *guardedRows) Close() error {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	return r.close()
}

// close closes the rows once. The caller holds the guard's mu.
func (r *guardedRows) close() error {
	if _, open := r.g.rows[r]; !open {
		return nil
	}
	delete(r.g.rows, r)
	return r.rows.Close()
}

// Next implements driver.Rows.
func (r *guardedRows) Next(dest []driver.Value) error {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if r.g.ended {
		return errEnded
	}
	err := r.rows.Next(dest)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	_ = r.g.fail(err)
	return hideBadConn(err)
}

// HasNextResultSet implements driver.RowsNextResultSet. A branch runs one
// statement at a time, so there is none.
func (r *guardedRows) HasNextResultSet() bool { return false }

// NextResultSet implements driver.RowsNextResultSet.
func (r *guardedRows) NextResultSet() error { return io.EOF }

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *guardedRows) ColumnTypeScanType(i int) reflect.Type {
	if t, ok := r.rows.(driver.RowsColumnTypeScanType); ok {
		return t.ColumnTypeScanType(i)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *guardedRows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return t.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *guardedRows) ColumnTypeLength(i int) (int64, bool) {
	if t, ok := r.rows.(driver.RowsColumnTypeLength); ok {
		return t.ColumnTypeLength(i)
	}
	return 0, false
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *guardedRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if t, ok := r.rows.(driver.RowsColumnTypeNullable); ok {
		return t.ColumnTypeNullable(i)
	}
	return false, false
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *guardedRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if t, ok := r.rows.(driver.RowsColumnTypePrecisionScale); ok {
		return t.ColumnTypePrecisionScale(i)
	}
	return 0, 0, false
}
