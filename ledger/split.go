package ledger

import (
	"math/bits"

	"github.com/tollgate/tollgate/meter"
)

// split lays an amount on the wallets by a policy, as split in lua/pay.lua
// does when it books. Here it is for display alone: what is free of each
// wallet when what is held falls on both.
func (s Split) split(amount, recharge, bonus meter.Nano) (fromRecharge, fromBonus meter.Nano) {
	recharge, bonus = max(0, recharge), max(0, bonus)
	var wanted meter.Nano
	switch s {
	case BonusFirst:
		wanted = amount
	case RechargeFirst:
	case Equal:
		wanted = amount / 2
	default:
		wanted = share(amount, recharge, bonus)
	}
	fromBonus = min(max(wanted, amount-recharge), bonus)
	return amount - fromBonus, fromBonus
}

// share is floor(amount * bonus / (recharge + bonus)), at most MaxBalance. None is negative.
func share(amount, recharge, bonus meter.Nano) meter.Nano {
	sum := uint64(recharge) + uint64(bonus)
	if sum == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(amount), uint64(bonus))
	quotient, _ := bits.Div64(hi, lo, sum) // hi < bonus <= sum
	return meter.Nano(min(quotient, uint64(meter.MaxBalance)))
}

// freeOf is what is free of each wallet.
func freeOf(policy Split, recharge, bonus, held meter.Nano) (freeRecharge, freeBonus meter.Nano) {
	fromRecharge, fromBonus := policy.split(held, recharge, bonus)
	return recharge - fromRecharge, bonus - fromBonus
}

func (s Split) valid() bool {
	switch s {
	case Proportional, Equal, BonusFirst, RechargeFirst:
		return true
	}
	return false
}
