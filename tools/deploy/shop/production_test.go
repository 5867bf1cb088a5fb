package shop_test

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/tools/deploy/manifest"
)

// An installation with given Secrets and servers: migrations as a hook by an account that may create tables, the rest by
// one that may not, then an upgrade with changed values, whose hook runs over the tables that are there.
func TestProduction(t *testing.T) {
	for _, store := range []string{"mysql", "redis"} {
		t.Run(store, func(t *testing.T) {
			c := newCluster(t)
			d := openDatabases(t)
			c.give(d)
			values := []string{
				"--set", "databases.existingSecret=given", "--set", "migrations.existingSecret=owner",
				"--set", "migrations.createDatabases=true", "--set", "signing.existingSecret=keys",
				"--set", "dtm.store.driver=" + store, "--set", "dtm.store.host=store", "--set", "serviceDefaults.replicas=1",
				"--set", "messages.rocketmq.nameServers={rocketmq:9876}", "--set", "messages.rocketmq.prefix=" + unique(),
			}
			if store == "mysql" {
				values = append(values, "--set", "dtm.store.user=given", "--set", "dtm.store.database=given_dtm",
					"--set", "dtm.store.existingSecret=given", "--set", "dtm.store.passwordKey=dtm",
					"--set", "migrations.dtmUser=owner", "--set", "migrations.dtmExistingSecret=owner")
				c.forward("store", "3306", d.addr)
			} else {
				c.forward("store", "6379", variable(t, "TCCKIT_TEST_REDIS"))
			}
			c.forward("rocketmq", "9876", variable(t, "TCCKIT_TEST_ROCKETMQ"))
			c.forward("databases", "3306", d.addr)
			c.writeHosts()

			c.apply(values...)
			require.Contains(t, c.hooks("pre-install"), "account: ", "tables are made before anything is there")
			pods := c.deploy()
			c.helmTest()

			c.apply(append(values, "--set", "serviceDefaults.logLevel=debug", "--set", "console.enabled=true")...)
			require.Contains(t, c.hooks("pre-upgrade"), "account: 0 migrations applied", "over live tables")
			together(pods, (*pod).stop)
			pods = c.deploy()
			c.helmTest()
			together(pods, (*pod).stop)
		})
	}
}

// give makes the Secrets and accounts that an installation is given: owner makes the tables, given works with them.
func (c *cluster) give(d *databases) {
	c.t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	c.secrets["keys"] = map[string][]byte{"keys": []byte("k1:" + hex.EncodeToString(key))}
	for _, user := range []string{"owner", "given"} {
		password := rand.Text()
		d.user(user, password, "given_")
		c.secrets[user] = map[string][]byte{"dtm": []byte(password), "password": []byte(password)}
		for _, name := range []string{"order", "account", "stock", "cart", "dispatch", "express", "bank-north", "bank-south"} {
			dsn := fmt.Sprintf("mysql://%s:%s@databases:3306/given_%s", user, password, strings.ReplaceAll(name, "-", "_"))
			c.secrets[user][name] = []byte(dsn)
		}
	}
	d.run("GRANT ALL ON `given\\_%`.* TO 'owner'@'%'; GRANT SELECT, INSERT, UPDATE, DELETE ON `given\\_%`.* TO 'given'@'%'")
}

// hooks runs the Jobs of a hook, and returns what they print.
func (c *cluster) hooks(event string) string {
	c.t.Helper()
	var out strings.Builder
	c.each("Job", func(o manifest.Object) {
		if !slices.Contains(strings.Split(o.Hook(), ","), event) {
			return
		}
		template, _ := o.PodTemplate()
		for _, v := range template.Spec.Volumes {
			require.Nil(c.t, v.Secret, "hooks run before the release's Secrets are there")
		}
		p := newPod(c.t, c, o.Metadata.Name, template)
		for _, container := range template.Spec.Containers {
			out.WriteString(p.complete(container))
		}
	})
	require.NotEmpty(c.t, out.String(), "no hook ran, with Secrets %v", slices.Collect(maps.Keys(c.secrets)))
	return out.String()
}
