package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"
)

// Ten thousand accounts by the operator's verbs, a process each, would take
// longer than the benchmark. So the verbs make one, Redis tells what they sent
// it (MONITOR), and the same scripts are sent once more for each further
// account, with its own name, key and shard in place of the first one's. The
// scripts write the journal as ever, and the audit at the end goes over it all.

// A recording is what the verbs sent to make one account, or one key.
type recording struct {
	account  string
	secret   string
	commands [][]string
}

// shards is the number that a ledger has unless it is told otherwise; an
// account is on the one that the checksum of its name says.
const shards = 64

func shardTag(account string) string {
	return "{tg" + strconv.Itoa(int(crc32.ChecksumIEEE([]byte(account))%shards)) + "}"
}

// crowd makes n accounts with money and a key each, and returns the keys' secrets.
func (b *books) crowd(ctx context.Context, n int) ([]string, error) {
	// The first one teaches the server the scripts, so that the second one's calls are all of one form.
	if _, err := b.one(ctx, "crowd-first", 0); err != nil {
		return nil, err
	}
	const model = "crowd-00000"
	rec, err := b.record(ctx, model, func() (string, error) {
		keys, err := b.one(ctx, model, 0)
		return strings.Join(keys, ""), err
	})
	if err != nil {
		return nil, err
	}
	secrets := []string{rec.secret}
	for i := 1; i < n; i++ {
		secret, err := b.repeat(ctx, rec, fmt.Sprintf("crowd-%05d", i), i)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// record listens to what Redis is sent on behalf of an account.
func (b *books) record(ctx context.Context, account string, do func() (secret string, err error)) (*recording, error) {
	ear, err := dialRedis(ctx, b.servers[0].address)
	if err != nil {
		return nil, err
	}
	defer ear.close()
	if _, err := ear.do("MONITOR"); err != nil {
		return nil, err
	}
	secret, err := do()
	if err != nil {
		return nil, err
	}
	const end = "the recording ends here"
	if _, err := b.servers[0].conn.do("ECHO", end); err != nil {
		return nil, err
	}
	rec := &recording{account: account, secret: secret}
	for {
		line, err := ear.reply()
		if err != nil {
			return nil, err
		}
		command, err := monitored(fmt.Sprint(line))
		switch {
		case err != nil:
			return nil, err
		case strings.Join(command, " ") == "ECHO "+end:
			return rec, nil
		case isScript(command) && strings.Contains(strings.Join(command, " "), account):
			rec.commands = append(rec.commands, command)
		}
	}
}

func isScript(command []string) bool {
	return len(command) > 0 && (strings.EqualFold(command[0], "evalsha") || strings.EqualFold(command[0], "fcall"))
}

var monitorWord = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// monitored takes apart a line of MONITOR: time [db address] "word" "word" ….
// Of what scripts call themselves nothing is returned.
func monitored(line string) (command []string, err error) {
	_, rest, _ := strings.Cut(line, "[")
	source, rest, _ := strings.Cut(rest, "] ")
	if strings.HasSuffix(source, " lua") {
		return nil, nil
	}
	for _, quoted := range monitorWord.FindAllString(rest, -1) {
		word, err := strconv.Unquote(quoted) // Redis escapes as Go does.
		if err != nil {
			return nil, fmt.Errorf("MONITOR says %s: %w", quoted, err)
		}
		command = append(command, word)
	}
	return command, nil
}

// seen is the argument that tells a script how far its caller has seen the
// journal: epoch and sequence number. Of another shard the caller has seen nothing.
var seen = regexp.MustCompile(`^\d+ \d+$`)

// repeat sends a recording once more, on behalf of another account or of
// another key, and returns the secret.
func (b *books) repeat(ctx context.Context, rec *recording, account string, nth int) (secret string, err error) {
	secret = fmt.Sprintf("tg-%s-%040d", account, nth)
	was, is := digest(rec.secret), digest(secret)
	const suffix = 12 // digits of the digest that a key is known by
	rewrite := strings.NewReplacer(was, is, was[:suffix], is[:suffix], rec.account, account, shardTag(rec.account)+":", shardTag(account)+":")
	for _, command := range rec.commands {
		words := make([]string, len(command))
		for i, word := range command {
			if words[i] = rewrite.Replace(word); seen.MatchString(word) {
				words[i] = "0 0"
			}
		}
		if err := b.repeatOne(ctx, words); err != nil {
			return "", fmt.Errorf("account %s: %w", account, err)
		}
	}
	return secret, nil
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (b *books) repeatOne(_ context.Context, command []string) error {
	reply, err := b.servers[0].conn.do(command...)
	if err != nil {
		return err
	}
	list, _ := reply.([]any)
	if len(list) == 0 {
		return errors.New("a script answers nothing")
	}
	if list[0] != "OK" { // Something else was done, or nothing.
		return fmt.Errorf("a script answers %v", list)
	}
	return nil
}
