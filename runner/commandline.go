package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// again is this run's command line for a person to type, with another word for one of
// its arguments and more flags at its end. What is there already is not added, and a
// password in it is not repeated.
func (a *app) again(replace map[string]string, more ...string) string {
	words := []string{"pgbackup-runner"}
	for _, arg := range a.args {
		if other, ok := replace[arg]; ok && other != "" {
			arg = other
		}
		words = append(words, withoutPassword(arg))
	}
	for _, flag := range more {
		if !slices.Contains(words, flag) {
			words = append(words, flag)
		}
	}
	for i, word := range words {
		words[i] = shellWord(word)
	}
	return strings.Join(words, " ")
}

var passwordField = regexp.MustCompile(`(password\s*=\s*)('[^']*'|\S+)`)

// withoutPassword puts xxxxx where an argument has a password.
func withoutPassword(arg string) string {
	flag, value := "", arg
	if strings.HasPrefix(arg, "--") {
		if name, rest, ok := strings.Cut(arg, "="); ok {
			flag, value = name+"=", rest
		}
	}
	if !hasPassword(value) {
		return arg
	}
	if u, err := url.Parse(value); err == nil && u.Scheme != "" {
		if query := u.Query(); query.Has("password") {
			query.Set("password", "xxxxx")
			u.RawQuery = query.Encode()
		}
		return flag + u.Redacted()
	}
	return flag + passwordField.ReplaceAllString(value, "${1}xxxxx")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes a word for a POSIX shell where that is needed.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
