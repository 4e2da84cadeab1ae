package resp

import (
	"fmt"
	"strings"

	"shoal/wire"
)

// Error texts of Redis 7.0.15, without the leading dash. Clients match some of them literally. What a
// client sent is repeated as it came: Writer.Error turns line ends into spaces.
const (
	errSyntax           = "ERR syntax error"
	errNotInteger       = "ERR value is not an integer or out of range"
	errWrongPass        = "WRONGPASS invalid username-password pair or user is disabled."
	errNoPassword       = "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
	errHelloNoAuth      = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	errNoProto          = "NOPROTO unsupported protocol version"
	errBadProto         = "ERR Protocol version is not an integer or out of range"
	errClientName       = "ERR Client names cannot contain spaces, newlines or special characters."
	errClientID         = "ERR Invalid client ID"
	errSelect           = "ERR SELECT is not allowed in cluster mode"
	errInvalidSlot      = "ERR Invalid slot"
	errInvalidPartition = "ERR Invalid partition"
	errInvalidCommand   = "ERR Invalid command specified"
	errClientMemory     = "OOM command not allowed when used memory > 'maxmemory-clients'."
	errNoKeys           = "ERR The command has no key arguments"
	errKeysArity        = "ERR Invalid number of arguments specified for command"
	errNXvsXX           = "ERR NX and XX, GT or LT options at the same time are not compatible"
	errGTvsLT           = "ERR GT and LT options at the same time are not compatible"
)

// maxErrorArg is how much of an unknown command and of its arguments an error repeats, in bytes.
const maxErrorArg = 128

// errArity is the answer to a wrong number of arguments; name is FullName.
func errArity(name string) string {
	return "ERR wrong number of arguments for '" + name + "' command"
}

func errExpireTime(name string) string {
	return "ERR invalid expire time in '" + name + "' command"
}

// errUnsupported refuses an option that Redis has and that a leaderless write cannot honour. Ignoring it would break
// whoever relies on it (locks use SET NX).
func errUnsupported(command, option string) string {
	return "ERR " + strings.ToUpper(command) + " " + option +
		" is not supported: a write without a leader cannot depend on what the key holds"
}

// errUnknownCommand repeats the name and the first arguments, as Redis does.
func errUnknownCommand(args [][]byte) string {
	var b strings.Builder
	b.WriteString("ERR unknown command '")
	b.Write(clip(args[0], maxErrorArg))
	b.WriteString("', with args beginning with: ")
	used := 0
	for _, a := range args[1:] {
		if used >= maxErrorArg {
			break
		}
		a = clip(a, maxErrorArg-used)
		b.WriteByte('\'')
		b.Write(a)
		b.WriteString("' ")
		used += len(a) + 3
	}
	return b.String()
}

// errUnknownSubcommand is the answer of a container command that lacks the subcommand.
func errUnknownSubcommand(container string, sub []byte) string {
	return fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", clip(sub, maxErrorArg), strings.ToUpper(container))
}

func clip(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}

// errOfResult is the error text of a result that is not OK, and "" for one that is. The prefixes NOREPLICAS,
// CLUSTERDOWN, TRYAGAIN and LOADING make clients retry by themselves: they are used only when certainly nothing was
// written. UNCERTAIN is known to no client and so is never retried behind the caller's back.
func errOfResult(r *wire.Result) string {
	switch r.Status {
	case wire.OK:
		return ""
	case wire.NoReplicas:
		return withDetail("NOREPLICAS Not enough good replicas to write.", r.Err)
	case wire.ClusterDown:
		return withDetail("CLUSTERDOWN The cluster is down", r.Err)
	case wire.TryAgain:
		return withDetail("TRYAGAIN Refused before anything was written, try again", r.Err)
	case wire.Loading:
		return withDetail("LOADING The node has no ring map yet", r.Err)
	case wire.Uncertain:
		return fmt.Sprintf("UNCERTAIN write reached %d of %d replicas; it may or may not be applied", r.Reached, r.Wanted)
	case wire.TooManySiblings:
		return withDetail("ERR too many siblings: read the key with VGET and write with its newest context", r.Err)
	case wire.BadContext:
		return withDetail("ERR the context is damaged, or of another key or cluster", r.Err)
	default:
		return failure(r.Err)
	}
}

// withDetail lets a node replace the words after the fixed prefix, never the prefix.
func withDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	prefix, _, _ := strings.Cut(text, " ")
	if hasPrefix(detail) {
		_, detail, _ = strings.Cut(detail, " ")
	}
	return prefix + " " + detail
}

// failure gives an error its ERR prefix unless it brought one of its own.
func failure(text string) string {
	switch {
	case text == "":
		return "ERR internal error"
	case hasPrefix(text):
		return text
	default:
		return "ERR " + text
	}
}

// hasPrefix reports whether the text starts with a word in upper case, as Redis's error kinds do.
func hasPrefix(text string) bool {
	word, _, found := strings.Cut(text, " ")
	if !found || len(word) < 2 {
		return false
	}
	for i := 0; i < len(word); i++ {
		if word[i] < 'A' || word[i] > 'Z' {
			return false
		}
	}
	return true
}
