package compose_test

import (
	"testing"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/stretchr/testify/require"
)

// TestAlertsFire has Prometheus' engine evaluate each alert every minute over what the processes would export, and
// compares when it fires and what it says.
func TestAlertsFire(t *testing.T) {
	rules := make(map[string]*rulefmt.Rule)
	for _, group := range alerts(t).Groups {
		for i := range group.Rules {
			rules[group.Rules[i].Alert] = &group.Rules[i]
		}
	}
	fired := make(map[string]bool)
	for _, c := range []struct {
		alert, when string
		series      []string
		until       int // minutes
		want        []firing
	}{
		{
			"TcckitOutcomeUnknown", "the first one, and a later one",
			[]string{`tcckit_transaction_duration_seconds_count{outcome="unknown"} _x4 1x30 2x30`},
			65,
			[]firing{
				{4, 13, "The outcome of 1 global transactions is not known to their initiator"},
				{35, 43, "The outcome of 1.111 global transactions is not known to their initiator"},
			},
		},
		{
			"TcckitOutcomeUnknown", "other outcomes",
			[]string{`tcckit_transaction_duration_seconds_count{outcome="committed"} 0+60x60`},
			60, nil,
		},
		{
			"TcckitTransactionsAbort", "one in ten for half an hour",
			[]string{
				`tcckit_transaction_duration_seconds_count{outcome="committed"} 0+100x30 3000+90x30 5700+100x60`,
				`tcckit_transaction_duration_seconds_count{outcome="aborted"} 0x30 0+10x30 300x60`,
			},
			120,
			[]firing{{46, 65, "10% of the global transactions end without a decision of a participant"}},
		},
		{
			"TcckitTransactionsAbort", "rejections, however many, and no transactions at all",
			[]string{
				`tcckit_transaction_duration_seconds_count{outcome="committed"} 0+10x60 600x30`,
				`tcckit_transaction_duration_seconds_count{outcome="rejected"} 0+90x60 5400x30`,
				`tcckit_transaction_duration_seconds_count{outcome="unavailable"} 0x60 0x30`,
			},
			90, nil,
		},
		{
			"TcckitOrdersSlow", "two in a hundred wait for the whole time, and then none",
			[]string{
				`rpc_server_call_duration_seconds_bucket{rpc_method="tcckit.order.v1.OrderService/PlaceOrder",le="2.5"} 0+98x40 3920+100x40`,
				`rpc_server_call_duration_seconds_bucket{rpc_method="tcckit.order.v1.OrderService/PlaceOrder",le="5"} 0+100x40 4000+100x40`,
				`rpc_server_call_duration_seconds_bucket{rpc_method="tcckit.order.v1.OrderService/PlaceOrder",le="+Inf"} 0+100x40 4000+100x40`,
			},
			80,
			[]firing{{11, 44, "One order in a hundred takes longer than 3.75s"}},
		},
		{
			"TcckitOrdersSlow", "another method",
			[]string{
				`rpc_server_call_duration_seconds_bucket{rpc_method="tcckit.order.v1.OrderService/ListOrders",le="2.5"} 0x40`,
				`rpc_server_call_duration_seconds_bucket{rpc_method="tcckit.order.v1.OrderService/ListOrders",le="+Inf"} 0+100x40`,
			},
			40, nil,
		},
		{
			"TcckitBranchConflict", "one, of a service that had none",
			[]string{
				`tcckit_branch_duration_seconds_count{service="account",action="Debit",phase="cancel",outcome="conflict"} _x9 1x40`,
				`tcckit_branch_duration_seconds_count{service="account",action="Debit",phase="cancel",outcome="done"} 0+100x50`,
			},
			50,
			[]firing{{9, 23, "account was asked to cancel a branch that had ended the other way"}},
		},
		{
			"TcckitBranchFails", "a Confirm that DTM repeats after 10, 20, 40 and so on seconds",
			[]string{`tcckit_branch_duration_seconds_count{service="stock",action="Deduct",phase="confirm",outcome="failed"} 0 3 4 5 5 6x4 7x30`},
			40,
			[]firing{{16, 23, "stock fails at confirm of Deduct"}},
		},
		{
			"TcckitBranchFails", "one that works when it is repeated",
			[]string{`tcckit_branch_duration_seconds_count{service="stock",action="Deduct",phase="confirm",outcome="failed"} 0 1x60`},
			60, nil,
		},
		{
			"TcckitCallRefused", "a process that counts from 0",
			[]string{`tcckit_branch_refused_total{phase="confirm"} _x9 0x40`},
			50, nil,
		},
		{
			"TcckitCallRefused", "the first one",
			[]string{`tcckit_branch_refused_total{phase="confirm"} _x9 1x40`},
			50,
			[]firing{{9, 18, "A call of phase confirm by a certificate that does not permit it was refused"}},
		},
		{
			"TcckitBranchStuck", "in two replicas' gauges, of verdicts that nobody acts on; what is under way does not count",
			[]string{
				`tcckit_barrier_stuck{participant="account",verdict="aborted",instance="a"} 0x4 3x30 0x10`,
				`tcckit_barrier_stuck{participant="account",verdict="open",instance="a"} 5x45`,
			},
			45,
			[]firing{{15, 35, "3 branches of account are held although the coordinator is done with them (aborted)"}},
		},
		{
			"TcckitBranchesWait", "five hours, then done",
			[]string{`tcckit_barrier_stuck_oldest_age_seconds{participant="stock"} 0+60x300 0x20`},
			330,
			[]firing{{251, 300, "A branch of stock has been tried for 4h 11m 0s and neither confirmed nor cancelled"}},
		},
		{
			"TcckitBranchResolved", "one",
			[]string{`tcckit_barrier_resolutions_total{participant="stock",phase="cancel",result="done"} _x9 1x90`},
			100,
			[]firing{{9, 68, "A branch was finished in the coordinator's place (cancel, done)"}},
		},
		{
			"TcckitRetriesExhausted", "one, for half an hour",
			[]string{`tcckit_barrier_retries_exhausted 0x4 1x30 0x10`},
			45,
			[]firing{{15, 35, "1 transactions have failed for so long that they are not retried early any more"}},
		},
		{
			"TcckitSweepsMissing", "sweeps each hour that end",
			[]string{`tcckit_barrier_sweep_duration_seconds_count{participant="order"} 0x59 1x59 2x59 3x400`},
			500,
			[]firing{{419, 500, "Nobody has swept the barrier of order for hours"}},
		},
		{
			"TcckitSweepsMissing", "sweeps each hour, and a restart",
			[]string{`tcckit_barrier_sweep_duration_seconds_count{participant="order"} 0x59 1x59 2x59 0x59 1x59 2x59 3x59`},
			400, nil,
		},
		{
			"TcckitSweepJobMissing", "the last one succeeded 49 hours before the begin; another's job",
			[]string{
				`kube_cronjob_status_last_successful_time{cronjob="shop-tcckit-sweep"} -176400x150 9000x10`,
				`kube_cronjob_status_last_successful_time{cronjob="cache-sweep"} -1000000x160`,
			},
			160,
			[]firing{{121, 150, "The CronJob shop-tcckit-sweep has not succeeded for 2d 3h 1m 0s"}},
		},
		{
			"TcckitSweepsFallBehind", "two hours more than a day and a half beyond the retention",
			[]string{`tcckit_barrier_sweep_oldest_age_seconds{participant="order"} 2592000x60 2724000x119 0x10`},
			190,
			[]firing{{121, 180, "The barrier of order has rows that ended 31d 12h 40m 0s ago"}},
		},
		{
			"TcckitOutboxWaits", "RocketMQ away for twenty minutes",
			[]string{`tcckit_outbox_age_seconds{participant="order"} 0x9 0+60x20 0x10`},
			40,
			[]firing{{21, 30, "A message of order has waited for 11m 0s to be published"}},
		},
		{
			"TcckitMessageFailed", "the first one, and a second one",
			[]string{`tcckit_outbox_failed_total{participant="order"} _x9 1x30 2x30`},
			70,
			[]firing{
				{9, 23, "A message of order was given up"},
				{40, 53, "A message of order was given up"},
			},
		},
		{
			"TcckitDeadLetters", "two, replayed after half an hour",
			[]string{`tcckit_inbox_dead{consumer="dispatch"} 0x4 2x30 0x10`},
			45,
			[]firing{{10, 35, "2 messages of dispatch were given up by their consumer"}},
		},
		{
			"TcckitConsumerHangs", "a handler that does not end",
			[]string{`tcckit_inbox_running_oldest_age_seconds{consumer="cart"} 0x4 0+60x20 0x5`},
			30,
			[]firing{{12, 25, "A message has been in the hands of cart for 7m 0s"}},
		},
		{
			"TcckitConsumerLags", "a storm that is worked off in ten minutes, and one that is not",
			[]string{`tcckit_rocketmq_consumer_lag{group="cart"} 0x4 20000x10 0x20 15000x30`},
			65,
			[]firing{{52, 65, "cart is 15000 messages behind"}},
		},
		{
			"TcckitDown", "one of two for five minutes; and something else's",
			[]string{
				`up{job="tcckit",instance="order:7403"} 1x9 0x4 1x10`,
				`up{job="tcckit",instance="stock:7403"} 1x25`,
				`up{job="nginx",instance="web:80"} 0x25`,
			},
			25,
			[]firing{{12, 14, "order:7403 does not answer"}},
		},
		{
			"TcckitDTMErrors", "one call in five",
			[]string{
				`dtm_server_process_total{api="newGid",status="ok"} 0+100x40`,
				`dtm_server_process_total{api="submit",status="ok"} 0+80x40`,
				`dtm_server_process_total{api="submit",status="fail"} 0+20x40`,
			},
			40,
			[]firing{{11, 40, "DTM fails at 20% of the calls of submit"}},
		},
		{
			"TcckitCertificateExpires", "eight days left, and a new one half an hour after the seventh",
			[]string{`tcckit_tls_certificate_not_after_seconds{instance="order:7403"} 608400x90 8208400x10`},
			100,
			[]firing{{71, 90, "The certificate of order:7403 expires in 6d 23h 49m 0s"}},
		},
		{
			"TcckitCertificateNotReloaded", "a file that is wrong for ten minutes",
			[]string{`tcckit_tls_reload_failures_total{instance="order:7403"} 0x9 1+1x10 11x30`},
			50,
			[]firing{{15, 33, "order:7403 cannot use its new certificate files"}},
		},
	} {
		t.Run(c.alert+" "+c.when, func(t *testing.T) {
			rule := rules[c.alert]
			require.NotNil(t, rule)
			var got []firing
			for _, f := range newMinutes(t, c.series).watch(t, rule, c.until) {
				got = append(got, *f)
			}
			require.Equal(t, c.want, got)
		})
		fired[c.alert] = fired[c.alert] || c.want != nil
	}
	for name := range rules {
		require.True(t, fired[name], "no case fires %s", name)
	}
}
