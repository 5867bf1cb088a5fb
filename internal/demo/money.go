package demo

import (
	"fmt"
	"strconv"
)

// currency is that of everything in the demo. It has hundredths.
const currency = "EUR"

// euros writes an amount in minor units, 123456 as 1,234.56.
func euros(amount int64) string {
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	return fmt.Sprintf("%s%s.%02d", sign, thousands(amount/100), amount%100)
}

// thousands writes a count, 1234567 as 1,234,567.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
