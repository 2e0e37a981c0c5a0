package main

import (
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// usageText is what was used, in the order of a bill: "input 120, output 48".
func usageText(usage *ledger.Usage) string {
	var words []string
	for d, n := range usage.NonZero() {
		words = append(words, strings.ReplaceAll(d.String(), "_", " ")+" "+count(n))
	}
	return strings.Join(words, ", ")
}

// paidText is who paid what: "pack p1 168 + bonus 0.5 CNY".
func paidText(paid []ledger.Payment, currency string) string {
	var words []string
	for _, part := range paid {
		from := strings.Replace(part.From, ":", " ", 1)
		if part.Quantity != 0 {
			words = append(words, from+" "+count(part.Quantity))
		} else {
			words = append(words, from+" "+money(part.Amount, currency))
		}
	}
	if len(words) == 0 {
		return "nobody: it was free"
	}
	return strings.Join(words, " + ")
}

// receiptLine is a receipt as a person reads it as it happens.
func receiptLine(r *ledger.Receipt, currency string) string {
	line := fmt.Sprintf("%s  %-11s %-24s %-28s fee %-18s paid by %s",
		r.Time.Local().Format("15:04:05"), r.Endpoint, r.Model, usageText(&r.Usage), money(r.FeeDue(), currency), paidText(r.Paid, currency))
	if r.UsageSource == meter.Estimated {
		line += " (estimated)"
	}
	left := fmt.Sprintf("recharge %s, bonus %s", r.Standing.Recharge, r.Standing.Bonus)
	if r.Standing.HasPacks {
		left += ", pack " + count(r.Standing.PackFree)
	}
	return line + " | left: " + left
}
