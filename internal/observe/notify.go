package observe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// The headers of a webhook. The signature is "sha256=" and, in hexadecimal, the
// HMAC-SHA256 of the timestamp, a dot and the body. The timestamp is in seconds
// since 1970: a receiver refuses old ones, so that a message cannot be replayed.
const (
	HeaderTimestamp = "X-Pgbackup-Timestamp"
	HeaderSignature = "X-Pgbackup-Signature"
	HeaderEvent     = "X-Pgbackup-Event"
)

// Receiver is somebody who is told of a run.
type Receiver struct {
	Channel job.Channel
	// URL and Secret are secrets: neither is ever in an error.
	URL    []byte
	Secret []byte // key of the webhook's signature; nil does not sign
	Agent  string // User-Agent
}

// ErrBadURL: the secret that should be the URL of a receiver is none.
var ErrBadURL = errors.New("the secret is not an http:// or https:// URL")

// Send tells the receiver, trying again what may pass, until ctx ends. Errors say
// what the receiver answered in our own words, and hold nothing of its URL.
func (r Receiver) Send(ctx context.Context, report Report, now time.Time) error {
	at, err := r.parseURL()
	if err != nil {
		return err
	}
	request, err := r.request(ctx, at, report.bounded(), now)
	if err != nil {
		// The text may repeat the URL.
		return errors.New("the request cannot be made: " + scrub(err.Error(), at))
	}
	request.Header.Set("User-Agent", r.Agent)
	response, err := newClient().Do(request)
	if err != nil {
		return explain(ctx, err, at)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return refused(response, at)
	}
	return nil // whatever else it says
}

func (r Receiver) parseURL() (*url.URL, error) {
	// Errors of url.Parse repeat what they could not read.
	at, err := url.Parse(strings.TrimSpace(string(r.URL)))
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" {
		return nil, ErrBadURL
	}
	at.Fragment = ""
	return at, nil
}

// request is what the channel of the receiver sends.
func (r Receiver) request(ctx context.Context, at *url.URL, report Report, now time.Time) (*retryablehttp.Request, error) {
	switch r.Channel {
	case job.ChannelPing:
		return retryablehttp.NewRequestWithContext(ctx, http.MethodGet, pingURL(at, report.Event).String(), nil)
	case job.ChannelSlack:
		return post(ctx, at, slackMessage(report))
	case job.ChannelWebhook:
		return r.webhook(ctx, at, report, now)
	}
	return nil, fmt.Errorf("channel %q is not known", r.Channel)
}

// pingURL follows the convention of healthchecks.io, which others share: the URL
// itself is a success, /start and /fail below it are what they say. A warning is a
// success: the switch is about backups that did not happen.
func pingURL(at *url.URL, event job.Event) *url.URL {
	switch event {
	case job.OnStart:
		return at.JoinPath("start")
	case job.OnFailure:
		return at.JoinPath("fail")
	}
	return at
}

func post(ctx context.Context, at *url.URL, document any) (*retryablehttp.Request, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		return nil, err
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.TrimSuffix(body.Bytes(), []byte("\n")))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	return request, nil
}

func (r Receiver) webhook(ctx context.Context, at *url.URL, report Report, now time.Time) (*retryablehttp.Request, error) {
	request, err := post(ctx, at, report)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	request.Header.Set(HeaderTimestamp, timestamp)
	request.Header.Set(HeaderEvent, string(report.Event))
	if len(r.Secret) > 0 {
		body, err := request.BodyBytes()
		if err != nil {
			return nil, err
		}
		request.Header.Set(HeaderSignature, Signature(r.Secret, timestamp, body))
	}
	return request, nil
}

// Signature of a webhook's body, as its receiver computes it too.
func Signature(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
