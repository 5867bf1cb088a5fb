package localserver

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// redisArgs makes a server that keeps its data over a restart, as one in production would.
func (s *Server) redisArgs() []string {
	return []string{
		"--bind", "127.0.0.1",
		"--port", strconv.Itoa(s.port),
		"--dir", s.dataPath(),
		"--save", "",
		"--appendonly", "yes",
		"--appendfsync", "everysec",
	}
}

// redisData asks the server where its data is, once its data is loaded.
func (s *Server) redisData(ctx context.Context) (dir string, err error) {
	client := redis.NewClient(&redis.Options{
		Addr: s.Addr(), DialTimeout: attemptTimeout, ReadTimeout: attemptTimeout, MaxRetries: -1,
	})
	defer func() { err = errors.Join(err, client.Close()) }()
	if err := client.Ping(ctx).Err(); err != nil {
		return "", err
	}
	answer, err := client.ConfigGet(ctx, "dir").Result()
	return answer["dir"], err
}
