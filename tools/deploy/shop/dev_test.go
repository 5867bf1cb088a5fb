package shop_test

import (
	"crypto/rand"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/tools/deploy/manifest"
)

// unique is a prefix for what is shared with other tests.
func unique() string { return "deploy-" + strings.ToLower(rand.Text()[:8]) + "-" }

// A shop of `--set dev.enabled=true`, on a real MySQL and RocketMQ in place of the chart's own.
func TestDevelopment(t *testing.T) {
	for _, tls := range []string{"generated", "off"} {
		t.Run("TLS "+tls, func(t *testing.T) {
			c := newCluster(t)
			c.apply("--set", "dev.enabled=true", "--set", "tls.mode="+tls, "--set", "console.enabled=true",
				"--set", "console.plaintext="+strconv.FormatBool(tls == "off"), "--set", "messages.rocketmq.prefix="+unique())
			c.servers(openDatabases(t), "shop", string(c.secret("shop-tcckit-dev", "mysql-password")), "shop_")
			c.each("Job", func(o manifest.Object) {
				require.Empty(t, o.Hook(), "a hook would wait for a MySQL that comes after it")
			})
			pods := c.deploy()
			require.Len(t, pods, 9)
			c.helmTest()
			c.sweep()
			c.strangers(tls != "off")
			order := pods["order"]
			require.Equal(t, "none is stuck\n", order.exec(order.template.Spec.Containers[0], "barrier", "stuck"), "as kubectl exec would run it")
			require.Equal(t, "there is none\n", order.exec(order.template.Spec.Containers[0], "tx", "list"), "nothing is unfinished")
			together(pods, (*pod).stop)
		})
	}
}

// servers gives the shop a MySQL with an account of its own, with what the image of the chart's MySQL would run, and a
// RocketMQ.
func (c *cluster) servers(d *databases, user, password, prefix string) {
	c.t.Helper()
	d.user(user, password, prefix)
	c.each("ConfigMap", func(o manifest.Object) {
		if sql := o.Data["grants.sql"]; sql != "" {
			d.run(sql)
		}
	})
	c.forward("shop-tcckit-mysql", "3306", d.addr)
	c.forward("shop-tcckit-rocketmq", "9876", variable(c.t, "TCCKIT_TEST_ROCKETMQ"))
	c.writeHosts()
}

// helmTest runs the pod of helm test.
func (c *cluster) helmTest() {
	c.t.Helper()
	ran := 0
	c.each("Pod", func(o manifest.Object) {
		if o.Hook() == "test" {
			template, _ := o.PodTemplate()
			out := newPod(c.t, c, o.Metadata.Name, template).complete(template.Spec.Containers[0])
			c.t.Log(out)
			require.Contains(c.t, out, "balance 7500, spent 2500\n")
			require.Contains(c.t, out, "in stock 3, sold 2\n")
			ran++
		}
	})
	require.Equal(c.t, 1, ran)
}

// sweep runs the containers of the CronJob.
func (c *cluster) sweep() {
	c.t.Helper()
	ran := 0
	c.each("CronJob", func(o manifest.Object) {
		template, _ := o.PodTemplate()
		p := newPod(c.t, c, o.Metadata.Name, template)
		for _, container := range template.Spec.Containers {
			require.Contains(c.t, p.complete(container), "deleted 0")
			ran++
		}
	})
	require.Equal(c.t, 8, ran)
}
