package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
	"github.com/tollgate/tollgate/meter"
)

// Errors that callers tell apart. A refusal of admission is a *Refusal.
var (
	// ErrUnavailable wraps every failure to reach a ledger that can be
	// trusted: Redis away, not what it must be, gone back in time, or
	// belonging to somebody else. It never means that quota is lacking.
	ErrUnavailable = errors.New("ledger unavailable")
	// ErrArchive is beside ErrUnavailable where it is the archive that cannot be reached.
	ErrArchive = archive.ErrArchive
	// ErrArchiveNotNamed is beside ErrUnavailable where only the ledger's archive could
	// show whether Redis may be used, and Options do not name it.
	ErrArchiveNotNamed = errors.New("that is not configured here")
	// ErrUncertain is returned beside ErrUnavailable for an operator's booking whose
	// answer was lost, so that it may or may not be booked; and for one that is booked,
	// now or before, and cannot be read back.
	ErrUncertain = errors.New("it may be booked all the same")
	// ErrClock is returned for a new call whose id is, by Redis's clock, too old for
	// one: the clocks are so far apart that none can be admitted. Nothing is held.
	ErrClock = errors.New("this machine's clock, or Redis's, is wrong")
	// ErrNotFound is returned for an account, key, pack or request that is not there.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned when an id or a reference is used again with other content.
	ErrConflict = errors.New("conflict")
	// ErrInvalid is returned for an argument that cannot be booked; its text says what would be right.
	ErrInvalid = errors.New("invalid")
)

// unavailable is an error as ErrUnavailable, once; nil for none.
func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Wallet names one of an account's two cash balances.
type Wallet string

const (
	// Recharge is money paid in.
	Recharge Wallet = "recharge"
	// Bonus is money given.
	Bonus Wallet = "bonus"
)

// Split says how a fee falls on the wallets.
type Split string

const (
	// Proportional splits in proportion to the balances, floor, remainder to recharge. The default.
	Proportional Split = "proportional"
	// Equal splits in halves, the odd nano to recharge.
	Equal Split = "equal"
	// BonusFirst takes bonus before recharge.
	BonusFirst Split = "bonus_first"
	// RechargeFirst takes recharge before bonus.
	RechargeFirst Split = "recharge_first"
)

// Account is who pays: wallets, packs and what is held for requests in flight.
type Account struct {
	ID      string           `json:"id"`
	Status  string           `json:"status"` // active, suspended
	Split   Split            `json:"split"`
	Wallets map[Wallet]Purse `json:"wallets"`
	Packs   []Pack           `json:"packs"`
	// Held is the cash set aside for requests in flight, over both wallets.
	Held      meter.Nano `json:"held"`
	Overdraft meter.Nano `json:"overdraft"`
	CreatedAt time.Time  `json:"created_at"`
}

// Purse is the state of one wallet. Holds are placed on the account's cash as
// a whole; Free shows what would be left in this wallet if all of it were
// charged now by the account's split.
type Purse struct {
	Balance meter.Nano `json:"balance"`
	Free    meter.Nano `json:"free"`
}

// DefaultPriority is what the verbs give a pack when its grant names no
// priority, so that --priority 1 goes before it and --priority 200 after.
const DefaultPriority = 100

// Pack is a prepaid quantity of one unit for certain models.
type Pack struct {
	ID        string     `json:"id"`
	Account   string     `json:"account,omitempty"`
	Unit      string     `json:"unit"`   // token, image, call, search, …: meter.Dimension.Unit
	Models    []string   `json:"models"` // exact names or patterns with *; empty: all
	Quantity  int64      `json:"quantity"`
	Remaining int64      `json:"remaining"` // not yet charged; what is held is still in it
	Free      int64      `json:"free"`      // Remaining less what is held
	Priority  int64      `json:"priority"`  // lower goes first
	Order     string     `json:"order"`     // before_balance, after_balance
	Status    string     `json:"status"`    // active, used_up, expired, revoked
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	Ref       string     `json:"ref,omitempty"`
}

// KeyLimits is what a key may do. Zero values mean no limit.
type KeyLimits struct {
	Models       []string   `json:"models,omitempty"`    // exact names or patterns with *
	Endpoints    []string   `json:"endpoints,omitempty"` // meter.Endpoint names: chat, completions, embeddings, images, …
	Networks     []string   `json:"networks,omitempty"`  // CIDR or address
	ExpiresAt    *time.Time `json:"expires_at,omitempty"`
	SpendTotal   meter.Nano `json:"spend_total,omitzero"` // cash, over the key's life
	SpendDaily   meter.Nano `json:"spend_daily,omitzero"`
	SpendMonthly meter.Nano `json:"spend_monthly,omitzero"`
	Tokens       int64      `json:"tokens,omitempty"` // over the key's life, paid by cash or pack
	RPM          int64      `json:"rpm,omitempty"`
	TPM          int64      `json:"tpm,omitempty"`
	Parallel     int64      `json:"parallel,omitempty"`
	// ReceiptInBody adds usage.cost to this key's answers.
	ReceiptInBody bool `json:"receipt_in_body,omitempty"`
}

// KeyUse is what a key has used and holds now.
type KeyUse struct {
	SpendTotal   meter.Nano `json:"spend_total"`
	SpendDaily   meter.Nano `json:"spend_daily"`   // today, in the ledger's time zone
	SpendMonthly meter.Nano `json:"spend_monthly"` // this month, likewise
	SpendHeld    meter.Nano `json:"spend_held"`
	Tokens       int64      `json:"tokens"`
	TokensHeld   int64      `json:"tokens_held"`
	Requests     int64      `json:"requests"` // charged so far
	Parallel     int64      `json:"parallel"` // in flight now
}

// Key is an API key of an account. The secret is not stored.
type Key struct {
	ID        string    `json:"id"`
	Account   string    `json:"account"`
	Name      string    `json:"name,omitempty"`
	Status    string    `json:"status"` // active, revoked, expired
	CreatedAt time.Time `json:"created_at"`
	Limits    KeyLimits `json:"limits"`
	Use       KeyUse    `json:"use"`
	// Requests and Tokens are the limits a minute as they stand; Ledger.Holder alone fills them in.
	Requests RateState `json:"-"`
	Tokens   RateState `json:"-"`
}

// CreatedKey is a key with its secret, which is kept nowhere: verbs and the admin API show it this once.
type CreatedKey struct {
	*Key
	Secret string `json:"secret"`
}

// Credential is what a client presents, already hashed: tg-<account>-<secret>.
type Credential struct {
	Account string
	// Hash is the SHA-256 of the whole key, in hex: all that Redis ever sees.
	Hash string
}

// Reservation asks for a hold.
type Reservation struct {
	// ID is the request id, made by NewRequestID; reserving it again returns the same hold.
	ID         string
	Credential Credential
	Model      string
	Endpoint   string // meter.Endpoint.Name
	Client     netip.Addr
	// Quote is the most that the request can cost.
	Quote meter.Charge
}

// Usage is what was used. In JSON it is an object of what is not zero.
type Usage struct{ meter.Quantities }

// Payment is the part of a charge that one pack or wallet pays.
type Payment struct {
	From     string     `json:"from"`               // pack:<id>, bonus, recharge
	Quantity int64      `json:"quantity,omitempty"` // of packs
	Amount   meter.Nano `json:"amount,omitzero"`    // of wallets
}

// Balances are what packs and wallets have left. In JSON they are an object:
// "recharge" and "bonus" as decimal strings, "pack:<id>" as numbers.
type Balances []Payment

// Holder is whose a credential is, and what is left.
type Holder struct {
	Key      *Key
	Account  *Account
	Standing Standing // of no model
}

// Standing is what is left, read by the very script that changed it.
type Standing struct {
	// Recharge and Bonus are free: balance less what is held, by the account's split.
	Recharge, Bonus meter.Nano
	// PackFree is the free quantity over all packs of one unit that fit the request: of tokens, if any do.
	PackFree int64
	// OfNoModel says that no model was asked for, so that PackFree is not known.
	OfNoModel bool
	// HasPacks reports whether any pack fits the request.
	HasPacks bool
	// KeySpendLeft is what the key's tightest spend limit leaves; nil without one.
	KeySpendLeft *meter.Nano
	// Requests and Tokens are the key's rate limits; Limit 0 means none.
	Requests, Tokens RateState
	// ReceiptInBody is the key's wish for usage.cost.
	ReceiptInBody bool
}

// RateState is a per-minute limit as OpenAI's x-ratelimit headers show it.
type RateState struct {
	Limit, Remaining int64
	Reset            time.Duration // until the limit is whole again
}

// Hold is money and quantity set aside for a request in flight.
type Hold struct {
	ID, Account, Key string
	// Cash is held on the account's wallets, Packs by pack.
	Cash     meter.Nano
	Packs    []Payment
	PlacedAt time.Time // Redis's clock
	Deadline time.Time // when the sweeper may take it
	Standing Standing
}

// Checkpoint extends a hold and says what has been delivered so far, to be
// charged if the call never settles.
type Checkpoint struct {
	Settlement
}

// Settlement replaces a hold by the charge. It carries all that is needed to
// book the charge, also when the hold is gone.
type Settlement struct {
	ID          string
	Account     string
	Key         string // key id
	Model       string
	AnswerModel string // as the answer names it, if it differs
	Endpoint    string
	Upstream    string
	At          time.Time // when the call came
	Source      meter.Source
	Anomalies   []string
	// Attributes of the request and of the answer, from which the prices followed.
	Attributes, AnswerAttributes meter.Attributes
	// Charge is the whole charge at list price, before packs.
	Charge meter.Charge
	// Made is what the call has made upstream, and the account may name again.
	Made []Object
}

// Receipt is the outcome of a request: the journal entry and what is left.
// Headers, trailers, log line, metrics and the receipts route are drawn from it.
type Receipt struct {
	Entry
	// Standing after this request. Zero when the receipt was read later.
	Standing Standing `json:"-"`
	// Repeated says that this settlement had been booked before.
	Repeated bool `json:"-"`
	// Pending says that the charge is in the settlement log and not yet in the
	// ledger: Fee and Lines are at list price, before packs; there is no ID, no
	// payment and no standing. It is booked once Redis is back.
	Pending bool `json:"-"`
	// told is who paid, as the settlement log notes it.
	told string
}

// Entry types of the journal.
const (
	TypeAccount = "account"
	TypeTopup   = "topup"
	TypeGrant   = "grant"
	TypeCharge  = "charge"
	TypeAbandon = "abandon"
	TypeRefund  = "refund"
	TypeAdjust  = "adjust"
	TypeExpire  = "expire"
	TypeRevoke  = "revoke"
	TypeKey     = "key"
	TypeSuspend = "suspend"
	TypeResume  = "resume"
)

// EntryTypes are all of them.
func EntryTypes() []string {
	return []string{
		TypeAccount, TypeTopup, TypeGrant, TypeCharge, TypeAbandon, TypeRefund,
		TypeAdjust, TypeExpire, TypeRevoke, TypeKey, TypeSuspend, TypeResume,
	}
}

// Entry is one record of the journal. Fields that a type does not use are left out.
type Entry struct {
	ID    string    `json:"id"` // <seq>-0, dense from 1 in its shard
	Shard int       `json:"shard"`
	Time  time.Time `json:"time"` // when it was booked, Redis's clock
	At    time.Time `json:"at"`   // when the call came
	Type  string    `json:"type"`

	Account      string       `json:"account"`
	Key          string       `json:"key,omitempty"`
	RequestID    string       `json:"request_id,omitempty"`
	Model        string       `json:"model,omitempty"`
	AnswerModel  string       `json:"answer_model,omitempty"`
	Endpoint     string       `json:"endpoint,omitempty"`
	Upstream     string       `json:"upstream,omitempty"`
	Usage        Usage        `json:"usage,omitzero"`
	UsageSource  meter.Source `json:"usage_source,omitempty"`
	Anomalies    []string     `json:"anomalies,omitempty"`
	PriceVersion string       `json:"price_version,omitempty"`
	// Attributes of the request and of the answer, as far as either had any that prices may depend on.
	Attributes       meter.Attributes `json:"attributes,omitempty"`
	AnswerAttributes meter.Attributes `json:"answer_attributes,omitempty"`
	// Fee is the cash due: what the packs did not cover. Set for charge, abandon and refund.
	Fee   *meter.Nano  `json:"fee,omitempty"`
	Lines []ChargeLine `json:"lines,omitzero"`
	Paid  []Payment    `json:"paid,omitzero"`
	// Hold is the cash that had been held; Overrun what the fee went above it.
	Hold    *meter.Nano `json:"hold,omitempty"`
	Overrun meter.Nano  `json:"overrun,omitzero"`

	// Charge is the id of the entry that an operator's refund gives back.
	Charge string `json:"charge,omitempty"`

	// What is not a charge: a signed amount of a wallet, or quantity of a pack.
	Amount   *meter.Nano `json:"amount,omitempty"`
	Wallet   Wallet      `json:"wallet,omitempty"`
	Quantity *int64      `json:"quantity,omitempty"`
	Pack     string      `json:"pack,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Ref      string      `json:"ref,omitempty"`

	// BalancesAfter are those of the wallets and packs that the entry touched.
	BalancesAfter Balances `json:"balances_after,omitzero"`

	// takenBack says that a refund undoes its charge as if it had never been: the
	// call had been swept, and ended otherwise, or was charged at another price.
	takenBack bool
	// spent is the day and month of the key's spend that a charge is of, where
	// that is not its own time's: it was booked anew, at another price.
	spent *spendDay

	// Detail is the definition that a grant, key or account entry introduced, enough to rebuild it.
	Detail map[string]any `json:"detail,omitempty"`
}

// ChargeLine is a line as it was booked: Amount is the cash part, for the
// quantity that no pack covered.
type ChargeLine struct {
	meter.Line
	PackQuantity int64 `json:"pack_quantity,omitempty"`
}

// Reason says why admission was refused.
type Reason string

// The reasons for a refusal.
const (
	KeyInvalid         Reason = "key_invalid" // unknown key or account
	KeyRevoked         Reason = "key_revoked"
	KeyExpired         Reason = "key_expired"
	AccountSuspended   Reason = "account_suspended"
	ModelNotAllowed    Reason = "model_not_allowed"
	EndpointNotAllowed Reason = "endpoint_not_allowed"
	NetworkNotAllowed  Reason = "network_not_allowed"
	InsufficientFunds  Reason = "insufficient_funds"  // packs and wallets do not cover the quote, holds or not
	KeySpendExhausted  Reason = "key_spend_exhausted" // a spend or token limit of the key does not, holds or not
	InFlight           Reason = "in_flight"           // it would fit but for requests in flight
	RateLimited        Reason = "rate_limited"        // rpm, tpm
	TooManyParallel    Reason = "too_many_parallel"
)

// Refusal is the answer of a reserve that placed no hold. Nothing was changed.
type Refusal struct {
	Reason Reason
	// Limit names what failed: "balance", "key.spend_total", "key.spend_daily",
	// "key.spend_monthly", "key.tokens", "key.rpm", "key.tpm", "key.parallel", "key.models", …
	Limit string
	// Required and Available are in cash (Nano) for money limits, in units for the others (Counted).
	Required, Available, Held int64
	// Counted says that Required, Available and Held are units, not Nano.
	Counted bool
	// Cash and PackFree are what the request could draw on: free cash with the
	// overdraft and all key limits taken in, and the free quantity of fitting token packs
	// that would pay before a limit of the key stands against it.
	Cash     meter.Nano
	PackFree int64
	// KeyTokensLeft is how many tokens the key's own limits leave one request; nil without such a limit.
	KeyTokensLeft *int64
	// RetryAfter is when it may fit, for rate limits.
	RetryAfter time.Duration
	// ResetsAt is when a daily or monthly limit starts anew.
	ResetsAt time.Time
	Standing Standing
}

// Error says what was refused and why.
func (r *Refusal) Error() string {
	if r.Required == 0 && r.Available == 0 {
		return fmt.Sprintf("refused: %s (%s)", r.Reason, r.Limit)
	}
	return fmt.Sprintf("refused: %s (%s): required %s, available %s", r.Reason, r.Limit, r.quantity(r.Required), r.quantity(r.Available))
}

func (r *Refusal) quantity(n int64) string {
	if r.Counted {
		return fmt.Sprint(n)
	}
	return meter.Nano(n).String()
}

// FeeDue is the entry's fee, 0 where it has none.
func (e *Entry) FeeDue() meter.Nano {
	if e.Fee == nil {
		return 0
	}
	return *e.Fee
}

// MarshalJSON writes what every charge has, though it be empty: who reads
// charges need not ask whether there is any of it. A promise has no id, and
// says nothing of who will pay.
func (e Entry) MarshalJSON() ([]byte, error) {
	type members Entry // without this method
	m := members(e)
	if e.ID == "" || e.Type != TypeCharge && e.Type != TypeAbandon {
		return json.Marshal(m)
	}
	m.Lines, m.Paid, m.BalancesAfter = append([]ChargeLine{}, e.Lines...), append([]Payment{}, e.Paid...), append(Balances{}, e.BalancesAfter...)
	if !e.Usage.IsZero() {
		return json.Marshal(m)
	}
	return json.Marshal(struct {
		members
		Usage Usage `json:"usage"`
	}{m, e.Usage})
}

// MarshalJSON writes the quantities that are not zero.
func (u Usage) MarshalJSON() ([]byte, error) { return json.Marshal(u.Map()) }

// UnmarshalJSON is the inverse of MarshalJSON.
func (u *Usage) UnmarshalJSON(text []byte) error {
	var quantities map[meter.Dimension]int64
	err := json.Unmarshal(text, &quantities)
	*u = Usage{}
	for d, n := range quantities {
		u.Quantities[d] = n
	}
	return err
}

// MarshalJSON writes them by name.
func (b Balances) MarshalJSON() ([]byte, error) {
	named := make(map[string]any, len(b))
	for i := range b {
		named[b[i].From] = b[i].amount()
	}
	return json.Marshal(named)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (b *Balances) UnmarshalJSON(text []byte) error {
	var named map[string]json.RawMessage
	err := json.Unmarshal(text, &named)
	*b = nil
	for _, from := range slices.Sorted(maps.Keys(named)) {
		p := Payment{From: from}
		if strings.HasPrefix(from, "pack:") {
			err = errors.Join(err, json.Unmarshal(named[from], &p.Quantity))
		} else {
			err = errors.Join(err, json.Unmarshal(named[from], &p.Amount))
		}
		*b = append(*b, p)
	}
	return err
}

// amount is the quantity of a pack, or the cash of a wallet as a decimal string.
func (p *Payment) amount() any {
	if strings.HasPrefix(p.From, "pack:") {
		return p.Quantity
	}
	return p.Amount.String()
}

// PaidBy adds up who paid: units from packs, cash from the wallets.
func (e *Entry) PaidBy() (pack int64, bonus, recharge meter.Nano) {
	for _, p := range e.Paid {
		switch p.From {
		case string(Bonus):
			bonus += p.Amount
		case string(Recharge):
			recharge += p.Amount
		default:
			pack += p.Quantity
		}
	}
	return pack, bonus, recharge
}
