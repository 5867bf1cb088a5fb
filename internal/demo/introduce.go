package demo

import (
	"fmt"
	"strings"

	"github.com/tcckit/tcckit/internal/stack"
)

// introduce tells what runs.
func (d *demo) introduce(cfg Config) {
	where := "SQLite"
	if cfg.MySQL != "" {
		where = "MySQL"
	}
	var rows [][]string
	for _, name := range stack.Services() {
		s := d.stack.Service(name)
		rows = append(rows, []string{name, fmt.Sprintf("process %d on %s, its own %s database", s.PID(), s.Public, where)})
		if beside := s.Followers(); len(beside) > 0 {
			rows = append(rows, []string{"", "beside it " + strings.Join(beside, ", ") + ", with databases of their own"})
		}
	}
	store := "its transactions in boltdb"
	if !d.stack.OwnsDTM() {
		store = "as given"
	}
	rows = append(rows, []string{"DTM", fmt.Sprintf("on %s, %s", d.stack.DTM().GRPCAddr, store)})
	messages := "within their process"
	if len(cfg.RocketMQ) > 0 {
		messages = "by RocketMQ, name server " + strings.Join(cfg.RocketMQ, ", ")
	}
	rows = append(rows, []string{"messages", messages})
	d.print.table(rows)
}
