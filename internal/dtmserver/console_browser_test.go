package dtmserver_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/internal/dtmserver"
	"github.com/tcckit/tcckit/internal/freeport"
	"github.com/tcckit/tcckit/internal/testserver"
)

// opsLine is the line of user ops, with password correct-horse, as dtm-server password prints it.
const (
	opsLine     = "ops:$2a$10$QL5sHjkvmk3v1YOqy8xEmOeR3Oh38KLNKyoJ65IGN6Wl7/.PtfF8m"
	opsPassword = "correct-horse"
)

// console is a server whose console listens by itself.
type console struct {
	initiator

	url string
}

func startConsole(t *testing.T, store dtmserver.Store, env ...string) console {
	t.Helper()
	port, err := freeport.Loopback()
	require.NoError(t, err)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	passwords := filepath.Join(tempDir(t), "passwords")
	require.NoError(t, os.WriteFile(passwords, []byte(opsLine+"\n"), 0o600))
	server := start(t, ours(), store, append(env, "CONSOLE_ADDR="+addr, "CONSOLE_PASSWORD_FILE="+passwords)...)
	return console{newInitiator(t, server), "http://" + addr}
}

// brief is slow, and DTM waits for a participant that is away for a second only.
func brief(gid string) *dtmgpb.DtmRequest {
	r := slow(gid)
	r.TransOptions.RequestTimeout = 1
	return r
}

// order begins a transaction of an account and a stock, whose Confirm comes last, and returns its gid.
func (c console) order(account, stock *participant) string {
	c.t.Helper()
	gid := uuid.NewString()
	_, err := c.dtm.Prepare(bounded(c.t), brief(gid))
	require.NoError(c.t, err)
	for _, branch := range []struct{ id, confirm, cancel string }{
		{"01", stock.addr + "/tcckit.stock.v1.StockService/ConfirmReserve", stock.addr + "/tcckit.stock.v1.StockService/CancelReserve"},
		{"02", account.addr + "/tcckit.account.v1.AccountService/ConfirmDebit", account.addr + "/tcckit.account.v1.AccountService/CancelDebit"},
	} {
		_, err := c.dtm.RegisterBranch(bounded(c.t), &dtmgpb.DtmBranchRequest{
			Gid: gid, TransType: "tcc", BranchID: branch.id, Data: map[string]string{"confirm": branch.confirm, "cancel": branch.cancel},
		})
		require.NoError(c.t, err)
	}
	return gid
}

// submitStuck submits a transaction whose stock is away, and returns when DTM has noted it.
func (c console) submitStuck(gid string) {
	c.t.Helper()
	_, err := c.dtm.Submit(bounded(c.t), brief(gid))
	require.NoError(c.t, err)
	require.Eventually(c.t, func() bool {
		return c.transaction(gid).NextCronInterval > brief(gid).GetTransOptions().GetRetryInterval()
	},
		bound, 10*time.Millisecond)
}

func (c console) abort(gid, reason string) {
	c.t.Helper()
	request := brief(gid)
	request.RollbackReason = reason
	_, err := c.dtm.Abort(bounded(c.t), request)
	require.NoError(c.t, err)
	c.awaitStatus(gid, "failed")
}

func TestConsoleInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	c := startConsole(t, dtmserver.MySQL(testserver.MySQL(t)))
	account, stock := newParticipant(t), newParticipant(t)
	succeeded, failed := c.order(account, stock), c.order(account, stock)
	_, err := c.dtm.Submit(bounded(t), brief(succeeded))
	require.NoError(t, err)
	c.awaitStatus(succeeded, "succeed")
	c.abort(failed, "INSUFFICIENT_STOCK: 2 of sku-1 are left")
	stuck, stopped := c.order(account, stock), c.order(account, stock)
	stock.stop()
	c.submitStuck(stuck)
	c.submitStuck(stopped)

	b := startBrowser(t)
	t.Log("without a password, and with a wrong one, nothing is shown")
	for _, login := range [][2]string{{"", ""}, {"ops", "wrong"}, {"root", opsPassword}} {
		b.logIn(login[0], login[1])
		b.open(c.url)
		b.awaitText("the console needs a user and a password")
		require.Positive(t, b.asked)
		require.NotContains(t, b.text(), "Transactions")
	}

	t.Log("the list, and a transaction found by its gid")
	b.logIn("ops", opsPassword)
	b.open(c.url)
	b.awaitText("All Transactions", succeeded, failed, stuck, stopped)
	require.NotContains(t, b.text(), "!!!", "that console and server are of different versions")
	b.shoot("transactions")
	b.fill(`input[placeholder="gid"]`, stuck)
	b.click(button("Search"))
	b.awaitTrue(`document.querySelectorAll("tr.ant-table-row").length === 1`)
	b.awaitText(stuck, "submitted")

	t.Log("what became of each")
	b.click(`//tr[contains(., "` + stuck + `")]//a[normalize-space(.)="Dialog"]`)
	b.awaitBranches("01 cancel prepared", "01 confirm prepared", "02 cancel prepared", "02 confirm succeed")
	b.awaitField("Status", "submitted")
	b.shoot("stuck")
	b.openDetail(c.url, succeeded)
	b.awaitBranches("01 cancel prepared", "01 confirm succeed", "02 cancel prepared", "02 confirm succeed")
	b.awaitField("Status", "succeed")
	b.shoot("succeeded")
	b.openDetail(c.url, failed)
	b.awaitBranches("01 cancel succeed", "01 confirm prepared", "02 cancel succeed", "02 confirm prepared")
	b.awaitField("Status", "failed")
	b.awaitField("RollbackReason", "INSUFFICIENT_STOCK: 2 of sku-1 are left")
	b.shoot("failed")

	t.Log("a stuck one is tried again when its stock is back")
	b.openDetail(c.url, stuck)
	b.awaitField("Status", "submitted")
	stock.serve(t)
	b.click(button("Reset next cron time"))
	b.awaitText("Reset next cron time to current time?")
	b.shoot("retry")
	b.click(button("Yes, reset"))
	c.awaitStatus(stuck, "succeed")
	require.Equal(t, []string{"01 ConfirmReserve"}, stock.received(stuck))
	b.click(button("Refresh"))
	b.awaitField("Status", "succeed")

	t.Log("and one is given up")
	b.openDetail(c.url, stopped)
	b.click(button("ForceStop"))
	b.awaitText("Force stop it?")
	b.shoot("stop")
	b.click(button("Yes, stop it"))
	c.awaitStatus(stopped, "failed")
	b.awaitField("Status", "failed")
	b.awaitTrue(`[...document.querySelectorAll("button")].find(b => b.innerText === "ForceStop").disabled`)
	c.reset(stopped)
	stays(t, 2*time.Second, func() bool { return len(stock.received(stopped)) == 0 && c.status(stopped) == "failed" })
	require.Equal(t, []string{"02 ConfirmDebit"}, account.received(stopped), "what was confirmed stays so: this is for a person to mend")

	b.stayed(c.url)

	t.Log("behind a path, and on another store")
	below := startConsole(t, dtmserver.Bolt(), "ADMIN_BASE_PATH=/dtm")
	gid := below.prepare(account)
	b.logIn("ops", opsPassword)
	b.open(below.url + "/dtm/")
	b.awaitText("All Transactions", gid)
	b.openDetail(below.url+"/dtm", gid)
	b.awaitField("Status", "prepared")
}

func (b *browser) openDetail(console, gid string) {
	b.t.Helper()
	b.open(console + "/admin/global-transactions/detail/" + gid)
	b.awaitField("GID", gid)
}

// awaitBranches waits until the shown transaction has just these branches, as "branch op status".
func (b *browser) awaitBranches(branches ...string) {
	b.t.Helper()
	b.awaitTrue(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll(".ant-modal tr.ant-table-row")]
		.map(row => [...row.cells].slice(0, 3).map(cell => cell.innerText.trim()).join(" ")).sort()) === %q`, jsonOf(b.t, branches)))
}

// awaitField waits until the shown transaction has a field of that value.
func (b *browser) awaitField(name, value string) {
	b.t.Helper()
	b.awaitTrue(fmt.Sprintf(`[...document.querySelectorAll(".ant-descriptions-item-label")]
		.some(label => label.innerText.trim() === %q && label.nextElementSibling.innerText.trim() === %q)`, name, value))
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
