package sqlbranch

import (
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// guardedRows counts itself as open until it is closed. Its optional methods
// answer what database/sql assumes of drivers that do not have them.
type guardedRows struct {
	g      *guard
	rows   driver.Rows
	closed bool
}

func newGuardedRows(g *guard, rows driver.Rows) *guardedRows {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.openRows++
	return &guardedRows{g: g, rows: rows}
}

// Columns implements driver.Rows.
func (r *guardedRows) Columns() []string { return r.rows.Columns() }

// Close implements driver.Rows. After the branch's end the connection may be
// somebody else's, and is not touched.
func (r *guardedRows) Close() error {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	r.g.openRows--
	if r.g.ended {
		return nil
	}
	return r.rows.Close()
}

// Next implements driver.Rows.
func (r *guardedRows) Next(dest []driver.Value) error {
	r.g.mu.Lock()
	if r.g.ended {
		r.g.mu.Unlock()
		return errEnded
	}
	r.g.mu.Unlock()
	err := r.rows.Next(dest)
	if errors.Is(err, io.EOF) {
		return err
	}
	return r.g.done(err)
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
