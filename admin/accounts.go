package admin

import (
	"context"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func (a *api) listAccounts(c *call) (any, error) {
	limit, err := c.limit("accounts")
	if err != nil {
		return nil, err
	}
	return a.ledger.Accounts(c.Context(), ledger.AccountQuery{After: c.given["after"], Limit: limit})
}

func (a *api) showAccount(c *call) (any, error) { return a.ledger.Account(c.Context(), c.account()) }

func (a *api) createAccount(c *call) (any, error) {
	var body struct {
		ID        string       `json:"id"`
		Split     ledger.Split `json:"split"`
		Overdraft meter.Nano   `json:"overdraft"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if body.ID == "" {
		return nil, invalid("id is needed: the account's name, such as acme")
	}
	return a.ledger.CreateAccount(c.Context(), body.ID, ledger.AccountOptions{Split: body.Split, Overdraft: body.Overdraft})
}

func (a *api) changeAccount(c *call) (any, error) {
	var body struct {
		Split     *ledger.Split `json:"split"`
		Overdraft *meter.Nano   `json:"overdraft"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	return a.ledger.SetAccount(c.Context(), c.account(), ledger.AccountChange{Split: body.Split, Overdraft: body.Overdraft})
}

// reasoned is the body of what needs no more than a reason, or not even that.
type reasoned struct {
	Reason string `json:"reason"`
}

func (a *api) suspend(c *call) (any, error) { return a.setStatus(c, a.ledger.SuspendAccount) }

func (a *api) resume(c *call) (any, error) { return a.setStatus(c, a.ledger.ResumeAccount) }

func (a *api) setStatus(c *call, set func(ctx context.Context, account, reason string) error) (any, error) {
	var body reasoned
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if err := set(c.Context(), c.account(), body.Reason); err != nil {
		return nil, err
	}
	return shown(a.showAccount(c))
}

func (a *api) topUp(c *call) (any, error) {
	var body struct {
		Amount meter.Nano    `json:"amount"`
		Wallet ledger.Wallet `json:"wallet"`
		Ref    string        `json:"ref"`
	}
	if err := c.readBooking(&body, &body.Ref); err != nil {
		return nil, err
	}
	return a.ledger.TopUp(c.Context(), ledger.Topup{Account: c.account(), Amount: body.Amount, Wallet: body.Wallet, Ref: body.Ref})
}

func (a *api) adjust(c *call) (any, error) {
	var body struct {
		Amount meter.Nano    `json:"amount"`
		Wallet ledger.Wallet `json:"wallet"`
		Reason string        `json:"reason"`
		Ref    string        `json:"ref"`
	}
	if err := c.readBooking(&body, &body.Ref); err != nil {
		return nil, err
	}
	return a.ledger.Adjust(c.Context(), ledger.Adjustment{
		Account: c.account(), Amount: body.Amount, Wallet: body.Wallet, Reason: body.Reason, Ref: body.Ref,
	})
}

func (a *api) refund(c *call) (any, error) {
	var body struct {
		RequestID string      `json:"request_id"`
		Amount    *meter.Nano `json:"amount"`
		Reason    string      `json:"reason"`
		Ref       string      `json:"ref"`
	}
	if err := c.readBooking(&body, &body.Ref); err != nil {
		return nil, err
	}
	if body.RequestID == "" {
		return nil, invalid("request_id is needed: that of the charge to give back")
	}
	return a.ledger.Refund(c.Context(), ledger.Refund{
		Account: c.account(), RequestID: body.RequestID, Amount: body.Amount, Reason: body.Reason, Ref: body.Ref,
	})
}

func (a *api) listPacks(c *call) (any, error) { return a.ledger.Packs(c.Context(), c.account()) }

func (a *api) grantPack(c *call) (any, error) {
	body := struct {
		Unit      string   `json:"unit"`
		Quantity  int64    `json:"quantity"`
		Models    []string `json:"models"`
		ExpiresAt string   `json:"expires_at"`
		Priority  int64    `json:"priority"`
		Order     string   `json:"order"`
		Ref       string   `json:"ref"`
	}{Priority: ledger.DefaultPriority}
	if err := c.readBooking(&body, &body.Ref); err != nil {
		return nil, err
	}
	expires, err := a.expiry(body.ExpiresAt)
	if err != nil {
		return nil, err
	}
	return a.ledger.GrantPack(c.Context(), ledger.Grant{
		Account: c.account(), Unit: body.Unit, Quantity: body.Quantity, Models: body.Models, ExpiresAt: expires,
		Priority: body.Priority, Order: body.Order, Ref: body.Ref,
	})
}

func (a *api) revokePack(c *call) (any, error) {
	var body reasoned
	if err := c.read(&body); err != nil {
		return nil, err
	}
	return a.ledger.RevokePack(c.Context(), c.account(), c.PathValue("pack"), body.Reason)
}
