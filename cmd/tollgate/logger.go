package main

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// buffered collects log lines for a moment: a system call a line would cost as
// much as a tenth of forwarding a call. What money needs is not in the log but
// in the journal, so a crash may take the last lines with it. stop writes what is left.
func buffered(to io.Writer) (buffer io.Writer, stop func()) {
	b := &zapcore.BufferedWriteSyncer{WS: zapcore.Lock(zapcore.AddSync(to)), Size: 256 << 10, FlushInterval: 100 * time.Millisecond}
	return b, func() { _ = b.Stop() } // the log cannot say that it cannot be written
}

// newLogger writes JSON lines, at the level of TOLLGATE_LOG (default info).
func newLogger(to io.Writer, level string) (*zap.Logger, error) {
	at := zapcore.InfoLevel
	if level != "" {
		if err := at.UnmarshalText([]byte(level)); err != nil {
			return nil, fmt.Errorf("TOLLGATE_LOG is %q: want debug, info, warn or error", level)
		}
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.TimeKey = "time"
	encoding.MessageKey = "message"
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(zapcore.AddSync(to)), at)), nil
}
