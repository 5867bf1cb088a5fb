package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// days is the value of a flag for long durations: those of Go (90m, 36h), and days (30d).
type days time.Duration

func (d *days) duration() time.Duration { return time.Duration(*d) }

// Set implements pflag.Value.
func (d *days) Set(s string) error {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		count, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return fmt.Errorf("%q: want days such as 30d, or hours such as 36h", s)
		}
		*d = days(time.Duration(count) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q: want days such as 30d, or hours such as 36h", s)
	}
	*d = days(v)
	return nil
}

// String implements pflag.Value.
func (d days) String() string {
	const day = 24 * time.Hour
	if v := time.Duration(d); v >= day && v%day == 0 {
		return strconv.Itoa(int(v/day)) + "d"
	}
	return time.Duration(d).String()
}

// Type implements pflag.Value.
func (days) Type() string { return "duration" }
