package main

import _ "embed"

//go:embed added/submit_prepared.go.txt
var submitPreparedSource []byte

//go:embed added/redis_reset.go.txt
var redisResetSource []byte

// dtmReplacements are the edits made to the copy of DTM. Each is as small as it can be; what they call lies
// in ../hook or in an added file.
func dtmReplacements() []replacement {
	const svr, status = "dtmsvr/svr.go", "dtmsvr/trans_status.go"
	const boltdb = "dtmsvr/storage/boltdb/boltdb.go"
	return []replacement{
		{
			name: "listeners: imports",
			file: svr,
			old:  "\t\"context\"\n\t\"fmt\"\n\t\"net\"\n\t\"time\"\n",
			new:  "\t\"context\"\n\t\"time\"\n\n\t\"github.com/tcckit/tcckit/cmd/dtm-server/hook\"\n",
		},
		{
			name: "listeners: HTTP_HOST, and no half-started server when the port is taken",
			file: svr,
			old: `	go func() {
		err := app.Run(fmt.Sprintf(":%d", conf.HTTPPort))
		if err != nil {
			logger.Errorf("start server err: %v", err)
		}
	}()
`,
			new: `	logger.FatalIfError(hook.ServeHTTP(app, conf.HTTPPort))
`,
		},
		{
			name: "listeners: GRPC_HOST",
			file: svr,
			old:  `net.Listen("tcp", fmt.Sprintf(":%d", conf.GrpcPort))`,
			new:  `hook.ListenGRPC(conf.GrpcPort)`,
		},
		{
			name: "TLS of the gRPC server",
			file: svr,
			old:  "grpc.NewServer(grpc.ChainUnaryInterceptor(grpcRecover, grpcMetrics, dtmgimp.GrpcServerLog))",
			new:  "grpc.NewServer(hook.GRPCOptions(grpc.ChainUnaryInterceptor(grpcRecover, grpcMetrics, dtmgimp.GrpcServerLog))...)",
		},
		{
			name: "calls to participants: a connection of DTM's, which is plaintext and tried for ever",
			file: status,
			old:  "\tconn := dtmgimp.MustGetGrpcConn(server, true)\n",
			new:  "",
		},
		{
			name: "calls to participants: ours",
			file: status,
			old:  "err = conn.Invoke(ctx, method, branchPayload, &[]byte{})",
			new:  "err = hook.Call(ctx, server, method, branchPayload)",
		},
		{
			name: "calls to participants: imports",
			file: status,
			old:  "\t\"github.com/dtm-labs/logger\"\n",
			new:  "\t\"github.com/dtm-labs/logger\"\n\t\"github.com/tcckit/tcckit/cmd/dtm-server/hook\"\n",
		},
		{
			name: "recovery loops are the process's",
			file: "dtmsvr/entry/main.go",
			old:  "\tgo dtmsvr.CronExpiredTrans(-1) // start dtmsvr cron job\n",
			new:  "",
		},
		{
			name: "graceful stop of the gRPC server",
			file: svr,
			old:  "\treflection.Register(s)\n",
			new:  "\treflection.Register(s)\n\thook.GRPCServer(s)\n",
		},
		{
			name: "a Submit of a transaction with registered branches",
			file: "dtmsvr/api.go",
			old:  "\tt.Status = dtmcli.StatusSubmitted\n\tbranches, err := t.saveNew()\n",
			new: `	if t.TransType == "tcc" || t.TransType == "xa" {
		return submitPrepared(t)
	}
	t.Status = dtmcli.StatusSubmitted
	branches, err := t.saveNew()
`,
		},
		{
			name: "the database file, which holds payloads, is its owner's alone",
			file: boltdb,
			old:  `bolt.Open("./dtm.bolt", 0666,`,
			new:  `bolt.Open("./dtm.bolt", 0600,`,
		},
		{
			name: "boltdb: what is reset is due",
			file: boltdb,
			old: `		g.NextCronTime = now
		g.UpdateTime = now
		tPutGlobal(t, g)
		return nil
`,
			new: `		if g.IsFinished() {
			return nil
		}
		tDelIndex(t, g.NextCronTime.Unix(), g.Gid)
		g.NextCronTime = now
		g.UpdateTime = now
		tPutGlobal(t, g)
		tPutIndex(t, now.Unix(), g.Gid)
		return nil
`,
		},
		{
			name: "boltdb: a failed call does not undo a forced stop, nor leave an entry behind by which the transaction is due twice",
			file: boltdb,
			old: `		if g == nil || g.Gid != global.Gid {
			return storage.ErrNotFound
		}
		tDelIndex(t, oldUnix, global.Gid)
`,
			new: `		if g == nil || g.Status != global.Status {
			return storage.ErrNotFound
		}
		tDelIndex(t, oldUnix, global.Gid)
		tDelIndex(t, g.NextCronTime.Unix(), global.Gid)
`,
		},
		{
			name: "redis: what is reset is due",
			file: "dtmsvr/storage/redis/redis.go",
			old: `	now := dtmutil.GetNextTime(0)
	global.NextCronTime = now
	global.UpdateTime = now
	key := conf.Store.RedisPrefix + "_g_" + global.Gid
	_, err := redisGet().Set(ctx, key, dtmimp.MustMarshalString(global), time.Duration(conf.Store.DataExpire)*time.Second).Result()
	return err
`,
			new: `	return resetCronTime(global)
`,
		},
		{
			name: "a bad configuration is told without a stack trace",
			file: "dtmsvr/config/config.go",
			old: `	logger.FatalfIf(err != nil, ` + "`" + `config error: '%v'.
	please visit http://d.dtm.pub to see the config document.` + "`" + `, err)
`,
			new: `	if err != nil {
		panic(err)
	}
`,
		},
		{
			name: "the store's password is not logged with the configuration",
			file: "dtmsvr/config/config.go",
			old:  "`yaml:\"Password\"`",
			new:  "`yaml:\"Password\" json:\"-\"`",
		},
	}
}

// dtmAdditions are the files added to the copy of DTM. They end in .go.txt here because they are part of
// another package.
func dtmAdditions() []addition {
	return []addition{
		{file: "dtmsvr/submit_prepared.go", content: submitPreparedSource},
		{file: "dtmsvr/storage/redis/reset.go", content: redisResetSource},
	}
}

// consoleReplacements are the edits made to the copy of DTM's console, its admin folder.
func consoleReplacements() []replacement {
	return []replacement{
		{
			name: "console: its calls go below the base path, as its pages do",
			file: "src/utils/request.ts",
			old:  "    timeout: 60000\n",
			new:  "    baseURL: window.basePath,\n    timeout: 60000\n",
		},
		{
			name: "console: a transaction takes one line of the list",
			file: "src/views/Dashboard/GlobalTransactions/AllTransactions.vue",
			old:  `:scroll="{ x: true }"`,
			new:  `:scroll="{ x: 'max-content' }"`,
		},
		{
			name: "console: both links of a transaction in one line",
			file: "src/views/Dashboard/GlobalTransactions/AllTransactions.vue",
			old:  `style="width: 90px; display: block;"`,
			new:  `style="white-space: nowrap;"`,
		},
		{
			name: "console: no menu entry for the page of a transaction that is not named",
			file: "src/layout/components/sidebar.vue",
			old:  `v-for="vv in v.children"`,
			new:  `v-for="vv in v.children?.filter(c => !c.path.includes(':'))"`,
		},
	}
}
